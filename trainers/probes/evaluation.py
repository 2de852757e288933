"""Whether an evaluation is one: the same rows give the same outputs, row by row, and no buffer
changes (R45). Never judges.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from trainers.probes.seen import Seen


def evaluate_again(
    seen: Seen,
    module: nn.Module,
    args: tuple[Any, ...],
    *,
    kwargs: dict[str, Any],
    output: Any,
    before: Mapping[str, Tensor],
) -> None:
    """Evaluates the same rows, and half of them, a second time, and notes in `seen` what differs.

    Buffers and dice are put back.

    Args:
        output: of the first evaluation.
        before: the buffers before it.
    """
    buffers = dict(module.named_buffers())
    seen.changed_buffers = [
        name for name, buffer in before.items() if not torch.equal(buffer, buffers[name])
    ]
    kept = {name: buffer.clone() for name, buffer in buffers.items()}
    rows = len(args[0]) if args and isinstance(args[0], Tensor) and args[0].ndim else 0
    half = None
    with torch.random.fork_rng():
        again = module(*args, **kwargs)
        if _by_rows((*args, output), rows) and not kwargs:
            half = module(*(arg[rows // 2 :] for arg in args))  # recurrence runs forwards
    for name, buffer in kept.items():
        buffers[name].copy_(buffer)
    pairs = zip(tree_leaves(output), tree_leaves(again), strict=True)
    seen.unsteady_evaluation = not all(
        _near(one, two) for one, two in pairs if isinstance(one, Tensor)
    )
    if isinstance(half, Tensor) and not seen.unsteady_evaluation and not seen.noisy_evaluations:
        expected = output[rows // 2 :].double()
        close = torch.allclose(half.double(), expected, rtol=1e-2, atol=1e-3, equal_nan=True)
        seen.rows_mix = not close


def _by_rows(values: Sequence[Any], rows: int) -> bool:
    """Whether all of these are tensors of so many rows, and of several."""
    return rows > 3 and all(
        isinstance(value, Tensor) and value.ndim and len(value) == rows for value in values
    )


def _near(one: Tensor, two: Any) -> bool:
    """Whether two evaluations agree: to the bit on a CPU, else to rounding."""
    if not isinstance(two, Tensor) or one.shape != two.shape:
        return False
    if not one.is_cuda or not one.is_floating_point():
        return bool(torch.equal(one, two) or not torch.isfinite(one.double()).all())
    return bool(torch.allclose(one, two, rtol=1e-3, atol=1e-5, equal_nan=True))
