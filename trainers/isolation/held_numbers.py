"""What a value of a user's module holds that can be compared before and after a training.

Numbers, weights and arrays, also within dicts, lists and objects; never a text or a flag. Large
things are looked at in parts, so that a look costs little beside an epoch.
"""

import sys
import threading
from argparse import Namespace
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from numbers import Integral, Real
from types import BuiltinFunctionType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

# Most of what a module holds; looked at in each trial, it would cost as much as a short epoch.
UNCOMPARED = frozenset({FunctionType, BuiltinFunctionType, ModuleType, str, bool})
DEPTH = 4  # of containers and objects within each other
ENTRIES = 100  # of a dict, and attributes of an object, that are looked at
LAST = 8  # items of a list that are looked at, from its end
MOST = 5000  # things of one module that are looked at
ARRAY = 10**5  # numbers of an array whose sum is taken; of a larger one, only some


class Kind(Enum):
    """What was found."""

    NOTHING = "nothing"  # None, or no such entry
    NUMBER = "number"
    LIST = "list"
    MEMORY = "memory"  # a deque: nobody reads data into one
    ARRAY = "array"
    WEIGHTS = "weights"
    CONTAINER = "container"  # a dict: its entries are found for themselves


@dataclass(frozen=True, slots=True)
class Held:
    """A thing that can be compared. `value`: a number; of a list its length and last numbers, of
    an array its sum, of weights how often they changed.
    """

    kind: Kind
    value: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether it is nothing, or a list without items."""
        is_list = self.kind in (Kind.LIST, Kind.MEMORY)
        return self.kind is Kind.NOTHING or (is_list and self.value[0] == 0)

    @property
    def holds_scores(self) -> bool:
        """Whether a training made it, rather than read it: fractions, or a memory."""
        numbers = self.value[1:] if self.kind is Kind.LIST else (self.value,)
        fractions = (isinstance(each, Real) and not isinstance(each, Integral) for each in numbers)
        return self.kind is Kind.MEMORY or any(fractions)


def held(
    name: str, value: Any, *, modules: frozenset[str], depth: int = DEPTH
) -> Iterator[tuple[str, Held]]:
    """What can be compared of a value, and of its parts, by name.

    Args:
        modules: whose classes' objects are looked into.
        depth: how much deeper to look.
    """
    if type(value) in UNCOMPARED or "__" in name:
        return
    if issubclass(type(value), threading.local):
        value = vars(value)  # what this thread has stored there
    with suppress(Exception):  # an object of a user's may raise, whatever it is asked
        if (own := _own(value)) is not None:
            yield name, own
        if isinstance(value, dict):
            yield f"{name}[]", Held(Kind.CONTAINER)  # by which a later entry is known to be new
        for part, inner in _parts(value, modules) if depth else ():
            yield from held(name + part, inner, modules=modules, depth=depth - 1)


def _own(value: Any) -> Held | None:
    """The thing itself as it can be compared; None where it cannot."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if value is None:
        return Held(Kind.NOTHING)
    if isinstance(value, Real):
        return None if isinstance(value, bool) else Held(Kind.NUMBER, value)
    if isinstance(value, list | deque | set):
        items = list(islice(reversed(value), LAST)) if not isinstance(value, set) else []
        numbers = [number for item in items for number in _flat(item)]
        kind = Kind.MEMORY if isinstance(value, deque) else Kind.LIST
        return Held(kind, (len(value), *numbers))
    if torch is not None and isinstance(value, torch.nn.Module):
        return Held(Kind.WEIGHTS, tuple(map(_version, value.parameters())))
    if hasattr(type(value), "item") and getattr(value, "shape", None) == ():  # a tensor, or numpy's
        return _own(value.item())
    if torch is not None and isinstance(value, torch.Tensor):
        return Held(Kind.WEIGHTS, (_version(value),))
    if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind in "fiuc":
        some = value if value.size <= ARRAY else value.flat[:: value.size // ARRAY]
        return Held(Kind.ARRAY, (value.shape, str(some.sum())))  # as text, in which NaN is NaN
    return None


def _version(tensor: Any) -> int:
    """How often a tensor has been changed in place; torch does not count it for inference."""
    return 0 if tensor.is_inference() else int(tensor._version)


def _flat(item: Any) -> list[Any]:
    """The numbers of a list's item: itself, or those that it holds."""
    inner = item.values() if isinstance(item, dict) else item
    inner = inner if isinstance(item, dict | tuple | list) else [item]
    return [each for each in islice(inner, LAST) if isinstance(each, Real)]


def _parts(value: Any, modules: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """Entries of a dict, and attributes of an object or a class of these modules, by name."""
    if isinstance(value, dict):
        for key, inner in list(islice(value.items(), ENTRIES)):
            yield f"[{key!r:.40}]", inner
        return
    if isinstance(value, list):
        for place, inner in enumerate(value[-LAST:]):
            if isinstance(inner, dict | list) or type(inner).__module__ in modules:
                yield f"[-{min(LAST, len(value)) - place}]", inner
        return
    kind = value if isinstance(value, type) else type(value)
    is_own = kind.__module__ in modules or kind in (Namespace, SimpleNamespace)
    if is_own and hasattr(value, "__dict__"):
        torch = sys.modules.get("torch")
        is_model = torch is not None and isinstance(value, torch.nn.Module)
        for key, inner in list(islice(vars(value).items(), ENTRIES)):
            if type(inner) not in UNCOMPARED and not (is_model and key.startswith("_")):
                yield f".{key}", inner
