"""What can be turned, over which values: knobs and their grids.

Reads the nested YAML of a space and the string grammar of Hydra's Optuna sweeper. Never samples: proposing
values is the stages' business.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep
from hydra.errors import HydraException

from search.errors import UsageError, broken_rule

Value = float | int | str | bool | None
GROUPS = ("optimization", "regularization", "capacity", "data", "initialization")
ROLES = ("scientific", "nuisance")
KEYS = ("low", "high", "scale", "points", "type", "choices", "group", "why", "min", "max", "role")


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One hyperparameter: its path in the config and its domain; both ends included, always.

    `choices` is empty for numbers, and `low`, `high` are meaningless for choices. `least`, `most`: hard limits of the range.
    `nuisance`: tuned anew for every value of the knob that a sweep is about (P1). `choice`: the choice of a config group under
    which alone it counts, as ("optimizer", "adam"); None for a knob that always counts.
    """

    path: str
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    integer: bool = False
    points: int = 13
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[Value, ...] = ()
    group: str = ""
    why: str = ""
    nuisance: bool = False
    choice: tuple[str, str] | None = None

    def grid(self) -> tuple[Value, ...]:
        """The values of a one-knob sweep, ascending, evenly spaced in the knob's scale, rounded to 3 significant digits."""
        if self.choices:
            return self.choices
        space = np.geomspace if self.log else np.linspace
        return tuple(
            dict.fromkeys(self.at(value) for value in space(self.low, self.high, self.points))
        )

    def every(self) -> tuple[Value, ...]:
        """All values that `clip` gives, in order; none where they are very many."""
        if self.choices:
            return self.choices
        if self.integer:
            return (
                tuple(range(round(self.low), round(self.high) + 1))
                if self.high - self.low <= 10_000
                else ()
            )
        if self._decades:
            steps = range(math.floor(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            numbers = [
                digits * 10.0 ** (power - 2) for power in steps for digits in range(100, 1000)
            ]
        else:
            step = 10.0**-self._decimals
            numbers = [
                round(self.low / step) * step + index * step
                for index in range(round((self.high - self.low) / step) + 1)
            ]
        return tuple(
            dict.fromkeys([self.clip(self.low), *map(self.clip, numbers), self.clip(self.high)])
        )

    def taught(self, value: Value) -> Value:
        """What a sampler is told for a value: its lowest for 0, which a log scale does not hold; None for others outside."""
        if self.log and value == 0 and not isinstance(value, bool):
            return self.typed(self.low)
        return value if self.holds(value) else None

    def at(self, number: float) -> float | int:
        """A number as a value of this knob: 3 significant digits, whole where the knob is."""
        rounded = float(f"{number:.3g}")
        return round(rounded) if self.integer else rounded

    def scaled(self, value: Value) -> float:
        """A value's place in the knob's scale; −inf where a log scale does not hold it."""
        number = float(value)  # type: ignore[arg-type]
        return math.log(number) if self.log and number > 0 else -math.inf if self.log else number

    def unscaled(self, place: float) -> float:
        """The number at a place in the knob's scale."""
        return math.exp(place) if self.log else place

    def within(self, share: float) -> Value:
        """The value at a share of the way through the domain: 0 the lowest or first, below 1 the highest or last."""
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        room = (
            0.5 if self.integer and not self.log else 0.0
        )  # every whole number gets a place of the same width
        low, high = self.scaled(self.low - room), self.scaled(self.high + room)
        return self.clip(self.unscaled(low + share * (high - low)))

    def near(self, value: Value, shift: float) -> Value:
        """The value at so great a share of the range further; a choice stays."""
        if self.choices:
            return value
        low, high = self.scaled(self.low), self.scaled(self.high)
        return self.clip(
            self.unscaled(min(max(self.scaled(value) + shift * (high - low), low), high))
        )

    def clip(self, number: float) -> float | int:
        """A number as a value of this knob, in its range: whole, to 3 significant digits, to a hundredth of a narrow range."""
        inside = min(max(number, self.low), self.high)
        if self.integer:
            return round(inside)
        rounded = float(f"{inside:.3g}") if self._decades else round(inside, self._decimals)
        return min(max(rounded, self.low), self.high)

    @property
    def _decades(self) -> bool:
        """Whether the range is a wide one on a log scale."""
        return self.log and self.high > 2 * self.low

    @property
    def _decimals(self) -> int:
        return 2 - math.floor(math.log10(self.high - self.low))

    def holds(self, value: Value) -> bool:
        """Whether a value lies in the domain."""
        if self.choices:
            return value in self.choices
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )

    def typed(self, value: Value) -> Value:
        """A number in the knob's own type: 1 and 1.0 are one value of a knob, and would be two trials otherwise."""
        if self.choices or isinstance(value, bool) or not isinstance(value, int | float):
            return value
        return round(value) if self.integer else float(value)

    def describe(self) -> str:
        """The domain in words, for `plan`."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        return f"{self.low:g} … {self.high:g}, {'log' if self.log else 'linear'}{', whole numbers' if self.integer else ''}"


def read_space(space: Mapping[str, Any], *, where: str = "space") -> tuple[Knob, ...]:
    """All knobs of a nested space, in file order.

    Raises:
        UsageError: a node that is neither a knob nor a branch, or a knob whose domain breaks a rule.
    """
    knobs: list[Knob] = []
    for key, node in space.items():
        path = f"{where}.{key}"
        if isinstance(node, str):
            knobs.append(_from_node(path, _from_string(path, node)))
        elif isinstance(node, Mapping) and ({"low", "high", "choices"} & set(node)):
            inner = {
                name: below
                for name, below in node.items()
                if isinstance(below, Mapping) and "choices" in node
            }
            knobs.append(
                _from_node(path, {name: below for name, below in node.items() if name not in inner})
            )
            knobs.extend(_conditional(knobs[-1], inner))
        elif isinstance(node, Mapping):
            knobs.extend(read_space(node, where=path))
        else:
            raise UsageError(
                broken_rule(
                    path,
                    rule="a knob needs `low` and `high`, `choices`, or a string such as interval(0, 1)",
                    got=repr(node),
                    remedy="see conf/space/lr.yaml",
                )
            )
    return tuple(knobs)


def _conditional(knob: Knob, inner: Mapping[str, Any]) -> list[Knob]:
    """The knobs that lie under the choices of a config group: each counts, and is tuned, under its own choice only (P7)."""
    found = []
    for choice, below in inner.items():
        if choice not in knob.choices:
            raise UsageError(
                broken_rule(
                    f"space.{knob.path}.{choice}",
                    rule=f"a knob beside choices belongs under one of them ({', '.join(map(str, knob.choices))})",
                    got=f"{knob.path}.{choice}",
                    remedy=f"say {knob.path}.{knob.choices[0]}.{choice}",
                )
            )
        for read in read_space(below, where=f"space.{knob.path}.{choice}"):
            found.append(replace(read, nuisance=True, choice=(knob.path, str(choice))))
    return found


def sweep_override(text: str) -> tuple[str, dict[str, Any]] | None:
    """`space.optimizer.lr=tag(log, interval(1e-4, 1))` → ("optimizer.lr", its node); None where it is no sweep function.

    Raises:
        UsageError: a sweep function that the grammar does not know.
    """
    key, _, value = text.partition("=")
    if not key.lstrip("+").startswith("space.") or "(" not in value:
        return None
    path = key.lstrip("+")
    return path.removeprefix("space."), _from_string(path, value)


def _from_string(path: str, text: str) -> dict[str, Any]:
    try:
        override = OverridesParser.create().parse_override(f"x={text}")
    except HydraException as error:
        raise UsageError(
            broken_rule(
                path,
                rule="a knob's string is interval(a, b), range(a, b), choice(…), int(interval(…)) or tag(log, …)",
                got=f"{text!r} ({str(error).splitlines()[0]})",
                remedy="see conf/README.md",
            )
        ) from error
    sweep = override.value()
    if isinstance(sweep, ChoiceSweep):
        return {"choices": [_plain(item) for item in sweep.list]}
    if isinstance(sweep, IntervalSweep):
        whole = isinstance(sweep.start, int) and text.replace(" ", "").find("int(") >= 0
        node = {"low": sweep.start, "high": sweep.end, "type": "int" if whole else "float"}
    elif isinstance(sweep, RangeSweep):
        start, stop, step = float(sweep.start or 0), float(sweep.stop or 0), float(sweep.step or 1)
        if step != 1:
            return {"choices": [_plain(value) for value in np.arange(start, stop + step / 2, step)]}
        node = {"low": sweep.start, "high": sweep.stop, "type": "int"}
    else:
        raise UsageError(
            broken_rule(
                path,
                rule="a knob needs more than one value",
                got=repr(text),
                remedy="give interval(a, b) or choice(a, b)",
            )
        )
    return {**node, "scale": "log" if "log" in sweep.tags else "linear"}


def _plain(value: Any) -> Value:
    """Hydra's quoted strings and numpy's numbers as Python's own."""
    plain: Value = getattr(value, "text", None) or (
        value.item() if isinstance(value, np.generic) else value
    )
    return plain


def _from_node(path: str, node: Mapping[str, Any]) -> Knob:
    def refuse(rule: str, got: object, remedy: str) -> UsageError:
        return UsageError(broken_rule(path, rule=rule, got=got, remedy=remedy))

    strange = set(node) - set(KEYS)
    if strange:
        raise refuse(
            f"a knob has the keys {', '.join(KEYS)}", ", ".join(sorted(strange)), "mend the key"
        )
    group = str(node.get("group", ""))
    if group and group not in GROUPS:
        raise refuse(f"`group` is one of {', '.join(GROUPS)}", repr(group), "mend or leave it out")
    role = str(node.get("role", "scientific"))
    if role not in ROLES:
        raise refuse(f"`role` is one of {', '.join(ROLES)}", repr(role), "mend or leave it out")
    shared: dict[str, Any] = {
        "path": path.partition(".")[2],
        "group": group,
        "why": str(node.get("why", "")),
    }
    shared["nuisance"] = role == "nuisance"
    if "choices" in node:
        choices = tuple(node["choices"] or ())
        nested = [choice for choice in choices if isinstance(choice, Mapping | list)]
        if nested:
            raise refuse(
                "a choice is a number, a string, true, false or null",
                nested[0],
                "name it by a string",
            )
        if len(set(choices)) < 2 or len(set(choices)) < len(choices):
            raise refuse(
                "`choices` needs at least two different values",
                list(choices),
                "add values or drop the knob",
            )
        return Knob(choices=choices, **shared)
    if "low" not in node or "high" not in node:
        raise refuse("`low` and `high` belong together", dict(node), "give both")
    scale: Literal["log", "linear"] | None = node.get("scale")
    if scale not in ("log", "linear"):
        raise refuse(
            "`scale` must be log or linear; it is never implied",
            repr(scale),
            "say scale: log or scale: linear",
        )
    low, high, points = node["low"], node["high"], node.get("points", 13)
    for name, number in (("low", low), ("high", high)):
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float)
            or not math.isfinite(number)
        ):
            raise refuse(
                f"`{name}` must be a finite number",
                repr(number),
                "give a number, such as 1e-4 (with a point: 1.0e-4)",
            )
    if not low < high:
        raise refuse("`low < high` must hold", f"low={low}, high={high}", "swap them")
    if scale == "log" and low <= 0:
        raise refuse("a log scale needs `low > 0`", f"low={low}", "raise it or say scale: linear")
    if not isinstance(points, int) or points < 2:
        raise refuse(
            "`points` must be a whole number of at least 2", repr(points), "give the grid's size"
        )
    least, most = (
        node.get(key, default) for key, default in (("min", -math.inf), ("max", math.inf))
    )
    if not least <= low < high <= most:
        raise refuse(
            f"the range must lie within its hard limits {least:g} … {most:g}",
            f"low={low}, high={high}",
            "narrow it",
        )
    integer = node.get("type", "float") == "int"
    if integer and (low != round(low) or high != round(high)):
        raise refuse(
            "a knob of whole numbers needs whole ends", f"low={low}, high={high}", "round them"
        )
    shared |= {"low": float(low), "high": float(high), "least": float(least), "most": float(most)}
    return Knob(log=scale == "log", integer=integer, points=points, **shared)
