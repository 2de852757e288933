"""The trainings of a worker, one per trial and fold, stepped together; what they yield becomes numbers here (R4, R36).

Knows no conductor: an epoch goes out as a plain record, and whether the trial goes on is said from outside.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.contract.arrays import FoldData
from search.contract.metric_functions import REGRESSION, confidence
from search.contract.metrics import OUTPUTS, Metric, output_of, scores
from search.execution.messages import Message
from trainers.api import Config, Disruption, End, Epoch, Failure, Fusable, Outcome, Values
from trainers.callable import open_seats
from trainers.checkpoint import TrialCheckpoint

LOSSES, LAYERS, REMARK = ("train_loss", "val_loss"), "layers", "remark"


class TrialFailed(Exception):
    """The trainer broke the rules of its seam; the text says which."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step brought for one trial: its next epoch as a message; None at its end, with the error that ended it.

    `disrupted`: the error may be another trial's.
    """

    trial: int
    message: Message | None = None
    error: Exception | None = None
    disrupted: bool = False


class TrialRunner:
    """Seats for the trials of one worker, a set of them per fold."""

    def __init__(
        self, trainer: str, *, folds: Sequence[FoldData], device: str, metric: Metric
    ) -> None:
        self._folds = [(open_seats(trainer, data=fold.data, device=device), fold) for fold in folds]
        self._metric = metric
        self._began: dict[int, float] = {}

    @property
    def fusable(self) -> list[Fusable]:
        """The seats of every fold, where several trials may share a program; else nothing."""
        return [seats for seats, _ in self._folds if isinstance(seats, Fusable)]

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

    def step(self) -> list[StepResult]:
        """The next epoch of every trial that has one now."""
        found: dict[int, list[tuple[Outcome, FoldData]]] = {}
        for seats, fold in self._folds:
            for outcome in seats.step():
                found.setdefault(outcome.trial, []).append((outcome, fold))
        return [self._told(trial, outcomes) for trial, outcomes in found.items()]

    def _told(self, trial: int, outcomes: Sequence[tuple[Outcome, FoldData]]) -> StepResult:
        records = []
        for outcome, fold in outcomes:
            if isinstance(outcome, End):
                return StepResult(
                    trial=trial
                )  # the folds have an epoch in common, or it does not count
            if isinstance(outcome, Failure):
                return StepResult(trial=trial, error=outcome.error)
            if isinstance(outcome, Disruption):
                return StepResult(trial=trial, error=outcome.error, disrupted=True)
            try:
                records.append(self._record(outcome, fold))
            except (TrialFailed, ValueError, TypeError) as error:
                return StepResult(trial=trial, error=error)
        if len({record["epoch"] for record in records}) > 1:
            got = ", ".join(str(record["epoch"]) for record in records)
            rule = f"folds are stepped together, but the trainer yielded the epochs {got}; yield each epoch"
            return StepResult(trial=trial, error=TrialFailed(rule))
        now = time.monotonic()
        seconds, self._began[trial] = (
            (now - self._began[trial]) / len(self._began),
            now,
        )  # those beside it cost as much
        merged = records[0] if len(records) == 1 else _mean(records)
        return StepResult(trial=trial, message={"kind": "epoch", **merged, "seconds": seconds})

    def _record(self, outcome: Epoch, fold: FoldData) -> Message:
        """One fold's epoch as numbers: outputs become the metric here, and never cross the wire."""
        numbers, layers = {}, _layers(outcome.values)
        words = [
            name for name in (LAYERS, REMARK) if isinstance(outcome.values.get(name), Mapping | str)
        ]
        for name, value in outcome.values.items():
            if name not in (*OUTPUTS, *words) and (
                name != "parameters" or name in self._metric.names
            ):
                try:
                    numbers[name] = float(value)
                except (TypeError, ValueError) as error:
                    raise TrialFailed(
                        f"what a trainer yields must be numbers, but got {name}={value!r:.60}; drop it"
                    ) from error
        output, targets = output_of(outcome.values), fold.data.val.y
        computed = output is not None and targets is not None
        if output is not None and targets is not None:
            kind, array = output
            numbers |= scores(
                self._metric, targets=np.asarray(targets), kind=kind, output=array, units=fold.units
            )
            sure = (
                None
                if set(self._metric.parts) & set(REGRESSION)
                else confidence(np.asarray(targets), kind=kind, output=array)
            )
            if sure is not None:
                numbers, layers = (
                    {"confidence": sure[0], **numbers},
                    {"confidence": sure[1], **layers},
                )
        missing = [part for part in self._metric.parts if part not in numbers]
        if missing:
            got = ", ".join(outcome.values) or "nothing"
            raise TrialFailed(
                f"a yield must hold {' or '.join(OUTPUTS)} or {missing[0]!r}, but got {got}; add one of them"
            )
        value = None if self._metric.formula else numbers.pop(self._metric.name)
        told = all(np.isfinite(numbers.get(name, 0.0)) for name in LOSSES)
        if not computed and value is not None and told and not np.isfinite(value):
            raise TrialFailed(
                f"the trainer yielded {self._metric.name}={value} at epoch {outcome.epoch}; it must be a finite number"
            )
        return {
            "trial": outcome.trial,
            "epoch": outcome.epoch,
            "value": value,
            "values": numbers,
            **({LAYERS: layers} if layers else {}),
            **({REMARK: outcome.values[REMARK]} if REMARK in words else {}),
            "source": "computed" if computed else "reported",
        }


def _layers(values: Values) -> dict[str, dict[str, float]]:
    """Series by layer that a trainer tells: `{"layers": {"grad_norm": {"0": 0.1, …}}}`."""
    told = values.get(LAYERS)
    if not isinstance(told, Mapping):
        return {}
    try:
        return {
            str(name): {str(key): float(value) for key, value in series.items()}
            for name, series in told.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise TrialFailed(
            f"layers must be numbers by name of series and layer, but got {told!r:.60}; mend or drop it"
        ) from error


def _mean(records: list[Message]) -> Message:
    """The folds' mean, with the folds themselves."""
    names = set.intersection(*(set(record["values"]) for record in records))
    values = {
        name: float(np.mean([record["values"][name] for record in records]))
        for name in sorted(names)
    }
    value = (
        None
        if records[0]["value"] is None
        else float(np.mean([record["value"] for record in records]))
    )
    folds = [
        {key: record[key] for key in ("value", "values", LAYERS) if key in record}
        for record in records
    ]
    remarks = [
        f"fold {fold}: {record[REMARK]}" for fold, record in enumerate(records) if REMARK in record
    ]
    first = {key: told for key, told in records[0].items() if key not in (LAYERS, REMARK)}
    return {
        **first,
        "value": value,
        "values": values,
        "folds": folds,
        **({REMARK: "; ".join(remarks)} if remarks else {}),
    }
