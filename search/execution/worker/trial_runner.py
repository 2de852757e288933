"""A worker's trainings, one per trial and fold, in step.

Knows no conductor: an epoch leaves as a plain record, and the caller says whether a trial goes on.
"""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from search.contract.arrays import FoldData
from search.contract.metrics import Metric
from search.execution.messages import EpochTrained, FoldNumbers
from search.execution.worker.epoch_message import TrialFailed, epoch_message
from trainers.api import Config, Disruption, End, Failure, Fusable, Outcome
from trainers.callable import CallableSeats, open_seats
from trainers.checkpoint import TrialCheckpoint
from trainers.isolation.code_state import CodeState
from trainers.isolation.process_state import give_back_memory


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One step of one trial.

    `message`: its next epoch; None at its end, with the `error` that ended it. `disrupted`: the
    error may be another trial's. `remark`: of the trainer, about its own end.
    """

    trial: int
    message: EpochTrained | None = None
    error: Exception | None = None
    disrupted: bool = False
    remark: str = ""


class TrialRunner:
    """Seats for the trials of one worker, a set of them per fold."""

    def __init__(
        self, trainer: str, *, folds: Sequence[FoldData], device: str, metric: Metric
    ) -> None:
        seats = [open_seats(trainer, data=fold.data, device=device) for fold in folds]
        self._folds = list(zip(seats, folds, strict=True))
        # The seats of every fold, where several trials may share a program; else nothing.
        self.fusable = [each for each in seats if isinstance(each, Fusable)]
        self._metric = metric
        self._began: dict[int, float] = {}  # by trial: when its current epoch began
        # What a user's classes leave behind in our trainer; the seats of their own trainer know it.
        self._own = [each.code for each in seats if isinstance(each, CallableSeats)]
        self._code = None if self._own else CodeState()

    @property
    def strategy(self) -> str:
        """How forward passes are made of trials that share no program."""
        return self._folds[0][0].strategy

    def admit(self, trial: int, *, config: Config, checkpoint: TrialCheckpoint) -> None:
        """Seats the trial in every fold."""
        if self._code is not None and not self._began:
            self._code.begin(config)
        self._began[trial] = time.monotonic()
        for (seats, _), part in zip(self._folds, checkpoint.parts, strict=True):
            seats.admit(trial, config=config, checkpoint=part)

    def release(self, trial: int) -> None:
        """Frees the trial's seats."""
        self._began.pop(trial, None)
        for seats, _ in self._folds:
            seats.release(trial)
        if self._code is not None:
            self._code.look()
        if self._began:
            return
        if self._code is not None:
            self._code.end()
        give_back_memory()

    @contextmanager
    def rehearsing(self, config: Config) -> Iterator[None]:
        """Within it, trainings are built that are no trial's: what a user's classes set of their
        process is put back.
        """
        if self._code is None or self._began:
            yield
            return
        self._code.begin(config)
        try:
            yield
        finally:
            self._code.put_back()
            self._code.look()
            self._code.end()

    @property
    def fresh(self) -> bool:
        """Whether another trial may begin here: the user's code has left nothing that it finds."""
        return not any(each.left_behind for each in self._watched)

    @property
    def tainted(self) -> str:
        """Why the trial would train otherwise in a fresh process; empty if nothing says so."""
        return next((each.tainted for each in self._watched if each.tainted), "")

    @property
    def _watched(self) -> list[CodeState]:
        return self._own if self._code is None else [self._code]

    def exclude(self, seconds: float) -> None:
        """So long has the worker waited for an answer: no trial's epoch has taken that time."""
        self._began = {trial: began + seconds for trial, began in self._began.items()}

    def step(self) -> list[StepResult]:
        """The next epoch of every trial that has one now."""
        outcomes: dict[int, list[tuple[Outcome, int]]] = {}
        for index, (seats, _) in enumerate(self._folds):
            for outcome in seats.step():
                outcomes.setdefault(outcome.trial, []).append((outcome, index))
        return [self._result(trial, of_folds) for trial, of_folds in outcomes.items()]

    def _result(self, trial: int, outcomes: Sequence[tuple[Outcome, int]]) -> StepResult:
        """What has become of a trial's epoch; `outcomes`: of each fold, with its index."""
        records = []
        for outcome, index in outcomes:
            if isinstance(outcome, End):  # an epoch counts only if all folds have it
                return StepResult(trial=trial, remark=outcome.remark)
            if isinstance(outcome, Failure):
                return StepResult(trial=trial, error=outcome.error)
            if isinstance(outcome, Disruption):
                return StepResult(trial=trial, error=outcome.error, disrupted=True)
            try:
                records.append(epoch_message(outcome, self._folds[index][1], metric=self._metric))
            except (TrialFailed, ValueError, TypeError) as error:
                return StepResult(trial=trial, error=error)
            if self.fusable:
                self.fusable[index].hear(trial, score=self._score(records[-1]))
        if len({record.epoch for record in records}) > 1:
            got = ", ".join(str(record.epoch) for record in records)
            rule = "folds are stepped together, but the trainer yielded the epochs"
            return StepResult(trial=trial, error=TrialFailed(f"{rule} {got}; yield each epoch"))
        merged = records[0] if len(records) == 1 else _mean(records)
        if self._code is not None and merged.epoch > 0 and len(self._began) == 1:
            remark = "; ".join(filter(None, (merged.remark, self._code.remark())))
            merged = structs.replace(merged, remark=remark)
        seconds = self._seconds(trial)
        return StepResult(trial=trial, message=structs.replace(merged, seconds=seconds))

    def _score(self, record: EpochTrained) -> float:
        """A fold's metric, the higher the better; NaN where it needs what only the search knows."""
        value = self._metric.combine(record.values) if self._metric.formula else record.value
        return math.nan if value is None else self._metric.sign * value

    def _seconds(self, trial: int) -> float:
        """The trial's share of the time since its last epoch: all that train here cost as much."""
        now = time.monotonic()
        seconds = (now - self._began[trial]) / len(self._began)
        self._began[trial] = now
        return seconds


def _mean(records: list[EpochTrained]) -> EpochTrained:
    """The folds' mean, with the folds' own numbers."""

    def mean(numbers: Sequence[float]) -> float:
        return float(np.mean(numbers))

    names = set.intersection(*(set(record.values) for record in records))
    values = {name: mean([record.values[name] for record in records]) for name in sorted(names)}
    scores = [record.value for record in records if record.value is not None]
    folds = [
        FoldNumbers(value=record.value, values=record.values, layers=record.layers)
        for record in records
    ]
    remarks = [
        f"fold {fold}: {record.remark}" for fold, record in enumerate(records) if record.remark
    ]
    return structs.replace(
        records[0],
        value=mean(scores) if scores else None,
        values=values,
        layers={},
        folds=folds,
        remark="; ".join(remarks),
    )
