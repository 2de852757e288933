"""Settings as numbers that can work, by their dotted path, and copied. Knows no setting by name."""

import copy
import math
from collections.abc import Mapping
from typing import Any

ATOMS = frozenset({str, int, float, bool, type(None)})  # which nobody can change


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


def copied(node: Any) -> Any:
    """A config whose dicts and lists are new, and may be changed. `copy.deepcopy`, which also looks
    for objects that hold each other, takes three times as long.
    """
    if isinstance(node, dict):
        return {key: copied(value) for key, value in node.items()}
    if isinstance(node, list):
        return [copied(value) for value in node]
    return node if type(node) in ATOMS else copy.deepcopy(node)
