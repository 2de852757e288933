"""95 % intervals of a mean and of a difference of two means, by Student's t."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats


def apart(scores: Sequence[float], others: Sequence[float]) -> tuple[float, float, float]:
    """The difference of two means, and its 95 % interval (Welch); that alone where no seed of
    either differs.
    """
    difference = float(np.mean(scores) - np.mean(others))
    parts = [(float(np.var(each, ddof=1)) / len(each), len(each) - 1) for each in (scores, others)]
    variance = sum(part for part, _ in parts)
    if not variance:
        return difference, difference, difference
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    half = float(stats.t.ppf(0.975, freedom)) * variance**0.5
    return difference, difference - half, difference + half


def half_width(values: "pd.Series[float]") -> float:
    """Half of the mean's 95 % interval; NaN below two values."""
    if len(values) < 2:
        return float("nan")
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    return error * float(stats.t.ppf(0.975, len(values) - 1))
