"""A trial that trains in this worker: its checkpoint, its last step, how soon it is asked about."""

from dataclasses import dataclass
from pathlib import Path

from search.config.text import one_line
from search.execution.messages import AssignedTrial, TrialBegun, TrialEnded
from search.execution.worker.trial_runner import StepResult
from trainers.checkpoint import TrialCheckpoint
from trainers.state import owner

# Short epochs do not wait for the conductor, but are sent together, with the next question [s]. The
# shorter time: the answer may stop the trial, and what it trains after its stop counts for nothing.
WINDOW, MAY_STOP = 0.05, 0.01


@dataclass(kw_only=True, eq=False)
class Seated:
    """A trial that trains here.

    `epochs`: that it may train. `epoch`: the last one that this worker has trained; -1 before it.
    `next_decision`: as of `messages.Answer`. `result`: of its last step. `end`: how it ended.
    """

    trial: int
    checkpoint: TrialCheckpoint
    epochs: int = 0
    epoch: int = -1
    next_decision: int | None = None
    result: StepResult | None = None
    end: TrialEnded | None = None

    @classmethod
    def of(cls, assigned: AssignedTrial, folder: Path, *, folds: int, every: float) -> "Seated":
        """A trial that is handed out, with what an earlier attempt has left in the search's folder.

        `every`: least seconds between two writes of its checkpoint.
        """
        trial = assigned.trial
        checkpoint = TrialCheckpoint(
            folder / "checkpoints" / str(trial),
            folds=folds,
            every=every,
            files=folder / "files" / str(trial),
            of=owner(trial=trial, seed=assigned.seed),
        )
        return cls(trial=trial, checkpoint=checkpoint, next_decision=assigned.next_decision)

    def begun(self, *, strategy: str) -> TrialBegun:
        """The report that it begins."""
        return TrialBegun(
            trial=self.trial,
            epoch=self.checkpoint.epoch,
            strategy=strategy,
            damage=one_line(self.checkpoint.damage),
        )

    @property
    def ended(self) -> bool:
        """Whether its trainer has yielded its last epoch."""
        return self.result is not None and self.result.message is None

    @property
    def ended_well(self) -> bool:
        """Whether it did so without an error."""
        return self.ended and self.result is not None and self.result.error is None

    @property
    def window(self) -> float:
        """How long after an answer the next one is awaited [s]; till then, epochs are gathered."""
        if self.ended or self.end is not None:
            return 0.0
        may_stop = self.next_decision is not None and self.epoch >= self.next_decision
        return MAY_STOP if may_stop else WINDOW
