"""What a single value may be: a rule is a fragment of JSON Schema, and checks itself."""

import math
from collections.abc import Sequence
from typing import Any

from search.errors import UsageError, refused, unknown

Rule = dict[str, Any]
MOST_WHOLE = 10**9


def whole(least: int, most: int = MOST_WHOLE, *, null: bool = False) -> Rule:
    """A whole number, or null."""
    return {"type": _types("integer", null), "minimum": least, "maximum": most}


def number(
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    null: bool = False,
) -> Rule:
    """A finite number, or null."""
    bounds = {"exclusiveMinimum": above, "minimum": least, "maximum": most}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return {"type": _types("number", null), **given}


def text(*, null: bool = False) -> Rule:
    """A string with something in it, or null."""
    return {"type": _types("string", null), "minLength": 1}


def word() -> Rule:
    """A string, or the whole number that YAML makes of a date."""
    return {"type": ["string", "integer"], "minLength": 1}


def names() -> Rule:
    """A list of strings."""
    return {"type": "array", "items": {"type": "string"}}


def mappings() -> Rule:
    """A list of groups of keys."""
    return {"type": "array", "items": {"type": "object"}}


def truth() -> Rule:
    """True or false."""
    return {"type": "boolean"}


def mapping(*, null: bool = False) -> Rule:
    """A group of keys."""
    return {"type": _types("object", null)}


def one_of(*names: str | int | None) -> Rule:
    """One of some names."""
    return {"enum": list(names)}


def either(*rules: Rule) -> Rule:
    """What one of some rules allows."""
    return {"anyOf": list(rules)}


def check(path: str, value: object, rule: Rule) -> None:
    """A value follows a rule."""
    if any(_follows(value, option) for option in rule.get("anyOf", [rule])):
        return
    if "enum" in rule:
        names = [str(name) for name in rule["enum"] if isinstance(name, str)]
        raise UsageError(unknown(path, name=str(value), known=names), code="unknown-choice")
    raise refused(
        path,
        code="wrong-type-or-range",
        rule=f"must be {describe(rule, value)}",
        got=repr(value),
        remedy=_remedy(path, value, rule),
    )


def _remedy(path: str, value: object, rule: Rule) -> str:
    types, most = rule.get("type", ()), rule.get("maximum", math.inf)
    least = rule.get("minimum", -1)
    if value == "None" and "null" in types:  # as tables show it, and Python writes it
        return f"say {path}=null"
    if "string" in types and isinstance(value, bool | int | float):
        return f"""write it as a text: '{path}="{value!s}"'"""
    if "boolean" in types:
        return f"say {path}=true or {path}=false"
    if isinstance(value, int | float) and value > most:
        return f"say {path}={most} or less"
    return f"say {path}={least} or more" if least >= 0 else "mend it"


def describe(rule: Rule, value: object = None) -> str:
    """A rule in words: with its upper bound only where a number breaks that one."""
    if "anyOf" in rule:
        return " or ".join(describe(option, value) for option in rule["anyOf"])
    if "enum" in rule:
        return ", ".join(str(name) for name in rule["enum"] if isinstance(name, str))
    kinds: Sequence[str] = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    kind = kinds[0]
    if kind == "boolean":
        return "true or false"
    if kind == "object":
        return "a group of keys"
    if kind == "array":
        item = rule.get("items", {}).get("type")
        return {"object": "a list of mappings", "string": "a list of names"}.get(item, "a list")
    if kind == "string":
        return "a text"
    noun = "a whole number" if kind == "integer" else "a number"
    if isinstance(value, int | float) and "maximum" in rule and value > rule["maximum"]:
        return f"{noun} of at most {rule['maximum']}"
    if "exclusiveMinimum" in rule:
        return f"{noun} above {rule['exclusiveMinimum']}"
    has_least = "minimum" in rule and (
        rule["minimum"] >= -MOST_WHOLE or isinstance(value, int | float)
    )
    return f"{noun} of at least {rule['minimum']}" if has_least else noun


def _follows(value: object, rule: Rule) -> bool:
    if "enum" in rule:
        return any(type(value) is type(name) and value == name for name in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    if value is None:
        return "null" in kinds
    if isinstance(value, bool):
        return "boolean" in kinds
    if isinstance(value, dict):
        return "object" in kinds
    if isinstance(value, list):
        of = {"object": dict, "string": str}.get(rule.get("items", {}).get("type"), object)
        return "array" in kinds and all(isinstance(item, of) for item in value)
    if isinstance(value, str):
        return "string" in kinds and bool(value.strip())
    if not isinstance(value, int | float) or not {"integer", "number"} & set(kinds):
        return False
    if not math.isfinite(value) or ("integer" in kinds and not isinstance(value, int)):
        return False
    lower = rule.get("minimum", -math.inf) <= value <= rule.get("maximum", math.inf)
    return bool(lower and value > rule.get("exclusiveMinimum", -math.inf))


def _types(kind: str, null: bool) -> str | list[str]:
    return [kind, "null"] if null else kind
