"""Sequences of different lengths: which steps are real, and which answers count (R1)."""

import inspect

import torch
from torch import Tensor, nn

from trainers.api import IGNORED


def real_steps(lengths: Tensor, steps: int) -> Tensor:
    """Which steps are no padding, [batch, steps]; `lengths` [batch]."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def answers(targets: Tensor) -> Tensor | int:
    """How many answers a mean loss is over: the rows, or the steps that have a label."""
    if targets.ndim < 2 or targets.is_floating_point():
        return len(targets)
    return (targets != IGNORED).sum()


def own_shape(rows: tuple[Tensor, ...]) -> str:
    """Why rows have a shape that lanes cannot share, or nothing; inputs, targets, maybe lengths."""
    if len(rows) > 2:
        return "its sequences have lengths of their own"
    targets = rows[1]
    per_step = targets.ndim > 1 and not targets.is_floating_point()
    return "it learns a label per step" if per_step else ""


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
