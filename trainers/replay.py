"""Which tensor was the first that is not finite: repeats the last epochs of a training (R20)."""

import warnings
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook
from torch.utils._pytree import tree_leaves

from trainers.api import Config
from trainers.build import Sets
from trainers.checkpoint import Unsaved
from trainers.seat import Seat

LONG = 20.0  # seconds that a replay should take at most: the worker sends nothing meanwhile


class NotFinite(Exception):
    """The text names the first tensor."""


def first_bad(
    config: Config,
    *,
    sets: Sets,
    soft: Tensor | None,
    device: torch.device,
    folder: Path | None,
    epoch: int,
    most: int,
) -> str:
    """The first tensor that is not finite in `epoch`, in words.

    Repeats the training from the crash checkpoint in `folder`, else from the start. Empty where the
    repetition stays finite, or where more than `most` epochs would have to be trained again. Never
    raises: nothing depends on it.
    """
    try:
        checkpoint = Unsaved(folder, resume=True)
        if epoch - checkpoint.epoch > most:
            return ""
        seat = Seat(config, sets=sets, soft=soft, device=device, checkpoint=checkpoint)
        while seat.epoch < epoch - 1:
            seat.next_epoch()
        return _next_epoch(seat, epoch)
    except Exception:  # noqa: BLE001  # memory for a second model, for one, may not be there
        return ""


def _next_epoch(seat: Seat, epoch: int) -> str:
    with Finite(seat.model), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Error detected in")  # its text is in the error
        try:
            seat.next_epoch()
        except NotFinite as error:
            return f"{error} in epoch {epoch}"
        except RuntimeError as error:  # of the anomaly mode, which names the operation
            message = str(error).splitlines()[0]
            return (
                f"in the backward pass, {message} in epoch {epoch}"
                if "returned nan" in message
                else ""
            )
    return ""


class Finite:
    """While active, `NotFinite` is raised for batches, outputs, gradients and weights."""

    def __init__(self, model: nn.Module) -> None:
        self._model, self._names = model, {module: name for name, module in model.named_modules()}
        self._anomaly = torch.autograd.set_detect_anomaly(True, check_nan=True)
        self._handles: list[Any] = []
        self._step, self._suspect = 1, ""

    def __enter__(self) -> Self:
        self._anomaly.__enter__()
        self._handles = [
            register_module_forward_pre_hook(self._check_inputs),
            register_module_forward_hook(self._check_outputs),
            register_optimizer_step_post_hook(self._check_step),
        ]
        return self

    def __exit__(self, *error: object) -> None:
        self._anomaly.__exit__(*error)
        for handle in self._handles:
            handle.remove()

    def _check_inputs(self, module: nn.Module, args: Any) -> None:
        if module is not self._model:
            return
        self._suspect = ""
        if not _finite(args):
            raise NotFinite(f"the inputs of step {self._step} are not finite")

    def _check_outputs(self, module: nn.Module, args: Any, output: Any) -> None:
        leaf = not any(True for _ in module.children())
        if _finite(output) or not (leaf or module is self._model):
            return
        if module is self._model and self._suspect:
            raise NotFinite(self._suspect)
        name = self._names.get(module)
        what = (
            f"the output of layer {name} ({type(module).__name__})"
            if name
            else f"the output of {type(module).__name__}"
        )
        rest = ", its inputs were finite" if _finite(args) else ""
        message = f"{what} is the first that is not finite{rest}, at step {self._step}"
        if any(True for _ in module.parameters()) or _has_nan(output):
            raise NotFinite(message)
        self._suspect = message  # unless it is a mask, which holds −inf on purpose

    def _check_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for name, parameter in self._model.named_parameters():
            if not _finite(parameter.grad):
                raise NotFinite(
                    f"the gradient of {name} is the first that is not finite, at step {self._step}"
                )
            if not _finite(parameter):
                raise NotFinite(
                    f"the optimizer's step {self._step} made {name} the first that is not finite"
                )
        self._step += 1


def _finite(tensors: Any) -> bool:
    return all(
        bool(torch.isfinite(leaf).all())
        for leaf in tree_leaves(tensors)
        if isinstance(leaf, Tensor) and leaf.is_floating_point()
    )


def _has_nan(tensors: Any) -> bool:
    return any(
        bool(torch.isnan(leaf).any()) for leaf in tree_leaves(tensors) if isinstance(leaf, Tensor)
    )
