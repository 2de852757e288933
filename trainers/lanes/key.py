"""Which trainings can be lanes of one program: a key, computed from what was built.

In the key: classes and the source of their modules, names, shapes and dtypes of tensors, plain
attributes, batch size, number of rows, device. Not in it, since each lane has its own: values of
weights and buffers, dropout rates, label smoothing above 0, the optimizer's constants, schedule,
seed.
"""

import hashlib
import marshal
import platform
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache, partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn, optim

from trainers.lanes import masks
from trainers.lanes.optimizers import rule_of, switches
from trainers.lanes.own_code import fingerprint

# Attributes of nn.Module itself: tensors and children are described elsewhere, hooks are refused.
OWN = (
    "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training",
    "_is_full_backward_hook", "_version",
)  # fmt: skip
PLAIN = (bool, int, float, str, bytes, complex, type(None))
SIMPLE = (*PLAIN, torch.dtype, torch.device, slice, range, np.generic)


class Unfusable(Exception):
    """A training cannot share a program; the text says why."""


def fusion_key(
    model: nn.Module, loss: nn.Module, optimizer: optim.Optimizer, *, batch: int, rows: int
) -> str:
    """Equal for trainings that may be lanes of one program.

    Raises:
        Unfusable: something in the model, the loss or the optimizer is unknown or cannot be
            compared.
    """
    if rule_of(optimizer) is None:
        raise Unfusable(f"{type(optimizer).__name__} has no form for lanes")
    if len(optimizer.param_groups) > 1:
        raise Unfusable("the optimizer has several groups of parameters")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise Unfusable("the model has nothing to train")
    if set(model.state_dict()) - {name for name, _ in named_tensors(model)}:
        raise Unfusable("the model keeps a state of its own (get_extra_state)")
    if getattr(loss, "reduction", "mean") != "mean":
        raise Unfusable("the loss is not a mean over rows")
    if any(True for _ in loss.parameters()):
        raise Unfusable("the loss has parameters of its own")
    shapes = [
        (name, tuple(t.shape), str(t.dtype), t.requires_grad) for name, t in named_tensors(model)
    ]
    parts = [
        [described(module) for module in model.named_modules(remove_duplicate=False)],
        fingerprint(model, loss),
        shapes,
        tied(model),
        [
            described(module, apart=("label_smoothing",) if smooths(loss) else ())
            for module in loss.named_modules()
        ],
        [(name, _described(t.detach().cpu().numpy(), name)) for name, t in loss.named_buffers()],
        smoothing_of(loss) > 0,
        type(optimizer).__qualname__,
        sorted(switches(optimizer).items()),
        batch,
        rows,
        machine(next(model.parameters()).device),
    ]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@cache
def machine(device: torch.device) -> tuple[str, ...]:
    """What else the speed of a program depends on: torch, threads, and the device by its name."""
    if device.type == "cuda":
        return torch.__version__, torch.cuda.get_device_name(device)
    cpuinfo = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    )
    names = [
        line.partition(":")[2].strip()
        for line in cpuinfo.splitlines()
        if line.startswith("model name")
    ]
    return (
        torch.__version__,
        str(torch.get_num_threads()),
        names[0] if names else platform.processor() or platform.machine(),
    )


def smooths(loss: nn.Module) -> bool:
    """Whether lanes may differ in label smoothing: in plain cross-entropy, without any weights."""
    return (
        type(loss) is nn.CrossEntropyLoss
        and loss.weight is None
        and loss.reduction == "mean"
        and loss.ignore_index < 0
    )


def smoothing_of(loss: nn.Module) -> float:
    """The label smoothing of a lane; 0 where lanes cannot differ in it."""
    return (
        float(loss.label_smoothing)
        if isinstance(loss, nn.CrossEntropyLoss) and smooths(loss)
        else 0.0
    )


def named_tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters and buffers, under all of their names."""
    return [
        *model.named_parameters(remove_duplicate=False),
        *model.named_buffers(remove_duplicate=False),
    ]


def tied(model: nn.Module) -> dict[str, str]:
    """The first name of every parameter and buffer, by each of its names."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in named_tensors(model)}


def described(named: tuple[str, nn.Module], apart: Sequence[str] = ()) -> tuple[str, ...]:
    """A module's name, class and plain attributes.

    Raises:
        Unfusable: it has hooks, or an attribute that cannot be compared.
    """
    name, module = named
    own = {key: value for key, value in vars(module).items() if key not in OWN}
    hooks = [
        key
        for key in own
        if key.endswith("_hooks") or key.endswith("_with_kwargs") or key.endswith("_always_called")
    ]
    if any(own[key] for key in hooks):
        raise Unfusable(f"{name or 'the model'} has hooks")
    lanes = (*apart, *(("p",) if type(module) in masks.LAYERS else ()))
    where = f"{name or 'model'} ({type(module).__name__})"
    attributes = [
        f"{key}={_described(value, f'{where}.{key}')}"
        for key, value in sorted(own.items())
        if key not in (*hooks, *lanes)
    ]
    return name, _named(type(module), where), *attributes


def attributes(model: nn.Module) -> list[str]:
    """Plain attributes of all modules: training must not change them if lanes share a program."""
    return ["|".join(described(module)) for module in model.named_modules()]


def _named(kind: type, where: str) -> str:
    """A class's name, which must lead to it: two classes made in one function may share a name."""
    named: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        named = getattr(named, part, None)
    if named is not kind:
        raise Unfusable(f"{where}: its class {kind.__qualname__} is made in a function")
    return f"{kind.__module__}.{kind.__qualname__}"


def _described(value: Any, where: str) -> str:
    """The same text for values that mean the same."""
    if isinstance(value, SIMPLE):
        return repr(value)
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(_described(item, where) for item in value)})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(_described(item, where) for item in value))}}}"
    if isinstance(value, Mapping):
        items = [f"{_described(k, where)}: {_described(v, where)}" for k, v in value.items()]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return f"{value.dtype}{value.shape}{digest}"
    if isinstance(value, partial):
        return f"partial{_described((value.func, value.args, value.keywords), where)}"
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        code = hashlib.sha256(marshal.dumps(value.__code__)).hexdigest()
        bound = _described([cells, value.__defaults__, value.__kwdefaults__], where)
        return f"{value.__module__}.{value.__qualname__}{code}{bound}"
    if isinstance(value, type):
        return _named(value, where)
    if isinstance(value, BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Tensor):
        raise Unfusable(f"{where} is a tensor that is neither a parameter nor a buffer")
    raise Unfusable(f"{where} is a {type(value).__name__}, which cannot be compared")
