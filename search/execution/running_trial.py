"""One trial while it trains, as the conductor sees it: its epochs, its clocks, its failed attempts.

Does no input or output.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search.config.knobs import Value
from search.config.settings import Limits
from search.contract.metrics import Metric
from search.execution.curve_digest import CurveDigest
from search.execution.early_stopping import EarlyStopping
from search.execution.end_reasons import StopDecision
from search.execution.messages import Answer, AssignedTrial
from search.storage.trials import EpochRecord, TrialRecord, TrialSpec, TrialState

SHARED_DEATHS = 2  # of workers with several trials, after which a trial runs alone
DEPARTURES = 10  # of workers told to leave, without a new epoch, that are no failures of a trial
SLOW_START = 30.0  # time without a sign of a trial after which the user hears of it [s]
LONG = 10.0  # usual epochs; a silence as long as they take is unusual


def fresh_early_stopping(metric: Metric, limits: Limits) -> EarlyStopping:
    """The early stopping of a trial without an epoch."""
    return EarlyStopping(
        metric=metric,
        patience=limits.patience,
        on_loss=limits.stop_on_loss,
        score_last=limits.score_last or limits.last_epoch is not None,
        last_epoch=limits.last_epoch,
    )


@dataclass(kw_only=True)
class RunningTrial:
    """A trial that has been handed to a worker, or waits for its next one.

    Attributes:
        rungs: epochs at which the pruner is asked about it.
        seconds: training time of the epochs that count, and that of a wait in vain [s].
        reached: the last epoch of any attempt.
        rung_seen: the last epoch at which a rung was looked for.
        spacing: between the last two epochs: 5 where a trainer tells every fifth.
        deaths: failed attempts since `reached` last rose, where the trial was alone.
        shared_deaths: the same, where it trained beside others.
        departures: of its workers, which were told to leave, since `reached` last rose.
        alone_on: the memory that it has to itself now, since it ran out for the trial beside
            others, or since what the trial needs was taken by another process.
        decision: what its worker is answered.
        kill_reason: why its worker is being killed, if it is.
        retry: False once the reason of the kill forbids another attempt.
        is_overdue: whether its time is up, which is then the reason of the kill.
        building: True from the handing out to the first message about the trial.
        silence_noted: whether the user has heard that it is silent for long.
        paused: time of this attempt in which search and worker may have been stopped [s].
        heard_at: time of the last sign of it, by the monotonic clock.
        began_at: start of this attempt, by the monotonic clock.
        handed_out_at: when its worker got it, in seconds since 1970.
        digest: of its epochs so far.
    """

    spec: TrialSpec
    early_stopping: EarlyStopping
    limits: Limits
    rungs: Sequence[int] = ()
    device: str = ""
    strategy: str = ""
    source: str = ""
    seconds: float = 0.0
    reached: int = 0
    rung_seen: int = 0
    spacing: int = 1
    deaths: int = 0
    shared_deaths: int = 0
    departures: int = 0
    alone_on: str = ""
    decision: StopDecision = StopDecision.GO
    kill_reason: str = ""
    retry: bool = True
    is_overdue: bool = False
    building: bool = False
    silence_noted: bool = False
    paused: float = 0.0
    heard_at: float = field(default_factory=time.monotonic)
    began_at: float = field(default_factory=time.monotonic)
    handed_out_at: float = field(default_factory=time.time)
    digest: CurveDigest = field(default_factory=CurveDigest)

    def hand_out(self, *, rungs: Sequence[int] = ()) -> None:
        """A worker gets the trial, and imports and builds what it needs."""
        self.rungs = rungs
        self.building, self.heard_at = True, time.monotonic()
        self.handed_out_at = time.time()
        self.kill_reason, self.retry, self.is_overdue = "", True, False

    def assigned(self, knobs: Mapping[str, Value]) -> AssignedTrial:
        """What its worker gets. `knobs`: as they are trained."""
        return AssignedTrial(
            trial=self.spec.trial,
            seed=self.spec.seed,
            knobs=knobs,
            next_decision=self.next_decision,
        )

    def begin(
        self, epoch: int, *, records: Sequence[EpochRecord], device: str, strategy: str
    ) -> None:
        """An attempt starts from the checkpoint of `epoch`; records after it do not count."""
        self.early_stopping = fresh_early_stopping(self.early_stopping.metric, self.limits)
        self.rung_seen, self.seconds, self.paused = 0, 0.0, 0.0
        self.digest = CurveDigest()
        self.decision, self.device, self.strategy = StopDecision.GO, device, strategy
        self.building = False
        self.heard_at = self.began_at = time.monotonic()
        for record in records:
            if record["epoch"] <= epoch:
                self.seconds += record["seconds"]
                self._see(record)
            self.reached = max(self.reached, int(record["epoch"]))

    def add_epoch(self, record: EpochRecord) -> None:
        """Takes one more epoch, as recorded in the curves; `decision` says what follows."""
        self.heard_at = time.monotonic()
        self.seconds += record["seconds"]
        if record["epoch"] > self.reached:
            self.reached, self.deaths, self.shared_deaths = record["epoch"], 0, 0
            self.departures = 0
        self._see(record)

    def at_rung(self) -> bool:
        """True if a rung was passed since the last call, or since this attempt began.

        A kill may have lost the decision that was due at an earlier rung.
        """
        seen, self.rung_seen = self.rung_seen, self.early_stopping.epoch
        return any(seen < rung <= self.early_stopping.epoch for rung in self.rungs)

    def prune(self) -> None:
        """The pruner ends the trial."""
        self.decision = StopDecision.PRUNE
        epoch = self.early_stopping.epoch
        self.early_stopping.reason = f"pruned at epoch {epoch}: others did better by then"

    @property
    def next_decision(self) -> int | None:
        """The first epoch at which it may be stopped or pruned, unless it diverges; None: never."""
        stop = self.early_stopping.next_decision
        later = [rung for rung in self.rungs if rung > self.early_stopping.epoch]
        return min(later if stop is None else [*later, stop], default=None)

    def answer(self, *, stopping: bool) -> Answer:
        """What the worker is told after an epoch. `stopping`: the search has been interrupted.

        Epochs after the one at which the trial was to stop are not recorded.
        """
        decision = self.decision
        if self.kill_reason:  # where its worker cannot be killed, the trial ends here
            decision = StopDecision.STOP
        elif decision is StopDecision.GO and stopping:
            decision = StopDecision.INTERRUPT
        return Answer(
            decision=decision,
            reason=self.early_stopping.reason,
            epoch=self.early_stopping.epoch,
            best_epoch=self.early_stopping.best_epoch,
            next_decision=self.next_decision,
        )

    def overdue(self, now: float, *, shared: bool) -> str:
        """The reason to kill the trial's worker because time is up; empty if it is not.

        Beside other trials (`shared`), silence may be another trial's fault, so only recorded
        epochs count as the trial's own time.
        """
        timeout = self.limits.timeout
        silent = now - self.heard_at
        own = 0.0 if shared else silent
        reason = ""
        if timeout is not None and self.seconds - self.paused + own > timeout:
            self.retry = False
            reason = f"took longer than trainer.timeout={timeout:g} s"
        elif silent > self.limits.epoch_timeout:
            reason = f"hung: no epoch for trainer.epoch_timeout={self.limits.epoch_timeout:g} s"
        if reason:  # it has had its slot for so long, and a budget of hours or of GPUs pays for it
            self.seconds, self.is_overdue = self.seconds + own, True
        return reason

    def unusual_silence(self, now: float) -> str:
        """A line for the user, once each: the trial is still being imported or built, or tells no
        further epoch, as a program does that has told its last one and does not end.
        """
        silent, limit = now - self.heard_at, self.limits.epoch_timeout
        if self.building:
            if silent < min(SLOW_START, limit):
                return ""
            self.building = False
            what = f"its trainer and model are still being imported or built after {silent:.0f} s"
        else:
            told = self.early_stopping.epoch
            if self.silence_noted or not told or silent < SLOW_START + LONG * self.seconds / told:
                return ""
            self.silence_noted = True
            what = f"nothing told for {silent:.0f} s, since its epoch {told}"
        return (
            f"trial {self.spec.trial}: {what}; the attempt ends after "
            f"trainer.epoch_timeout={limit:g} s"
        )

    def record_failure(self, *, shared: bool) -> bool:
        """The worker has died; returns whether the trial gets another attempt.

        Beside other trials (`shared`), the death may be another trial's fault and is not charged.
        """
        if shared and self.retry:
            self.shared_deaths += 1
            return True
        self.deaths += 1
        return self.retry and self.deaths <= self.limits.max_retries

    def record_departure(self) -> bool:
        """Notes that its worker was told to leave; True if that is nobody's fault, as at first.

        A trainer may send the signal to its own process, so there is a limit.
        """
        self.departures += 1
        return self.departures <= DEPARTURES

    @property
    def must_run_alone(self) -> bool:
        """True until a new epoch is completed, if its worker has died too often; to its end, if
        it has memory to itself.
        """
        return self.shared_deaths >= SHARED_DEATHS or self.deaths > 0 or bool(self.alone_on)

    def has_room(self, most: int) -> bool:
        """Whether another of its epochs would still lie within the first `most` ones."""
        return self.early_stopping.epoch + self.spacing <= most

    def row(self, state: str, *, reason: str) -> TrialRecord:
        """The trial's record in a final state."""
        early_stopping = self.early_stopping
        ranked = state in (TrialState.COMPLETE, TrialState.PRUNED)
        return TrialRecord(
            spec=self.spec,
            state=state,
            value=early_stopping.value if ranked else None,
            best_epoch=early_stopping.best_epoch if ranked else None,
            epochs=early_stopping.epoch,
            seconds=round(self.seconds, 3),
            wall=round(time.monotonic() - self.began_at, 3),
            device=self.device,
            strategy=self.strategy,
            source=self.source,
            reason=reason,
            curve=str(self.digest) if state == TrialState.COMPLETE else "",
            ended=time.time(),
        )

    def _see(self, record: EpochRecord) -> None:
        self.source = record["source"]
        self.spacing = int(record["epoch"]) - self.early_stopping.epoch
        losses = (record.get("train_loss"), record.get("val_loss"))
        epoch, metric = int(record["epoch"]), self.early_stopping.metric
        value = float(record[metric.name])
        self.decision = self.early_stopping.see(epoch, value=value, losses=losses)
        if epoch == 0:  # told again, by a training that begins anew after it was killed
            self.digest = CurveDigest()
        self.digest.add(epoch, losses=losses, value=value)
