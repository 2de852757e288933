"""How far evaluated weights, an average or a copy, have followed the trained ones. Never judges."""

from collections.abc import Mapping, Set

import torch
from torch import Tensor, nn

from trainers.layer_series import dense


def share_followed(
    judged: nn.Module | None,
    model: nn.Module | None,
    *,
    first: Mapping[int, Tensor],
    owned: Set[int],
) -> float | None:
    """The share of the trained weights' way, from their first values, that the evaluated ones have
    gone; None where the model itself is evaluated, or no copy of it, or nothing has moved.

    Args:
        judged: the module that was evaluated.
        model: the one that was trained.
        first: values before the first step, by the `id` of what is trained.
        owned: parameters that an optimizer has.
    """
    if judged is None or model is None:
        return None
    evaluated, trained = list(judged.parameters()), list(model.parameters())
    if any(id(parameter) in owned for parameter in evaluated):
        return None
    shapes = [[tuple(one.shape) for one in part] for part in (evaluated, trained)]
    if shapes[0] != shapes[1]:
        return None
    along = whole = 0.0
    for one, other in zip(evaluated, trained, strict=True):
        begun = first.get(id(other))
        if begun is None:
            continue
        way = (dense(other.detach()) - begun).double()
        whole += float(way.square().sum())
        along += float(((dense(one.detach()) - begun).double() * way).sum())
    return along / whole if whole > 0 and torch.isfinite(torch.tensor(along / whole)) else None
