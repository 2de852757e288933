"""Where a noisy series is going, and how noisy it is: Theil–Sen slope, Kendall's interval, noise by
second differences.

Works on any number of points, in a unit in which a hundred-thousandth is nothing; never says what a
direction means.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Columns = Mapping[str, Array]  # of a training's curves, a number per epoch each
Direction = Literal["up", "flat", "down", "unclear"]
POINTS = 32  # that a trend is taken of; longer series are first reduced to medians of blocks
# tolerances within which an interval must lie for a series to count as flat although its slope is
# not certain
NEAR = 3.0
TIE = 1e-5  # a difference below is how a number was written
FEWEST = 4  # points without which nothing is certain
JUMP = 0.03  # by which a series rises at least that jumps
NORMAL = 1.96  # of a 95 % interval


@dataclass(frozen=True, kw_only=True)
class Trend:
    """The change of a series over its length, with a 95 % interval, in its own unit."""

    change: float
    low: float
    high: float

    def direction(self, tolerance: float) -> Direction:
        """Whether it goes up or down by more than `tolerance` and beyond chance; flat: certainly by
        not much more.
        """
        if self.low > 0 and self.change > tolerance:
            return "up"
        if self.high < 0 and self.change < -tolerance:
            return "down"
        if abs(self.change) <= tolerance or max(abs(self.low), abs(self.high)) <= NEAR * tolerance:
            return "flat"
        return "unclear"


def median(values: Array) -> float:
    """The median of finite values [n]; numpy's own looks for others and takes ten times as long."""
    ranked, half = np.sort(values), len(values) // 2
    return float(ranked[half]) if len(values) % 2 else float(ranked[half - 1] + ranked[half]) / 2


def trend(values: Array) -> Trend:
    """The trend of values [n] at equal distances (Theil 1950, Sen 1968); nothing is certain of
    fewer than four.
    """
    points = _reduced(values)
    count = len(points)
    if count < 2:
        return Trend(change=0.0, low=-math.inf, high=math.inf)
    first, second = _pairs(count)
    rises = points[second] - points[first]
    rises[np.abs(rises) < TIE] = 0.0
    slopes = np.sort(rises / (second - first)) * (count - 1)
    change = median(slopes)
    if count < FEWEST:
        return Trend(change=change, low=-math.inf, high=math.inf)
    spread = NORMAL * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(int((len(slopes) - spread) / 2), 0)
    return Trend(change=change, low=float(slopes[low]), high=float(slopes[len(slopes) - 1 - low]))


def noise(values: Array) -> float:
    """Standard deviation of what is left when a smooth curve is taken away, by second differences
    (robust to spikes).
    """
    if len(values) < FEWEST:
        return 0.0
    bends = values[2:] - 2 * values[1:-1] + values[:-2]
    return median(np.abs(bends)) / 0.6745 / math.sqrt(6)


def jumped(values: Array, *, shakes: float, brief: bool) -> NDArray[np.intp]:
    """Places from which values rise by far more than they shake, and come back later.

    `brief`: too few values between jumps to know how much they shake.
    """
    rises = np.diff(values)
    after = np.minimum.accumulate(values[::-1])[::-1][1:]
    far = rises > np.maximum(np.maximum(JUMP, 0.2 * values[:-1]), 6 * shakes)
    if brief:
        far |= rises > np.maximum(0.1, values[:-1])
    return np.flatnonzero(far & (values[1:] - after > 0.75 * rises))


def smooth(values: Array) -> Array:
    """Running median of three."""
    if len(values) < 3:
        return values
    low, high = np.minimum(values[:-2], values[1:-1]), np.maximum(values[:-2], values[1:-1])
    middle = np.maximum(low, np.minimum(high, values[2:]))
    return np.concatenate([[values[:2].mean()], middle, [values[-2:].mean()]])


def _reduced(values: Array) -> Array:
    """The values as at most `POINTS` medians of blocks."""
    if len(values) <= POINTS:
        return values
    size = -(-len(values) // POINTS)
    whole = len(values) // size * size
    return np.median(values[len(values) - whole :].reshape(-1, size), axis=1)


@cache
def _pairs(count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.triu_indices(count, k=1)
