"""How the shapes of outputs and targets came about: by which operation, over which axis, against
what. Never judges.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

CATEGORIES = 16  # columns of whole numbers beside measures; of more, steps of a text
# Operations that leave the values of an output as they are.
PASSED = (
    "View", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "TBackward", "Permute", "Slice",
    "Select", "ToCopy", "Alias", "Clone",
)  # fmt: skip


def last_operation(output: Tensor) -> tuple[str, int | None]:
    """The operation that an output ends with, as autograd names it, and the axis of a softmax."""
    node: Any = output.grad_fn
    while node is not None:
        name = str(node.name()).removesuffix("0").removesuffix("1").removesuffix("Backward")
        if not any(part in str(node.name()) for part in PASSED) or not node.next_functions:
            axis = getattr(node, "_saved_dim", None)
            signed = axis - 2**64 if isinstance(axis, int) and axis > 2**63 else axis
            return name, signed if isinstance(signed, int) else None
        node = node.next_functions[0][0]
    return "", None


def rows_summed(loss: Tensor) -> int:
    """Over how many rows a loss by hand is summed; 0: over none, or over products and quotients, of
    which some factors may share it out.
    """
    node: Any = loss.grad_fn
    if node is not None and node.name() == "NegBackward0":
        node = node.next_functions[0][0]
    if node is None or node.name() != "SumBackward0" or node.next_functions[0][0] is None:
        return 0
    sizes, summed = node._saved_self_sym_sizes, node.next_functions[0][0]
    shared, by = "Mul" in summed.name(), getattr(summed, "_saved_other", None)
    if "Div" in summed.name():  # but for a number below that of two rows, such as a variance
        shared = not isinstance(by, Tensor) or by.numel() > 1 or float(by.abs()) >= 2
    return int(sizes[0]) if sizes and not shared else 0


def broadcast_shapes(args: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes [n, 1] of an output and [n] of its target, whose difference would be [n, n]."""
    pair = [one for one in args[:2] if isinstance(one, Tensor)]
    if len(pair) < 2 or pair[0].requires_grad == pair[1].requires_grad:
        return []
    rows = pair[0].numel()
    shapes = [tuple(one.shape) for one in sorted(pair, key=lambda one: not one.requires_grad)]
    return shapes if rows > 1 and sorted(shapes) == sorted([(rows,), (rows, 1)]) else []


def viewed_from(outputs: Tensor) -> tuple[int, ...]:
    """The shape [n, steps, classes] of which outputs [n, classes, steps] are a plain view, which
    deals their numbers out anew where a transposition was meant, or the reverse; else empty.
    """
    node: Any = outputs.grad_fn
    sizes = getattr(node, "_saved_self_sym_sizes", None)
    if node is None or "View" not in str(node.name()) or not sizes or outputs.ndim < 3:
        return ()
    before, now = tuple(map(int, sizes)), tuple(outputs.shape)
    moved = before in ((now[0], now[-1], *now[1:-1]), (now[0], *now[2:], now[1]))
    return before if moved and 1 not in now[1:] and before != now else ()


def padded_steps(given: Sequence[Tensor]) -> tuple[Tensor, bool] | None:
    """Which steps of rows [n, steps] or [n, steps, features] are zeros behind a row's last number,
    and whether lengths or a mask that are given too say the same; None of other rows.
    """
    if not given or not 1 < given[0].ndim < 4:
        return None
    rows = given[0].detach()
    numbers = (rows != 0).any(dim=2) if rows.ndim == 3 else rows != 0
    real = numbers.flip(1).int().cummax(dim=1).values.flip(1).bool()
    known = [(real.sum(dim=1), one) for one in given[1:] if one.ndim == 1]
    known += [(real, one.bool()) for one in given[1:] if one.ndim == 2]
    return ~real, any(
        one.shape == other.shape and bool((one == other.to(one.device)).all())
        for one, other in known
    )


def over_rows(args: tuple[Any, ...], kwargs: dict[str, Any], *, outputs: tuple[int, ...]) -> bool:
    """Whether a softmax is asked for over the rows of what a model put out, of this shape [n,
    classes] or of pictures [n, classes, height, width], rather than over the classes.
    """
    given, axis = args[0], kwargs.get("dim", args[1] if len(args) > 1 else None)
    alike = tuple(given.shape) == outputs and given.requires_grad
    plain = len(outputs) in (2, 4) and 1 < outputs[1] != outputs[0]
    return alike and plain and axis in (0, -len(outputs))


def classes_axis(output: Tensor, module: nn.Module) -> int | None:
    """Along which axis outputs lie that a last layer gives each row, or each of its steps: the one
    as long as that layer has units. None where there is none, or where two are.
    """
    if output.ndim == 2:
        return 1 if output.shape[1] > 1 else None
    units = [len(weights) for weights in module.parameters() if weights.ndim][-1:]
    axes = [axis for axis in range(1, output.ndim) if [output.shape[axis]] == units]
    return axes[0] if len(axes) == 1 and output.ndim < 5 and units > [1] else None


def measures(given: Sequence[Tensor], ids: Sequence[Tensor]) -> Tensor:
    """What a model is given whose size means something: its first input, without columns that an
    embedding was asked for; where it is all ids, the first other one of numbers.
    """
    first, *others = (one.detach() for one in given)
    if not ids:
        return first
    if not first.is_floating_point():
        numbers = (one for one in others if one.is_floating_point() and one.ndim > 1)
        return next((one for one in numbers if bool((one * (1 - one)).any())), first[:0])
    if first.ndim != 2:
        return first
    columns = [one.to(first.device) for one in ids if len(one) == len(first)]
    is_id = [any(bool((c - one == c[0] - one[0]).all()) for one in columns) for c in first.T]
    return first[:, ~torch.tensor(is_id, device=first.device)]


def side_by_side(given: Sequence[Tensor]) -> Tensor:
    """What a model is given for each row: all inputs of measures, and a few categories in front."""
    first = given[0].detach()
    several = [one.detach() for one in given[1:] if one.is_floating_point() and one.ndim > 1]
    several = [one.flatten(1) for one in several if len(one) == len(first)]
    few = first.is_floating_point() or (first.ndim == 2 and first.shape[1] <= CATEGORIES)
    return torch.cat([first[:, None].flatten(1), *several], 1) if several and few else first
