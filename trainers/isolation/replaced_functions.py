"""Functions of libraries that a training replaces by others, where the next training finds these.

Such as `nn.Linear.reset_parameters = skip` under a setting: the next trial of the process, which
has another setting, would train so too. Nothing is put back: a script may hold in a global that it
has replaced them. What torch itself puts there, as around `Optimizer.step`, does not count.
"""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from operator import itemgetter
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple

from trainers.libraries import is_library

# Whose functions and classes are looked at, and of which also those within each class.
MODULES = (
    "builtins", "math", "random", "time", "numpy", "numpy.random", "torch", "torch.nn",
    "torch.nn.functional", "torch.nn.init", "torch.optim", "torch.optim.lr_scheduler",
    "torch.utils.data",
)  # fmt: skip
CLASSES = ("torch.nn", "torch.optim", "torch.optim.lr_scheduler", "torch.utils.data")
TENSOR = "torch.Tensor"
KINDS = (FunctionType, BuiltinFunctionType)
HARMLESS = ("builtins.print",)  # which scripts of several processes replace; no score rests on it
Functions = Mapping[str, Callable[..., Any]]


class Owner(NamedTuple):
    """A module or class. `before`: the functions that were found in it. `read`: these at once, as
    they are now; one by one, thousands of them would cost each trial as much as ten epochs.
    """

    name: str
    held: Mapping[str, Any]
    before: Functions
    read: Callable[[Mapping[str, Any]], Any]
    as_found: Any


def note_functions() -> list[Owner]:
    """Those of the modules that are loaded, each as the first training after that has found it."""
    return [owner for name in MODULES if name in sys.modules for owner in _owners(name)]


@cache  # once one is replaced, the process trains no other
def _owners(module: str) -> list[Owner]:
    held = vars(sys.modules[module])
    functions = {
        key: value
        for key, value in held.items()
        if callable(value) and f"{module}.{key}" not in HARMLESS
    }
    owners = [_owner(module, held, functions)]
    for key, value in functions.items():
        is_class = isinstance(value, type) and module in CLASSES
        if f"{module}.{key}" == TENSOR or (is_class and value.__module__.startswith("torch.")):
            within = {name: each for name, each in vars(value).items() if type(each) in KINDS}
            owners += [_owner(f"{module}.{key}", vars(value), within)] if within else []
    return owners


def _owner(name: str, held: Mapping[str, Any], functions: Functions) -> Owner:
    read = itemgetter(*functions)
    return Owner(name, held, functions, read, read(held))


def replaced_functions() -> list[str]:
    """The names of those that are replaced now, since `note_functions`."""
    owners = note_functions()
    with suppress(Exception):  # one is gone, or cannot be compared: they are looked at one by one
        owners = [each for each in owners if each.read(each.held) != each.as_found]
    return [
        f"{owner.name}.{key}"
        for owner in owners
        for key, before in owner.before.items()
        if owner.held.get(key, before) is not before and _is_users_choice(owner.held[key])
    ]


def _is_users_choice(value: Any) -> bool:
    """Whether a user's code stands there, or a function that torch has at another place."""
    code = getattr(value, "__code__", None)
    if code is not None and not is_library(Path(code.co_filename)):
        return True
    module = sys.modules.get(str(getattr(value, "__module__", "")))
    at_home = getattr(module, getattr(value, "__name__", ""), None) is value
    return type(value) is BuiltinFunctionType or at_home
