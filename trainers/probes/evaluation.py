"""Whether an evaluation is one: the same rows give the same outputs, row by row, and no buffer
changes (R45). Never judges.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from trainers.probes.seen import Seen

ROWS, PARTS = 64, 8  # rows, and parts of their inputs, whose effect on the outputs is tried
FAINT = 1e-3  # spread over rows, as a share of the outputs' size, that says nothing of the inputs
LINEAR = 1e-4  # bend up to which a model is linear, as a share of the outputs' spread


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
    with torch.random.fork_rng():
        again = module(*args, **kwargs)
        pairs = zip(tree_leaves(output), tree_leaves(again), strict=True)
        near = [(one.shape, _near(one, two)) for one, two in pairs if isinstance(one, Tensor)]
        seen.unsteady_evaluation = not all(is_near for _, is_near in near)
        steady = Counter(shape for shape, is_near in near if is_near)
        seen.sampled = seen.unsteady_evaluation and max(steady.values(), default=0) > 1
        is_one = not seen.unsteady_evaluation and not seen.noisy_evaluations
        if is_one and _by_rows((*args, output), rows) and not kwargs:
            seen.rows_mix = _mixes(module, args, output, rows=rows)
            if not seen.rows_mix:
                with suppress(Exception):  # inputs that no row has may be none to a model
                    _note_inputs(seen, module, tuple(arg[:ROWS] for arg in args))
    for name, buffer in kept.items():
        buffers[name].copy_(buffer)


def mixes_rows(module: nn.Module, args: tuple[Any, ...], output: Any, *, rows: int) -> bool:
    """Whether the outputs of a piece of a model for a row change with the rows beside it. False
    where its first axis is not that of the rows.

    Buffers and dice are put back.
    """
    first = next(iter(output), None) if isinstance(output, tuple) else output
    if not _by_rows((*args, first), rows) or any(one.training for one in module.modules()):
        return False
    assert isinstance(first, Tensor)
    kept = {name: buffer.clone() for name, buffer in module.named_buffers()}
    with torch.random.fork_rng():
        mixes = _mixes(module, args, first, rows=rows)
    for name, buffer in module.named_buffers():
        buffer.copy_(kept[name])
    return mixes


def _mixes(module: nn.Module, args: tuple[Any, ...], output: Tensor, *, rows: int) -> bool:
    """Whether half of the rows alone get other outputs. False where they cannot be given alone, as
    nodes whose links are a square matrix.
    """
    try:
        half = module(*(arg[rows // 2 :] for arg in args))  # recurrence runs forwards
    except (RuntimeError, ValueError, IndexError):
        return False
    half = half[0] if isinstance(half, tuple) else half
    expected = output[rows // 2 :].double()
    if half.ndim != expected.ndim or len(half) != len(expected):
        return True
    expected = expected[tuple(map(slice, half.shape))]  # shorter rows may have fewer steps
    if half.shape != expected.shape:
        return True
    return not torch.allclose(half.double(), expected, rtol=1e-2, atol=1e-3, equal_nan=True)


def _note_inputs(seen: Seen, module: nn.Module, args: tuple[Tensor, ...]) -> None:
    """Which parts of its inputs the outputs depend on at all, and whether layers after layers do
    only linearly.

    A part is read if its values of other rows change any output.
    """
    inputs, rest = args[0], args[1:]
    output, flat = module(*args), inputs.flatten(1)
    varied = unread = 0
    for part in torch.arange(flat.shape[1]).tensor_split(min(PARTS, flat.shape[1])):
        other = flat.clone()
        other[:, part] = flat.flip(0)[:, part]
        if not torch.equal(other, flat):
            varied += 1
            unread += torch.equal(module(other.view_as(inputs), *rest), output)
    seen.unused_inputs = unread / varied if varied else 0.0
    layers = sum(parameter.ndim > 1 for parameter in module.parameters())
    if layers > 1 and inputs.is_floating_point() and output.is_floating_point() and varied:
        far = -inputs.flip(0)  # across the origin, as rows alone may lie on one side of a bend
        bend = module((inputs + far) / 2, *rest) - (output + module(far, *rest)) / 2
        spread, size = float(output.std(dim=0).max()), float(output.abs().max())
        # What hardly changes at all is no line: a bend is as small as rounding then.
        linear = spread > FAINT * size and float(bend.abs().max()) < LINEAR * spread
        if linear and _bend_of_weights(module, args, output) > LINEAR * spread:
            seen.linear_layers = layers


def _bend_of_weights(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> float:
    """How far outputs are from a straight line as all weights grow together. Layers after layers
    multiply; layers side by side, whose outputs are added, are linear in their weights as well.
    """
    weights = {name: one for name, one in module.named_parameters() if one.ndim > 1}
    none, twice = (
        functional_call(module, {name: size * one for name, one in weights.items()}, args)
        for size in (0, 2)
    )
    return float(((none + twice) / 2 - output).abs().max())


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
