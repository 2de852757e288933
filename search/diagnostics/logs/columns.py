"""Which column of somebody's log is what, by the names that loggers use."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from search.diagnostics.logs.line import ROUND, Line, is_told, number_in, plain_name
from search.diagnostics.logs.measures import (
    ERRORS,
    EVALUATED,
    METRICS,
    OF_DATA,
    OF_TRAIN,
    OF_VAL,
    TRAIN,
    VAL,
    is_loss,
    measure_of,
)
from search.diagnostics.verdicts.from_columns import EXTRA
from search.errors import UsageError, refused, unknown

EPOCH = ("epoch", "epochs", ROUND, "")  # a frame's index has no name
TRIAL = ("trial", "run", "run_id", "run_name", "fold")
STEP = ("step", "global_step", "iteration", "iter", "iters", "total_steps")
WITHIN = ("batch", "batch_idx")  # counted anew in every epoch
ROLES = ("train", "val", "epoch", "metric", "trial")
SHOWN = 5  # names that a refusal gives as examples
FEW = 3  # epochs that show no trend
FILLED = 0.2  # of the rows of the fullest, below which a column of a known name is passed over


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which column is what. `train`, `val`: summed, where a loss is logged in parts; `metric` and
    `trial` are empty where there is none, and so is `val` of a log of train alone; `epoch` is None
    where the rows are counted.
    """

    epoch: str | None
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
    header = [name for name in header if "loss" not in name or not _is_nothing(lines, name)]
    twins = _twins(header, lines)
    train: tuple[str, ...]
    val: tuple[str, ...]
    val = (name,) if (name := _fullest(VAL, filled, header)) else ()
    train = (name,) if (name := _beside(val, lines) or _fullest(TRAIN, filled, header)) else ()
    if not (train and val) and (not train or any(map(is_loss, twins[0]))):
        train, val = twins if twins[0] else (train, val)
    train = roles.get("train", train or _only_loss_of_train(header))
    if not train:
        _refuse(path, header, TRAIN, role="train")
    if val == VAL[-1:] and filled[VAL[-1]] == 1 and max(filled[name] for name in train) > 2:
        val = ()  # of a test at the end
    if not val and "val" not in roles and (others := _losses_of_val(header)):
        _refuse(path, others, VAL, role="val")
    if 0 < _taken(lines, val) < FEW <= filled[train[0]]:
        val = ()  # it was taken once or twice, as at the end alone
    val = roles.get("val", val)
    trial = _one(roles, "trial") or _trial(header, lines)
    epoch = _one(roles, "epoch") or _axis(header, lines, filled, val=val, trial=trial)
    return Layout(
        epoch=epoch,
        train=train,
        val=val,
        metric=_one(roles, "metric") or _metric(header, lines, axis=epoch, train=train, val=val),
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


def _one(roles: Mapping[str, tuple[str, ...]], role: str) -> str:
    return next(iter(roles.get(role, ())), "")


def _fullest(names: Sequence[str], filled: Counter[str], header: Sequence[str]) -> str:
    """The first of these that is not nearly empty, such as a total in the last row."""
    present = [name for name in names if name in header]
    most = max((filled[name] for name in present), default=0)
    return next((name for name in present if filled[name] >= FILLED * most), "")


def _is_nothing(lines: Sequence[Line], name: str) -> bool:
    """Whether a loss is 0 wherever it is told, which stands for one that nobody took."""
    told = [number_in(cells[name]) for _, cells in lines if is_told(cells, name)]
    return bool(told) and not any(told)


def _taken(lines: Sequence[Line], val: Sequence[str]) -> int:
    """In how many lines a loss of validation is told that is not 0; 0 where none is 0, or where
    there is none.
    """
    told = [
        [number_in(cells[name]) for name in val]
        for _, cells in lines
        if val and all(is_told(cells, name) for name in val)
    ]
    taken = sum(any(numbers) for numbers in told)
    return taken if taken < len(told) else 0


def _beside(val: Sequence[str], lines: Sequence[Line]) -> str:
    """The first loss of train that all lines tell that tell validation's: those compare."""
    rows = [cells for _, cells in lines if val and is_told(cells, val[0])]
    whole = (name for name in TRAIN if all(is_told(cells, name) for cells in rows))
    return next(whole, "") if len(rows) > 1 else ""


def _losses_of_val(header: Sequence[str]) -> list[str]:
    """Losses of validation under names that do not say which of them counts."""
    return [name for name in header if name.startswith(OF_VAL) and "loss" in name]


def _only_loss_of_train(header: Sequence[str]) -> tuple[str, ...]:
    """The one loss of train under a name of its own, as `train_crossentropyloss`, or the only loss
    of all, as `lm_loss`; none of several, which may be parts of a sum.
    """
    losses = [name for name in header if is_loss(name)]
    names = [name for name in losses if name.startswith(OF_TRAIN)]
    if not any(name.startswith(OF_VAL) for name in losses):
        names = names or losses
    return tuple(names) if len(names) == 1 else ()


def _twins(header: Sequence[str], lines: Sequence[Line]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Losses that are told of train and of validation under the same name, or else an error; of
    several, the one that is the sum of the others, else all.
    """
    train = {name: name for name in header if not name.startswith((*OF_TRAIN, *OF_VAL))}
    train |= {rest: name for name in header if (rest := _rest(name, OF_TRAIN))}
    val = {_rest(name, (of,)): name for of in reversed(OF_VAL) for name in header}
    both = [name for name in train if name and name in val]
    names = [name for name in both if is_loss(name)]
    names = names or [name for name in ERRORS if name in both][:1]
    sums = [name for name in names if all(_is_sum(name, names, of, lines) for of in (train, val))]
    names = sums[:1] or names
    return tuple(train[name] for name in names), tuple(val[name] for name in names)


def _is_sum(
    whole: str, names: Sequence[str], columns: Mapping[str, str], lines: Sequence[Line]
) -> bool:
    """Whether a loss is the sum of all others in every line that tells them."""
    rows = [
        [number_in(cells[columns[name]]) or 0.0 for name in names]
        for _, cells in lines
        if all(is_told(cells, columns[name]) for name in names)
    ]
    at = names.index(whole)
    return bool(rows) and all(math.isclose(2 * row[at], sum(row), rel_tol=0.01) for row in rows)


def _rest(name: str, before: Sequence[str]) -> str:
    """A name without its prefix; empty where it has none."""
    prefix = next((prefix for prefix in before if name.startswith(prefix)), "")
    return name.removeprefix(prefix) if prefix else ""


def _metric(
    header: Sequence[str],
    lines: Sequence[Line],
    *,
    axis: str | None,
    train: Sequence[str],
    val: Sequence[str],
) -> str:
    """The metric's column; beside a plain `loss`, a plain `accuracy` is train's. One that few of
    the epochs with validation tell, such as an evaluation at the end, is passed over.
    """
    of_val = [before + name for before in (*OF_VAL, "validation_epoch_") for name in METRICS]
    of_val += [name for name in header if name.startswith(OF_VAL) and measure_of(name)]
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
    often = Counter({name: _epochs(lines, name, axis) for name in header if name in (*names, *val)})
    least = FILLED * min((often[name] for name in val), default=0)
    return _fullest(names, often, [name for name in header if often[name] >= least])


def _epochs(lines: Sequence[Line], name: str, axis: str | None) -> int:
    """How many epochs tell it."""
    told = ((number, cells) for number, cells in lines if is_told(cells, name))
    return len({number if axis is None else cells.get(axis) for number, cells in told})


def _axis(
    header: Sequence[str],
    lines: Sequence[Line],
    filled: Counter[str],
    *,
    val: Sequence[str],
    trial: str,
) -> str | None:
    """Epochs; steps where there are none, or where validation was taken twice in an epoch."""
    epoch = next((name for name in EPOCH if name in header and (name or filled[name])), None)
    step = next((name for name in STEP if filled[name] == len(lines)), None)
    if step and epoch is not None and _begins_anew(lines, step, trial=trial):
        step = None
    if epoch is None:
        return step
    taken = Counter(
        (cells.get(trial, ""), cells.get(epoch, ""))
        for _, cells in lines
        if all(is_told(cells, name) for name in val)
    )
    often = max(taken.values(), default=0) > 1
    if not val and len(taken) < FEW <= len(lines):
        return step  # an epoch or two, told step by step: the rows, where these begin anew
    return step if step and (often or filled[epoch] < len(lines)) else epoch


def _begins_anew(lines: Sequence[Line], name: str, *, trial: str) -> bool:
    """Whether a column is counted anew in every epoch: its numbers fall, or are all the same."""
    rows = [(cells.get(trial, ""), number_in(cells.get(name, "")) or 0.0) for _, cells in lines]
    falls = any(own == next_own and at > then for (own, at), (next_own, then) in pairwise(rows))
    return falls or len(set(rows)) == len({own for own, _ in rows}) < len(rows)


def _refuse(path: Path, header: Sequence[str], names: Sequence[str], *, role: str) -> NoReturn:
    rule = f"needs a column {names[0]} (or {', '.join(names[1:SHOWN])} …)"
    remedy = f"rename the one that holds it, write it, or say --columns {role}=NAME"
    got = ", ".join(filter(None, header))
    raise refused(str(path), code="log-lacks-losses", rule=rule, got=got, remedy=remedy)
