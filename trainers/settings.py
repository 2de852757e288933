"""Settings as numbers that can work, and by their dotted path. Knows no setting by name."""

import math
from collections.abc import Mapping
from typing import Any


def fits(value: Any, *, positive: bool) -> bool:
    """A finite number of 0 or more, or above 0; neither text nor a truth value."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return number and (value > 0 if positive else value >= 0)


def least(*, positive: bool) -> str:
    """Which numbers can work, in words, for an error."""
    return "a number above 0" if positive else "a number of 0 or more"


def flat(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf of nested mappings by its path; an empty mapping is a leaf."""
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        path = f"{prefix}{key}"
        inner = isinstance(value, Mapping) and value
        leaves |= flat(value, f"{path}.") if inner else {path: value}
    return leaves
