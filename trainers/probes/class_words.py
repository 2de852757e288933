"""What a loss is told of the classes: weights, and a label to leave out. Never judges."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the field's name for it

MOST = 1000  # classes whose weights are noted


def class_words(
    func: Callable[..., Any], outputs: Tensor, targets: Tensor, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """What a call of a loss is told of the classes; empty where it is told nothing.

    `several`: the share of rows that are wholly of several classes; `ignored`: the label to leave
    out, and `left_out`: the share of these targets that bear it; `weights`: of the classes, and
    `often`: how many of these targets bear each; `positive`: the weight of the second of two
    classes, and `ones`: the share of these targets that are of it.
    """
    words: dict[str, Any] = {}
    if func is F.cross_entropy and targets.is_floating_point() and bool((targets % 1 == 0).all()):
        words = {"several": float((targets.sum(dim=min(targets.ndim, 2) - 1) > 1).double().mean())}
    if func in (F.cross_entropy, F.nll_loss) and not targets.is_floating_point():
        ignored, weight = int(kwargs.get("ignore_index", -100)), kwargs.get("weight")
        if ignored >= 0:
            words |= {"ignored": ignored, "left_out": float((targets == ignored).double().mean())}
        if isinstance(weight, Tensor) and weight.ndim == 1 and len(weight) <= MOST:
            kept = targets[(targets >= 0) & (targets < len(weight))].flatten()
            often = torch.bincount(kept, minlength=len(weight))
            words |= {"weights": weight.detach().double().tolist(), "often": often.tolist()}
    weight = kwargs.get("pos_weight") if func is F.binary_cross_entropy_with_logits else None
    if isinstance(weight, Tensor) and weight.numel() == 1 and targets.numel() == len(targets):
        ones = float((targets > 0.5).double().mean())
        words |= {"positive": float(weight), "ones": ones}
    return words
