"""When a trial is stopped early by its own curve: its best epoch, patience, divergence (R33).

Pure: takes numbers, returns a decision. A pruner, which compares trials with each other, is asked
by `Recorder.record_epoch`.
"""

import math
from dataclasses import dataclass

from search.config.counted import count
from search.contract.metrics import Metric
from search.execution.end_reasons import StopDecision

LARGEST = 1e150  # a metric beyond it has a square that no number holds, and so no variance
RESTS = 0.01  # a share of hits up to which none has been learned yet
BEGUN = 0.1  # a loss that has fallen by less than this share of its first value has hardly begun to
DIVERGED = 10  # a loss above so many times the loss of the untrained model has diverged


@dataclass
class EarlyStopping:
    """How one trial stands.

    Attributes:
        patience: epochs without improvement before the trial stops; None: never.
        on_loss: whether the validation loss must improve, in place of the metric.
        score_last: whether the last epoch counts, in place of the best one.
        last_epoch: the epoch at which the trial stops, if one is set.
        value: the metric at `best_epoch`, the epoch that counts.
        highest, highest_epoch: the best metric so far, for patience.
        epoch: the last epoch seen; 0 before the first trained one.
        first_loss: the loss of the untrained model, where the trainer reports it.
        first_val_loss: the first one of validation, of the untrained model if that is reported.
        lowest_loss, lowest_epoch: of validation, since the first trained epoch.
        rests: whether the metric still is what it was at the first trained epoch, or about 0.
        learning_epoch: the last one at which the validation loss fell while the metric rested, or
            while that loss had hardly fallen yet: until then a better metric may be luck (R17).
        reason: why the trial has stopped, if it has.
    """

    metric: Metric
    patience: int | None
    on_loss: bool = False
    score_last: bool = False
    last_epoch: int | None = None
    value: float | None = None
    best_epoch: int = 0
    epoch: int = 0
    highest: float | None = None
    highest_epoch: int = 0
    first_loss: float | None = None
    first_val_loss: float | None = None
    lowest_loss: float = math.inf
    lowest_epoch: int = 0
    rests: bool = True
    learning_epoch: int = 0
    reason: str = ""

    def see(self, epoch: int, *, value: float, losses: tuple[float | None, ...]) -> StopDecision:
        """Takes one epoch; later epochs must follow earlier ones.

        Args:
            epoch: its number; 0 is the untrained model.
            losses: of train and validation; None where the trainer reports none.
        """
        self.epoch = epoch
        reported = [loss for loss in losses if loss is not None]
        val_loss = losses[1] if len(losses) > 1 else None
        self.first_val_loss = val_loss if self.first_val_loss is None else self.first_val_loss
        if what := self._divergence(epoch, value=value, losses=reported):
            self.reason = f"diverged: {what}"
            return StopDecision.DIVERGED
        if epoch == 0:
            self.first_loss = max(reported, default=None)
            return StopDecision.GO
        self.rests = self.rests and self._stays(value)
        if self.highest is None or self.metric.better(value, self.highest):
            self.highest, self.highest_epoch = value, epoch
        if self.score_last or self.highest_epoch == epoch:
            self.value, self.best_epoch = value, epoch
        if val_loss is not None and val_loss < self.lowest_loss:
            self.lowest_loss, self.lowest_epoch = val_loss, epoch
            self.learning_epoch = epoch if self.rests or self._begins else self.learning_epoch
        if self.last_epoch is not None and epoch >= self.last_epoch:
            self.reason = f"trained up to epoch {epoch}"
            return StopDecision.STOP
        if self.patience is not None and epoch - self._last_gain >= self.patience:
            watched = "lower val_loss" if self._by_loss else f"better {self.metric.name}"
            self.reason = f"stopped early: no {watched} for {count(self.patience, 'epoch')}"
            return StopDecision.STOP
        return StopDecision.GO

    @property
    def next_decision(self) -> int | None:
        """The first epoch at which the trial may stop, unless it diverges before; None: never."""
        patient = None if self.patience is None else self._last_gain + self.patience
        ends = [end for end in (patient, self.last_epoch) if end is not None]
        return min(ends, default=None)

    @property
    def _by_loss(self) -> bool:
        """Whether patience waits for a lower loss; a trainer may report none."""
        return self.on_loss and math.isfinite(self.lowest_loss)

    @property
    def _last_gain(self) -> int:
        if self._by_loss:
            return self.lowest_epoch
        return max(self.highest_epoch, self.learning_epoch)

    @property
    def _begins(self) -> bool:
        """Whether the validation loss has fallen by less than a tenth of what it was at first."""
        first = self.first_val_loss
        return first is not None and self.lowest_loss > first - BEGUN * abs(first)

    def _stays(self, value: float) -> bool:
        """Whether the metric has not moved: an intersection over union, or an average precision,
        may rest at about 0 for many epochs of a training that learns.
        """
        if self.highest is None or value == self.highest:
            return self.metric.room(value) > 0
        return self.metric.sign > 0 and max(abs(value), abs(self.highest)) <= RESTS

    def _divergence(self, epoch: int, *, value: float, losses: list[float]) -> str:
        """What shows that the trial has diverged; empty if nothing does.

        A first loss below 0 has no scale of its own, so no other is compared with it.
        """
        metric, first, loss = self.metric.name, self.first_loss, max(losses, default=-math.inf)
        if not all(map(math.isfinite, losses)):
            return f"a loss is not finite at epoch {epoch}"
        if epoch == 0:  # whose metric says nothing
            return ""
        if not math.isfinite(value):
            return f"{metric} is not finite at epoch {epoch}"
        if abs(value) > LARGEST:
            return f"{metric} is {value:.3g} at epoch {epoch}"
        if first is not None and 0 < DIVERGED * first < loss:
            before = f"{DIVERGED} × {first:.3g} before training"
            return f"loss {loss:.3g} at epoch {epoch} is above {before}"
        return ""
