"""How far weights that are evaluated have followed those that are trained: an average of them, or a
copy. Never judges.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trainers.records import dense


def share_followed(
    evaluated: Sequence[Tensor], trained: Sequence[Tensor], *, first: Mapping[int, Tensor]
) -> float | None:
    """The share of the trained weights' way, from their first values, that the evaluated ones have
    gone; None where they are no copy of these, or nothing has moved.

    Args:
        evaluated: parameters of the module that was evaluated.
        trained: those of the module that was trained, in the same order.
        first: values before the first step, by the `id` of what is trained.
    """
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
