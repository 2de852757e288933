"""Finds what a forward pass changes apart from its model's tensors: lanes cannot share that.

These are compared before and after: the global generators of `random`, `numpy.random` and torch;
the environment's variables; and, in the user's own modules, globals, containers, objects and
generators in them, class attributes, and defaults and closures of functions.

These are not: files, sockets and clocks; state inside libraries and compiled extensions; iterators
that Python cannot describe; and, in containers of more than 10 000 entries, an entry that changes
while their number stays the same.
"""

import hashlib
import os
import random
import warnings
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from itertools import count, islice
from types import (
    CellType,
    FunctionType,
    GeneratorType,
    MappingProxyType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainers.lanes.generators import generator_states
from trainers.lanes.key import SIMPLE, Unfusable
from trainers.lanes.own_code import own_classes, own_modules

MOST_NAMES = 50_000  # names that are compared; changes beyond them are not found
MOST_ENTRIES = 10_000  # entries of one container that are compared one by one
MOST_BYTES = 2**22  # size of the largest array whose values are compared
DEEPEST = 8  # containers within containers
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
Seen = dict[str, Any]


@contextmanager
def no_side_effects(*models: nn.Module, device: torch.device) -> Iterator[None]:
    """A block in which forward passes of the models may change nothing but their tensors.

    Where the block raises, a side effect is named before the error: it may be the cause.

    Raises:
        Unfusable: something else has changed; the text names it.
    """
    generators, state = generator_states(device), _state(*models)
    try:
        yield
    except Exception as error:
        reason = _changed(generators, generator_states(device), state, _state(*models))
        if reason:
            raise Unfusable(reason) from error
        raise
    reason = _changed(generators, generator_states(device), state, _state(*models))
    if reason:
        raise Unfusable(reason)


def _changed(
    generators: dict[str, bytes], generators_now: dict[str, bytes], state: Seen, state_now: Seen
) -> str:
    """What has changed, in words; empty where nothing has."""
    for name, before in generators.items():
        if generators_now[name] != before:
            return f"forward draws random numbers from {name}, which lanes would share"
    names = sorted(state.keys() | state_now.keys())
    changed = [name for name in names if state.get(name) != state_now.get(name)]
    return f"forward changes {changed[0]}, which lanes would share" if changed else ""


def _state(*models: nn.Module) -> Seen:
    """Everything that Python can reach of the models' own modules and classes, by name."""
    modules = own_modules(*models)
    walk = _Walk({module.__name__ for module in modules})
    walk.enter(dict(os.environ), "os.environ")
    for module in modules:
        for name, value in list(vars(module).items()):
            if not name.startswith("__"):
                walk.enter(value, f"{module.__name__}.{name}")
    for kind in own_classes(*models):
        walk.enter(kind, f"{kind.__module__}.{kind.__qualname__}")
    return walk.seen


class _Walk:
    """Walks from a name to all that it holds, and notes what would show a change."""

    def __init__(self, own: Collection[str]) -> None:
        self.seen: Seen = {}
        self._own = own  # names of the user's modules
        self._open: set[int] = set()  # objects that have been entered: they may hold each other
        self._kept: list[Any] = []  # kept alive: Python reuses the id of what is gone

    def enter(self, value: Any, name: str, *, depth: int = 0) -> None:
        """Notes one value and what it holds; what cannot be looked at is known by its identity."""
        if len(self.seen) >= MOST_NAMES:
            return
        try:
            self._look(value, name, depth=depth)
        except Exception:  # noqa: BLE001  # of any class, also a user's
            self.seen[name] = id(value)

    def _look(self, value: Any, name: str, *, depth: int) -> None:
        self.seen[name] = _leaf(value)
        if isinstance(value, (*SIMPLE, Enum, Tensor, np.ndarray, *GENERATORS, ModuleType)):
            return
        if id(value) in self._open or depth > DEEPEST:
            return
        self._open.add(id(value))
        self._kept.append(value)
        for part, held in self._parts(value):
            self.enter(held, f"{name}{part}", depth=depth + 1)

    def _parts(self, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict | MappingProxyType):
            pairs = list(dict(value).items())[:MOST_ENTRIES]
            yield from ((f"[{_key(key)}]", held) for key, held in pairs)
        elif isinstance(value, list | tuple | deque):
            yield from ((f"[{i}]", held) for i, held in enumerate(islice(value, MOST_ENTRIES)))
        elif isinstance(value, MethodType):
            yield from ((".__self__", value.__self__), (".__func__", value.__func__))
        elif isinstance(value, CellType):
            yield "", _content_of_cell(value)
        elif isinstance(value, partial):
            yield from ((".func", value.func), (".args", value.args), ("", value.keywords))
        elif isinstance(value, FunctionType):
            if value.__module__ not in self._own:
                return
            names = value.__code__.co_freevars
            yield from (
                (f" (its variable {name})", cell)
                for name, cell in zip(names, value.__closure__ or (), strict=True)
            )
            yield " (its defaults)", (value.__defaults__, value.__kwdefaults__)
            yield from ((f".{name}", held) for name, held in vars(value).items())
        elif isinstance(value, GeneratorType) and value.gi_frame is not None:
            yield from ((f".{name}", held) for name, held in value.gi_frame.f_locals.items())
        elif isinstance(value, property | staticmethod | classmethod):
            yield ".function", getattr(value, "fget", None) or getattr(value, "__func__", None)
        elif self._is_own(value):
            yield from (
                (f".{name}", held)
                for name, held in list(vars(value).items())
                if not name.startswith("__") and not name.startswith("_abc_")
            )

    def _is_own(self, value: Any) -> bool:
        """Whether a value is a user's class or object; a library's may hold half of Python."""
        kind = value if isinstance(value, type) else type(value)
        plain = kind.__module__ in self._own or issubclass(kind, SimpleNamespace)
        return (plain or issubclass(type(value), nn.Module)) and "__dict__" in dir(kind)


def _key(key: object) -> str:
    """A dictionary's key in words, where its class allows that."""
    return repr(key)[:40] if isinstance(key, str | int | float | tuple) else type(key).__name__


def _leaf(value: Any) -> Any:
    """What of a value itself would show a change; equal where nothing has changed."""
    if isinstance(value, Tensor):
        version = None if value.is_inference() else value._version
        return id(value), tuple(value.shape), version, _content_of(value)
    if isinstance(value, np.ndarray):
        content = value.tobytes() if value.nbytes <= MOST_BYTES else b""
        return id(value), value.shape, str(value.dtype), hashlib.sha256(content).digest()
    if isinstance(value, GENERATORS):
        return repr(_generator_state(value))
    if isinstance(value, (*SIMPLE, Enum)):
        return type(value), repr(value)
    if isinstance(value, set | frozenset):
        return type(value), len(value), frozenset(map(id, list(value)[:MOST_ENTRIES]))
    if isinstance(value, dict | MappingProxyType | list | tuple | deque):
        return type(value), len(value)
    if isinstance(value, GeneratorType):
        return id(value), None if value.gi_frame is None else value.gi_frame.f_lasti
    if isinstance(value, count) or (hasattr(value, "__next__") and hasattr(value, "__reduce__")):
        return _position(value)
    return id(value)


def _content_of(tensor: Tensor) -> bytes:
    """A hash of a small tensor's values: numpy may change them without a trace in torch."""
    strided = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not strided or tensor.numel() * tensor.element_size() > MOST_BYTES:
        return b""
    values = tensor.detach().reshape(-1).contiguous().view(torch.uint8).numpy()
    return hashlib.sha256(values.tobytes()).digest()


def _generator_state(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    if isinstance(generator, random.Random):
        return hash(generator.getstate())
    return hash(generator.get_state().numpy().tobytes())


def _position(iterator: Any) -> Any:
    """How far an iterator is; its identity alone where Python cannot tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 calls this deprecated
        return repr(iterator.__reduce__())


def _content_of_cell(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
