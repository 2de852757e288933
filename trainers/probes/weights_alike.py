"""Whether weights are alike: of all units of a layer, or all of them. Never judges."""

from torch import Tensor


def is_constant(weights: Tensor) -> bool:
    """Whether all weights of several units, each of several inputs, are one number, and not 0."""
    if weights.ndim < 2 or len(weights) < 2 or weights[0].numel() < 2:
        return False
    first = weights.flatten()[0]
    return bool(first != 0) and bool((weights == first).all())


def units_alike(weights: Tensor) -> bool:
    """Whether all units of a layer bear the same weights."""
    units = weights.flatten(1) if weights.ndim > 1 else weights
    return weights.ndim > 1 and len(weights) > 1 and bool((units == units[:1]).all())
