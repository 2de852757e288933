"""Which lines of a log are of which training, as a column says or as one stands behind the other.

Of a training that went on from an earlier epoch, as after a crash, what it gave up is left out.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from search.diagnostics.logs.columns import Layout
from search.diagnostics.logs.epochs import are_apart
from search.diagnostics.logs.line import Line, is_told, number_in
from search.diagnostics.logs.losses import STEP

OFTEN, FEWEST = 3, 3  # most times that a training is taken up again; epochs of each time, at least
OFTEN_TOLD = 4  # lines of an epoch that tell where it begins
FAR = 20  # strides: what lies so far behind the line before it may be a piece of another training


def trainings_of(
    stem: str, lines: Sequence[Line], *, layout: Layout
) -> tuple[dict[str, list[Line]], list[float]]:
    """The lines of each training by its name, and the epochs from which one was taken up again.

    `stem`: names the only one, and in front of a number each of several behind each other.
    """
    axis = layout.epoch or ""  # of `3/400` the epoch
    lines = [
        (n, c | {axis: c[axis].partition("/")[0]} if "/" in c.get(axis, "") else c)
        for n, c in lines
    ]
    named: dict[str, list[Line]] = {}
    for line in lines if layout.trial else ():
        named.setdefault(line[1].get(layout.trial, ""), []).append(line)
    if "" in named and not any(is_told(c, layout.train[0]) for _, c in named[""]):
        del named[""]  # of no training, as a summary behind them
    if len(named) == len(lines) > 2:  # a column that counts the rows names nothing
        named = {}
    if layout.epoch is None or are_apart(lines, layout=layout):
        return named or {stem: lines}, []
    runs, again = named or _begun_anew(stem, lines, layout=layout), list[float]()
    for name, own in runs.items():
        runs[name], starts = _taken_up(own, axis=axis, loss=layout.train[0])
        again += starts
    return runs, again


def _begun_anew(stem: str, lines: Sequence[Line], *, layout: Layout) -> dict[str, list[Line]]:
    """The trainings that were written into one file, one behind the other: each begins at the
    first epoch again, or in the middle of that at its first step. Steps of one whole, as
    `step 10/100`, may begin anew in each epoch.
    """
    axis = layout.epoch or ""
    if axis in STEP and _are_of_epochs(lines, axis=axis):
        return {stem: list(lines)}
    broken_off = set() if axis in STEP else _broken_off(lines, axis=axis, loss=layout.train[0])
    trainings, before = [list[Line]()], -math.inf
    losses = (*layout.train, *layout.val)
    first, last = (number_in(lines[at][1].get(axis, "")) for at in (0, -1))
    begin = 1.0 if first and not first.is_integer() else 0.0  # of parts, within the first epoch
    twice = not begin and not layout.steps and first != last  # the first again, and then on
    for number, line in enumerate(lines):
        at = number_in(line[1].get(axis, ""))
        both = (line, *trainings[-1][-1:])  # tell all losses, the line before this one too
        again = twice and at == before and all(is_told(c, n) for _, c in both for n in losses)
        begins = at is not None and (at == first or at <= begin) and (at < before or again)
        trainings += [[]] if begins or number in broken_off else []
        trainings[-1].append(line)
        before = before if at is None else at
    measured = [own for own in trainings if any(is_told(c, layout.train[0]) for _, c in own)]
    trainings = measured or trainings  # others ended before their first epoch did
    if len(trainings) == 1:
        return {stem: trainings[0]}
    return {f"{stem}:{number}": own for number, own in enumerate(trainings, start=1)}


def _are_of_epochs(lines: Sequence[Line], *, axis: str) -> bool:
    """Whether steps are of one whole, which they come to the half of before they begin anew."""
    whole = {cells["of"] for _, cells in lines if "of" in cells}
    steps = [number_in(cells.get(axis, "")) or 0.0 for _, cells in lines]
    last = [before for before, after in pairwise(steps) if after < before]
    return len(whole) == 1 and max(last, default=math.inf) >= 0.5 * float(next(iter(whole)))


def _broken_off(lines: Sequence[Line], *, axis: str, loss: str) -> set[int]:
    """The places of lines where the first epoch begins once more, at the first step again, as the
    start before was broken off; none where a later epoch does so too, which has several parts.
    """
    told = [
        (place, cells.get(axis, ""), step)
        for place, (_, cells) in enumerate(lines)
        if is_told(cells, loss) and (step := number_in(cells.get("step", ""))) is not None
    ]
    if len({epoch for _, epoch, _ in told}) < 2:
        return set()
    again = {
        place: epoch
        for (_, last, before), (place, epoch, step) in pairwise(told)
        if epoch == last and step < before and step == told[0][2]
    }
    return set(again) if set(again.values()) <= {told[0][1]} else set()


def mixed_at(lines: Sequence[Line], *, axis: str, loss: str) -> int:
    """The line from which two trainings write at once, of steps of one whole; else 0: an epoch that
    follows another one begins later by half of its steps than others do, of which many are told.
    """
    told = [
        (number, number_in(cells.get(axis, "")) or 0.0, step, number_in(cells["of"]) or 0.0)
        for number, cells in lines
        if is_told(cells, loss)
        and is_told(cells, "of")
        and (step := number_in(cells.get("step", ""))) is not None
    ]
    begun = [
        (number, step, whole)
        for (_, before, _, _), (number, epoch, step, whole) in pairwise(told)
        if epoch > before
    ]
    if len(told) < OFTEN_TOLD * len(begun):
        return 0
    first = min((step for _, step, _ in begun), default=0.0)
    return next((number for number, step, whole in begun if step - first > whole / 2), 0)


def _taken_up(lines: Sequence[Line], *, axis: str, loss: str) -> tuple[list[Line], list[float]]:
    """The lines without those of epochs that were trained again, and the epochs from which; no line
    is left out where the order tells of something else, such as rows that are not sorted, pieces of
    several trainings, or a training of another kind, which tells no `loss` of train or begins
    before half of the epochs that it gives up.
    """
    parts: list[list[Line]] = [[]]
    starts, strides = list[float](), list[float]()
    before = math.nan
    for line in lines:
        at = number_in(line[1].get(axis, ""))
        if at is not None and at < before:
            parts.append([])
            starts.append(at)
        strides += [at - before] if at is not None and at > before else []
        parts[-1].append(line)
        before = before if at is None else at
    own = [{cells.get(axis, "") for _, cells in part if is_told(cells, loss)} for part in parts]
    few = min(map(len, own)) < FEWEST
    if few or not 0 < len(starts) <= OFTEN or max(strides) > FAR * median(strides):
        return list(lines), []
    kept = parts[0]
    for start, part in zip(starts, parts[1:], strict=True):
        stays = [line for line in kept if (number_in(line[1].get(axis, "")) or 0.0) < start]
        if 2 * len(stays) < len(kept):
            return list(lines), []
        kept = stays + part
    return kept, starts
