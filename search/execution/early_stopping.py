"""When a trial is stopped early by its own curve: its best epoch, patience, divergence (R33).

Pure: takes numbers, returns a decision. A pruner, which compares trials with each other, is asked
by `Recorder.record_epoch`.
"""

import math
from dataclasses import dataclass, field

from search.config.counted import count
from search.contract.metrics import Metric
from search.execution.end_reasons import StopDecision

LARGEST = 1e150  # a metric beyond it has a square that no number holds, and so no variance
RESTS = 0.01  # a share of hits up to which none has been learned yet
BEGUN = 0.1  # a loss that has fallen by less than this share of its first value has hardly begun to
DIVERGED = 10  # a loss above so many times the loss of the untrained model has diverged


@dataclass
class Fall:
    """How a loss falls.

    Attributes:
        first: its first value, of the untrained model if that is told; None before any.
        lowest, epoch: its lowest value since the first trained epoch, and when that was.
    """

    first: float | None = None
    lowest: float = math.inf
    epoch: int = 0

    def see(self, epoch: int, loss: float | None) -> None:
        """Takes the loss of one epoch; None where the trainer tells none."""
        if loss is None:
            return
        self.first = loss if self.first is None else self.first
        if epoch > 0 and loss < self.lowest:
            self.lowest, self.epoch = loss, epoch

    @property
    def has_begun(self) -> bool:
        """Whether it has fallen by a tenth of its first value; a loss that is not told has."""
        return self.first is None or self.lowest <= self.first - BEGUN * abs(self.first)


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
        train, val: how the two losses fall.
        rests: whether the metric still is what it was at the first trained epoch, or about 0.
        learning_epoch: the last one at which the validation loss fell while the metric rested, or
            while that loss had hardly fallen yet: until then a better metric may be luck (R17).
            While both had hardly fallen, also the last one at which the train loss did.
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
    train: Fall = field(default_factory=Fall)
    val: Fall = field(default_factory=Fall)
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
        if what := self._divergence(epoch, value=value, losses=reported):
            self.reason = f"diverged: {what}"
            return StopDecision.DIVERGED
        for fall, loss in zip((self.train, self.val), losses, strict=False):
            fall.see(epoch, loss)
        if epoch == 0:
            self.first_loss = max(reported, default=None)
            return StopDecision.GO
        self.rests = self.rests and self._stays(value)
        if self.highest is None or self.metric.better(value, self.highest):
            self.highest, self.highest_epoch = value, epoch
        if self.score_last or self.highest_epoch == epoch:
            self.value, self.best_epoch = value, epoch
        if self._learns(epoch):
            self.learning_epoch = epoch
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
        return self.on_loss and math.isfinite(self.val.lowest)

    @property
    def _last_gain(self) -> int:
        if self._by_loss:
            return self.val.epoch
        return max(self.highest_epoch, self.learning_epoch)

    def _learns(self, epoch: int) -> bool:
        """Whether a loss says at this epoch that more is learned than the metric can show."""
        if self.val.epoch == epoch and (self.rests or not self.val.has_begun):
            return True
        return self.train.epoch == epoch and not (self.train.has_begun or self.val.has_begun)

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
