"""What becomes of a trial whose training has ended or whose worker has died.

It is finished, or goes back to the queue for another attempt. A fault of the machine ends the
search and no trial.
"""

import shutil
import signal
from pathlib import Path

from search.errors import RunError
from search.execution.callbacks import Callback
from search.execution.connections import WorkerConnections, WorkerExited, WorkerHandle
from search.execution.end_reasons import STATE_AFTER, TrialEnd
from search.execution.machine_fault import full_disk
from search.execution.memory import memory_kills
from search.execution.messages import TrialEnded
from search.execution.recorder import Recorder
from search.execution.running_trial import SHARED_DEATHS, RunningTrial
from search.execution.trial_queue import TrialQueue, trials_beside
from search.storage.logs import TrialLogs
from search.storage.trials import ENDED_BY_ERROR, OUT_OF_MEMORY, TrialState

KEEP_APART = (
    "what a trial writes belongs into checkpoint.files, in a program into the folder that {folder} "
    "in trainer.command becomes"
)
STAYED = "did not end after its last epoch and was stopped ({}): what comes after it hangs"
LOW_ON_MEMORY = "low on memory"  # in what Ray says of a worker that it killed for that


class TrialEndings:
    """Finishes the trials of one search, or gives them back to the queue."""

    def __init__(
        self,
        folder: Path,
        *,
        queue: TrialQueue,
        recorder: Recorder,
        logs: TrialLogs,
        callback: Callback,
        connections: WorkerConnections,
    ) -> None:
        self._folder, self._queue, self._recorder = folder, queue, recorder
        self._logs, self._callback, self._connections = logs, callback, connections
        self._memory_kills = memory_kills()
        self._has_tainted = False
        self._has_collided = False  # once it is said what keeps trials apart, that is enough

    def on_end(self, worker: WorkerHandle, message: TrialEnded) -> None:
        """A trial has left its worker, which goes on.

        Raises:
            RunError: the machine is at fault, or first trials, or other seeds, all failed alike.
        """
        trial = worker.trials.pop(message.trial)
        self._callback.left(worker.slot, trial.spec)
        if message.end is TrialEnd.MACHINE_FAULT:
            raise machine_error(message.reason, worker)
        if trial.kill_reason:
            self._died(trial, trial.kill_reason, shared=False)
            return
        match message.end:
            case TrialEnd.CROWDED | TrialEnd.INTERRUPTED:
                self._queue.put_back([trial])
            case TrialEnd.TAINTED:
                self._tainted(trial, message.reason)
            case TrialEnd.KILLED:
                self._died(trial, message.reason, shared=False)
            case TrialEnd.DISRUPTED:
                trial.shared_deaths = SHARED_DEATHS
                self._died(trial, message.reason, shared=True)
            case TrialEnd.OUT_OF_MEMORY:
                self._out_of_memory(worker, trial, message.reason)
            case TrialEnd.COLLIDED:
                self._collided(worker, trial, message)
            case end:
                self._finish(trial, STATE_AFTER[end], reason=message.reason, cause=message.cause)
                if end is TrialEnd.SILENT:
                    self._recorder.check_silent()

    def on_exit(self, exited: WorkerExited, *, stopping: bool) -> None:
        """A worker has ended; its trials continue from their checkpoints.

        If a trial was the reason for killing the worker, only that trial is charged. While the
        search is `stopping`, the trials wait until it is resumed.

        Raises:
            RunError: the machine is at fault, or first trials, or other seeds, all failed alike.
        """
        trials, exited.worker.trials = list(exited.worker.trials.values()), {}
        for trial in trials:
            self._callback.left(exited.worker.slot, trial.spec)
        if stopping:
            return
        if exited.worker.leave_by is not None:  # its slot is freed: no trial's fault
            self._queue.put_back(trials)
            return
        culprits = [trial for trial in trials if trial.kill_reason]
        if exited.was_told_to_leave and not culprits:
            returning = [trial for trial in trials if trial.record_departure()]
            self._queue.put_back(returning)
            trials = [trial for trial in trials if trial not in returning]
        if trials and not culprits and (fault := full_disk(self._folder)):
            raise machine_error(fault, exited.worker)
        if len(trials) == 1 and not culprits and self.lacked_memory(exited):
            self._out_of_memory(exited.worker, trials[0], "its worker was killed for that")
            return
        self._queue.put_back([trial for trial in trials if culprits and not trial.kill_reason])
        for trial in reversed(culprits or trials):
            self._died(trial, trial.kill_reason or exited.reason, shared=len(trials) > 1)

    def lacked_memory(self, exited: WorkerExited) -> bool:
        """Whether the kernel killed the worker for want of memory, or the placement says so."""
        before, self._memory_kills = self._memory_kills, memory_kills()
        by_kernel = exited.status == -signal.SIGKILL and self._memory_kills > before
        return by_kernel or LOW_ON_MEMORY in exited.placement_reason

    def _out_of_memory(self, worker: WorkerHandle, trial: RunningTrial, reason: str) -> None:
        """Once more without any trial beside it in the same memory; then it is infeasible (P8)."""
        self._memory_kills, memory = memory_kills(), worker.memory
        beside = trials_beside(worker, workers=self._connections.workers)
        if beside and not trial.alone_on:
            trial.alone_on = memory
            self._callback.note(
                f"trial {trial.spec.trial}: {OUT_OF_MEMORY} beside {len(beside)} other trials "
                f"({reason}); trying again alone on {memory}"
            )
            self._queue.put_back([trial])
            return
        shutil.rmtree(self._folder / "checkpoints" / str(trial.spec.trial), ignore_errors=True)
        reason = f"{OUT_OF_MEMORY}, alone on {memory}: {reason}"
        self._finish(trial, TrialState.INFEASIBLE, reason=reason, cause=None)

    def _collided(self, worker: WorkerHandle, trial: RunningTrial, message: TrialEnded) -> None:
        """A name, a port or a lock was taken, which says nothing about its knobs: once more without
        any trial beside it; then what is in its way is there to stay.
        """
        workers = self._connections.workers
        if len(list(workers)) > 1 and not trial.alone_on:
            trial.alone_on = worker.memory
            self._callback.note(
                f"trial {trial.spec.trial}: {message.reason}: another trial may have been first, "
                f"so it is tried again alone on {worker.memory}"
                + ("" if self._has_collided else f"; {KEEP_APART}"),
                style="yellow",
            )
            self._has_collided = True
            self._queue.put_back([trial])
            return
        reason = f"{message.reason}; {KEEP_APART}"
        self._finish(trial, TrialState.FAILED, reason=reason, cause=message.cause)

    def _tainted(self, trial: RunningTrial, reason: str) -> None:
        """Its process was no fresh one, so it is tried again; one note is enough for all."""
        if not self._has_tainted:
            self._callback.note(f"trial {trial.spec.trial}: {reason}", style="yellow")
        self._has_tainted = True
        self._queue.put_back([trial])

    def _died(self, trial: RunningTrial, reason: str, *, shared: bool) -> None:
        """The worker has died or would have been killed: another attempt, or a final state."""
        if trial.is_overdue and self._recorder.is_trained(trial):  # as of a program that stays
            self._finish(trial, TrialState.COMPLETE, reason=STAYED.format(reason), cause=None)
        elif trial.record_failure(shared=shared):
            again = (
                "trying again, alone in its worker"
                if trial.must_run_alone and shared
                else "trying again"
            )
            self._callback.note(f"trial {trial.spec.trial}: {reason}; {again}")
            self._queue.put_back([trial])
        else:
            state = TrialState.LOST if trial.retry else TrialState.FAILED
            self._finish(trial, state, reason=reason, cause=reason)

    def _finish(
        self, trial: RunningTrial, state: TrialState, *, reason: str, cause: str | None
    ) -> None:
        number = trial.spec.trial
        failed = state in ENDED_BY_ERROR
        self._logs.trim(number)
        pointer = self._logs.pointer(number) if failed else ""
        self._recorder.finish(trial, state, reason=reason + pointer, cause=cause)


def machine_error(fault: str, worker: WorkerHandle) -> RunError:
    """The error by which a fault of the machine ends the search.

    `fault`: as of `machine_fault`.
    """
    what, _, remedy = fault.rpartition("; ")
    return RunError(
        f"{what}{worker.place}; {remedy} and give the same command again: every trial goes on, and "
        "nothing that was recorded is lost",
        code="machine-fault",
    )
