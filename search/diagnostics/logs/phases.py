"""Logs whose rows are of train or of validation, as a column says: made one of columns."""

from collections.abc import Sequence

from search.diagnostics.logs.line import Line

PHASE = ("phase", "split", "mode", "set", "subset", "stage")
TRAIN = ("train", "training", "trn", "tr")
VAL = ("val", "valid", "validation", "eval", "dev", "va")
SHARED = (
    "epoch", "epochs", "step", "global_step", "iter", "iteration", "iters", "trial", "run",
    "run_id", "run_name", "fold", "lr", "",
)  # fmt: skip


def by_phase(header: Sequence[str], lines: Sequence[Line]) -> tuple[list[str], list[Line]]:
    """`loss` of a row of train becomes `train_loss`; other phases, such as test, are left out.

    Unchanged where no column names the phases.
    """
    told = {name: {_phase(c.get(name, "")) for _, c in lines} for name in PHASE if name in header}
    column = next((name for name, phases in told.items() if {"train", "val"} <= phases), None)
    if column is None:
        return list(header), list(lines)
    renamed = []
    for number, cells in lines:
        phase = _phase(cells.get(column, ""))
        if phase:
            own = {
                name if name in SHARED else f"{phase}_{name}": cell
                for name, cell in cells.items()
                if name != column
            }
            renamed.append((number, own))
    return list(dict.fromkeys(name for _, cells in renamed for name in cells)), renamed


def _phase(cell: str) -> str:
    word = cell.strip().lower()
    return "train" if word in TRAIN else "val" if word in VAL else ""
