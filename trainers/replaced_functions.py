"""Functions of torch that a training replaces by others, where the next training finds these.

Such as `nn.Linear.reset_parameters = skip` under a setting: the next trial of the process, which
has another setting, would train so too. Nothing is put back: a script may hold in a global that it
has replaced them. What torch itself puts there, as around `Optimizer.step`, is none.
"""

import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

from trainers.libraries import is_library

MODULES = ("torch", "torch.nn.functional", "torch.nn.init")  # whose functions are looked at
CLASSES = ("torch.nn", "torch.optim", "torch.optim.lr_scheduler", "torch.utils.data")
KINDS = (FunctionType, BuiltinFunctionType)
Function = tuple[Mapping[str, Any], str, Callable[..., Any], str]  # where, key, value, its name


def note_functions() -> tuple[Function, ...]:
    """Those of modules and classes of torch. Nothing before torch is imported."""
    return _functions() if all(name in sys.modules for name in (*MODULES, *CLASSES)) else ()


@cache  # as the process's first training finds them: once one is replaced, it trains no other
def _functions() -> tuple[Function, ...]:
    owners: dict[str, Any] = {name: sys.modules[name] for name in MODULES}
    for name in CLASSES:
        for key, value in vars(sys.modules[name]).items():
            if isinstance(value, type) and value.__module__.startswith("torch."):
                owners[f"{name}.{key}"] = value
    return tuple(
        (vars(owner), key, value, f"{name}.{key}")
        for name, owner in owners.items()
        for key, value in vars(owner).items()
        if type(value) in KINDS
    )


def replaced_functions() -> list[str]:
    """The names of those that are replaced now, since `note_functions`."""
    return [
        name
        for where, key, before, name in note_functions()
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
