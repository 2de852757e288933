"""Which column of somebody's log is what, by the names that loggers use."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from search.diagnostics.logs.line import Line, is_told, number_in, plain_name
from search.diagnostics.logs.losses import (
    EPOCH,
    FEW,
    FILLED,
    STEP,
    epochs_telling,
    fullest,
    is_nothing,
    losses_of,
)
from search.diagnostics.logs.measures import (
    EVALUATED,
    METRICS,
    OF_DATA,
    OF_TRAIN,
    OF_VAL,
    is_loss,
    measure_of,
)
from search.diagnostics.verdicts.from_columns import EXTRA
from search.errors import UsageError, unknown

TRIAL = ("trial", "run", "run_id", "run_name", "fold")
WITHIN = ("batch", "batch_idx")  # counted anew in every epoch
FEWEST, NEARLY = 5, 0.75  # rows, and the share of them in equal steps, of a column that counts
EXACT = 9  # decimals to which steps are equal
OF_ALL = {"overall", "mean", "average", "avg", "macro", "micro", "weighted", "total", "all"}
ROLES = ("train", "val", "epoch", "metric", "trial")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which column is what. `train`, `val`: summed, where a loss is logged in parts; `metric` and
    `trial` are empty where there is none, and so is `val` of a log of train alone; `epoch` is None
    where the rows are counted; `axis` says whether it tells epochs or steps.
    """

    epoch: str | None
    axis: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    metric: str
    trial: str
    extra: tuple[str, ...]
    steps: bool

    def __str__(self) -> str:
        """The columns in words."""
        names = {
            "train": " + ".join(self.train),
            "val": " + ".join(self.val) or "(none)",
            "epoch": "(the rows, counted)" if self.epoch is None else self.epoch or "(no name)",
            "metric": self.metric or "(none)",
            "trial": self.trial,
        }
        return ", ".join(f"{role} = {name}" for role, name in names.items() if name)


def layout_of(
    path: Path, header: Sequence[str], lines: Sequence[Line], *, chosen: Mapping[str, str]
) -> Layout:
    """The first known name of each kind that is not nearly empty; losses in parts are summed.

    Args:
        path: of the log, for errors.
        header: the columns' names.
        lines: the log.
        chosen: columns by role, which go before all others.

    Raises:
        UsageError: there are no such columns, or no losses.
    """
    roles = {role: _chosen(role, names, header) for role, names in chosen.items()}
    if foreign := next((role for role in roles if role not in ROLES), ""):
        raise UsageError(
            unknown("role of a column", name=foreign, known=ROLES), code="unknown-role-of-column"
        )
    filled = Counter(name for _, cells in lines for name in header if is_told(cells, name))
    header = [name for name in header if "loss" not in name or not is_nothing(lines, name)]
    train, val = losses_of(path, header, lines, filled=filled, roles=roles)
    trial, known, metric = (roles.get(role, ("",))[0] for role in ("trial", "epoch", "metric"))
    trial = trial or _trial(header, lines)
    epoch = known or _axis(header, lines, filled, train=train, val=val, trial=trial)
    return Layout(
        epoch=epoch,
        axis="epoch" if epoch not in STEP and (known or epoch in (None, *EPOCH)) else "step",
        train=train,
        val=val,
        metric=metric or _metric(header, lines, axis=epoch, train=train, val=val),
        trial=trial,
        extra=tuple(name for name in ("train_eval_loss", *EXTRA) if name in header),
        steps=any(name in header for name in (*STEP, *WITHIN)),
    )


def _chosen(role: str, names: str, header: Sequence[str]) -> tuple[str, ...]:
    """Columns named by hand, several joined by `+`."""
    plain = tuple(plain_name(name) for name in names.split("+"))
    if absent := next((name for name in plain if name not in header), None):
        known = [name for name in header if name]
        raise UsageError(
            f"--columns {role}: {unknown('column', name=absent, known=known)}",
            code="log-lacks-chosen-column",
        )
    return plain


def _trial(header: Sequence[str], lines: Sequence[Line]) -> str:
    """The column that names the trainings; one that only a few lines have, as a summary at the end
    of each, names none.
    """
    told = Counter(name for _, cells in lines for name in TRIAL if cells.get(name, "").strip())
    often = (name for name in TRIAL if told[name] >= FILLED * len(lines))
    return next((name for name in often if name in header), "")


def _metric(
    header: Sequence[str],
    lines: Sequence[Line],
    *,
    axis: str | None,
    train: Sequence[str],
    val: Sequence[str],
) -> str:
    """The metric's column, if not few epochs with validation tell it; `accuracy` beside a plain
    `loss` is train's, and of a set's many that of all goes before those of single classes.
    """
    of_val = [before + name for before in (*OF_VAL, "validation_epoch_") for name in METRICS]
    named = [name for name in header if name.startswith(OF_VAL) and measure_of(name)]
    of_val += sorted(named, key=lambda name: OF_ALL.isdisjoint(name.split("_")))
    own = METRICS if tuple(train) != ("loss",) else ("metric",)
    rows = [cells for _, cells in lines if is_told(cells, train[0])]
    beside = {name for cells in rows for name, cell in cells.items() if cell.strip()}
    of_data = [
        name
        for name in header
        if measure_of(name) in (OF_DATA if name in beside else EVALUATED)
        and not name.startswith(OF_TRAIN)
    ]
    names = [*of_val, *own, *of_data]
    often = Counter(
        {name: epochs_telling(lines, name, axis) for name in header if name in (*names, *val)}
    )
    least = FILLED * min((often[name] for name in val), default=0)
    known = [name for name in header if often[name] >= least]
    return (fullest(of_val, often, known) if val else "") or fullest(names, often, known)


def _axis(
    header: Sequence[str],
    lines: Sequence[Line],
    filled: Counter[str],
    *,
    train: Sequence[str],
    val: Sequence[str],
    trial: str,
) -> str | None:
    """Epochs, if they are told beside a loss and no setting; steps where there are none, or where
    validation was taken twice in an epoch.
    """
    beside = {name for _, cells in lines if cells.keys() & {*train, *val} for name in cells}
    counts = [name for name in EPOCH if name in header and (name or filled[name])]
    epoch = next((name for name in counts if name in beside), None)
    step = next((name for name in STEP if filled[name] == len(lines)), None)
    if step and epoch is not None and _begins_anew(lines, step, trial=trial):
        step = None
    of_train = [line for line in lines if is_told(line[1], train[0])]
    counter = step or _counter(header, of_train, epoch)
    if epoch is None:
        return counter
    taken = Counter(
        (cells.get(trial, ""), cells.get(epoch, ""))
        for _, cells in lines
        if all(is_told(cells, name) for name in val)
    )
    often = taken.total() - len(taken) > (len(taken) > 1)  # one more may be the finished model's
    at = [number_in(cells.get(epoch, "")) or 0.0 for _, cells in lines]
    if not val and len(taken) < min(FEW, len(lines)) and at == sorted(at):
        return counter  # an epoch or two, told step by step: the rows, where these begin anew
    return step if step and (often or filled[epoch] < len(lines)) else epoch


def _counter(header: Sequence[str], lines: Sequence[Line], epoch: str | None) -> str | None:
    """The first column if it counts, whatever its name: whole numbers, in equal steps in nearly all
    rows; or one of whole numbers or equal steps that rises as often and falls to where it began in
    the same epoch, as another training begins.
    """
    known = [name for name in header if lines and is_told(lines[0][1], name)]
    for name in known:
        at = [number_in(cells.get(name, "")) for _, cells in lines]
        if None in at or len(at) <= FEWEST or name in WITHIN or is_loss(name) or measure_of(name):
            continue
        strides = Counter(
            round((after or 0.0) - (before or 0.0), EXACT) for before, after in pairwise(at)
        )
        stride, times = max(strides.items(), key=lambda item: item[1])
        equal = stride > 0 and times >= NEARLY * (len(at) - 1)
        rises = sum(n for own, n in strides.items() if own > 0) >= NEARLY * (len(at) - 1)
        rises &= equal or all(own.is_integer() for own in strides)  # a momentum that rises does not
        told = [
            (cells.get(epoch or ""), number) for (_, cells), number in zip(lines, at, strict=True)
        ]
        counts = equal and stride.is_integer() and name == header[0]
        if counts or (rises and told[0] in told[2:]):
            return name
    return None


def _begins_anew(lines: Sequence[Line], name: str, *, trial: str) -> bool:
    """Whether a column is counted anew in every epoch: its numbers fall, or are all the same."""
    rows = [(cells.get(trial, ""), number_in(cells.get(name, "")) or 0.0) for _, cells in lines]
    falls = any(own == next_own and at > then for (own, at), (next_own, then) in pairwise(rows))
    return falls or len(set(rows)) == len({own for own, _ in rows}) < len(rows)
