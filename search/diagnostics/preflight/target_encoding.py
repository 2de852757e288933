"""Does a column hold means of the labels in which each row's own takes part, as a target encoding
does that is fitted on the rows it encodes (R10)?

Knows no checks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = 500  # at most so many columns are looked at
EXACT = 1e-5  # tolerance of a mean, as a share of the targets' spread
GROUPS, SHARE = 10, 0.05  # fewest groups whose mean the column holds, and least share of all groups
DISTINCT = 0.1  # least share of distinct targets: with fewer, a value may be a mean by chance
SIZES = 40  # rows of the groups whose shares are known by their denominators
ENDS, AT_ONE, INSIDE = 40, 8, 3  # rows at both ends, at either, and values between: least
SURE = 4.0  # standard errors
Array = NDArray[Any]


def means_of_numbers(raw: Array, y: Array) -> tuple[int, int, int] | None:
    """The column whose values are means of the targets of just the rows that have them: its number,
    in how many groups of rows that is so to the digit, and in how many it might be; or None.

    Groups that have rows in other sets too do not show it.
    """
    flat, numbers = raw.reshape(len(raw), -1), y.reshape(len(y), -1)[:, 0].astype(np.float64)
    spread = float(numbers.std())
    if not spread or len(np.unique(numbers)) < DISTINCT * len(numbers):
        return None
    best: tuple[int, int, int] | None = None
    for column in range(min(flat.shape[1], COLUMNS)):
        values, group, often = np.unique(
            flat[:, column].astype(np.float64), return_inverse=True, return_counts=True
        )
        if len(values) < GROUPS or len(values) > 0.9 * len(flat):
            continue
        low, high = np.full(len(values), np.inf), np.full(len(values), -np.inf)
        np.minimum.at(low, group, numbers)
        np.maximum.at(high, group, numbers)
        several = (often > 1) & (high - low > 0.01 * spread)
        means = np.bincount(group, numbers) / often
        size = EXACT * (spread + np.abs(means))
        met = int((several & (np.abs(means - values) < size)).sum())
        if met >= max(GROUPS, SHARE * several.sum()) and (best is None or met > best[1]):
            best = column, met, int(several.sum())
    return best


def means_of_classes(raw: Array, y: Array) -> tuple[int, float] | None:
    """The column whose values are shares of the second of two classes in small groups that hold the
    row itself: its number, and the share of the rows whose label it names for certain; or None.

    Where a row is alone, or all of its group agree, the share is 0 or 1 and names the label.
    In between it is as often right as it says. A share of other rows than these is too far from
    the middle to be either.
    """
    classes, labels = np.unique(y, return_inverse=True)
    if len(classes) != 2:
        return None
    flat = raw.reshape(len(raw), -1)
    best: tuple[int, float] | None = None
    for column in range(min(flat.shape[1], COLUMNS)):
        numbers = flat[:, column].astype(np.float64)
        values, group, often = np.unique(numbers, return_inverse=True, return_counts=True)
        if not _are_shares(values):
            continue
        ones = np.bincount(group, labels)
        ends = often[[0, -1]]
        pure = (ones[0], ones[-1]) in ((0, ends[1]), (ends[0], 0))
        if not pure or ends.sum() < ENDS or ends.min() < AT_ONE:
            continue
        share = values if ones[0] == 0 else 1 - values
        inside = slice(1, -1)
        expected, kept = share[inside] * often[inside], often[inside] * share[inside]
        error = np.sqrt((kept * (1 - share[inside])).sum())
        slope = ((share[inside] - 0.5) * (ones[inside] - expected)).sum()
        wide = np.sqrt(((share[inside] - 0.5) ** 2 * kept * (1 - share[inside])).sum())
        as_said = (
            abs(ones[inside].sum() - expected.sum()) < SURE * error and abs(slope) < SURE * wide
        )
        certain = float(ends.sum() / len(numbers))
        if as_said and (best is None or certain > best[1]):
            best = column, certain
    return best


def _are_shares(values: Array) -> bool:
    """Whether values are fractions of small counts from 0 to 1, some of which no decimal is."""
    if len(values) < INSIDE + 2 or values[0] != 0 or values[-1] != 1 or np.isnan(values).any():
        return False
    sizes = np.arange(1, SIZES + 1)
    parts = values[:, None] * sizes
    whole = np.abs(parts - parts.round()) < 1e-5 * sizes
    decimal = np.abs(values * 100 - (values * 100).round()) < 1e-4
    return bool(whole.any(axis=1).all() and not decimal.all())
