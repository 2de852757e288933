"""Marks for a missing target: one number that several rows bear, and that does not belong to the
others (R10). Pure functions of arrays.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight.reading import Reading, readable, some_rows

DISTINCT, MARKED = 20, 3  # distinct values of a target without classes; rows of a mark: least
ROWS = (10, 0.01, 0.3)  # rows of a mark among the others: least, least and greatest share
ALONE = 0.2  # rows of any other value, over those of the mark: most
SIDE = 0.05  # share of the other rows on either side of a mark that lies among them
APART = 0.25  # spreads between a mark at the end and the nearest other target
READ = 0.3  # share of the other targets' variance that trees must read
SURE = 3.1  # standard errors: one in a thousand
CHANCE = 2.0  # standard errors, within which a mark's rows are like all others
Array = NDArray[Any]


def far_mark(y: Array) -> tuple[float, int] | None:
    """A single value at one end of a target, in several rows, that lies farther from all others
    than these lie from each other; and how many rows have it. Not 0, which may be meant.
    """
    for column in y.reshape(len(y), -1).T:
        values, often = np.unique(column, return_counts=True)
        if len(values) < DISTINCT:
            continue
        for end, nearest, rest in ((0, 1, values[1:]), (-1, -2, values[:-1])):
            gap = abs(float(values[nearest]) - float(values[end]))
            if values[end] and often[end] >= MARKED and gap > float(np.ptp(rest)):
                return float(values[end]), int(often[end])
    return None


def unread_mark(x: Array, y: Array) -> tuple[float, int, float] | None:
    """A single value of a target that many rows bear, though trees read the other targets well, and
    nothing in the inputs tells these rows; how many rows, and the share read of the others.

    Targets that really are 0 so often come with inputs that tell when, or have small neighbours:
    whoever buys nothing differs from whoever buys much.
    """
    columns = y.reshape(len(y), -1).astype(np.float64)
    if columns.shape[1] != 1 or (value := _repeated(columns[:, 0])) is None:
        return None
    rows, column = some_rows(x, columns[:, 0])
    marked = column == value
    if marked.sum() < ROWS[0]:
        return None
    others = Reading(x=rows[~marked], y=column[~marked], classification=False)
    score, sure = readable(others)
    if score < READ or sure < SURE or _differ(others, rows[marked], value):
        return None
    marks = Reading(x=rows, y=marked.astype(np.int64), classification=True)
    if readable(marks)[1] > CHANCE:
        return None
    return value, int((columns[:, 0] == value).sum()), score


def _repeated(column: Array) -> float | None:
    """The value that far more rows bear than any other, amid numbers that hardly recur; at their
    end only where it lies apart, or is the only negative one.
    """
    values, often = np.unique(column, return_counts=True)
    top = int(often.argmax())
    others, rest = np.delete(values, top), np.delete(often, top)
    least, low, high = ROWS
    share = often[top] / len(column)
    if often[top] < least or not low <= share <= high or len(others) < DISTINCT:
        return None
    if rest.max() > ALONE * often[top] or len(others) < rest.sum() / 2:
        return None
    below = float(rest[others < values[top]].sum() / rest.sum())
    is_among = SIDE <= below <= 1 - SIDE
    far = float(np.abs(others - values[top]).min()) > APART * float(others.std())
    lone = values[top] < 0 <= others[0]
    return float(values[top]) if is_among or far or lone else None


def _differ(others: Reading, marked: Array, value: float) -> bool:
    """Whether trees expect other targets of a mark's rows than of the rest, in the mean, or targets
    that are nearer to the mark.
    """
    expected, usual = others.forest.predict(marked), others.numbers[0]
    return _is_beyond_chance(expected, usual) or _is_beyond_chance(
        np.abs(expected - value), np.abs(usual - value)
    )


def _is_beyond_chance(one: Array, other: Array) -> bool:
    """Whether two means differ."""
    error = math.hypot(*(part.std(ddof=1) / math.sqrt(len(part)) for part in (one, other)))
    return abs(float(one.mean() - other.mean())) > CHANCE * error
