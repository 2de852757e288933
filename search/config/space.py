"""From the nested YAML of a space to its knobs, with every rule of a domain checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import yaml

from search.config.catalogue import CONF
from search.config.knobs import ABOVE_ZERO, GROUPS, Knob, Need
from search.config.sweep_grammar import read_domain
from search.errors import UsageError, refused

ROLES = ("scientific", "nuisance")
SCALES = ("log", "linear")
TYPES = ("float", "int")
KEYS = (
    "low", "high", "scale", "points", "type", "choices", "group", "why", "min", "max", "role",
    "needs",
)  # fmt: skip
ENDS = ("min", "max")
NEED = re.compile(r"([^=!>]+)(=|!=|>)(.*)")  # what a knob needs: a key, a relation, a value
POINTS_MOST = 1000  # of a grid
LARGEST, WHOLE_LARGEST = 1e100, 2.0**53  # sizes up to which numbers, and whole numbers, are exact
NARROWEST = 1e-9  # width of a range, as a share of its ends
Node = Mapping[str, Any]
Limits = tuple[float | None, float | None]


def read_space(space: object, *, where: str = "space") -> tuple[Knob, ...]:
    """All knobs of a nested space, in file order.

    Raises:
        UsageError: a node is neither a knob nor a branch, or a knob's domain breaks a rule.
    """
    if not isinstance(space, Mapping):
        rule = "a space is a mapping from paths to knobs"
        raise _refused(
            where, rule, repr(space), "see conf/space/lr.yaml", code="space-not-a-mapping"
        )
    knobs: list[Knob] = []
    for key, node in space.items():
        path = f"{where}.{key}"
        if isinstance(node, str):
            knobs.append(_knob(path, read_domain(path, node)))
        elif isinstance(node, Mapping) and {"low", "high", "choices"} & set(node):
            knobs.extend(_with_conditional(path, node))
        elif isinstance(node, Mapping):
            knobs.extend(read_space(node, where=path))
        else:
            rule = "a knob needs `low` and `high`, `choices`, or a string such as interval(0, 1)"
            raise _refused(
                path, rule, repr(node), "see conf/space/lr.yaml", code="knob-holds-no-value"
            )
    return tuple(knobs)


def _with_conditional(path: str, node: Node) -> list[Knob]:
    """A knob, and those under the choices of a config group, each for its own choice only (P7)."""
    inner = {
        name: below
        for name, below in node.items()
        if isinstance(below, Mapping) and "choices" in node
    }
    knob = _knob(path, {name: below for name, below in node.items() if name not in inner})
    knobs = [knob]
    for choice, below in inner.items():
        if choice not in knob.choices:
            names = ", ".join(map(str, knob.choices))
            rule = f"a knob beside choices belongs under one of them ({names})"
            remedy = f"say {knob.path}.{knob.choices[0]}.{choice}"
            raise _refused(
                f"{path}.{choice}",
                rule,
                f"{knob.path}.{choice}",
                remedy,
                code="conditional-under-no-choice",
            )
        for conditional in read_space(below, where=f"{path}.{choice}"):
            knobs.append(replace(conditional, nuisance=True, choice=(knob.path, str(choice))))
    return knobs


def _knob(path: str, node: Node) -> Knob:
    """One knob.

    Raises:
        UsageError: it breaks a rule.
    """
    strange = sorted(str(key) for key in set(node) - set(KEYS))
    if strange:
        rule = f"a knob has the keys {', '.join(KEYS)}"
        raise _refused(path, rule, ", ".join(strange), "mend the key", code="knob-has-strange-keys")
    _check_name(path, node, "group", ("", *GROUPS))
    _check_name(path, node, "role", ("scientific", *ROLES))
    if not isinstance(node.get("why", ""), str):
        raise _refused(
            path, "`why` is a text", repr(node["why"]), "put it into quotes", code="why-not-a-text"
        )
    shared: dict[str, Any] = {
        "path": path.partition(".")[2],
        "group": node.get("group", ""),
        "why": str(node.get("why", "")),
        "nuisance": node.get("role") == "nuisance",
        "needs": _needs(path, node),
    }
    if "choices" in node:
        return Knob(choices=_choices(path, node), **shared)
    return _number_knob(path, node, shared)


def _needs(path: str, node: Node) -> tuple[Need, ...]:
    """What the config must say for the knob to make sense: `[data.dimensions=1, model.depth>1]`."""
    words = node.get("needs", [])
    matches = [NEED.fullmatch(str(word)) for word in words] if isinstance(words, list) else [None]
    needs = [
        Need(path=match[1], relation=match[2], value=_loader()(match[3]).get_single_data())
        for match in matches
        if match is not None
    ]
    sound = all(type(need.value) in (int, float) for need in needs if need.relation == ">")
    if len(needs) < len(matches) or not sound:
        rule = "`needs` is a list of key=value, key!=value or key>number"
        raise _refused(
            path, rule, repr(words), "say needs: [data.dimensions=1]", code="needs-not-conditions"
        )
    return tuple(needs)


def _choices(path: str, node: Node) -> tuple[Any, ...]:
    """The values of a knob that is no range."""
    beside = sorted({"low", "high", "scale", "points", "type", "min", "max"} & set(node))
    if beside:
        rule = "a knob has choices or a range"
        raise _refused(
            path,
            rule,
            f"choices and {', '.join(beside)}",
            "drop one of them",
            code="choices-beside-range",
        )
    choices = node["choices"]
    if not isinstance(choices, list):
        rule = "`choices` is a list of values"
        raise _refused(path, rule, repr(choices), "give choices: [a, b]", code="choices-not-a-list")
    for choice in choices:
        is_infinite = isinstance(choice, float) and not math.isfinite(choice)
        if isinstance(choice, Mapping | list) or is_infinite:
            rule = "a choice is a finite number, a string, true, false or null"
            raise _refused(path, rule, choice, "name it by a string", code="choice-not-plain")
    if len(set(choices)) < 2 or len(set(choices)) < len(choices):
        rule = "`choices` needs at least two different values"
        raise _refused(
            path, rule, choices, "add values or drop the knob", code="choices-not-different"
        )
    return tuple(choices)


def _number_knob(path: str, node: Node, shared: dict[str, Any]) -> Knob:
    """A knob with a range."""
    if "low" not in node or "high" not in node:
        raise _refused(
            path,
            "`low` and `high` belong together",
            dict(node),
            "give both",
            code="range-lacks-an-end",
        )
    if node.get("scale") not in SCALES:
        rule = "`scale` must be log or linear; it is never implied"
        raise _refused(
            path,
            rule,
            repr(node.get("scale")),
            "say scale: log or scale: linear",
            code="scale-is-missing",
        )
    _check_name(path, node, "type", TYPES)
    is_log, is_whole = node["scale"] == "log", node.get("type") == "int"
    low, high = (_finite(path, name, node[name]) for name in ("low", "high"))
    _check_range(path, low, high, is_log=is_log, is_whole=is_whole)
    points = node.get("points", 13)
    is_count = isinstance(points, int) and not isinstance(points, bool)
    if not is_count or not 2 <= points <= POINTS_MOST:
        rule = f"`points` must be a whole number of at least 2, and at most {POINTS_MOST}"
        raise _refused(path, rule, repr(points), "give the grid's size", code="points-not-a-size")
    least, most = _limits(path, node, low, high, is_whole=is_whole)
    shared |= {"least": least, "most": most}
    return Knob(low=low, high=high, log=is_log, integer=is_whole, points=points, **shared)


def _check_range(path: str, low: float, high: float, *, is_log: bool, is_whole: bool) -> None:
    """Both ends of a range, against each other and the knob's scale and type."""
    got = f"low={low:.12g}, high={high:.12g}"
    if not low < high:
        remedy = "swap them" if low > high else "widen the range"
        raise _refused(path, "`low < high` must hold", got, remedy, code="range-holds-no-value")
    if is_log and low < 1 / LARGEST:
        rule, remedy = "a log scale needs `low > 0`", "raise it or say scale: linear"
        raise _refused(path, rule, f"low={low:.12g}", remedy, code="log-scale-needs-positive")
    if is_whole and (low != round(low) or high != round(high)):
        raise _refused(
            path,
            "a knob of whole numbers needs whole ends",
            got,
            "round them",
            code="whole-knob-needs-whole-ends",
        )
    if high - low <= NARROWEST * max(abs(low), abs(high)):
        rule = "a range must be wider than a billionth of its ends"
        raise _refused(path, rule, f"{low!r} … {high!r}", "widen it", code="range-too-narrow")
    if is_whole and max(abs(low), abs(high)) > WHOLE_LARGEST:
        raise _refused(
            path,
            "whole numbers must lie within ±2**53",
            got,
            "say type: float",
            code="whole-number-too-large",
        )


def _limits(
    path: str, node: Node, low: float, high: float, *, is_whole: bool
) -> tuple[float, float]:
    """The hard limits: the node's own, else those of the shipped knob on this path.

    Without either, a range keeps its sign: a bound of 0 is a limit, a range above 0 stays above it.
    """
    sign_low = -math.inf if low < 0 else 0.0 if low == 0 else 1.0 if is_whole else ABOVE_ZERO
    sign_high = math.inf if high > 0 else 0.0 if high == 0 else -1.0 if is_whole else -ABOVE_ZERO
    shipped_least, shipped_most = shipped_limits().get(path.partition(".")[2], (None, None))
    least = min(low, sign_low if shipped_least is None else shipped_least)
    most = max(high, sign_high if shipped_most is None else shipped_most)
    if node.get("min") is not None:
        least = _finite(path, "min", node["min"])
    if node.get("max") is not None:
        most = _finite(path, "max", node["max"])
    if not least <= low < high <= most:
        shown = " … ".join(f"{0 if abs(end) == ABOVE_ZERO else end:.12g}" for end in (least, most))
        rule = f"the range must lie within its hard limits {shown}"
        raise _refused(
            path,
            rule,
            f"low={low:.12g}, high={high:.12g}",
            "narrow it",
            code="range-beyond-hard-limits",
        )
    if is_whole:
        least = math.ceil(least) if math.isfinite(least) else least
        most = math.floor(most) if math.isfinite(most) else most
    return least, most


@cache
def shipped_limits() -> dict[str, Limits]:
    """`min` and `max` of every knob of conf/space/, by its path."""
    limits: dict[str, Limits] = {}

    def collect(node: object, path: str) -> None:
        if isinstance(node, Mapping):
            if "min" in node or "max" in node:
                # As floats: YAML 1.1 takes 1e-8, which has no point, for a string.
                least, most = (None if node.get(key) is None else float(node[key]) for key in ENDS)
                limits[path] = (least, most)
            for key, below in node.items():
                collect(below, f"{path}.{key}".lstrip("."))

    for file in sorted((CONF / "space").glob("*.yaml")):
        collect(_loader()(file.read_text(encoding="utf-8")).get_single_data(), "")
    return limits


def _loader() -> type[Any]:
    """PyYAML's fast loader where it is compiled in."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _finite(path: str, name: str, number: object) -> float:
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if not is_number or not abs(number) < LARGEST:  # type: ignore[arg-type]
        rule = f"`{name}` must be a finite number within ±{LARGEST:g}"
        remedy = "give a number, such as 1.0e-4"
        raise _refused(path, rule, repr(number), remedy, code="knob-number-not-finite")
    return float(number)  # type: ignore[arg-type]


def _check_name(path: str, node: Node, key: str, names: tuple[str, ...]) -> None:
    """The value of a key is one of some names; the first one where it is left out."""
    if node.get(key, names[0]) not in names:
        listed = ", ".join(dict.fromkeys(name for name in names if name))
        rule, remedy = f"`{key}` is one of {listed}", "mend or leave it out"
        raise _refused(path, rule, repr(node[key]), remedy, code="unknown-word-of-knob")


def _refused(path: str, rule: str, got: object, remedy: str, *, code: str) -> UsageError:
    return refused(path, code=code, rule=rule, got=got, remedy=remedy)
