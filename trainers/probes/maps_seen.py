"""Maps of classes that lie between others, as where a map was resized like a picture.

Never judges.
"""

import torch
from torch import Tensor

MOST_CLASSES, PIXELS = 256, 64  # of a map; of a class that tell
NARROW = 8  # sides from which targets are a map


class MapsSeen:
    """Of the targets [n, height, width] of losses."""

    def __init__(self) -> None:
        self._pixels = torch.zeros(2, MOST_CLASSES)  # of each class: between two others; all

    def asked(self, targets: Tensor) -> None:
        """A loss is asked for against these; shares of classes, as soft labels are, are no map."""
        if targets.is_floating_point() or targets.ndim != 3 or min(targets.shape[1:]) < NARROW:
            return
        plain = targets.detach().cpu()
        kept = (plain >= 0) & (plain < MOST_CLASSES)
        for place, chosen in enumerate((between(plain) & kept, kept)):
            self._pixels[place] += torch.bincount(plain[chosen], minlength=MOST_CLASSES)

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
