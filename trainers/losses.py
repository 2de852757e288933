"""Losses that torch lacks, as modules: focal loss and class weights (R50)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainers.api import IGNORED


class Focal(nn.Module):
    """Cross-entropy times (1 − p)^gamma, p the probability of the true class.

    Lin et al. 2017, arXiv 1708.02002, equation 5. The mean is weighted by class, as torch's
    cross-entropy does it.

    Args:
        gamma: at least 0; 0 is plain cross-entropy.
        weights: one per class, in the classes' order; None: all alike.

    Raises:
        ValueError: a gamma below 0, or weights that are not positive.
    """

    def __init__(self, gamma: float = 2.0, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        if gamma < 0:
            raise ValueError(f"loss.gamma: must be at least 0, but got {gamma}; raise it")
        if weights is not None and not all(weight > 0 for weight in weights):
            raise ValueError(f"loss.weights: must be above 0, but got {list(weights)}; mend them")
        self.gamma = gamma
        self.register_buffer("weights", None if weights is None else torch.tensor(list(weights)))

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:
        """logits [batch, classes, …], classes [batch, …] or `IGNORED`; a scalar."""
        entropy = nn.functional.cross_entropy(logits, classes, reduction="none")
        losses = (1 - torch.exp(-entropy)) ** self.gamma * entropy
        if classes.ndim > 1:
            losses, classes = losses[classes != IGNORED], classes[classes != IGNORED]
        if not isinstance(self.weights, Tensor):
            return losses.mean()
        weights = self.weights[classes]
        return (weights * losses).sum() / weights.sum()
