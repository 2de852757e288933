"""What the targets of losses show by themselves: shares that name no label, maps whose classes lie
between others as where a map was resized like a picture. Never judges.
"""

import torch
from torch import Tensor

PAIRS = 8  # batches from which shares are held against labels
MOST_CLASSES, PIXELS = 256, 64  # of a map; of a class that tell
NARROW = 8  # sides from which targets are a map


class TargetsSeen:
    """Of divergences from shares [n, classes], and of classes [n], or [n, height, width]."""

    def __init__(self) -> None:
        self._shares: Tensor | None = None  # the likeliest classes of the last ones
        self._labels: Tensor | None = None
        self._above: list[float] = []  # of each batch, how far shares name labels above chance
        self._pixels = torch.zeros(2, MOST_CLASSES)  # of each class: between two others; all

    def shares(self, targets: Tensor) -> None:
        """A divergence is asked for from these."""
        if targets.ndim == 2 and not targets.requires_grad:
            self._shares = targets.detach().argmax(dim=1).cpu()
            self._pair()

    def classes(self, targets: Tensor) -> None:
        """A loss is asked for against these; shares of classes, as soft labels are, name none."""
        if targets.is_floating_point():
            return
        if targets.ndim == 1:
            self._labels = targets.detach().cpu()
            self._pair()
        elif targets.ndim == 3 and min(targets.shape[1:]) >= NARROW:
            plain = targets.detach().cpu()
            kept = (plain >= 0) & (plain < MOST_CLASSES)
            for place, chosen in enumerate((between(plain) & kept, kept)):
                self._pixels[place] += torch.bincount(plain[chosen], minlength=MOST_CLASSES)

    def _pair(self) -> None:
        if self._shares is None or self._labels is None or len(self._shares) != len(self._labels):
            return
        one, other = self._shares, self._labels
        by_chance = float((one[:, None] == other[None]).double().mean())
        self._above.append(float((one == other).double().mean()) - by_chance)
        self._shares = self._labels = None

    def shares_above_chance(self) -> float | None:
        """By how much the likeliest class of the shares is the label more often than by chance, in
        the later half of the batches; None where there are few.
        """
        later = self._above[len(self._above) // 2 :]
        return sum(later) / len(later) if len(later) >= PAIRS else None

    def blurred(self) -> float:
        """The greatest share of a class's pixels that lie between a lower and a higher class."""
        amid, pixels = self._pixels
        return float((amid / pixels)[pixels >= PIXELS].max()) if (pixels >= PIXELS).any() else 0.0


def between(maps: Tensor) -> Tensor:
    """Which pixels of maps [n, height, width] have a lower class on one side and a higher one on
    the other.
    """
    found = torch.zeros_like(maps, dtype=torch.bool)
    for axis in (1, 2):
        inner = maps.shape[axis] - 2
        low, middle, high = (maps.narrow(axis, start, inner) for start in range(3))
        steps = ((low < middle) & (middle < high)) | ((low > middle) & (middle > high))
        found.narrow(axis, 1, inner).logical_or_(steps)
    return found
