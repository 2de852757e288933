"""What is recorded per layer: gradients, updates, distance from the start, dead units (R16-R26).

The same code for one training and for many: norms have the lanes as first dimension. Changes
nothing of a training, never judges.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.overrides import TorchFunctionMode

from trainers.api import Values

SAMPLE = 512  # most rows of train whose loss is compared with validation's
# At most one in SHARE train rows is evaluated, so that it costs less than 5 % of the training;
# but LEAST rows, where there are as many.
SHARE, LEAST = 10, 64
RELUS = (F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, F.relu6)
SQUASHED = (torch.sigmoid, Tensor.sigmoid, F.sigmoid, torch.tanh, Tensor.tanh, F.tanh)
FLAT = 1e-3  # a squashed unit whose outputs differ by less, over all rows, is saturated


def sample(train: int, *, val: int) -> list[int]:
    """Evenly spread row numbers of train, at most as many as validation has, to be evaluated."""
    size = min(train, val, SAMPLE, max(train // SHARE, LEAST))
    return [index * train // size for index in range(size)]


class Activations(TorchFunctionMode):
    """While active, records the share of dead units of every ReLU, sigmoid and tanh.

    `shares`: [] each, or one per lane within `vmap`; `names`: `relu 1`, `tanh 2`, … A ReLU unit is
    dead if it is 0 for all rows, a sigmoid or tanh unit if its output hardly changes. Of the
    pass's `rows`, only the `last` ones are looked at; all of them where an activation does not
    have its rows as first dimension.
    """

    def __init__(self, *, last: int = 1, rows: int = 1) -> None:
        super().__init__()
        self._last, self._rows = last, rows
        self.names: list[str] = []
        self.shares: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Called by torch for each of its functions."""
        result = func(*args, **(kwargs or {}))
        if (
            (func not in RELUS and func not in SQUASHED)
            or not isinstance(result, Tensor)
            or result.ndim < 2
        ):
            return result
        if result.shape[1] < 2:
            return result  # an output, not a layer
        rest = (0, *range(2, result.ndim))  # rows, and places within a channel
        # entries per row, where rows are the first dimension
        each = len(result) // self._rows if self._rows and len(result) % self._rows == 0 else 0
        seen = result[-each * self._last :]
        top = seen.amax(dim=rest)
        asleep = top <= 0 if func in RELUS else top - seen.amin(dim=rest) < FLAT
        self.names.append(f"{func.__name__.strip('_')} {len(self.names) + 1}")
        self.shares.append(asleep.float().mean())
        return result

    @property
    def together(self) -> Tensor | None:
        """All shares, [activations]; None without any."""
        return torch.stack(self.shares) if self.shares else None


def dead(names: Sequence[str], shares: Sequence[float]) -> Values:
    """Values of dead units: the greatest share of any layer, and every layer's."""
    return (
        {"dead_units": max(shares), "layers": {"dead_units": dict(zip(names, shares, strict=True))}}
        if names
        else {}
    )


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """The norm of each tensor in float64, [1, tensors]."""
    real = [dense(tensor) for tensor in tensors]
    return torch.stack(torch._foreach_norm(real, 2, torch.float64))[None]


def dense(tensor: Tensor) -> Tensor:
    """The values of a tensor, sparse or complex, as plain real numbers."""
    values = tensor.coalesce().values() if tensor.is_sparse else tensor
    return torch.view_as_real(values) if values.is_complex() else values


def of_step(
    names: Sequence[str],
    shapes: Sequence[torch.Size],
    *,
    gradient: Tensor,
    update: Tensor,
    before: Tensor,
    way: Tensor,
    start: Tensor,
) -> list[Values]:
    """Values of one step of each lane, from norms [lanes, tensors].

    Norms of: the gradient, the update, the weights before it, the way from the first weights, and
    the first weights. Gives `update_ratio` ‖Δw‖/‖w‖ (R24), `distance` ‖w−w₀‖/‖w₀‖, and
    `early_gradient`: the root mean square of the gradient in the first layer over that in the last
    (R26). By layer for tensors of two dimensions and more.
    """
    matrices = [index for index, shape in enumerate(shapes) if len(shape) > 1 and shape.numel()]
    by_layer = {names[i].removesuffix(".weight"): i for i in matrices}
    lanes: list[Values] = []
    for lane in torch.stack([gradient, update, before, way, start], dim=1).tolist():
        gradients, updates, sizes, ways, starts = lane
        values = {
            "grad_norm": math.hypot(*gradients),
            "update_ratio": _ratio(math.hypot(*updates), math.hypot(*sizes)),
            "distance": _ratio(math.hypot(*ways), math.hypot(*starts)),
        }
        if len(matrices) > 1:
            first, last = (
                gradients[i] / math.sqrt(shapes[i].numel()) for i in (matrices[0], matrices[-1])
            )
            values["early_gradient"] = _ratio(first, last)
        layers = {
            "grad_norm": {name: gradients[i] for name, i in by_layer.items()},
            "update_ratio": {name: _ratio(updates[i], sizes[i]) for name, i in by_layer.items()},
            "distance": {name: _ratio(ways[i], starts[i]) for name, i in by_layer.items()},
        }
        lanes.append({**values, "layers": layers})
    return lanes


def merged(*parts: Values) -> dict[str, Any]:
    """Values of several kinds, their layers put together."""
    layers = {name: series for part in parts for name, series in part.get("layers", {}).items()}
    return {name: value for part in parts for name, value in part.items()} | (
        {"layers": layers} if layers else {}
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def with_values(model: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Parameters that are trained, by name, each with a copy of its present value."""
    return {
        name: (parameter, parameter.detach().clone())
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
