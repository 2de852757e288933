"""The clocks of running trials: whose time is up, and whose worker is killed for it.

While the conductor stands still, no clock runs: as while a server is away, or after SIGSTOP, where
a whole container may have been suspended.
"""

import time

from search.execution.callbacks import Callback
from search.execution.worker_pool import WorkerPool
from search.storage.logs import TrialLogs

TICK = 0.25  # time between two looks at clocks and logs [s]
LATE = 1.0  # by which a turn may be longer than its wait before the conductor stood still [s]


class Clocks:
    """The clocks of all trials of a search. `deadline`: when its workers are killed, once it is
    being stopped; by the monotonic clock.
    """

    def __init__(self, pool: WorkerPool, *, logs: TrialLogs, callback: Callback) -> None:
        self._pool, self._logs, self._callback = pool, logs, callback
        self._looked_at = 0.0
        self.deadline: float | None = None

    def look(self, *, asked_at: float) -> None:
        """Kills workers whose trial has run out of time or has printed too much.

        `asked_at`: when the conductor began to wait, for TICK, for what happens, and then did it;
        by the monotonic clock.
        """
        now = time.monotonic()
        stood = now - asked_at - TICK
        if stood > LATE:
            self._excuse(stood, now=now)
        if now - self._looked_at > TICK:
            self._looked_at = now
            self._check(now)

    def _excuse(self, seconds: float, *, now: float) -> None:
        """The conductor has listened to nobody for so long: that is no trial's silence. Its workers
        may have been stopped as well: then their epoch took longer than it says.
        """
        for worker in self._pool.connections.workers:
            for trial in worker.trials.values():
                trial.heard_at = min(now, trial.heard_at + seconds)
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
