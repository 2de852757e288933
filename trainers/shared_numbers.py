"""Numbers and weights in the user's modules that a training changes, where the next finds them.

Such as `best_accuracy` of a script that says `global best_accuracy`: the second trial of a process
would begin with the best one of the first. Or a model that a notebook makes at its top.
"""

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from numbers import Real
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from trainers.libraries import is_library

OURS = tuple(f"{Path(__file__).parents[1] / room}/" for room in ("search", "trainers"))
REMARK = (
    "{} is changed by a training, and the next one in its process would find it so: each trial "
    "gets a fresh process, but not with placement=inline, and folds share it; make it inside the "
    "function"
)
# Most of what a module holds; looked at in each trial, it would cost as much as a short epoch.
UNCOMPARED = frozenset({FunctionType, BuiltinFunctionType, ModuleType, str, bool})
Number = Real | tuple[int, ...] | None  # of a list its length, of weights how often they changed


class SharedNumbers:
    """Watches the globals of the user's modules, and what they hold, while a trial trains.

    Not counted as changed: a number set to the config's own of that name, and a None that becomes
    an object or a whole number, as where data is read once.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._before, self._config = dict(_numbers()), set(_leaves(config))
        self._is_told = False

    def changed(self) -> str:
        """The first number that has changed, by module and name; empty where none has."""
        for name, now in _numbers():
            before = self._before.get(name, now)
            is_read_once = before is None and not isinstance(now, float)
            is_given = (name.rpartition(".")[2].lower(), now) in self._config
            if now is not None and now not in (before,) and not is_read_once and not is_given:
                return name
        return ""

    def remark(self) -> str:
        """What the user should know after the first epoch; later, and if nothing changed, empty."""
        name = "" if self._is_told else self.changed()
        self._is_told = True  # a look at each short epoch would cost as much as the epoch
        return REMARK.format(name) if name else ""


def _numbers() -> Iterator[tuple[str, Number]]:
    """What can be compared of the user's modules, of their classes and objects, by name."""
    modules = _own_modules(len(sys.modules))
    names = {module.__name__ for module in modules}
    for module in modules:
        for name, value in list(vars(module).items()):
            if type(value) not in UNCOMPARED:
                with suppress(Exception):  # an object of a user's may raise, whatever it is asked
                    yield from _held(f"{module.__name__}.{name}", value, modules=names)


def _held(name: str, value: Any, *, modules: Collection[str]) -> Iterator[tuple[str, Number]]:
    """What can be compared of a value, and of its parts, where its class is of these modules."""
    yield from _seen(name, value)
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ in modules and hasattr(value, "__dict__"):
        for part, inner in list(vars(value).items()):
            if type(inner) not in UNCOMPARED:
                yield from _seen(f"{name}.{part}", inner)


def _seen(name: str, value: Any) -> Iterator[tuple[str, Number]]:
    """A number, a list of numbers, the weights of a model, or None, with its name."""
    torch = sys.modules.get("torch")
    if "__" in name or isinstance(value, bool):
        return
    if value is None or isinstance(value, Real):
        yield name, value
    elif type(value) is list and all(isinstance(item, Real) for item in value[-1:]):
        yield name, (len(value),)
    elif hasattr(type(value), "item") and getattr(value, "shape", None) == ():  # a tensor
        yield name, value.item()
    elif torch is not None and isinstance(value, torch.nn.Module):
        yield (
            name,
            tuple(0 if each.is_inference() else each._version for each in value.parameters()),
        )


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
