"""Trials that wait for a seat, and how many of them a worker gets.

Knows no stage, sends nothing.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from search.execution.connections import WorkerHandle
from search.execution.running_trial import RunningTrial


class TrialQueue:
    """Trials that wait, in order; those that lost their worker come first.

    `slots`: number of workers among whom all trials are shared out evenly.
    """

    def __init__(self, trials: Iterable[RunningTrial], *, slots: int) -> None:
        self._new, self._slots = deque(trials), slots
        self._returned: list[RunningTrial] = []
        self._alone: list[RunningTrial] = []  # that get memory to themselves

    def __len__(self) -> int:
        return self.ready + len(self._alone)

    @property
    def ready(self) -> int:
        """Trials that any worker may get."""
        return len(self._returned) + len(self._new)

    def add(self, trial: RunningTrial) -> None:
        """Appends a new trial."""
        self._new.append(trial)

    def clear(self) -> None:
        """Lets all go: they have their rows, by which a later run finds them."""
        for waiting in (self._new, self._returned, self._alone):
            waiting.clear()

    def put_back(self, trials: Sequence[RunningTrial]) -> None:
        """Puts trials in front, by number."""
        for trial in trials:
            (self._alone if trial.alone_on else self._returned).append(trial)
        self._returned.sort(key=lambda trial: trial.spec.trial)

    def take(
        self, worker: WorkerHandle, *, workers: Iterable[WorkerHandle], soon: int = 0
    ) -> list[RunningTrial]:
        """The trials that a worker gets now: at most an even share of all.

        `soon`: seats of its trials that are free before those trials begin.

        A trial that must run alone gets a worker to itself. One that met others, such as where
        memory ran out, gets memory to itself: workers that share it finish what they have and get
        nothing new until it has ended.
        """
        if not (worker.room + soon and len(self)):
            return []  # at once: with many workers, their neighbours are many
        neighbours = trials_beside(worker, workers=workers)
        if self._alone and not neighbours and not worker.trials:
            return [self._alone.pop(0)]
        if any(trial.alone_on for trial in neighbours) or any(
            trial.alone_on == worker.memory for trial in self._alone
        ):
            return []
        seated = len(worker.trials) - soon
        if any(trial.must_run_alone for trial in worker.trials.values()):
            return []
        trials = self.ready + sum(len(other.trials) for other in workers) - soon
        share = -(-trials // self._slots)
        room = min(worker.room + soon, max(share - seated, int(not seated)))
        taken: list[RunningTrial] = []
        while (
            self.ready
            and len(taken) < room
            and not (self._first.must_run_alone and (seated or taken))
        ):
            taken.append(self._returned.pop(0) if self._returned else self._new.popleft())
            if taken[-1].must_run_alone:
                break
        return taken

    @property
    def _first(self) -> RunningTrial:
        return (self._returned or self._new)[0]


def trials_beside(worker: WorkerHandle, *, workers: Iterable[WorkerHandle]) -> list[RunningTrial]:
    """The trials of other workers that share a worker's memory."""
    return [
        trial
        for other in workers
        if other is not worker and other.memory == worker.memory
        for trial in other.trials.values()
    ]
