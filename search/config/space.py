"""From the nested YAML of a space to its knobs, with every rule of a domain checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from search.config.knob_parts import NONE, PARTS
from search.config.knobs import GROUPS, Knob, Need
from search.config.ranges import LARGEST, POINTS_MOST, SCALES, TYPES, Node, number_knob
from search.config.rules import Rule, check, number, one_of, text, whole
from search.config.sweep_grammar import check_none, read_domain
from search.config.yaml_text import read_config_yaml
from search.errors import refused

ROLES = ("scientific", "nuisance")
KNOB: dict[str, Rule] = {
    "low": number(least=-LARGEST, most=LARGEST),
    "high": number(least=-LARGEST, most=LARGEST),
    "scale": one_of(*SCALES),
    "points": whole(2, POINTS_MOST),
    "type": one_of(*TYPES),
    "choices": {"type": "array", "minItems": 2},
    "group": one_of(*GROUPS),
    "why": text(),
    "min": number(least=-LARGEST, most=LARGEST, null=True),
    "max": number(least=-LARGEST, most=LARGEST, null=True),
    "role": one_of(*ROLES),
    "acts_as": one_of(*PARTS, NONE),
    "needs": {"type": "array", "items": text()},
}
NEED = re.compile(r"([^=!>]+)(=|!=|>)(.*)")  # what a knob needs: a key, a relation, a value


def read_space(space: object, *, where: str = "space") -> tuple[Knob, ...]:
    """All knobs of a nested space, in file order.

    Raises:
        UsageError: a node is neither a knob nor a branch, or a knob's domain breaks a rule.
    """
    if not isinstance(space, Mapping):
        rule = "a space is a mapping from paths to knobs"
        got, remedy = repr(space), "see conf/space/lr.yaml"
        raise refused(where, code="space-not-a-mapping", rule=rule, got=got, remedy=remedy)
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
            got, remedy = repr(node), "see conf/space/lr.yaml"
            raise refused(path, code="knob-holds-no-value", rule=rule, got=got, remedy=remedy)
    return tuple(knobs)


def _with_conditional(path: str, node: Node) -> list[Knob]:
    """A knob, and those under the choices of a config group, each for its own choice only (P7)."""
    inner = {
        name: below
        for name, below in node.items()
        if isinstance(below, Mapping) and "choices" in node
    }
    knob = _knob(path, {name: below for name, below in node.items() if name not in inner})
    check_none(path, knob.choices)
    knobs = [knob]
    for choice, below in inner.items():
        if choice not in knob.choices:
            names = ", ".join(map(str, knob.choices))
            rule = f"a knob beside choices belongs under one of them ({names})"
            remedy = f"say {knob.path}.{knob.choices[0]}.{choice}, or leave it out"
            at, got = f"{path}.{choice}", f"{knob.path}.{choice}"
            raise refused(at, code="conditional-under-no-choice", rule=rule, got=got, remedy=remedy)
        for conditional in read_space(below, where=f"{path}.{choice}"):
            knobs.append(replace(conditional, nuisance=True, choice=(knob.path, str(choice))))
    return knobs


def _knob(path: str, node: Node) -> Knob:
    """One knob.

    Raises:
        UsageError: it breaks a rule.
    """
    strange = sorted(str(key) for key in set(node) - set(KNOB))
    if strange:
        rule = f"a knob has the keys {', '.join(KNOB)}"
        got, remedy = ", ".join(strange), "mend the key"
        raise refused(path, code="knob-has-strange-keys", rule=rule, got=got, remedy=remedy)
    for key, value in node.items():
        check(f"{path}.{key}", value, KNOB[key])
    shared: dict[str, Any] = {
        "path": path.partition(".")[2],
        "group": node.get("group", ""),
        "why": node.get("why", ""),
        "nuisance": node.get("role") == "nuisance",
        "needs": _needs(path, node),
        "acts_as": node.get("acts_as", ""),
    }
    if "choices" in node:
        return Knob(choices=_choices(path, node), **shared)
    return number_knob(path, node, shared)


def _needs(path: str, node: Node) -> tuple[Need, ...]:
    """What the config must say for the knob to make sense: `[data.dimensions=1, model.depth>1]`."""
    words = node.get("needs", [])
    matches = [NEED.fullmatch(word) for word in words]
    needs = [
        Need(path=match[1], relation=match[2], value=read_config_yaml(match[3]))
        for match in matches
        if match is not None
    ]
    sound = all(type(need.value) in (int, float) for need in needs if need.relation == ">")
    if len(needs) < len(matches) or not sound:
        rule = "`needs` is a list of key=value, key!=value or key>number"
        got, remedy = repr(words), "say needs: [data.dimensions=1]"
        raise refused(path, code="needs-not-conditions", rule=rule, got=got, remedy=remedy)
    return tuple(needs)


def _choices(path: str, node: Node) -> tuple[Any, ...]:
    """The values of a knob that is no range."""
    beside = sorted({"low", "high", "scale", "points", "type", "min", "max"} & set(node))
    if beside:
        rule = "a knob has choices or a range"
        got, remedy = f"choices and {', '.join(beside)}", "drop one of them"
        raise refused(path, code="choices-beside-range", rule=rule, got=got, remedy=remedy)
    choices = node["choices"]
    for choice in choices:
        is_infinite = isinstance(choice, float) and not math.isfinite(choice)
        if isinstance(choice, Mapping | list) or is_infinite:
            rule = "a choice is a finite number, a string, true, false or null"
            remedy = f"write the string '{choice}', which your code reads"
            raise refused(path, code="choice-not-plain", rule=rule, got=choice, remedy=remedy)
    if len(set(choices)) < 2 or len(set(choices)) < len(choices):
        rule = "`choices` needs at least two different values"
        remedy = "add values or drop the knob"
        raise refused(path, code="choices-not-different", rule=rule, got=choices, remedy=remedy)
    return tuple(choices)
