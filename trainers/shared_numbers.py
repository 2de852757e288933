"""Numbers and weights in the user's modules that a training changes, where the next finds them.

Such as `best_accuracy` of a script that says `global best_accuracy`: the second trial of a process
would begin with the best one of the first. Or a model that a notebook makes at its top, a history
in a dict, a replay memory. `held_numbers` says what is looked at.
"""

import math
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from trainers.held_numbers import MOST, UNCOMPARED, Held, Kind, held
from trainers.libraries import is_library

OURS = tuple(f"{Path(__file__).parents[1] / room}/" for room in ("search", "trainers"))
REMARK = (
    "{} is changed by a training, and the next one in its process would find it so: each trial "
    "gets a fresh process, but not with placement=inline, and folds share it; make it inside the "
    "function"
)


class SharedNumbers:
    """Watches the globals of the user's modules, and what they hold, while a trial trains.

    Not counted as changed: a number set to the config's own, and what was empty and becomes
    something other than scores, as where data is read once.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._before, self._config = _numbers(), set(_leaves(config))
        self._is_told = False

    def changed(self) -> str:
        """The first number that has changed, by module and name; empty where none has."""
        return next((name for name, now in _numbers().items() if self._differs(name, now)), "")

    def remark(self) -> str:
        """What the user should know after the first epoch; later, and if nothing changed, empty."""
        name = "" if self._is_told else self.changed()
        self._is_told = True  # a look at each short epoch would cost as much as the epoch
        return REMARK.format(name) if name else ""

    def _differs(self, name: str, now: Held) -> bool:
        before = self._before.get(name)
        if before is None:  # a new global is none of an earlier trial, a new entry may be
            if f"{name.rpartition('[')[0]}[]" not in self._before:
                return False
            before = Held(Kind.NOTHING)
        both_nan = before.value != before.value and now.value != now.value
        if now.kind in (Kind.NOTHING, Kind.CONTAINER) or now == before or both_nan:
            return False
        if before.kind is Kind.NOTHING or before.is_empty:
            return now.holds_scores and not self._is_given(name, now)
        return not self._is_given(name, now)

    def _is_given(self, name: str, now: Held) -> bool:
        """Whether it is a number of the config, by its name, or a fraction that stands there."""
        value = now.value
        if now.kind is not Kind.NUMBER:
            return False
        last = name.replace("[", ".").rstrip("]").rpartition(".")[2].strip("'\"").lower()
        is_fraction = math.isfinite(value) and value != int(value)
        return (last, value) in self._config or (
            is_fraction and any(value == given for _, given in self._config)
        )


def _numbers() -> dict[str, Held]:
    """What can be compared of the user's modules, and of what they hold, by name."""
    modules = _own_modules(len(sys.modules))
    names = frozenset(module.__name__ for module in modules)
    return {
        name: each for module in modules for name, each in islice(_of_module(module, names), MOST)
    }


def _of_module(module: ModuleType, names: frozenset[str]) -> Iterator[tuple[str, Held]]:
    for key, value in list(vars(module).items()):
        if type(value) not in UNCOMPARED:
            yield from held(f"{module.__name__}.{key}", value, modules=names)


@cache
def _own_modules(loaded: int) -> list[ModuleType]:
    """The user's modules, once so many modules are loaded."""
    return [
        module
        for module in list(sys.modules.values())
        if os.path.isabs(file := str(getattr(module, "__file__", None) or ""))
        and not file.startswith(OURS)
        and not is_library(Path(file))
    ]


def _leaves(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The numbers of a config, each with the last part of its key."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        elif isinstance(value, Real):
            yield str(key).lower(), value
