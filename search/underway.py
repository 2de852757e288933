"""One trial while it is being trained, as the conductor sees it: its standing, its clock, its deaths.

Does no input or output.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from search.metrics import Metric
from search.plan import Limits
from search.rows import Ask, Row
from search.stopping import Standing, Word

SHARED = 2  # deaths in company, without a new epoch, after which a trial is tried alone


def fresh_standing(metric: Metric, limits: Limits) -> Standing:
    """The standing of a trial without an epoch."""
    return Standing(metric=metric, patience=limits.patience, last_epoch=limits.last_epoch)


@dataclass(kw_only=True)
class Underway:
    """`word`: whether it goes on. `doom`: why its worker is being killed, if it is.

    `reached`: the furthest epoch of any attempt; `deaths`, and those `shared` with others, since it last rose.
    `looked`: the epoch of the last look for a rung.
    """

    ask: Ask
    standing: Standing
    limits: Limits
    device: str = ""
    strategy: str = ""
    source: str = ""
    seconds: float = 0.0
    reached: int = 0
    looked: int = 0
    deaths: int = 0
    shared: int = 0
    word: Word = "go"
    doom: str = ""
    retry: bool = True
    heard: float = field(default_factory=time.monotonic)
    began: float = field(default_factory=time.monotonic)

    def begin(self, epoch: int, *, records: Sequence[dict[str, Any]], device: str, strategy: str) -> None:
        """An attempt starts from a checkpoint of `epoch`: what was recorded up to there counts, what came after is void."""
        fresh = fresh_standing(self.standing.metric, self.limits)
        self.looked = 0
        self.standing, self.seconds, self.doom, self.retry = fresh, 0.0, "", True
        self.word, self.device, self.strategy = "go", device, strategy
        self.heard = self.began = time.monotonic()
        for record in records:
            if record["epoch"] <= epoch:
                self.seconds += record["seconds"]
                self._see(record)
        self.reached = max(self.reached, max((int(record["epoch"]) for record in records), default=0))

    def hear(self, record: dict[str, Any]) -> None:
        """One more epoch, as it goes into the curves; `word` says whether it was enough."""
        self.heard = time.monotonic()
        self.seconds += record["seconds"]
        if record["epoch"] > self.reached:
            self.reached, self.deaths, self.shared = record["epoch"], 0, 0
        self._see(record)

    def at_rung(self, rungs: Sequence[int]) -> bool:
        """Whether a rung has been reached since the last look, or since this attempt began: a kill may have lost the answer."""
        looked, self.looked = self.looked, self.standing.epoch
        return any(looked < rung <= self.standing.epoch for rung in rungs)

    def prune(self) -> None:
        """The pruner sees no hope for it."""
        self.word = "prune"
        self.standing.why = f"pruned at epoch {self.standing.epoch}: others did better by then"

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

    def die(self, *, company: bool) -> bool:
        """Its worker has died; whether it is worth another attempt. In company it may have been another's fault."""
        if company and self.retry:
            self.shared += 1
            return True
        self.deaths += 1
        return self.retry and self.deaths <= self.limits.max_retries

    @property
    def suspect(self) -> bool:
        """Whether it must train without company until it gets further: it has been there too often when a worker died."""
        return self.shared >= SHARED or self.deaths > 0

    def row(self, state: str, *, reason: str) -> Row:
        """The trial's row."""
        standing = self.standing
        ranked = state in ("complete", "pruned")
        return Row(
            ask=self.ask,
            state=state,
            value=standing.value if ranked else None,
            best_epoch=standing.best_epoch if ranked else None,
            epochs=standing.epoch,
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
        self.word = self.standing.see(int(record["epoch"]), value=float(record[self.standing.metric.name]), losses=losses)
