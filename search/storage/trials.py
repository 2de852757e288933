"""What a search knows of its trials: a row per trial, and what a stage asks for next. Plain data, no logic of stages."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from search.config.knobs import Value

FINISHED = ("complete", "pruned", "failed", "infeasible", "lost")
STATES = (*FINISHED, "running", "queued")


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """A trial that a stage wants: its running number, the knobs it sets, and its seed.

    `idle`: values that were proposed for knobs of options that it does not choose; only samplers heed them.
    """

    trial: int
    stage: str
    knobs: Mapping[str, Value]
    seed: int
    idle: Mapping[str, Value] = field(default_factory=dict)

    @property
    def point(self) -> dict[str, Value]:
        """All values, idle ones included."""
        return {**self.knobs, **self.idle}

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes two asks the same."""
        return self.stage, repr(sorted(self.knobs.items())), self.seed


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial as it stands.

    `value`: the best epoch's metric, None unless complete or pruned. `seconds`: of training, its share where several trained
    together; `wall`: from when it last began to its end.

    `told`: what a sampler learns of it: the value, or what stands for it (P8); None for a failure. `ended`: when, in seconds
    since 1970; 0 while it has not.
    """

    ask: TrialSpec
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
    told: float | None = None
    ended: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in FINISHED
