"""Marks for a missing value, of a feature or a target: one number that several rows bear and that
lies apart (R10). Pure functions of arrays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DISTINCT = 20  # distinct values beside the mark: least
COLUMNS = 500  # columns that are looked at
ROWS, SHARE = (10, 0.01), 0.5  # rows of a feature's mark: least, least share of all; greatest
OFTEN = 1.5  # rows of a mark, over those of a usual value, at least
GREATER = 2.0  # a mark's size, over that of all others, from which its distance alone tells
NINES = (99, 999, 9999, 99999, 999999)  # and 9, below 0: what people write for unknown
APART = 5.0  # times the usual gap between two values, by which such a mark lies apart
MARKED, LONE, ALONE = 3, 0.01, 0.2  # rows of a target's mark; of a lone one, and of any other
Array = NDArray[Any]


def mark_among_values(x: Array) -> tuple[int, float, int] | None:
    """The first column with such a mark, not 0, which may be meant: number, mark, rows."""
    flat = x.reshape(len(x), -1)
    for number, column in enumerate(flat.T[:COLUMNS].astype(np.float64)):
        values, often = np.unique(column[np.isfinite(column)], return_counts=True)
        if len(values) <= DISTINCT:
            continue
        for end in (0, -1):
            rest, others = np.delete(values, end), np.delete(often, end)
            rows = int(often[end])
            usual = OFTEN * float(np.median(others))
            if not max(ROWS[0], ROWS[1] * len(column), usual) <= rows <= SHARE * len(column):
                continue
            if _is_mark(float(values[end]), rest):
                return number, float(values[end]), rows
    return None


def _is_mark(value: float, rest: Array) -> bool:
    """Whether an end is farther from all others than these from each other, the only negative whole
    number amid whole ones, or one of the nines that people write, apart.
    """
    if not value:
        return False
    gap = float(np.abs(rest - value).min())
    if gap > float(np.ptp(rest)) and abs(value) > GREATER * float(np.abs(rest).max()):
        return True
    lone = value < 0 <= rest[0]
    if lone and value == -1 and bool((rest == rest.round()).all()):
        return True
    nines = abs(value) in NINES or (value == -9 and lone)
    return nines and gap >= APART * float(np.median(np.diff(rest)))


def mark_at_the_end(y: Array) -> tuple[float, int] | None:
    """A single value at one end of a target, in several rows, that lies farther from all others
    than these lie from each other, or that is the only negative one and recurs as no other does;
    and how many rows have it. Not 0, which may be meant.
    """
    for column in y.reshape(len(y), -1).T:
        values, often = np.unique(column, return_counts=True)
        if len(values) < DISTINCT:
            continue
        for end, nearest, rest, others in (
            (0, 1, values[1:], often[1:]),
            (-1, -2, values[:-1], often[:-1]),
        ):
            rows = int(often[end])
            gap = abs(float(values[nearest]) - float(values[end]))
            far = rows >= MARKED and gap > float(np.ptp(rest))
            recurs = rows >= LONE * len(column) and others.max() <= ALONE * rows
            if values[end] and (far or (recurs and values[end] < 0 <= rest[0])):
                return float(values[end]), rows
    return None
