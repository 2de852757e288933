"""Sequences of different lengths: which steps are real, and which answers count (R1)."""

import inspect
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from trainers.api import END, IGNORED, Values
from trainers.heads import own_outputs
from trainers.sequence_losses import decodes


def real_steps(lengths: Tensor, steps: int) -> Tensor:
    """Which steps are no padding, [batch, steps]; `lengths` [batch]."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def is_forced(model: nn.Module) -> bool:
    """Whether a model is given the targets too, in training (teacher forcing)."""
    return bool(getattr(model, "reads_targets", False))


def outputs_of(model: nn.Module, rows: tuple[Tensor, ...], *, forced: bool = False) -> Tensor:
    """What a model gives for inputs, targets and maybe lengths; `forced`: as of `is_forced`."""
    x, targets, *lengths = rows
    if forced:
        outputs: Tensor = model(x, lengths[0] if lengths else None, targets)
    else:
        outputs = model(x, *lengths)
    return outputs


def loss_of(loss: Callable[..., Tensor], outputs: Tensor, rows: tuple[Tensor, ...]) -> Tensor:
    """The mean loss of outputs for inputs, targets and maybe lengths."""
    _, targets, *lengths = rows
    if decodes(loss):
        return loss(outputs, targets, lengths[0] if lengths else None)
    if targets.ndim == 3:  # numbers per step, NaN at padding
        real = torch.isfinite(targets)
        return loss(outputs[real], targets[real])
    return loss(outputs, targets)


def as_yielded(loss: nn.Module, outputs: Tensor, lengths: Sequence[Tensor]) -> Values:
    """Outputs as a trainer yields them: labels where the loss decodes them, else predictions."""
    if decodes(loss):
        labels = loss.decode(outputs, lengths[0] if lengths else None)
        return {"labels": labels.cpu().numpy()}
    return {"predictions": own_outputs(loss, outputs).float().cpu().numpy()}


def answers_of_rows(loss: nn.Module, targets: Tensor) -> Tensor | None:
    """How many answers each row has, [n]: steps that have a label, labels of a sequence.

    None: one each. A mean loss is over answers.
    """
    if decodes(loss):
        return (targets != END).flatten(1).sum(dim=1)
    if targets.ndim == 3:
        return torch.isfinite(targets).flatten(1).sum(dim=1)
    if targets.ndim < 2 or targets.is_floating_point():
        return None
    return (targets != IGNORED).flatten(1).sum(dim=1)


def answers(loss: nn.Module, targets: Tensor) -> Tensor | int:
    """How many answers a mean loss of all these rows is over."""
    counts = answers_of_rows(loss, targets)
    return len(targets) if counts is None else counts.sum()


def own_shape(rows: tuple[Tensor, ...]) -> str:
    """Why rows have a shape that lanes cannot share, or nothing; inputs, targets, maybe lengths."""
    if len(rows) > 2:
        return "its sequences have lengths of their own"
    targets = rows[1]
    if targets.ndim == 3:
        return "it learns a number per step"
    per_step = targets.ndim > 1 and not targets.is_floating_point()
    return "it learns a sequence of labels" if per_step else ""


def check_reads_lengths(model: nn.Module) -> None:
    """A model of padded sequences must be told where they end.

    Raises:
        TypeError: its forward takes inputs alone.
    """
    parameters = inspect.signature(model.forward).parameters.values()
    if any(one.name == "lengths" or one.kind is one.VAR_POSITIONAL for one in parameters):
        return
    taken = ", ".join(one.name for one in parameters)
    raise TypeError(
        "model._target_: sequences of different lengths need a model with forward(x, lengths), "
        f"but got {type(model).__name__}, whose forward takes {taken}; "
        "choose model=gru, lstm, rnn or transformer, or let yours read lengths"
    )
