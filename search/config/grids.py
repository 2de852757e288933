"""Numbers of a range: evenly spaced, rounded for readers, never outside. Pure arithmetic."""

import math
from itertools import pairwise

import numpy as np

NOTHING = 1e-9  # share of a step below which a number is 0, blurred by arithmetic
DIGITS = 3  # significant digits of a value, more only where neighbours would fall together


def rounded(number: float, *, step: float, whole: bool = False) -> float:
    """A number to 3 significant digits, more where neighbours lie `step` apart; or whole."""
    if whole:
        return float(round(number))
    if not math.isfinite(number):
        return number
    if abs(number) <= NOTHING * step:
        return 0.0
    decimals = DIGITS - 1 - math.floor(math.log10(abs(number)))
    if step > 0:
        decimals = max(decimals, 1 - math.floor(math.log10(step)))
    return round(number, decimals)


def spaced(low: float, high: float, points: int, *, log: bool, whole: bool) -> list[float]:
    """Numbers from `low` to `high`, both exact, evenly spaced on the scale, rounded in between."""
    exact = [float(number) for number in (np.geomspace if log else np.linspace)(low, high, points)]
    inner = [
        min(max(rounded(number, step=number - before, whole=whole), low), high)
        for before, number in pairwise(exact[:-1])
    ]
    return list(dict.fromkeys([low, *inner, high]))


def fine(low: float, high: float, *, log: bool) -> list[float]:
    """Every number that `snapped` gives, ascending."""
    if _is_wide(low, high, log=log):
        powers = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
        numbers = [digits * 10.0 ** (power - 2) for power in powers for digits in range(100, 1000)]
    else:
        step = 10.0 ** -_decimals(low, high)
        count = round((high - low) / step)
        numbers = [round(low / step) * step + index * step for index in range(count + 1)]
    inside = [snapped(number, low, high, log=log) for number in numbers]
    return list(dict.fromkeys([low, *inside, high]))


def snapped(number: float, low: float, high: float, *, log: bool) -> float:
    """The nearest number of a range's fine grid.

    The grid has 3 significant digits on a wide log scale, else steps of a hundredth of the range or
    less. Both ends belong to the grid as they are.
    """
    if number <= low or number >= high:
        return low if number <= low else high
    if _is_wide(low, high, log=log):
        fitted = rounded(number, step=0.0)
    else:
        fitted = round(number, _decimals(low, high))
    return min(max(fitted, low), high)


def _is_wide(low: float, high: float, *, log: bool) -> bool:
    """Whether a log range is so wide that significant digits suit it better than decimals."""
    return log and high > 2 * low


def _decimals(low: float, high: float) -> int:
    """Decimals that divide a range into a hundred steps or more."""
    return 2 - math.floor(math.log10(high - low))
