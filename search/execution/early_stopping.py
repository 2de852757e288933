"""When a trial has had enough: the best epoch, patience, divergence (R33).

Pure: fed with numbers, asked for a word.
"""

import math
from dataclasses import dataclass
from typing import Literal

from search.contract.metrics import Metric

StopDecision = Literal["go", "stop", "prune", "diverged"]
DIVERGED = 10  # times the loss of the untrained model


@dataclass
class EarlyStopping:
    """How one trial stands.

    `epoch` and `best_epoch` are 0 before the first trained epoch; with a `last_epoch` the best is the last. `first_loss` is the
    untrained model's.
    """

    metric: Metric
    patience: int | None
    last_epoch: int | None = None
    value: float | None = None
    best_epoch: int = 0
    epoch: int = 0
    first_loss: float | None = None
    why: str = ""

    def see(self, epoch: int, *, value: float, losses: tuple[float | None, ...]) -> StopDecision:
        """Takes one epoch's metric and losses (None where the trainer tells none); later epochs must follow earlier ones."""
        self.epoch = epoch
        told = [loss for loss in losses if loss is not None]
        if not all(math.isfinite(loss) for loss in told):
            self.why = f"diverged: a loss is not finite at epoch {epoch}"
            return "diverged"
        if epoch == 0:
            self.first_loss = max(told, default=None)
            return "go"
        if not math.isfinite(value):
            self.why = f"diverged: {self.metric.name} is not finite at epoch {epoch}"
            return "diverged"
        first = self.first_loss
        if (
            told and first is not None and 0 < DIVERGED * first < max(told)
        ):  # a loss below 0 has no scale of its own
            self.why = f"diverged: loss {max(told):.3g} at epoch {epoch} is above {DIVERGED} × {first:.3g} before training"
            return "diverged"
        if (
            self.last_epoch is not None
            or self.value is None
            or self.metric.better(value, self.value)
        ):
            self.value, self.best_epoch = value, epoch
        if self.last_epoch is not None and epoch >= self.last_epoch:
            self.why = f"trained up to epoch {epoch}"
            return "stop"
        if self.patience is not None and epoch - self.best_epoch >= self.patience:
            self.why = f"stopped early: no better {self.metric.name} for {self.patience} epochs"
            return "stop"
        return "go"
