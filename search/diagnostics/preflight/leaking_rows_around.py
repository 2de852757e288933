"""Finds a column that was computed from the targets of nearby rows, the row's own or a later one
among them: a rolling mean that is centred or ends too late, a shift in the wrong direction (R10).

Knows no checks.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight.reading import FEATURES

REACHES = (1, 3, 7)  # rows on either side that are tried
PER_NUMBER, BESIDE = 3, 20  # rows per weight that is fitted, and beside
DIGITS = 1e-9  # share of a column's variance that rounding may leave, in double precision
SINGLE = 1e-13  # the same in single precision, as a share of the mean square of the numbers
PART = 1e-3  # least weight of a target, as a share of the greatest one
# Least ratio of the smallest singular value to the greatest: below it nearby targets predict each
# other, and it cannot be told which of them a column was computed from.
STEADY = 1e-4
MOST = 4000  # rows that are looked at
Array = NDArray[Any]


def made_of_targets(
    x: Array, y: Array, rows: NDArray[np.int64], *, known: Array, ordered: bool
) -> tuple[int, str] | None:
    """The first column that is a weighted sum of nearby rows' targets, exact but for rounding.

    The row's own target must be among them or, where rows lie in the order of time, a later one.

    Returns:
        The column's number, and in words which targets it uses; None if there is no such column.

    Args:
        x: all rows of the table, in its order.
        y: their targets [n].
        rows: those that are looked at.
        known: of all rows, whether their target may be looked at.
        ordered: whether rows lie in the order of time, so that the next row is a later one.
    """
    spread = float(y[known].std()) if known.any() else 0.0
    flat = x.reshape(len(x), -1)[:, :FEATURES]
    if not spread or not np.isfinite(y[known]).all():
        return None
    for reach in REACHES:
        whole = rows[(rows >= reach) & (rows < len(x) - reach)]
        steps = np.arange(-reach, reach + 1)
        whole = whole[known[whole[:, None] + steps].all(axis=1)][:MOST]
        if len(whole) < PER_NUMBER * len(steps) + BESIDE:
            return None
        around = y[whole[:, None] + steps].astype(np.float64)
        values = np.linalg.svd(around - around.mean(axis=0), compute_uv=False)
        if values[-1] < STEADY * values[0]:
            return None
        design = np.column_stack([around, np.ones(len(whole))])
        columns = flat[whole].astype(np.float64)
        weights, *_ = np.linalg.lstsq(design, columns, rcond=None)
        left = ((columns - design @ weights) ** 2).mean(axis=0)
        exact = left < DIGITS * columns.var(axis=0) + SINGLE * (columns**2).mean(axis=0)
        exact &= np.isfinite(left) & (columns.std(axis=0) > 0)
        for index in np.flatnonzero(exact).tolist():
            parts = np.abs(weights[:-1, index])
            used = steps[parts > PART * parts.max()]
            if told := _told(used.tolist(), ordered=ordered):
                return index, told
    return None


def _told(used: Sequence[int], *, ordered: bool) -> str:
    """Which targets are used, if the row's own or a later one is among them; else empty."""
    if 0 in used and len(used) > 1:
        return f"of {len(used)} rows, from {used[0]:+d} to {used[-1]:+d}, the row's own among them"
    if ordered and max(used, default=0) > 0:
        return f"of a later row, {max(used):+d}"
    return ""
