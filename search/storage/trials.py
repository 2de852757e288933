"""What a search knows of its trials: one record per trial, and the specification of the next one.

Plain data; the logic of stages lies in `search.stages`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from search.config.knobs import Value

# An epoch of a trial, as the curves hold it: `trial`, `fold`, `epoch`, `source`, `seconds`, and the
# numbers of that epoch by the names of their columns.
EpochRecord = dict[str, Any]


class TrialState(StrEnum):
    """The column `state` of the tables."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"  # the trainer raised an exception or broke a rule
    INFEASIBLE = "infeasible"  # diverged, or out of memory
    LOST = "lost"  # the worker died more often than `trainer.max_retries` allows
    RUNNING = "running"
    QUEUED = "queued"


STATES: tuple[str, ...] = tuple(TrialState)
FINISHED = STATES[:5]
ENDED_BY_ERROR = (TrialState.FAILED, TrialState.LOST)  # an error of code or machine ended the trial
BY_ITSELF = "ended by itself"  # begins the reason of a trial whose trainer took fewer epochs
FROM_ZERO = "; its epoch 0 counts as the untrained model: count trained epochs from 1"
OUT_OF_MEMORY = "out of memory"  # begins the reason of a trial that is infeasible for want of it


@dataclass(frozen=True, kw_only=True)
class UnnumberedTrial:
    """A trial that a stage wants, before it has its running number: its knobs and its seed.

    `idle`: values that were proposed for knobs of group options that the trial does not choose.
    Only samplers read them.
    """

    stage: str
    knobs: Mapping[str, Value]
    seed: int
    idle: Mapping[str, Value] = field(default_factory=dict)

    @property
    def point(self) -> dict[str, Value]:
        """All values, idle ones included."""
        return {**self.knobs, **self.idle}

    @cached_property
    def key(self) -> tuple[str, str, int]:
        """Equal for two specifications of the same training."""
        return self.stage, repr(sorted(self.knobs.items())), self.seed

    def numbered(self, trial: int) -> "TrialSpec":
        """The trial with its running number."""
        return TrialSpec(
            trial=trial, stage=self.stage, knobs=self.knobs, seed=self.seed, idle=self.idle
        )


@dataclass(frozen=True, kw_only=True)
class TrialSpec(UnnumberedTrial):
    """A trial of the search, with its running number."""

    trial: int


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial as it stands.

    Attributes:
        value: the metric at the best epoch; None unless the trial is complete or pruned.
        seconds: training time [s]; a share of it where several trials trained together.
        wall: time from the start of the last attempt to the end [s].
        curve: of a complete trial, equal for trainings of one seed that were the same to the last
            digit; empty where equal curves would not show that.
        sampler_value: what a sampler learns of the trial: the value, or for an infeasible trial
            what stands for it (P8); None for a failure.
        ended: end of the trial in seconds since 1970; 0 before the end.
        clock: how long the search had run by then, in all its runs [s]; 0 where it is not known.
    """

    spec: TrialSpec
    state: str
    value: float | None = None
    best_epoch: int | None = None
    epochs: int = 0
    seconds: float = 0.0
    wall: float = 0.0
    device: str = ""
    strategy: str = ""
    source: str = ""
    reason: str = ""
    curve: str = ""
    sampler_value: float | None = None
    ended: float = 0.0
    clock: float = 0.0

    @property
    def lacked_memory(self) -> bool:
        """True if it is infeasible because memory ran out."""
        return self.state == TrialState.INFEASIBLE and self.reason.startswith(OUT_OF_MEMORY)

    @property
    def finished(self) -> bool:
        """True if the state will not change any more."""
        return self.state in FINISHED

    @property
    def result(self) -> float | None:
        """The value of a complete trial; None for one that was pruned or has none."""
        return self.value if self.state == TrialState.COMPLETE else None


def completed(rows: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The trials that are complete and have a value, in their order."""
    return [row for row in rows if row.result is not None]


def ranked(rows: Iterable[TrialRecord], *, sign: float) -> list[TrialRecord]:
    """These, best first; `sign`: 1 if a higher value is better, else −1."""
    return sorted(completed(rows), key=lambda row: -sign * (row.value or 0.0))
