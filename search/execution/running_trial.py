"""One trial while it is being trained, as the conductor sees it: its standing, its clock, its deaths.

Does no input or output.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from search.config.settings import Limits
from search.contract.metrics import Metric
from search.execution.early_stopping import EarlyStopping, StopDecision
from search.storage.trials import TrialRecord, TrialSpec

SHARED = 2  # deaths in company, without a new epoch, after which a trial is tried alone


def fresh_early_stopping(metric: Metric, limits: Limits) -> EarlyStopping:
    """The standing of a trial without an epoch."""
    return EarlyStopping(metric=metric, patience=limits.patience, last_epoch=limits.last_epoch)


@dataclass(kw_only=True)
class RunningTrial:
    """`decision`: whether it goes on. `kill_reason`: why its worker is being killed, if it is.

    `reached`: the furthest epoch of any attempt; `deaths`, and those `shared` with others, since it last rose.
    `looked`: the epoch of the last look for a rung.
    """

    ask: TrialSpec
    early_stopping: EarlyStopping
    limits: Limits
    device: str = ""
    strategy: str = ""
    source: str = ""
    seconds: float = 0.0
    reached: int = 0
    looked: int = 0
    deaths: int = 0
    shared: int = 0
    decision: StopDecision = "go"
    kill_reason: str = ""
    retry: bool = True
    heard: float = field(default_factory=time.monotonic)
    began: float = field(default_factory=time.monotonic)

    def begin(
        self, epoch: int, *, records: Sequence[dict[str, Any]], device: str, strategy: str
    ) -> None:
        """An attempt starts from a checkpoint of `epoch`: what was recorded up to there counts, what came after is void."""
        fresh = fresh_early_stopping(self.early_stopping.metric, self.limits)
        self.looked = 0
        self.early_stopping, self.seconds, self.kill_reason, self.retry = fresh, 0.0, "", True
        self.decision, self.device, self.strategy = "go", device, strategy
        self.heard = self.began = time.monotonic()
        for record in records:
            if record["epoch"] <= epoch:
                self.seconds += record["seconds"]
                self._see(record)
        self.reached = max(
            self.reached, max((int(record["epoch"]) for record in records), default=0)
        )

    def hear(self, record: dict[str, Any]) -> None:
        """One more epoch, as it goes into the curves; `decision` says whether it was enough."""
        self.heard = time.monotonic()
        self.seconds += record["seconds"]
        if record["epoch"] > self.reached:
            self.reached, self.deaths, self.shared = record["epoch"], 0, 0
        self._see(record)

    def at_rung(self, rungs: Sequence[int]) -> bool:
        """Whether a rung has been reached since the last look, or since this attempt began: a kill may have lost the answer."""
        looked, self.looked = self.looked, self.early_stopping.epoch
        return any(looked < rung <= self.early_stopping.epoch for rung in rungs)

    def prune(self) -> None:
        """The pruner sees no hope for it."""
        self.decision = "prune"
        self.early_stopping.why = (
            f"pruned at epoch {self.early_stopping.epoch}: others did better by then"
        )

    def overdue(self, now: float, *, company: bool) -> str:
        """Why its time is up, or nothing. A trial over its whole time is not tried again; a silent one may be.

        In company, silence may be another's, so only what has been told counts as its own time.
        """
        timeout = self.limits.timeout
        if timeout is not None and self.seconds + (0.0 if company else now - self.heard) > timeout:
            self.retry = False
            return f"took longer than trainer.timeout={timeout:g} s"
        if now - self.heard > self.limits.epoch_timeout:
            return f"hung: no epoch for trainer.epoch_timeout={self.limits.epoch_timeout:g} s"
        return ""

    def record_failure(self, *, company: bool) -> bool:
        """Its worker has died; whether it is worth another attempt. In company it may have been another's fault."""
        if company and self.retry:
            self.shared += 1
            return True
        self.deaths += 1
        return self.retry and self.deaths <= self.limits.max_retries

    @property
    def must_run_alone(self) -> bool:
        """Whether it must train without company until it gets further: it has been there too often when a worker died."""
        return self.shared >= SHARED or self.deaths > 0

    def row(self, state: str, *, reason: str) -> TrialRecord:
        """The trial's row."""
        early_stopping = self.early_stopping
        ranked = state in ("complete", "pruned")
        return TrialRecord(
            ask=self.ask,
            state=state,
            value=early_stopping.value if ranked else None,
            best_epoch=early_stopping.best_epoch if ranked else None,
            epochs=early_stopping.epoch,
            seconds=round(self.seconds, 3),
            wall=round(time.monotonic() - self.began, 3),
            device=self.device,
            strategy=self.strategy,
            source=self.source,
            reason=reason,
            ended=time.time(),
        )

    def _see(self, record: dict[str, Any]) -> None:
        self.source = record["source"]
        losses = (record.get("train_loss"), record.get("val_loss"))
        self.decision = self.early_stopping.see(
            int(record["epoch"]),
            value=float(record[self.early_stopping.metric.name]),
            losses=losses,
        )
