"""A worker's trainings, one per trial and fold; what they yield becomes numbers here (R4, R36).

Knows no conductor: an epoch leaves as a plain record, and the caller says whether a trial goes on.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from search.contract.arrays import FoldData
from search.contract.metric_functions import REGRESSION, confidence
from search.contract.metrics import OUTPUTS, Metric, output_of, scores
from search.execution.messages import EpochTrained, FoldNumbers
from trainers.api import (
    Config,
    Disruption,
    End,
    Epoch,
    Failure,
    Fusable,
    Outcome,
    Values,
)
from trainers.callable import open_seats
from trainers.checkpoint import TrialCheckpoint

LAYERS, REMARK, TRAIN = "layers", "remark", "train_outputs"


class TrialFailed(Exception):
    """The trainer broke a rule of its interface; the text says which."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """One step of one trial.

    `message`: its next epoch; None at its end, with the `error` that ended it. `disrupted`: the
    error may be another trial's.
    """

    trial: int
    message: EpochTrained | None = None
    error: Exception | None = None
    disrupted: bool = False


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

    @property
    def strategy(self) -> str:
        """How forward passes are made of trials that share no program."""
        return self._folds[0][0].strategy

    def admit(self, trial: int, *, config: Config, checkpoint: TrialCheckpoint) -> None:
        """Seats the trial in every fold."""
        self._began[trial] = time.monotonic()
        for (seats, _), part in zip(self._folds, checkpoint.parts, strict=True):
            seats.admit(trial, config=config, checkpoint=part)

    def release(self, trial: int) -> None:
        """Frees the trial's seats."""
        self._began.pop(trial, None)
        for seats, _ in self._folds:
            seats.release(trial)

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
                return StepResult(trial=trial)
            if isinstance(outcome, Failure):
                return StepResult(trial=trial, error=outcome.error)
            if isinstance(outcome, Disruption):
                return StepResult(trial=trial, error=outcome.error, disrupted=True)
            try:
                records.append(self._record(outcome, self._folds[index][1]))
            except (TrialFailed, ValueError, TypeError) as error:
                return StepResult(trial=trial, error=error)
            if self.fusable:
                self.fusable[index].hear(trial, score=self._score(records[-1]))
        if len({record.epoch for record in records}) > 1:
            got = ", ".join(str(record.epoch) for record in records)
            rule = "folds are stepped together, but the trainer yielded the epochs"
            return StepResult(trial=trial, error=TrialFailed(f"{rule} {got}; yield each epoch"))
        merged = records[0] if len(records) == 1 else _mean(records)
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

    def _record(self, outcome: Epoch, fold: FoldData) -> EpochTrained:
        """One fold's epoch as numbers: outputs become the metric here and leave no worker."""
        values = outcome.values
        numbers, layers = _numbers(values, self._metric), _layers(values)
        numbers |= self._on_train(values.get(TRAIN), fold)
        output, targets = output_of(values), fold.data.val.y
        computed = output is not None and targets is not None
        if output is not None and targets is not None:
            kind, array = output
            numbers |= scores(
                self._metric, targets=np.asarray(targets), kind=kind, output=array, units=fold.units
            )
            if not set(self._metric.parts) & set(REGRESSION):
                sure = confidence(np.asarray(targets), kind=kind, output=array)
                if sure is not None:
                    numbers = {"confidence": sure[0], **numbers}
                    layers = {"confidence": sure[1], **layers}
        missing = [part for part in self._metric.parts if part not in numbers]
        if missing and output is not None and targets is None:
            raise TrialFailed(
                f"{missing[0]} cannot be computed from {output[0]} without labels; "
                f"name a file of them by data.labels=…, or yield {missing[0]!r} itself"
            )
        if missing:
            rule = f"a yield must hold {' or '.join(OUTPUTS)} or {missing[0]!r}"
            got = ", ".join(values) or "nothing"
            others = [name for name in values if name not in ("epoch", "layers", "train_loss")]
            or_say = (
                f", or say metric=reported metric.name={others[0]} metric.direction=…"
                if others
                else ""
            )
            raise TrialFailed(f"{rule}, but got {got}; add one of them{or_say}")
        value = None if self._metric.formula else numbers.pop(self._metric.name)
        remark = values.get(REMARK)
        return EpochTrained(
            trial=outcome.trial,
            epoch=outcome.epoch,
            value=value,
            values=numbers,
            seconds=0.0,
            source="computed" if computed else "reported",
            layers=layers,
            remark=remark if isinstance(remark, str) else "",
        )

    def _on_train(self, outputs: object, fold: FoldData) -> dict[str, float]:
        """The metric on the train rows whose outputs a trainer yields (R16)."""
        targets = fold.data.train.y
        if not isinstance(outputs, Mapping) or targets is None:
            return {}
        output = output_of(outputs)
        if output is None or "rows" not in outputs:
            rule = f"{TRAIN} must hold rows and {' or '.join(OUTPUTS)}"
            got = ", ".join(map(str, outputs))
            raise TrialFailed(f"{rule}, but got {got}; add what is missing")
        (kind, array), rows = output, np.asarray(outputs["rows"], dtype=np.int64)
        if len(array) != len(rows):
            rule = f"{TRAIN} must have one output per row"
            raise TrialFailed(f"{rule}, but got {len(array)} for {len(rows)}; mend it")
        chosen = np.asarray(targets)[rows]
        try:
            on_train = scores(
                self._metric, targets=chosen, kind=kind, output=array, units=fold.units
            )
        except ValueError:  # such as an area under the curve of rows of one class
            on_train = dict.fromkeys(self._metric.parts, math.nan)
        return {f"train_{name}": score for name, score in on_train.items()}


def _numbers(values: Values, metric: Metric) -> dict[str, float]:
    """What a trainer yields besides outputs, layers and a remark."""
    numbers = {}
    for name, value in values.items():
        is_text = name in (LAYERS, REMARK, TRAIN) and isinstance(value, Mapping | str)
        is_count = name == "parameters" and name not in metric.names
        if name in OUTPUTS or is_text or is_count:
            continue
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError) as error:
            got = f"{name}={value!r:.60}"
            raise TrialFailed(
                f"what a trainer yields must be numbers, but got {got}; drop it"
            ) from error
    return numbers


def _layers(values: Values) -> dict[str, dict[str, float]]:
    """Series by layer that a trainer yields: `{"layers": {"grad_norm": {"0": 0.1, …}}}`."""
    layers = values.get(LAYERS)
    if not isinstance(layers, Mapping):
        return {}
    try:
        return {
            str(name): {str(key): float(value) for key, value in series.items()}
            for name, series in layers.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise TrialFailed(
            "layers must be numbers by name of series and layer, "
            f"but got {layers!r:.60}; mend or drop it"
        ) from error


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
