"""Losses that torch lacks: focal loss, class weights, two classes by one sigmoid (R50)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainers.api import IGNORED
from trainers.settings import fits


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


class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy of a sigmoid, for two classes.

    Of one logit per row (`model.outputs=1`), or of the difference of two, which is the same.

    Args:
        positive_weight: how much a row of the second class counts; 1: as one of the first.

    Raises:
        ValueError: a weight that is not above 0.
    """

    def __init__(self, positive_weight: float = 1.0) -> None:
        super().__init__()
        if not fits(positive_weight, positive=True):
            raise ValueError(
                f"loss.positive_weight: must be a number above 0, but got {positive_weight!r}; "
                "1 counts all rows alike"
            )
        self.positive_weight = float(positive_weight)

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:
        """logits [batch, 1] or [batch, 2], classes [batch]; a scalar."""
        if logits.ndim != 2 or logits.shape[1] > 2:
            raise ValueError(
                "loss: binary cross-entropy needs two classes, one or two logits per row, but got "
                f"outputs {list(logits.shape)}; take loss=cross_entropy"
            )
        logit = logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]
        is_second = classes.to(logit.dtype)
        weights = 1 + (self.positive_weight - 1) * is_second
        losses = nn.functional.binary_cross_entropy_with_logits(logit, is_second, reduction="none")
        return (weights * losses).sum() / weights.sum()
