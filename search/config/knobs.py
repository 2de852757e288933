"""A knob: what can be turned, over which values. Never proposes a value."""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

from search.config import grids

Value = float | int | str | bool | None
GROUPS = ("optimization", "regularization", "capacity", "data", "initialization")
ABOVE_ZERO = math.ulp(0.0)  # the least positive number: the open end of a range that keeps its sign
# Last words of paths that are a learning rate's; protocol.rate names one that is called otherwise.
RATES = ("lr", "learning_rate", "learning_rate_init", "base_lr", "eta", "eta0", "shrinkage")
MANY = 10_000  # whole numbers that are no longer listed one by one
HIGHEST_PLACE = 690.0  # on a log scale; its number is just below the greatest float


def plain_name(path: str) -> str:
    """The last word of a path as Python writes names: `batch_size` of `DATA.batchSize`."""
    last = path.rpartition(".")[2]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower().replace("-", "_")


def is_rate(path: str) -> bool:
    """Whether a path is called a learning rate: `optimizer.lr`, `SOLVER.BASE_LR`."""
    return plain_name(path) in RATES


@dataclass(frozen=True, kw_only=True)
class Need:
    """What the config must say at a path for a knob to have an effect: `relation` to a value.

    A path that the config lacks has the value null, which differs from every number.
    """

    path: str
    relation: str  # =, != or >
    value: Value

    def holds(self, value: object) -> bool:
        """Whether a value of the config will do."""
        if self.relation == ">":
            return isinstance(value, int | float) and value > float(self.value or 0)
        return (value == self.value) == (self.relation == "=")

    def __str__(self) -> str:
        return f"{self.path}{self.relation}{'null' if self.value is None else self.value}"


@dataclass(frozen=True, kw_only=True)
class Knob:
    """One hyperparameter: its path in the config and its domain; both ends included, always.

    `choices` is empty for numbers, and `low`, `high` are meaningless for choices. `least`, `most`:
    hard limits, which no extension of the range leaves. `nuisance`: tuned anew for every value of
    the knob that a sweep is about (P1). `choice`: the choice of a config group under which alone
    the knob counts, as ("optimizer", "adam"); None for a knob that always counts. `needs`: what
    the config must say, such as sequences for augmentations of these. `acts_as`: the part that
    the user says it plays (`search.config.knob_parts`); empty where its name tells it.
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
    needs: tuple[Need, ...] = ()
    acts_as: str = ""

    def grid(self) -> tuple[Value, ...]:
        """The values of a one-knob sweep: ascending, both ends exact, even on the knob's scale."""
        if self.choices:
            return self.choices
        scale = {"log": self.log, "whole": self.integer}
        numbers = grids.spaced(self.low, self.high, self.points, **scale)
        return tuple(dict.fromkeys(self.typed(number) for number in numbers))

    def beyond(self, value: Value, *, direction: int) -> tuple[Value, ...]:
        """The grid continued from a value upward (1) or downward (-1), as far again as its range.

        It ends at the hard limit, which is tried itself where the steps would pass it.
        """
        limit = self.most if direction > 0 else self.least
        width = self.scaled(self.high) - self.scaled(self.low)
        step, at = direction * width / (self.points - 1), self.scaled(value)
        exact = [self.unscaled(at + index * step) for index in range(self.points)]
        numbers = [
            grids.rounded(number, step=abs(number - before), whole=self.integer)
            for before, number in pairwise(exact)
        ]
        inside = [number for number in numbers if self.least <= number <= self.most]
        is_open = abs(limit) in (ABOVE_ZERO, math.inf) or (self.log and limit == 0)
        if len(inside) < len(numbers) and not is_open:
            inside.append(limit)
        typed = dict.fromkeys(self.typed(number) for number in inside)
        return tuple(new for new in typed if direction * (as_number(new) - as_number(value)) > 0)

    def between(self, value: Value, other: Value, *, share: float) -> Value:
        """The value at a share of the way, on the knob's scale, from one value to another."""
        at, end = self.scaled(value), self.scaled(other)
        number = self.unscaled(at + share * (end - at))
        low, high = sorted((as_number(value), as_number(other)))
        place = grids.rounded(number, step=(high - low) / 4, whole=self.integer)
        return self.typed(min(max(place, low), high))

    def all_values(self) -> tuple[Value, ...]:
        """All values that `clip` gives, in order; none where they are very many."""
        if self.choices:
            return self.choices
        if not self.integer:
            return tuple(grids.fine(self.low, self.high, log=self.log))
        if self.high - self.low > MANY:
            return ()
        return tuple(range(round(self.low), round(self.high) + 1))

    def value_for_sampler(self, value: Value) -> Value:
        """What a sampler learns a value as: 0 as the lowest where a log scale does not hold it.

        None for any other value outside the domain.
        """
        if self.log and is_number(value) and value == 0:
            return self.typed(self.low)
        return value if self.holds(value) else None

    def scaled(self, value: Value) -> float:
        """A value's place on the knob's scale; -inf where a log scale does not hold it."""
        number = as_number(value)
        if not self.log:
            return number
        return math.log(number) if number > 0 else -math.inf

    def unscaled(self, place: float) -> float:
        """The number at a place on the knob's scale."""
        return math.exp(min(place, HIGHEST_PLACE)) if self.log else place

    def within(self, share: float) -> Value:
        """The value at a share of the domain: 0 is the lowest or first, just below 1 the last."""
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        # Every whole number gets a place of the same width.
        margin = 0.5 if self.integer and not self.log else 0.0
        low, high = self.scaled(self.low - margin), self.scaled(self.high + margin)
        return self.clip(self.unscaled(low + share * (high - low)))

    def near(self, value: Value, shift: float) -> Value:
        """The value that lies further by a share of the range; a choice stays."""
        if self.choices:
            return value
        low, high = self.scaled(self.low), self.scaled(self.high)
        place = min(max(self.scaled(value) + shift * (high - low), low), high)
        return self.clip(self.unscaled(place))

    def clip(self, number: float) -> float | int:
        """A number as a value of this knob, inside its range: whole, or as `grids.snapped` says."""
        if self.integer:
            return round(min(max(number, self.low), self.high))
        return grids.snapped(number, self.low, self.high, log=self.log)

    def holds(self, value: Value) -> bool:
        """Whether a value lies in the domain."""
        if self.choices:
            return value in self.choices
        return is_number(value) and self.low <= value <= self.high

    def typed(self, value: Value) -> Value:
        """A number in the knob's own type: 1 and 1.0 are one value and must not be two trials."""
        if not is_number(value):
            return value
        if self.choices:  # as the choice is written
            numbers = (choice for choice in self.choices if not isinstance(choice, bool))
            return next((choice for choice in numbers if choice == value), value)
        return round(value) if self.integer else float(value)

    @property
    def ends(self) -> tuple[Value, Value]:
        """The lowest and the highest value of a range."""
        return self.typed(self.low), self.typed(self.high)

    def describe(self) -> str:
        """The domain in words, for `plan`."""
        if self.choices:
            return ", ".join(map(str, self.choices))
        scale, whole = "log" if self.log else "linear", ", whole numbers" if self.integer else ""
        return f"{self.low:.12g} … {self.high:.12g}, {scale}{whole}"


def written(value: object) -> str:
    """A value of a knob, or what else is compared, as tables and sentences show it: in full, but 1
    for 1.0.
    """
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def assigned(knobs: Mapping[str, Value]) -> list[str]:
    """`optimizer.lr=0.1` and so on, for readers; `overrides.value_word` has it for a shell."""
    return [f"{path}={written(value)}" for path, value in knobs.items()]


def short_names(paths: Collection[str]) -> dict[str, str]:
    """Path → its last word, for narrow places; its whole name if another path ends so."""
    last = {path: path.rpartition(".")[2] for path in paths}
    counts = Counter(last.values())
    return {path: word if counts[word] == 1 else path for path, word in last.items()}


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is one, as the values of a range are; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def as_number(value: Value) -> float:
    """A value of a range, as a number. Raises TypeError, ValueError: it is none."""
    if value is None:
        raise TypeError("null is no number")
    return float(value)
