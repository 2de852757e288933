"""Logs whose rows are of train or of validation, as a column says: made one of columns."""

from collections.abc import Iterator, Sequence

from search.diagnostics.logs.line import Line

PHASE = ("phase", "split", "mode", "set", "subset", "stage")
TRAIN = ("train", "training", "trn", "tr")
VAL = ("val", "valid", "validation", "eval", "dev", "va")
PHASES = dict.fromkeys(TRAIN, "train") | dict.fromkeys(VAL, "val")  # by the words of cells
PHASES |= dict.fromkeys(("test", "testing"), "test")
SHARED = (
    "epoch", "epochs", "step", "global_step", "iter", "iteration", "iters", "trial", "run",
    "run_id", "run_name", "fold", "lr", "",
)  # fmt: skip


def by_phase(header: Sequence[str], lines: Sequence[Line]) -> tuple[list[str], list[Line]]:
    """`loss` of a row of train becomes `train_loss`; other phases, such as test, are left out where
    there are rows of validation.

    Unchanged where no column names the phases: by its name, or as its cells are nothing else.
    """

    def words(name: str) -> Iterator[str]:
        return (cells.get(name, "").strip().lower() for _, cells in lines)

    phases = {
        name: {PHASES[word] for word in words(name) if word in PHASES}
        for name in header
        if name in PHASE or all(word in PHASES for word in words(name))
    }
    column = next((name for name, told in phases.items() if {"train"} < told), None)
    if column is None:
        return list(header), list(lines)
    read = {"train", "val" if "val" in phases[column] else "test"}
    renamed = []
    for number, cells in lines:
        phase = PHASES.get(cells.get(column, "").strip().lower(), "")
        if phase in read:
            own = {
                name if name in SHARED else f"{phase}_{name}": cell
                for name, cell in cells.items()
                if name != column
            }
            renamed.append((number, own))
    return list(dict.fromkeys(name for _, cells in renamed for name in cells)), renamed
