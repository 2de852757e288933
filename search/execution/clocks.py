"""The clocks of running trials: whose time is up, and whose worker is killed for it.

While the conductor stands still, no clock runs: as while a server is away, or after SIGSTOP, where
a whole container may have been suspended.
"""

import time

from search.execution.callbacks import Callback
from search.execution.worker_pool import WorkerPool
from search.storage.logs import TrialLogs

TICK = 0.25  # time between two looks at clocks and logs [s]
LATE = 1.0  # by which a wait of TICK may be late on a busy machine before it counts as a pause [s]


class Clocks:
    """The clocks of all trials of a search. `deadline`: when its workers are killed, once it is
    being stopped; by the monotonic clock.
    """

    def __init__(self, pool: WorkerPool, *, logs: TrialLogs, callback: Callback) -> None:
        self._pool, self._logs, self._callback = pool, logs, callback
        self._looked_at = 0.0
        self.deadline: float | None = None

    def look(self, *, asked_at: float, turn_began: float) -> None:
        """Kills workers whose trial has run out of time or has printed too much.

        Args:
            asked_at: when the conductor began to wait, for TICK, for what happens; by the
                monotonic clock.
            turn_began: when it began to do what it has just done.
        """
        now = time.monotonic()
        if turn_began - asked_at > TICK + LATE:
            self._pause(turn_began - asked_at - TICK, now=now)
        if now - turn_began > TICK:
            self._excuse(now - turn_began, now=now)
        if now - self._looked_at > TICK:
            self._looked_at = now
            self._check(now)

    def _excuse(self, seconds: float, *, now: float) -> None:
        """The conductor has listened to nobody for so long: that is no trial's silence."""
        for worker in self._pool.connections.workers:
            for trial in worker.trials.values():
                trial.heard_at = min(now, trial.heard_at + seconds)

    def _pause(self, seconds: float, *, now: float) -> None:
        """The conductor was stopped for so long while it waited, and so may its workers have been:
        then the epoch in which that was took longer than it says.
        """
        self._excuse(seconds, now=now)
        for worker in self._pool.connections.workers:
            for trial in worker.trials.values():
                trial.paused += seconds

    def _check(self, now: float) -> None:
        for worker in self._pool.connections.workers:
            for trial in worker.trials.values():
                if trial.kill_reason:
                    continue
                excess = self._logs.excess(trial.spec.trial)
                trial.retry = trial.retry and not excess
                trial.kill_reason = excess or trial.overdue(now, shared=len(worker.trials) > 1)
                if trial.kill_reason:
                    self._pool.kill(worker.slot)
                elif line := trial.unusual_silence(now):
                    self._callback.note(line)
        if self.deadline is not None and now > self.deadline:
            for worker in self._pool.connections.workers:
                self._pool.kill(worker.slot)
