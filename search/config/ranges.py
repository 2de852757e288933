"""A knob's range of numbers: ends, scale, type, grid and hard limits, with every rule checked."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from search.config.catalogue import CONF
from search.config.knobs import ABOVE_ZERO, Knob
from search.config.yaml_text import read_shipped
from search.errors import refused
from trainers.settings import flat

SCALES = ("log", "linear")
TYPES = ("float", "int")
ENDS = ("min", "max")
IS_END = tuple(f".{end}" for end in ENDS)
POINTS_MOST = 1000  # of a grid
LARGEST, WHOLE_LARGEST = 1e100, 2.0**53  # sizes up to which numbers, and whole numbers, are exact
NARROWEST = 1e-9  # width of a range, as a share of its ends
Node = Mapping[str, Any]
Limits = tuple[float | None, float | None]


def number_knob(path: str, node: Node, shared: dict[str, Any]) -> Knob:
    """A knob with a range; `shared`: what it has whatever its domain.

    Raises:
        UsageError: the range breaks a rule.
    """
    if "low" not in node or "high" not in node:
        raise refused(
            path,
            code="range-lacks-an-end",
            rule="`low` and `high` belong together",
            got=dict(node),
            remedy="give both",
        )
    if "scale" not in node:
        rule = "`scale` must be log or linear; it is never implied"
        raise refused(
            path,
            code="scale-is-missing",
            rule=rule,
            got="none",
            remedy="say scale: log or scale: linear",
        )
    is_log, is_whole = node["scale"] == "log", node.get("type") == "int"
    low, high = (float(node[name]) for name in ("low", "high"))
    _check_range(path, low, high, is_log=is_log, is_whole=is_whole)
    points = node.get("points", 13)
    least, most = _limits(path, node, low, high, is_whole=is_whole)
    shared |= {"least": least, "most": most}
    return Knob(low=low, high=high, log=is_log, integer=is_whole, points=points, **shared)


def _check_range(path: str, low: float, high: float, *, is_log: bool, is_whole: bool) -> None:
    """Both ends of a range, against each other and the knob's scale and type."""
    got = f"low={low:.12g}, high={high:.12g}"
    if not low < high:
        remedy = "swap them" if low > high else "widen the range"
        raise refused(
            path, code="range-holds-no-value", rule="`low < high` must hold", got=got, remedy=remedy
        )
    if is_log and low < 1 / LARGEST:
        rule, remedy = "a log scale needs `low > 0`", "raise it or say scale: linear"
        raise refused(
            path, code="log-scale-needs-positive", rule=rule, got=f"low={low:.12g}", remedy=remedy
        )
    if is_whole and (low != round(low) or high != round(high)):
        raise refused(
            path,
            code="whole-knob-needs-whole-ends",
            rule="a knob of whole numbers needs whole ends",
            got=got,
            remedy="round them",
        )
    if high - low <= NARROWEST * max(abs(low), abs(high)):
        rule = "a range must be wider than a billionth of its ends"
        raise refused(
            path, code="range-too-narrow", rule=rule, got=f"{low!r} … {high!r}", remedy="widen it"
        )
    if is_whole and max(abs(low), abs(high)) > WHOLE_LARGEST:
        raise refused(
            path,
            code="whole-number-too-large",
            rule="whole numbers must lie within ±2**53",
            got=got,
            remedy="say type: float",
        )


def _limits(
    path: str, node: Node, low: float, high: float, *, is_whole: bool
) -> tuple[float, float]:
    """The hard limits: the node's own, else those of the shipped knob on this path.

    Without either, a range keeps its sign: a bound of 0 is a limit, a range above 0 stays above it.
    """
    nearest = 1.0 if is_whole else ABOVE_ZERO  # to 0, of the numbers with the range's sign
    sign_low = -math.inf if low < 0 else min(low, nearest)
    sign_high = math.inf if high > 0 else max(high, -nearest)
    shipped_least, shipped_most = shipped_limits().get(path.partition(".")[2], (None, None))
    least = min(low, sign_low if shipped_least is None else shipped_least)
    most = max(high, sign_high if shipped_most is None else shipped_most)
    least, most = (
        end if node.get(key) is None else float(node[key])
        for key, end in zip(ENDS, (least, most), strict=True)
    )
    if not least <= low < high <= most:
        shown = " … ".join(f"{0 if abs(end) == ABOVE_ZERO else end:.12g}" for end in (least, most))
        rule = f"the range must lie within its hard limits {shown}"
        raise refused(
            path,
            code="range-beyond-hard-limits",
            rule=rule,
            got=f"low={low:.12g}, high={high:.12g}",
            remedy="narrow it",
        )
    if is_whole:
        least = math.ceil(least) if math.isfinite(least) else least
        most = math.floor(most) if math.isfinite(most) else most
    return least, most


@cache
def shipped_limits() -> dict[str, Limits]:
    """`min` and `max` of every knob of conf/space/, by its path."""
    limits: dict[str, Limits] = {}
    for file in sorted((CONF / "space").glob("*.yaml")):
        values = flat(read_shipped(file))
        for path in dict.fromkeys(key.rpartition(".")[0] for key in values if key.endswith(IS_END)):
            ends = (values.get(f"{path}.{end}") for end in ENDS)
            least, most = (None if end is None else float(end) for end in ends)
            limits[path] = (least, most)
    return limits
