"""Builds what a config names: model, loss and optimizer by import path, rows as tensors."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from hydra.utils import get_object, instantiate
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    _global_optimizer_post_hooks,
    _global_optimizer_pre_hooks,
)

from trainers.api import Config, Part
from trainers.rows import share_of_rows
from trainers.seeding import seed_generators

# inputs and targets of some rows, and the lengths of those that are sequences
RowSet = tuple[Tensor, ...]
Sets = tuple[RowSet, RowSet]  # of train, and of validation
Built = tuple[nn.Module, nn.Module, Optimizer]
TAKEN = 2**22  # bytes of inputs that are taken from a set in one call
SCALARS = (str, int, float, bool, type(None))
WRAPPER = Optimizer.profile_hook_step(Optimizer.step).__code__  # of every optimizer's step


def build(config: Config, device: torch.device) -> Built:
    """Model, loss and optimizer.

    Raises:
        TypeError: a class that cannot be imported, does not take its keys, or is no module.
    """
    model, loss = _module(config, "model", device), _module(config, "loss", device)
    optimizer: Optimizer = made(config, "optimizer", model.parameters())
    if device.type == "cpu" and type(optimizer).__module__.startswith("torch.optim."):
        for group in optimizer.param_groups:
            if group.get("foreach", True) is None:
                group["foreach"] = False  # torch's own choice there, after a search in each step
    return model, loss, optimizer


def seeded(config: Config, seed: int, device: torch.device) -> Built:
    """What `build` gives by this seed, also where a user's module seeds while it is imported."""
    for group in ("model", "loss", "optimizer"):
        with suppress(Exception):  # `build` says why
            get_object(config[group]["_target_"])
    seed_all(seed, device)
    return build(config, device)


def _module(config: Config, group: str, device: torch.device) -> nn.Module:
    module = made(config, group)
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"{group}._target_: {config[group].get('_target_')!r} must be a class that takes the "
            f"keys of {group} and is an nn.Module, but got {type(module).__name__}; mend {group}"
        )
    return module.to(device)


def plain_loss(config: Config, loss: nn.Module, device: torch.device) -> nn.Module:
    """The loss without label smoothing, by which trainings are compared."""
    settings = _without_smoothing(config["loss"])
    if settings == config["loss"]:
        return loss
    plain: nn.Module = made({**config, "loss": settings}, "loss").to(device)
    return plain


def _without_smoothing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A loss's settings, and those of losses inside it, with label smoothing off."""
    plain = {
        key: _without_smoothing(v) if isinstance(v, dict) else v for key, v in settings.items()
    }
    return {**plain, "label_smoothing": 0.0} if plain.get("label_smoothing") else plain


def made(config: Config, group: str, *arguments: Any) -> Any:
    """An object of the class that a group names.

    Raises:
        TypeError: it cannot be imported, or does not take the group's keys; the text names both.
    """
    try:
        if all(isinstance(value, SCALARS) for value in config[group].values()):
            return _scalar_maker(json.dumps(config[group]))(*arguments)
        # Lists are lists: OmegaConf's own are none to `isinstance`.
        return instantiate(config[group], _partial_=True, _convert_="all")(*arguments)
    except Exception as error:
        target = config[group].get("_target_")
        cause = error.__cause__ or error
        if isinstance(cause, ValueError) and str(cause).startswith(f"{group}."):
            raise TypeError(str(cause)) from error  # of a model here: which key, and its remedy
        misfit = isinstance(cause, TypeError) and "argument" in str(cause)
        remedy = _own_arguments(group, target) if misfit else ""
        raise TypeError(
            f"{group}._target_: {target!r} must be a class that takes the keys of {group}, "
            f"but got {type(cause).__name__}: {cause}; {remedy or f'mend {group}'}"
        ) from error


def _own_arguments(group: str, target: str) -> str:
    """Which arguments a class takes, and how to give them."""
    try:
        names = list(inspect.signature(get_object(target)).parameters)
    except (TypeError, ValueError):
        return ""
    if group != "model":
        return f"it takes {', '.join(name for name in names if name != 'params')}; mend {group}"
    links = {"inputs": "'${data.inputs}'", "outputs": "'${data.outputs}'"}
    words = [f"{group}.{name}={links.get(name, '…')}" for name in names]
    example = " ".join([f"{group}._target_={target}", *words])
    return f"it takes {', '.join(names) or 'none'}; give its own arguments: {example}"


@lru_cache(maxsize=1024)
def _scalar_maker(group: str) -> Callable[..., Any]:
    """The factory of a group, given as JSON; kept, since Hydra takes a millisecond or two for it.

    Only for groups of scalars: the objects that a factory makes then share nothing.
    """
    maker: Callable[..., Any] = instantiate(json.loads(group), _partial_=True)
    if isinstance(maker, partial) and isinstance(maker.func, type):
        # Hydra has checked the class; its own partial checks class and object in each call again.
        return partial(maker.func, *maker.args, **maker.keywords)
    return maker


def unsaved(model: nn.Module, *, saved: Mapping[str, Any]) -> dict[str, Tensor]:
    """Buffers that are not in a model's state dict, `saved`."""
    return {name: buffer for name, buffer in model.named_buffers() if name not in saved}


def restore_unsaved(model: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    """Puts them back in place."""
    named = dict(model.named_buffers())
    with torch.no_grad():
        for name, buffer in buffers.items():
            named[name].copy_(buffer)


def on_device(part: Part, device: torch.device) -> RowSet:
    """Inputs as float32, or token ids; targets as classes or as float32; lengths, if any."""
    if part.x is None or part.y is None:
        raise ValueError(
            "the stock trainer needs rows, but data=own gives row numbers only; "
            "choose a data set or your own trainer"
        )
    classes = part.y.dtype.kind in "iu"
    rows = [
        _tensor(part.x, torch.long if part.tokens else torch.float32),
        _tensor(part.y, torch.long if classes else torch.float32),
    ]
    if part.auxiliary is not None:  # further targets beside the target, for `Heads`
        y = rows[1].float().reshape(len(part.y), -1)
        rows[1] = torch.cat([y, _tensor(part.auxiliary, torch.float32)], dim=1)
    if part.lengths is not None:
        rows.append(_tensor(part.lengths, torch.long))
    return tuple(tensor.to(device) for tensor in rows)


def soft_outputs(part: Part, device: torch.device) -> Tensor | None:
    """A teacher's outputs for the rows; None without one."""
    return None if part.soft is None else _tensor(part.soft, torch.float32).to(device)


def share_of_train(config: Config, sets: Sets) -> Sets:
    """The sets with only `trainer.fraction` of train's rows (R55), see `share_of_rows`."""
    train, held_out = sets
    chosen = share_of_rows(config, len(train[0]))
    if chosen is None:
        return sets
    return taken(train, torch.from_numpy(chosen).to(train[0].device)), held_out


def taken(rows: RowSet, index: Tensor) -> RowSet:
    """Some of the rows, by their numbers."""
    return tuple(tensor[index] for tensor in rows)


def batches(rows: RowSet, order: Tensor, *, size: int) -> Iterator[tuple[Tensor, RowSet]]:
    """Numbers and rows of each batch, in this order; the rows of many are taken in one call."""
    x = rows[0]
    many = max(1, TAKEN // max(1, x[0].numel() * x.element_size() * size))
    for numbers in torch.split(order, many * size):
        parts = (torch.split(part, size) for part in taken(rows, numbers))
        yield from zip(torch.split(numbers, size), zip(*parts, strict=True), strict=True)


def chances(config: Config, targets: Tensor) -> Tensor | None:
    """How likely each train row is drawn, for `trainer.balance`; None: each row once an epoch.

    A row's chance is its class's number of rows to the power of −balance: with 1, every class is
    drawn as often.

    Raises:
        ValueError: targets that are no classes.
    """
    balance = config["trainer"].get("balance", 0.0)
    if balance == 0:
        return None
    if targets.is_floating_point() or targets.ndim != 1:
        raise ValueError(
            "trainer.balance: needs one class per row, but the targets are "
            f"{'numbers' if targets.is_floating_point() else 'labels per step'}; say 0"
        )
    counts = torch.bincount(targets).double()
    return counts[targets] ** -float(balance)


def drawn_rows(chances: Tensor | None, count: int) -> Tensor:
    """The rows of an epoch in their order: all, or `count` of them by their chances."""
    if chances is None:
        return torch.randperm(count)
    return torch.multinomial(chances.cpu(), count, replacement=True)


def seed_all(seed: int, device: torch.device) -> None:
    """Seeds all that a user's model may draw from; on a GPU, steps are repeatable besides.

    Convolutions sum there in another order each time unless told otherwise; the orders that repeat
    cost nothing that was measured.
    """
    seed_generators(seed, cuda=device.type == "cuda")
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True


def take_step(optimizer: Optimizer) -> None:
    """One step, without torch's wrapper around it where no hook waits there.

    The wrapper also tells a profiler of each step, for a quarter of a small model's step.
    """
    step: Any = type(optimizer).step
    hooks = (
        _global_optimizer_pre_hooks,
        _global_optimizer_post_hooks,
        optimizer._optimizer_step_pre_hooks,
        optimizer._optimizer_step_post_hooks,
    )
    if "step" in vars(optimizer) or any(hooks) or getattr(step, "__code__", None) is not WRAPPER:
        optimizer.step()
    else:
        step.__wrapped__(optimizer)


def epoch_seeds(seed: int, epoch: int, *, count: int = 1) -> NDArray[np.unsignedinteger]:
    """Seeds of one epoch of one trial: the first orders its rows."""
    return np.random.SeedSequence([seed, epoch]).generate_state(count)


def _tensor(array: NDArray[Any], dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.asarray(array)).to(dtype)
