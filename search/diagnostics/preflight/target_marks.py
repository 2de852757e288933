"""Marks for a missing target: one number that several rows bear, and that does not belong to the
others (R10). Pure functions of arrays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DISTINCT, MARKED = 20, 3  # distinct values of a target without classes; rows of a mark: least
SHARE, ALONE = 0.01, 0.2  # of all rows, that a lone one bears; of its rows, that any other bears
Array = NDArray[Any]


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
            recurs = rows >= SHARE * len(column) and others.max() <= ALONE * rows
            if values[end] and (far or (recurs and values[end] < 0 <= rest[0])):
                return float(values[end]), rows
    return None
