"""The user's code behind a model: the Python modules it lives in, and a fingerprint of their text.

Installed libraries and the standard library are not the user's; the package that defines a model's
class always is, unless it is torch.
"""

import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from types import FunctionType, ModuleType

from torch import nn

from trainers.libraries import is_library


def own_modules(*models: nn.Module) -> list[ModuleType]:
    """The Python modules whose code may run in a forward pass, also by import."""
    kinds = {type(module) for model in models for module in model.modules()}
    return _modules_of(frozenset(kinds))


def own_classes(*models: nn.Module) -> list[type]:
    """The classes of a model's parts and their bases, without torch's."""
    kinds = {type(module) for model in models for module in model.modules()}
    bases = {base for kind in kinds for base in kind.__mro__ if not _is_torch(base.__module__)}
    return sorted(bases - {object}, key=lambda kind: (kind.__module__, kind.__qualname__))


def fingerprint(*models: nn.Module) -> str:
    """A hash of the source files of the models' own modules."""
    return _hash_of(frozenset(module.__name__ for module in own_modules(*models)))


@cache  # a process goes on with the text that it has imported
def _hash_of(names: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for module in (sys.modules[name] for name in sorted(names)):
        path = _file(module)
        digest.update(module.__name__.encode())
        digest.update(path.read_bytes() if path is not None and path.is_file() else b"")
    return digest.hexdigest()


@cache
def _modules_of(kinds: frozenset[type]) -> list[ModuleType]:
    names = {base.__module__ for kind in kinds for base in kind.__mro__}
    start = [sys.modules[name] for name in names if name in sys.modules and not _is_torch(name)]
    queue = [module for module in start if module.__name__ != "builtins"]
    reached = {module.__name__: module for module in queue}
    packages = {_package(name) for name in reached}
    while queue:
        for module in _imported(queue.pop()):
            is_own = _package(module.__name__) in packages or not _is_installed(module)
            if module.__name__ not in reached and is_own:
                reached[module.__name__] = module
                queue.append(module)
    return [reached[name] for name in sorted(reached)]


def _imported(module: ModuleType) -> Iterable[ModuleType]:
    """Modules that stand in another one's globals, or whose functions and classes do."""
    for value in list(vars(module).values()):
        kind = type(value)  # not isinstance, which asks objects that may raise
        if issubclass(kind, ModuleType):
            yield value
        elif issubclass(kind, FunctionType | type) and value.__module__ in sys.modules:
            yield sys.modules[value.__module__]


def _is_torch(name: str) -> bool:
    return name == "torch" or name.startswith("torch.")


def _is_installed(module: ModuleType) -> bool:
    """Whether a module is a library's: built in, in a folder of libraries, or of a distribution."""
    path = _file(module)
    if path is None or is_library(path):
        return True
    return _is_torch(module.__name__) or _package(module.__name__) in _distributed()


@cache
def _distributed() -> frozenset[str]:
    """Packages of all distributions on the path: libraries may lie in a folder of any name."""
    return frozenset(packages_distributions())


def _package(name: str) -> str:
    return name.partition(".")[0]


def _file(module: ModuleType) -> Path | None:
    name = getattr(module, "__file__", None)
    return Path(name) if isinstance(name, str) else None
