"""What lines of a text log tell several times in one epoch: which of it counts."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import median

from search.diagnostics.logs.line import ROUND, Line
from search.diagnostics.logs.measures import is_loss

COUNTS = ("epoch", ROUND, "step", "batch", "bar", "of")  # `of`: how many steps there are
FEW = 3  # epochs that show what is told once in each
HELD_OUT = ("val_", "test_")
# Of a loss, by which two lines differ that tell the same: rounded, or of processes of one training;
# of the epochs told twice, so many in which they are farther apart are no chance.
ROUNDED, OFTEN = 0.05, 0.3
STEPS = {"step", "bar"}  # a line that has one of these tells of a part of its epoch


def once(
    lines: Sequence[Line], axis: str, *, averaged: bool, of_batches: bool = False
) -> list[Line]:
    """The lines without what others of the same epoch tell for it; of train, what several tell of
    it stays, unless they are averages so far.

    `of_batches`: the losses of an evaluation are each of one batch, and their mean counts.
    """
    lines = _without_parts(_without_steps(lines), axis)
    lines = _with_means(lines, axis) if of_batches else lines
    return _last(_without_end(lines, axis), axis, averaged=averaged)


def _with_means(lines: Sequence[Line], axis: str) -> list[Line]:
    """The lines, each loss of validation being the mean of all that its epoch tells of it."""
    told: dict[tuple[str, str], list[float]] = {}
    for _, cells in lines:
        for name, cell in cells.items():
            if name.startswith(HELD_OUT) and is_loss(name):
                told.setdefault((cells.get(axis, ""), name), []).append(float(cell))
    means = {place: repr(sum(losses) / len(losses)) for place, losses in told.items()}
    return [
        (number, {name: means.get((cells.get(axis, ""), name), c) for name, c in cells.items()})
        for number, cells in lines
    ]


def _without_steps(lines: Sequence[Line]) -> list[Line]:
    """Without what lines of single steps and progress bars tell, where each epoch tells it of all
    its steps as well, as `EPOCH 1 done: loss 0.5`; the last epoch may not be over.
    """
    of_part = [not STEPS.isdisjoint(cells) for _, cells in lines]
    told = {
        (name, part, cells.get("epoch"))
        for part, (_, cells) in zip(of_part, lines, strict=True)
        for name in cells
    }
    whole = {(name, epoch) for name, stepped, epoch in told if not stepped}
    whole |= {("train_loss", epoch) for name, epoch in whole if name == "loss"}  # names no set
    left = {name for name, stepped, epoch in told if stepped and (name, epoch) in whole}
    last = lines[-1][1].get("epoch") if lines else None
    left -= {
        name
        for name, stepped, epoch in told
        if stepped and epoch not in (None, last) and (name, epoch) not in whole
    }
    left -= set(COUNTS)
    return [
        (number, {k: v for k, v in cells.items() if k not in left or not part})
        for part, (number, cells) in zip(of_part, lines, strict=True)
    ]


def _without_parts(lines: Sequence[Line], axis: str) -> list[Line]:
    """Without losses of validation that most epochs tell several times, as of groups of rows, where
    each tells another one once.
    """
    blocks = [
        Counter(name for _, cells in own for name in cells if name[:4] == "val_" and is_loss(name))
        for _, own in groupby(lines, key=lambda line: line[1][axis])
    ]
    often = {n: median(block[n] for block in blocks) for n in set[str]().union(*blocks)}
    whole = 1 in often.values()
    parts = {name for name, times in often.items() if whole and times > 1}
    return [(n, {k: v for k, v in cells.items() if k not in parts}) for n, cells in lines]


def _without_end(lines: Sequence[Line], axis: str) -> list[Line]:
    """Without what the last epoch tells of validation once more, where no other epoch tells it
    twice: it is of the finished model.
    """
    often = Counter(
        (name, cells[axis]) for _, cells in lines for name in cells if name.startswith(HELD_OUT)
    )
    epochs = Counter(name for name, _ in often)
    last = lines[-1][1][axis] if lines else ""
    twice = {name for (name, at), times in often.items() if times > 1 and at != last}
    told = set[str]()
    kept: list[Line] = []
    for number, cells in lines:
        if cells[axis] != last:
            kept.append((number, cells))
            continue
        own = {name: cell for name, cell in cells.items() if name not in told}
        if own == cells or own.keys() - set(COUNTS):
            kept.append((number, own))
        told |= {name for name in cells if epochs[name] >= FEW} - twice
    return kept


def _last(lines: Sequence[Line], axis: str, *, averaged: bool) -> list[Line]:
    """Without what a later line of the same epoch tells again of validation, such as a check before
    training; of averages, without what it tells again at all.
    """
    kept: list[Line] = []
    again: set[tuple[str, str]] = set()
    steps = [float(cells["step"]) for _, cells in lines if "step" in cells]
    axis = "step" if steps == sorted(steps) and len(set(steps)) > 1 else axis  # they count on
    twice = _told_twice(lines, axis)
    for number, cells in reversed(lines):
        at = cells.get(axis, "")
        if at in twice:
            kept.append((number, cells))
            again = set()
            continue
        held_out = {
            (at, name)
            for name in cells
            if (averaged and name not in COUNTS) or name.startswith(HELD_OUT)
        }
        own = {name: cell for name, cell in cells.items() if (at, name) not in again}
        again = held_out | {pair for pair in again if pair[0] == at}
        kept.append((number, own))
    return kept[::-1]


def _told_twice(lines: Sequence[Line], axis: str) -> set[str]:
    """The epochs that several lines tell whole, of train and of validation, with other losses:
    which of them counts is not known, as one may be of another training.
    """
    told = {
        (at, place): [whole for _, cells in block if (whole := _losses_of_both(cells))]
        for place, (at, block) in enumerate(groupby(lines, key=lambda line: line[1].get(axis, "")))
    }
    again = {at: own for at, own in told.items() if len(own) > 1}
    other = {at for (at, _), (first, *more) in again.items() if not _are_near(first, more)}
    return other if len(other) > OFTEN * len(again) else set()


def _losses_of_both(cells: Mapping[str, str]) -> list[float]:
    """The losses of a line that tells of train and of validation, and of no part of an epoch."""
    if not STEPS.isdisjoint(cells) or not any(name.startswith(HELD_OUT) for name in cells):
        return []
    losses = {name: float(cell) for name, cell in cells.items() if is_loss(name)}
    of_val = [name.startswith(HELD_OUT) for name in losses]
    return list(losses.values()) if any(of_val) and not all(of_val) else []


def _are_near(first: Sequence[float], more: Sequence[Sequence[float]]) -> bool:
    """Whether losses may be those of the first line, rounded, or of another process' rows."""
    return all(
        math.isclose(one, other, rel_tol=ROUNDED)
        for own in more
        if len(own) == len(first)
        for one, other in zip(first, own, strict=True)
    )
