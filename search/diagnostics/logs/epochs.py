"""The epochs of a log, from lines that tell of train, of validation or of both."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from search.diagnostics.logs.columns import Layout
from search.diagnostics.logs.line import GAPS, Line, is_told, number_in
from search.diagnostics.logs.losses import FEW, STEP
from search.errors import refused

Cells = dict[str, float | None]
SETTLES = 24  # losses of an epoch that show whether they settle
# Of the first differences between losses, below which the later ones have settled: in most epochs,
# and in each.
CALM, HALF = 0.2, 0.5


def epochs_of(where: str, lines: Sequence[Line], *, layout: Layout) -> list[Cells]:
    """Epochs with both losses, or with train's where no column tells validation's: as `epoch`,
    `train_loss`, `val_loss`, `metric` and the others.

    Raises:
        UsageError: text among numbers, an epoch that is missing, repeats or does not rise.
    """
    lines = _without_evaluation(_in_order(lines, layout=layout), layout=layout)
    rows = _whole(_rows(where, lines, layout=layout), layout=layout)
    if layout.epoch is None:  # an epoch may have a line of train and another of validation
        rows = [row | {"epoch": at} for at, row in enumerate(rows, start=1)]
    return rows


def _without_evaluation(lines: Sequence[Line], *, layout: Layout) -> list[Line]:
    """Without a last line that evaluates the finished model: it alone tells the last epoch's loss
    again, or of validation without train that of any epoch, such as the best.
    """
    kept = list(lines)
    for names, others in ((layout.val, layout.train), (layout.train, layout.val)):
        told = [cells for _, cells in kept if any(is_told(cells, n) for n in (*names, *others))]
        own = [cells for cells in told if names and is_told(cells, names[0])]
        if not own or own[-1] is not told[-1]:
            continue  # the last line tells the other loss
        *before, last = (number_in(cells.get(layout.epoch or "", "")) for cells in own)
        if not before or None in (*before, last) or len(before) > len(set(before)):
            continue  # no epochs, or each is told several times
        of_val_alone = names == layout.val and not any(is_told(own[-1], n) for n in others)
        once_more = before[-1] == last
        if of_val_alone:
            again = once_more or (len(own) > FEW and last in before)
        else:
            again = len(own) > FEW and once_more
        if again:
            kept = [line for line in kept if line[1] is not own[-1]]
    return kept


def _in_order(lines: Sequence[Line], *, layout: Layout) -> list[Line]:
    """The lines by epoch, where train and validation were written apart, one after the other."""
    axis = layout.epoch
    if (
        not are_apart(lines, layout=layout)
        or axis is None
        or not all(is_told(cells, axis) for _, cells in lines)
    ):
        return list(lines)
    return sorted(lines, key=lambda line: number_in(line[1][axis]) or 0.0)


def are_apart(lines: Sequence[Line], *, layout: Layout) -> bool:
    """Whether no line tells train and validation, of one training: the epochs of either rise."""
    names = (*layout.train, *layout.val)
    if any(all(is_told(cells, name) for name in names) for _, cells in lines):
        return False
    axis = layout.epoch or ""
    known = [(number_in(cells[axis]), cells) for _, cells in lines if is_told(cells, axis)]
    by_name = ([at or 0.0 for at, cells in known if is_told(cells, name)] for name in names)
    return all(at == sorted(at) for at in by_name)


def untaken(where: str, lines: Sequence[Line], *, layout: Layout) -> int:
    """In how many lines validation's loss is 0 before any other: there it counts as not taken."""
    losses = [_sum(f"{where}: line {number}", layout.val, cells) for number, cells in lines]
    told = [loss for loss in losses if loss is not None]
    return next((place for place, loss in enumerate(told) if loss), 0)


@dataclass(kw_only=True)
class Epoch:
    """What the rows of one epoch tell: `train` of several steps, where so many were logged."""

    cells: Cells
    train: list[float] = field(default_factory=list)


def _rows(where: str, lines: Sequence[Line], *, layout: Layout) -> list[Epoch]:
    """The epochs in order; rows of one epoch that complete each other become one."""
    rows: list[Epoch] = []
    told = (number_in(cells.get(layout.epoch or "", "")) or 0.0 for _, cells in lines)
    several = any(not at.is_integer() for at in told)  # parts of epochs, rounded to the same number
    several = several or (layout.steps and not _told_once(lines, layout=layout))
    others = {"metric": layout.metric} | {name: name for name in layout.extra}
    taken = False  # validation: a loss of 0 before any other stands for none
    for counted, (number, cells) in enumerate(lines, start=1):
        place = f"{where}: line {number}"
        before = rows[-1].cells["epoch"] if rows else None
        at = counted if layout.epoch is None else _number(place, layout.epoch, cells)
        if at is None and not any(is_told(cells, name) for name in layout.train):
            at = before  # what was evaluated after an epoch
        if at is None or not math.isfinite(at):
            rule, got = "every row needs its epoch", "none"
            raise refused(place, code="log-row-lacks-epoch", rule=rule, got=got, remedy="give it")
        if before is not None and at < before:
            remedy = "sort the rows; several trainings need their names in a column `trial`"
            rule, got = "epochs must rise", f"{at:g} after {before:g}"
            raise refused(place, code="log-epochs-do-not-rise", rule=rule, got=got, remedy=remedy)
        if at != before:
            rows.append(Epoch(cells={"epoch": at}))
        values = {
            name: number_in(cells.get(column, "")) for name, column in others.items() if column
        }
        values["train_loss"] = _sum(place, layout.train, cells)
        held = _sum(place, layout.val, cells)
        taken |= bool(held)
        values["val_loss"] = held if taken else None
        _complete(place, rows[-1], values, layout=layout, several=several)
    return rows


def _told_once(lines: Sequence[Line], *, layout: Layout) -> bool:
    """Whether most epochs tell train's loss in one line: further ones are of another training, if
    no steps are told that rise on.
    """
    axis, name = layout.epoch or "", layout.train[0]
    told = [cells for _, cells in lines if is_told(cells, name)]
    often = Counter(cells.get(axis, "") for cells in told)
    steps = ([number_in(cells.get(step, "")) or -1.0 for cells in told] for step in STEP)
    rises = any(at == sorted(set(at)) for at in steps)
    once = layout.epoch is not None and len(often) >= FEW and median(often.values()) == 1
    return once and not rises


def _sum(place: str, names: Sequence[str], cells: Mapping[str, str]) -> float | None:
    """The sum of a loss's parts; None where one is missing."""
    parts = [_number(place, name, cells) for name in names]
    present = [part for part in parts if part is not None]
    return sum(present) if present and len(present) == len(parts) else None


def _complete(place: str, row: Epoch, values: Cells, *, layout: Layout, several: bool) -> None:
    """Some loggers write an epoch's losses into separate rows, or train's at every few steps, so
    that `several` belong to one epoch.
    """
    columns = {"train_loss": layout.train, "val_loss": layout.val}
    strict = ("val_loss",) if several else ("train_loss", "val_loss")
    for name, value in values.items():
        if value is None:
            continue
        if name in strict and row.cells.get(name) is not None:
            remedy = "keep one row per epoch, or name the trainings in a column `trial`"
            got = f"another {' + '.join(columns[name])} for the epoch before"
            rule = "an epoch has one row"
            raise refused(place, code="log-epoch-twice", rule=rule, got=got, remedy=remedy)
        row.cells[name] = value
        if name == "train_loss":
            row.train.append(value)


def _whole(rows: Sequence[Epoch], *, layout: Layout) -> list[Cells]:
    """Epochs with both losses.

    One that tells validation's only, or train's at several steps, has the mean of train's since
    validation was taken before. `began`: the first of these, where there are several.
    """
    so_far = _are_averages_so_far([row.train for row in rows])
    if not layout.val:
        means = [(row.cells, row.train) for row in rows if row.train]
        return [{**cells, **_mean(train, so_far=so_far)} for cells, train in means]
    made: list[Cells] = []
    since: list[float] = []
    for row in rows:
        since += row.train
        if row.cells.get("val_loss") is None:
            continue
        own = since if layout.steps or not row.train else row.train
        if own:
            made.append({**row.cells, **_mean(own, so_far=so_far)})
        since = []
    return made


def _are_averages_so_far(losses: Sequence[Sequence[float]]) -> bool:
    """Whether the losses of each epoch settle, as averages so far do: the n-th lies an n-th of a
    batch's noise beside the one before it, where losses of batches shake alike to the end.
    """
    shares = [_late_share(own) for own in losses if len(own) >= SETTLES]
    return len(shares) > 1 and median(shares) < CALM and max(shares) < HALF


def _late_share(losses: Sequence[float]) -> float:
    """How far losses of the second half of an epoch lie from the one before, in shares of that in
    its first eighth.
    """
    steps = [abs(after - before) for before, after in pairwise(losses)]
    early = median(steps[: len(steps) // 8 + 1])
    return median(steps[len(steps) // 2 :]) / early if early else math.inf


def _mean(train: Sequence[float], *, so_far: bool) -> Cells:
    """An epoch's loss: the mean of its parts, or the last of averages so far."""
    began = train[0] if len(train) > 1 else None
    loss = train[-1] if so_far else sum(train) / len(train)
    return {"train_loss": loss, "began": began, "so_far": float(so_far)}


def _number(place: str, name: str, cells: Mapping[str, str]) -> float | None:
    cell = (cells.get(name) or "").strip()
    if cell.lower() in GAPS:
        return None
    try:
        return float(cell)
    except ValueError:
        what = name or "the epoch, in the first column,"
        rule, remedy = f"{what} must be a number", "mend or empty the cell"
        raise refused(
            place, code="log-cell-not-a-number", rule=rule, got=repr(cell), remedy=remedy
        ) from None
