"""Functions of libraries that a training replaces by others, where the next training finds these.

Such as `nn.Linear.reset_parameters = skip` under a setting: the next trial of the process, which
has another setting, would train so too. Nothing is put back: a script may hold in a global that it
has replaced them. What torch itself puts there, as around `Optimizer.step`, does not count.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

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
Function = tuple[Mapping[str, Any], str, Callable[..., Any], str]  # where, key, value, its name


def note_functions() -> list[tuple[Function, ...]]:
    """Those of the modules that are loaded, each as the first training after that has found it."""
    return [_functions(name) for name in MODULES if name in sys.modules]


@cache  # once one is replaced, the process trains no other
def _functions(module: str) -> tuple[Function, ...]:
    found = vars(sys.modules[module])
    own = [(found, key, value, f"{module}.{key}") for key, value in found.items()]
    owners = {
        f"{module}.{key}": value
        for key, value in found.items()
        if f"{module}.{key}" == TENSOR
        or (isinstance(value, type) and module in CLASSES and value.__module__.startswith("torch."))
    }
    within = [
        (vars(owner), key, value, f"{name}.{key}")
        for name, owner in owners.items()
        for key, value in vars(owner).items()
        if type(value) in KINDS
    ]
    functions = [each for each in own if callable(each[2]) and each[3] not in HARMLESS]
    return (*functions, *within)


def replaced_functions() -> list[str]:
    """The names of those that are replaced now, since `note_functions`."""
    return [
        name
        for functions in note_functions()
        for where, key, before, name in functions
        if where.get(key, before) is not before and _is_users_choice(where[key])
    ]


def _is_users_choice(value: Any) -> bool:
    """Whether a user's code stands there, or a function that torch has at another place."""
    code = getattr(value, "__code__", None)
    if code is not None and not is_library(Path(code.co_filename)):
        return True
    module = sys.modules.get(str(getattr(value, "__module__", "")))
    at_home = getattr(module, getattr(value, "__name__", ""), None) is value
    return type(value) is BuiltinFunctionType or at_home
