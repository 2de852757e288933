"""Columns with some rows in another unit, or without their decimal point (R10). Pure functions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

FACTORS = (1e2, 1e3, 1e4, 1e6)  # a factor of ten is told from nothing
COLUMNS, FEWEST = 500, 100  # columns that are looked at; rows without which nothing is told
FAR = 6.0  # usual distances from the middle, from which a value is far out
ROWS, MOST = 10, 0.4  # rows far out: least, and greatest share
BETWEEN = 0.15  # share of these that may lie less than three times as far: of a long tail, most do
LIKE, SEEN = 0.05, 30  # chance with which such differences come; rows to be compared with
Array = NDArray[Any]


def mixed_units(x: Array) -> tuple[int, float, int] | None:
    """The first column whose far values, divided by a power of ten, are spread as all others: the
    column, the factor, how many rows.

    A long tail has more the nearer it is; what was multiplied leaves a gap.
    """
    flat = x.reshape(len(x), -1)
    if len(flat) < FEWEST:
        return None
    for number, column in enumerate(flat.T[:COLUMNS].astype(np.float64)):
        values = column[np.isfinite(column)]
        if len(values) >= FEWEST and (found := _times(values)):
            return number, *found
    return None


def _times(values: Array) -> tuple[float, int] | None:
    middle = float(np.median(values))
    away = np.abs(values - middle)
    cut = FAR * float(np.median(away))
    far = away > cut
    rows = int(far.sum())
    if not cut or not ROWS <= rows <= MOST * len(values):
        return None
    if (away[far] <= 3 * cut).sum() > BETWEEN * rows:
        return None
    chances = dict[float, float]()
    for factor in FACTORS:
        usual = values[~far]
        alike = usual[np.abs(usual * factor - middle) > cut]  # those that would be far out
        if len(alike) >= SEEN:
            chances[factor] = float(ks_2samp(values[far] / factor, alike).pvalue)
    best = max(chances, key=lambda factor: chances[factor], default=0.0)
    return (best, rows) if best and chances[best] > LIKE else None
