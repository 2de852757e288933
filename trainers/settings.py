"""Whether a setting is a number that can work. Knows no setting by name."""

import math
from typing import Any


def fits(value: Any, *, positive: bool) -> bool:
    """A finite number of 0 or more, or above 0; neither text nor a truth value."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return number and (value > 0 if positive else value >= 0)


def least(*, positive: bool) -> str:
    """Which numbers can work, in words, for an error."""
    return "a number above 0" if positive else "a number of 0 or more"
