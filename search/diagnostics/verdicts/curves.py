"""One training's learning curves, by epoch (R16). They are judged by `judge` in `rules.py`."""

import math
from dataclasses import dataclass

from search.diagnostics.verdicts.trend import Array, median

TRAINED = 9  # epochs after which much is learned, however few of them are recorded


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Arrays [n] with one number per epoch. Epoch 0, the untrained model, is first if recorded.

    `train` and `val`: the two losses. `comparable`: whether the train loss was computed as the
    validation loss is, in evaluation mode and without penalties; then `stepped` is the mean loss of
    the epoch's own batches, None if unknown. `sign`: 1 if a higher metric is
    better, else −1. `classes`: number of classes if the loss is cross-entropy, 0 if it is another
    loss or the number is unknown. `constant`: loss of a constant prediction, None if unknown.
    `untrained`: whether the first epoch is epoch 0. `began`: the loss of the first steps of
    the first epoch, None if only the mean of that epoch was recorded. `sampled`: whether a number
    of `train` is the loss of one step, and not a mean. `axis`: what `epochs` counts, as "epoch".
    `held_out`: whether there is a validation; if not, `val` repeats `train`. `val_rows`: rows of
    validation, 0 if unknown. The other arrays are columns of curves.parquet, None if not recorded.
    """

    epochs: Array
    train: Array
    val: Array
    metric: Array | None = None
    sign: float = 1.0
    classes: int = 0
    constant: float | None = None
    lr: Array | None = None
    grad_norm: Array | None = None
    early_gradient: Array | None = None
    dead_units: Array | None = None
    confidence: Array | None = None
    clipped: Array | None = None
    comparable: bool = False
    stepped: Array | None = None
    untrained: bool = False
    axis: str = "epoch"
    held_out: bool = True
    began: float | None = None
    sampled: bool = False
    val_rows: int = 0

    def at(self, number: float) -> str:
        """One place on the axis, in words: `epoch 3`."""
        return f"{self.axis} {plain(number)}"

    @property
    def each(self) -> str:
        """What one number stands for: an epoch, or a record of some steps."""
        return "epoch" if self.axis == "epoch" else "record"

    @property
    def to_the_next(self) -> str:
        """From each to the next, in words."""
        return f"from {self.each} to {self.each}"

    @property
    def resumed(self) -> bool:
        """Whether the record begins long after the training did."""
        steps = self.epochs[1:] - self.epochs[:-1]
        most = TRAINED if self.axis == "epoch" else math.inf
        return len(steps) > 0 and float(self.epochs[0]) > min(2 * median(steps), most)


def plain(number: float) -> str:
    """A number as text; an epoch may be a fraction, such as 2.5."""
    return f"{number:.3g}" if number % 1 else str(int(number))
