"""What a user's code sets for its whole process, and how the next trial finds it as it was.

A worker trains trial after trial in one process. Without this a trial whose config asks for less
precision would hand that on to all that follow, and code that may be called once in a process, such
as `multiprocessing.set_start_method`, would fail in the second trial.
"""

import gc
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from trainers.isolation.process_settings import SETTINGS

Attributes = dict[str, Any]
# What libraries keep once for a process in objects of their own, by module, and a training fills.
# `Accelerator(mixed_precision="bf16")` fills one: the next trial's Accelerator would be refused
# where it asks for another precision, and where it asks for none would silently take that one.
# Keras keeps its precision, its seeds and the names of layers so. Before the import all are empty.
KEPT: Mapping[str, Callable[[Any], tuple[Attributes, ...]]] = {
    "accelerate.state": lambda module: (
        module.PartialState._shared_state,
        module.AcceleratorState._shared_state,
        module.GradientState._shared_state,
    ),
    "keras.src.backend.common.global_state": lambda module: (
        vars(module.GLOBAL_STATE_TRACKER),
        vars(module.GLOBAL_SETTINGS_TRACKER),
    ),
}


@dataclass(frozen=True, kw_only=True)
class LibraryState:
    """What libraries are set to before a trial."""

    values: Mapping[str, Any]
    kept: Mapping[str, tuple[dict[str, Any], ...]]  # by libraries, in objects of their own
    is_distributed: bool
    allocated: int  # memory of the GPU in use [bytes]

    @classmethod
    def read(cls) -> "LibraryState":
        """The state of this process. A setting that cannot be read is left out."""
        return cls(
            values=_values(),
            kept={name: tuple(map(dict, objects)) for name, objects in _objects().items()},
            is_distributed=_is_distributed(),
            allocated=_allocated(),
        )

    def restore(self) -> None:
        """Makes it the state of this process, and ends what a training has left in libraries."""
        now = _values()
        for name, value in self.values.items():
            module, _, write = SETTINGS[name]
            if now.get(name) != value:
                with suppress(Exception):  # a library may refuse, and no trial fails for that
                    write(sys.modules[module], value)
        _empty_again(self.kept)
        with suppress(Exception):
            if _is_distributed() and not self.is_distributed:
                sys.modules["torch.distributed"].destroy_process_group()
            # torch compiles one piece of code eight times, for eight models say, and from then on
            # runs it uncompiled, with a warning in the log alone.
            if "torch._dynamo" in sys.modules:
                sys.modules["torch"].compiler.reset()
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close("all")
        if _allocated() > self.allocated:
            gc.collect()  # objects that hold each other keep their tensors until then


def _values() -> dict[str, Any]:
    values = {}
    for name, (module, read, _) in SETTINGS.items():
        if module in sys.modules:
            with suppress(Exception):  # torch refuses where old and new ways to set it are mixed
                values[name] = read(sys.modules[module])
    return values


def _empty_again(before: Mapping[str, tuple[Attributes, ...]]) -> None:
    """Makes them hold that again, and nothing where the module was not imported yet."""
    for name, objects in _objects().items():
        held = before.get(name) or ({},) * len(objects)
        for attributes, values in zip(objects, held, strict=True):
            attributes.clear()
            attributes.update(values)


def _objects() -> dict[str, tuple[Attributes, ...]]:
    found = {}
    for name, objects in KEPT.items():
        with suppress(Exception):  # not imported, or a release that keeps them otherwise
            found[name] = objects(sys.modules[name])
    return found


def give_back_memory() -> None:
    """Frees what torch holds of the GPU for tensors to come: others there cannot use it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _allocated() -> int:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    return int(torch.cuda.memory_allocated())


def _is_distributed() -> bool:
    distributed = sys.modules.get("torch.distributed")
    with suppress(Exception):
        return distributed is not None and bool(distributed.is_initialized())
    return False


class StepState(NamedTuple):
    """What also changes the work of others between two epochs, and is exchanged around each.

    `folder`: the working folder; empty if it is gone. `variables`: of the environment. The rest is
    torch's; None without it.
    """

    folder: str
    variables: Mapping[bytes | str, bytes | str]
    dtype: Any = None
    threads: int | None = None
    with_gradients: bool = True

    @classmethod
    def read(cls) -> "StepState":
        """The state of this process."""
        try:
            folder = os.getcwd()
        except OSError:
            folder = ""
        # As the system has them, without a call: decoded they take longer than a short epoch.
        variables = dict(getattr(os.environ, "_data", os.environ))
        torch = sys.modules.get("torch")
        if torch is None:
            return cls(folder=folder, variables=variables)
        return cls(
            folder=folder,
            variables=variables,
            dtype=torch.get_default_dtype(),
            threads=torch.get_num_threads(),
            with_gradients=torch.is_grad_enabled(),
        )

    def restore(self, now: "StepState | None" = None) -> None:
        """Makes it the state of this process. `now`: as it is; where none is given, it is read."""
        now = now or self.read()
        if self.folder and self.folder != now.folder:
            with suppress(OSError):  # the user's code has removed it
                os.chdir(self.folder)
        if self.variables != now.variables:
            for name in now.variables.keys() - self.variables.keys():
                os.environ.pop(os.fsdecode(name))
            for name, value in self.variables.items():
                if now.variables.get(name) != value:
                    os.environ[os.fsdecode(name)] = os.fsdecode(value)
        torch = sys.modules.get("torch")
        if torch is None:
            return
        if self.with_gradients != now.with_gradients:
            torch.set_grad_enabled(self.with_gradients)
        if self.dtype != now.dtype:
            torch.set_default_dtype(self.dtype or torch.float32)
        if self.threads not in (None, now.threads):
            torch.set_num_threads(self.threads)
