"""Lanes in evaluation mode: losses and outputs of data that all lanes see, and their dead units.

Changes no row.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from trainers.lanes.masks import counted_dropout, in_place_of_torchs
from trainers.lanes.program import Program
from trainers.lanes.rows import WEIGHTS, Rows
from trainers.layer_series import Activations

# Rows of one pass, whatever the number of lanes: a lane's bits must not depend on it.
ROWS = 512
LOSS_ROWS = 4096  # of one loss, as in a seat


def losses_of(program: Program, rows: Rows, x: Tensor, y: Tensor, rates: Tensor) -> Tensor:
    """Mean plain losses [lanes] of the data `x`, `y` [n, …]. `rates`: of dropout [lanes, layers],
    for models that read them.
    """
    parts = _passes(program, program.outputs, rows, torch.split(x, ROWS), rates=rates)
    return _mean_loss(program.plain, torch.cat(parts, dim=1), y)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What `observe` finds, on the device.

    `losses` [lanes], plain, and `outputs` [lanes, n, …] of the data; `sample_losses` and
    `sample_outputs` of the sample. `dead` [lanes, activations]: shares of dead units; `names`: of
    the activations.
    """

    losses: Tensor
    outputs: Tensor
    sample_outputs: Tensor
    sample_losses: Tensor
    dead: Tensor
    names: list[str]


def observe(
    program: Program,
    rows: Rows,
    x: Tensor,
    y: Tensor,
    rates: Tensor,
    *,
    sample: tuple[Tensor, Tensor],
) -> Observation:
    """Evaluates the lanes on the data, and on a sample of other data in the same pass.

    A pass of its own would double the time. The host waits for nothing here.
    """
    (sample_x, sample_y), (*parts, last) = sample, torch.split(x, ROWS)
    names: list[str] = []

    def look(tensors: dict[str, Tensor], part: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        with Activations(last=len(sample_x), rows=len(part)) as activations:
            outputs = program.outputs(tensors, part, rates)
        names[:] = activations.names
        shares = activations.together
        return outputs, outputs.new_zeros(0) if shares is None else shares

    head = _passes(program, program.outputs, rows, parts, rates=rates)
    ((tail, shares),) = _passes(program, look, rows, [torch.cat([last, sample_x])], rates=rates)
    outputs = torch.cat([*head, tail[:, : len(last)]], dim=1)
    return Observation(
        losses=_mean_loss(program.plain, outputs, y),
        outputs=outputs,
        sample_outputs=tail[:, len(last) :],
        sample_losses=_mean_loss(program.plain, tail[:, len(last) :], sample_y),
        dead=shares,
        names=names,
    )


def _passes(
    program: Program,
    look: Callable[..., Any],
    rows: Rows,
    parts: Sequence[Tensor],
    *,
    rates: Tensor,
) -> list[Any]:
    """What `look` gives for each part of the data, lanes in front."""
    program.template.eval()
    tensors, lanes = program.tensors(rows[WEIGHTS], rows), len(rows[WEIGHTS])
    each = vmap(look, randomness="error")
    with torch.no_grad(), _no_dropout(rates.device):
        return [each(tensors, part.expand(lanes, *part.shape), rates) for part in parts]


def _mean_loss(plain: nn.Module, outputs: Tensor, y: Tensor) -> Tensor:
    """Plain losses [lanes], in float64."""
    total = torch.zeros(len(outputs), dtype=torch.float64, device=y.device)
    with torch.no_grad():
        for part, targets in zip(
            torch.split(outputs, LOSS_ROWS, dim=1), torch.split(y, LOSS_ROWS), strict=True
        ):
            losses = vmap(plain, in_dims=(0, None))(part, targets.clone())
            total += losses.double() * len(targets)
    return total / len(y)


def _no_dropout(device: torch.device) -> AbstractContextManager[None]:
    """Dropout that accepts the rates of lanes; in evaluation mode it does nothing."""
    return in_place_of_torchs(counted_dropout(torch.zeros((), dtype=torch.int32, device=device)))
