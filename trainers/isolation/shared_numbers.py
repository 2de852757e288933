"""Numbers and weights in the user's modules that a training changes, where the next finds them.

Such as `best_accuracy` of a script that says `global best_accuracy`: the second trial of a process
would begin with the best one of the first. Or a model that a notebook makes at its top, a history
in a dict, a replay memory. `held_numbers` says what is looked at. Functions of
libraries that it replaces are named beside them.
"""

import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, reduce
from itertools import islice
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from trainers.isolation.held_numbers import MOST, UNCOMPARED, Held, Kind, held
from trainers.isolation.replaced_functions import note_functions, replaced_functions
from trainers.libraries import is_library

OURS = tuple(f"{Path(__file__).parents[2] / room}/" for room in ("search", "trainers"))
REMARK = (
    "{} is changed by a training, and the next one in its process would find it so: each trial "
    "gets a fresh process, but not with placement=inline, and folds share it; make it inside the "
    "function or the model"
)
AGAIN = (
    "{} holds what an earlier training in its process has left, and is changed by this one, which "
    "begins again in a fresh process; make it inside the function or the model"
)
_filled = set[str]()  # what was empty, and an earlier training of this process has filled


class SharedNumbers:
    """Watches the globals of the user's modules, and what they hold, while a trial trains.

    Not counted as changed: a number set to the config's own, and what was empty and becomes
    something other than scores, as where data is read once. What a second training of the process
    changes again, as callbacks that each one appends, was no such data: that training is `tainted`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._before, self._config = _numbers(), set(_leaves(config))
        note_functions()
        self._filled = frozenset(_filled)
        self._is_told = False
        self.tainted = ""  # what makes this training another than a fresh one; read at epoch 1

    def changed(self) -> str:
        """The first number that has changed, by module and name; empty where none has."""
        return next(iter(self._changed()), "")

    def _changed(self) -> list[str]:
        now = _numbers()
        _filled.update(
            name for name, held in now.items() if self._was_empty(name) and not held.is_empty
        )
        numbers = [name for name, held in now.items() if self._differs(name, held)]
        return numbers + replaced_functions()

    def remark(self) -> str:
        """What the user should know after the first epoch; later, and if nothing changed, empty."""
        if self._is_told:
            return ""
        self._is_told = True  # a look at each short epoch would cost as much as the epoch
        names = self._changed()
        taints = [name for name in names if name in self._filled]
        self.tainted = AGAIN.format(taints[0]) if taints else ""
        return REMARK.format(names[0]) if names else ""

    def put_back(self) -> None:
        """Gives numbers, such as how many models were built, the values that they had before.

        Only where nothing else has changed: a number may say what a list holds by now.
        """
        now, none = _numbers(), Held(Kind.NOTHING)
        names = {name for name, held in now.items() if held != self._before.get(name)}
        both = (held.get(name, none).kind for name in names for held in (now, self._before))
        if any(kind is not Kind.NUMBER for kind in both):
            return
        for module in _own_modules():
            start = f"{module.__name__}."
            for name in (name for name in names if name.startswith(start)):
                *owners, last = name.removeprefix(start).split(".")
                with suppress(Exception):  # of a dict's entry, or a property: it is left behind
                    setattr(reduce(getattr, owners, module), last, self._before[name].value)

    def _was_empty(self, name: str) -> bool:
        """Whether it held nothing before, or was no entry yet of a dict that was there."""
        before = self._before.get(name)
        if before is None:
            return f"{name.rpartition('[')[0]}[]" in self._before
        return before.is_empty

    def _differs(self, name: str, now: Held) -> bool:
        if now.is_empty or now.kind is Kind.CONTAINER:
            return False
        if self._was_empty(name):
            return now.holds_scores and not self._is_given(name, now)
        before = self._before.get(name, now)  # a new global is none of an earlier trial
        both_nan = before.value != before.value and now.value != now.value
        return now != before and not both_nan and not self._is_given(name, now)

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


def is_own(thing: object) -> bool:
    """Whether a class or function stands in a module of the user's."""
    name = getattr(thing, "__module__", None)
    return any(module.__name__ == name for module in _own_modules())


def _numbers() -> dict[str, Held]:
    """What can be compared of the user's modules, and of what they hold, by name."""
    modules = _own_modules()
    names = frozenset(module.__name__ for module in modules)
    return {
        name: each for module in modules for name, each in islice(_of_module(module, names), MOST)
    }


def _of_module(module: ModuleType, names: frozenset[str]) -> Iterator[tuple[str, Held]]:
    for key, value in list(vars(module).items()):
        if type(value) not in UNCOMPARED:
            yield from held(f"{module.__name__}.{key}", value, modules=names)


def _own_modules() -> list[ModuleType]:
    """The user's modules."""
    return _own_of(len(sys.modules), next(reversed(sys.modules)))


@lru_cache(maxsize=1)
def _own_of(loaded: int, last: str) -> list[ModuleType]:
    """The same, once so many modules are loaded, the last one of that name."""
    return [
        module
        for module in list(sys.modules.values())
        if os.path.isabs(file := str(getattr(module, "__file__", None) or ""))
        and not file.startswith(OURS)
        and not is_library(file)  # a text: a path for each of thousands takes ten times as long
    ]


def _leaves(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The numbers of a config, each with the last part of its key."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        elif isinstance(value, Real):
            yield str(key).lower(), value
