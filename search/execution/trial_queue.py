"""Trials that wait for a seat, and who gets how many of them. Knows no stage, sends nothing."""

from collections import deque
from collections.abc import Iterable, Sequence

from search.execution.connections import WorkerHandle
from search.execution.running_trial import RunningTrial


class TrialQueue:
    """In order; those that lost their worker go on first. `slots`: workers among whom all trials are shared out evenly."""

    def __init__(self, trials: Iterable[RunningTrial], *, slots: int) -> None:
        self._queue, self._slots = deque(trials), slots
        self._returned: list[RunningTrial] = []

    def __len__(self) -> int:
        return len(self._returned) + len(self._queue)

    def add(self, trial: RunningTrial) -> None:
        """At the end."""
        self._queue.append(trial)

    def put_back(self, trials: Sequence[RunningTrial]) -> None:
        """In front, by number."""
        self._returned = sorted([*self._returned, *trials], key=lambda trial: trial.ask.trial)

    @property
    def _first(self) -> RunningTrial:
        return (self._returned or self._queue)[0]

    def hand(self, worker: WorkerHandle, *, workers: Iterable[WorkerHandle]) -> list[RunningTrial]:
        """What a worker gets now, at most an even share of all; a suspect trial gets a worker to itself."""
        seated = len(worker.trials)
        if any(trial.must_run_alone for trial in worker.trials.values()):
            return []
        share = -(-(len(self) + sum(len(other.trials) for other in workers)) // self._slots)
        room = min(worker.room, max(share - seated, int(not seated)))
        handed: list[RunningTrial] = []
        while (
            len(self)
            and len(handed) < room
            and not (self._first.must_run_alone and (seated or handed))
        ):
            handed.append(self._returned.pop(0) if self._returned else self._queue.popleft())
            if handed[-1].must_run_alone:
                break
        return handed
