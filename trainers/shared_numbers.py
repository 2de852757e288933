"""Numbers in the user's modules that a training changes, where the next one would find them.

Such as `best_accuracy` of a script that says `global best_accuracy`: the second trial of a process
would begin with the best one of the first.
"""

import sys
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

INSTALLED = (
    *(f"{Path(__file__).parents[1] / room}/" for room in ("search", "trainers")),
    *{sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")},
)
LIBRARIES = ("site-packages", "dist-packages")  # folders of libraries, wherever they lie
REMARK = (
    "{} is changed by a training, and the next one in its process would find it so: each trial "
    "gets a fresh process, and folds share the number; set it inside the function"
)
Number = Real | tuple[int] | None  # of a list its length


class SharedNumbers:
    """Watches the globals of the user's modules while a trial trains.

    Not counted as changed: a number set to the config's own of that name, and a None that becomes
    an object or a whole number, as where data is read once.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._before, self._config = dict(_numbers()), set(_leaves(config))

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
        """What the user should know of it; empty where no number has changed."""
        name = self.changed()
        return REMARK.format(name) if name else ""


def _numbers() -> Iterator[tuple[str, Number]]:
    """The numbers, lists of numbers and Nones of the user's modules, by name."""
    for module in _own_modules(len(sys.modules)):
        for name, value in list(vars(module).items()):
            if name.startswith("__") or isinstance(value, bool):
                continue
            if value is None or isinstance(value, Real):
                yield f"{module.__name__}.{name}", value
            elif type(value) is list and all(isinstance(item, Real) for item in value[-1:]):
                yield f"{module.__name__}.{name}", (len(value),)
            elif getattr(value, "shape", None) == () and hasattr(value, "item"):  # a tensor
                yield f"{module.__name__}.{name}", value.item()


@cache
def _own_modules(loaded: int) -> list[ModuleType]:
    """The user's modules, once so many modules are loaded."""
    return [
        module
        for module in list(sys.modules.values())
        if (file := str(getattr(module, "__file__", None) or ""))
        and not file.startswith(INSTALLED)
        and not any(folder in file for folder in LIBRARIES)
    ]


def _leaves(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The numbers of a config, each with the last part of its key."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value)
        elif isinstance(value, Real):
            yield str(key).lower(), value
