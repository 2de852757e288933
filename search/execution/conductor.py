"""The one process that asks, tells and writes: hands trials to workers, answers every epoch, records, and lets nobody's
death matter.

One thread, one loop; other threads only post events. Never trains, never computes a metric, never decides what a stage wants.
"""

import signal
import time
from collections import Counter
from dataclasses import asdict
from types import FrameType

from omegaconf import OmegaConf

from search.config.plan import Plan
from search.contract.contract import Contract
from search.errors import Interrupted
from search.execution.callbacks import Callback
from search.execution.connections import (
    MessageReceived,
    WorkerConnections,
    WorkerExited,
    WorkerHandle,
)
from search.execution.lanes import Fusions
from search.execution.messages import Message, MessageError
from search.execution.placement import Placement
from search.execution.recorder import Recorder
from search.execution.running_trial import SHARED, RunningTrial, fresh_early_stopping
from search.execution.slots import Slot
from search.execution.trial_queue import TrialQueue
from search.stages.lookahead import PEEK
from search.stages.stage import Stage
from search.storage.folder import Folder
from search.storage.logs import TrialLogs
from search.storage.study import Study
from search.storage.trials import TrialSpec

TICK = 0.25  # seconds between two looks at clocks and logs
FAREWELL = 5.0  # seconds that workers get to end when there is no more work


class Conductor:
    """Runs a stage's trials to their end."""

    def __init__(
        self,
        plan: Plan,
        *,
        folder: Folder,
        study: Study,
        connections: WorkerConnections,
        contract: Contract,
        stage: Stage,
        fusions: Fusions,
        callback: Callback,
    ) -> None:
        self._plan, self._folder, self._connections = plan, folder, connections
        self._stage, self._fusions, self._callback = stage, fusions, callback
        self._logs = TrialLogs(folder.logs, limit=plan.limits.log_bytes)
        self._record = Recorder(
            plan, folder=folder, study=study, contract=contract, stage=stage, callback=callback
        )
        self._queue = TrialQueue(
            map(self._underway, self._record.unfinished()), slots=fusions.slots
        )
        self._signals, self._told = 0, False
        self._deadline: float | None = None
        self._looked = 0.0

    def run(self, placement: Placement) -> None:
        """Until the stage wants nothing more.

        Raises:
            Interrupted: by SIGINT, SIGTERM or SIGHUP; what runs has been checkpointed.
            RunError: workers cannot start, or all trials fail alike.
        """
        handlers = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        grace = 0.0
        try:
            self._callback.foreseen(self._stage.foreseen(self._record.rows))
            self._refill()
            if self._queue or self._stage.thinking:
                placement.start()
                while not self._done():
                    self._turn(placement)
                placement.close()
                self._connections.dismiss()
                grace = FAREWELL
        finally:
            placement.stop(grace=grace)
            self._stage.close()
            self._record.close()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        if self._signals:
            raise Interrupted("interrupted")

    def _turn(self, placement: Placement) -> None:
        for happened in self._connections.wait(TICK):
            if isinstance(happened, MessageReceived):
                self._on_said(happened.worker, happened.message, placement)
            else:
                self._on_gone(happened)
        now = time.monotonic()
        if now - self._looked > TICK:
            self._looked = now
            self._look(now, placement)
        if self._signals:
            self._say_goodbye()
            placement.close()
        else:
            self._refill()
            self._assign()

    def _say_goodbye(self) -> None:
        if self._signals == 1 and not self._told:
            self._told = True
            grace = self._plan.placement.grace
            self._callback.note(
                f"stopping at the next epoch's end, after {grace:g} s at the latest; once more stops at once"
            )

    def _done(self) -> bool:
        busy = any(worker.trials for worker in self._connections.workers)
        return not busy and (not (self._queue or self._stage.thinking) or self._signals > 0)

    def _refill(self) -> None:
        """Asks the stage for more; whether a round has ended is for the stage to see."""
        workers = self._connections.workers
        room = sum(worker.room for worker in workers) or int(
            not any(worker.trials for worker in workers)
        )
        if room and not self._queue:
            asks = self._stage.wanted(self._record.rows, room=room)
            for ask in asks:
                self._record.add(ask)
                self._queue.add(self._underway(ask))
            if asks:
                self._callback.foreseen(self._stage.foreseen(self._record.rows))

    def _underway(self, ask: TrialSpec) -> RunningTrial:
        return RunningTrial(
            ask=ask,
            early_stopping=fresh_early_stopping(self._plan.metric, self._plan.limits),
            limits=self._plan.limits,
        )

    def _assign(self) -> None:
        for worker in self._connections.workers:
            if worker.waiting and self._queue:
                worker.waiting = False
                self._connections.tell(worker, {"kind": "work", **self._handed(worker)})

    def _handed(self, worker: WorkerHandle) -> Message:
        """The trials that a worker gets, and what else could train beside them."""
        trials = self._queue.hand(worker, workers=self._connections.workers)
        worker.room -= len(trials)
        told = []
        for trial in trials:
            ask, trial.heard = trial.ask, time.monotonic()
            worker.trials[ask.trial] = trial
            self._record.begin(worker.slot, ask)
            told.append({"trial": ask.trial, "seed": ask.seed, "knobs": dict(ask.knobs)})
        return {
            "trials": told,
            "abreast": self._candidates() if told and worker.wants_candidates else [],
        }

    def _candidates(self) -> list[Message]:
        """Trials that may train at the same time, by their knobs."""
        asks = self._stage.candidates(self._record.rows)[:PEEK]
        counted = Counter(tuple(ask.knobs.items()) for ask in asks)
        return [{"knobs": dict(knobs), "trials": trials} for knobs, trials in counted.items()]

    # Workers speak and go

    def _on_said(self, worker: WorkerHandle, message: Message, placement: Placement) -> None:
        try:
            reply = self._reply(worker, message)
        except MessageError as error:
            for trial in worker.trials.values():
                trial.kill_reason = f"its worker broke the protocol: {error}"
            placement.kill(worker.slot)
            return
        if reply is not None:
            self._connections.tell(worker, reply)

    def _reply(self, worker: WorkerHandle, message: Message) -> Message | None:
        kind = message["kind"]
        if kind == "hello":
            return self._setup(worker.slot)
        if kind in ("ask", "settle"):
            worker.room, worker.wants_candidates = int(message["room"]), bool(message["curious"])
            if kind == "settle":
                return self._on_settled(worker)
            worker.waiting = worker.has_asked = True
            return None
        if kind in ("fusion", "crowded"):
            fusion, news = self._fusions.answer(message)
            if news:
                self._callback.note(news)
            return {"kind": "fusion", "fusion": asdict(fusion)}
        trial = worker.trials.get(message.get("trial", -1))
        if kind == "broken" or trial is None:
            raise MessageError(
                str(message.get("why", f"a message {kind!r} of a trial that it was not given"))
            )
        if kind == "begin":
            records = self._record.epochs(trial.ask.trial)
            trial.begin(
                int(message["epoch"]),
                records=records,
                device=worker.slot.label,
                strategy=str(message["strategy"]),
            )
        elif kind == "epoch" and trial.decision == "go":
            self._record.epoch(worker.slot, trial, message)
        elif kind == "end":
            self._on_end(worker, trial, message)
        return None

    def _on_settled(self, worker: WorkerHandle) -> Message:
        """Whether to go on, for all its trials, and new ones where it has room."""
        answers = {str(number): self._answer(trial) for number, trial in worker.trials.items()}
        if self._signals:
            return {"kind": "settled", "answers": answers, "trials": [], "abreast": []}
        self._refill()
        return {"kind": "settled", "answers": answers, **self._handed(worker)}

    def _answer(self, trial: RunningTrial) -> Message:
        """Go on or stop; what was told after the epoch at which a trial was to stop has not been recorded."""
        word = "interrupt" if trial.decision == "go" and self._signals else trial.decision
        if trial.kill_reason:  # where its worker cannot be killed, it ends here
            word = "stop"
        early_stopping = trial.early_stopping
        return {
            "kind": word,
            "why": early_stopping.why,
            "epoch": early_stopping.epoch,
            "best_epoch": early_stopping.best_epoch,
        }

    def _on_end(self, worker: WorkerHandle, trial: RunningTrial, message: Message) -> None:
        del worker.trials[trial.ask.trial]
        self._callback.left(worker.slot, trial.ask)
        if trial.kill_reason:
            self._died(trial, trial.kill_reason, company=False)
            return
        if message["state"] == "interrupted":
            return
        if message["state"] == "crowded":
            self._queue.put_back([trial])
            return
        if message["state"] == "disrupted":
            trial.shared = SHARED
            self._died(trial, str(message["reason"]), company=True)
            return
        self._finish(
            trial, str(message["state"]), reason=str(message["reason"]), cause=message.get("cause")
        )

    def _on_gone(self, gone: WorkerExited) -> None:
        """Its trials go on from their checkpoints. Where one of them was the cause, it alone has died."""
        trials, gone.worker.trials = list(gone.worker.trials.values()), {}
        for trial in trials:
            self._callback.left(gone.worker.slot, trial.ask)
        if self._signals:
            return  # when the search is resumed
        doomed = [trial for trial in trials if trial.kill_reason]
        self._queue.put_back([trial for trial in trials if doomed and not trial.kill_reason])
        for trial in reversed(doomed or trials):
            self._died(trial, trial.kill_reason or gone.how, company=len(trials) > 1)

    def _died(self, trial: RunningTrial, reason: str, *, company: bool) -> None:
        """Its worker has died, or would have been killed: another attempt, or a row that says why."""
        if trial.record_failure(company=company):
            again = "trying again by itself" if trial.must_run_alone and company else "trying again"
            self._callback.note(f"trial {trial.ask.trial}: {reason}; {again}")
            self._queue.put_back([trial])
        else:
            self._finish(trial, "lost" if trial.retry else "failed", reason=reason, cause=reason)

    def _finish(self, trial: RunningTrial, state: str, *, reason: str, cause: str | None) -> None:
        number = trial.ask.trial
        log = self._logs.pointer(number) if state in ("failed", "lost") else ""
        self._logs.trim(number)
        self._record.finish(trial, state, reason=reason + log, cause=cause)

    def _setup(self, slot: Slot) -> Message:
        return {
            "kind": "setup",
            "config": OmegaConf.to_container(self._plan.config, resolve=False),
            "folder": str(self._folder.path),
            "device": slot.device,
            "log": slot.log,
            "metric": asdict(self._plan.metric),
            "lanes": self._fusions.setup(),
        }

    # Clocks and signals

    def _look(self, now: float, placement: Placement) -> None:
        """At the clocks and logs of what is running."""
        for worker in self._connections.workers:
            for trial in worker.trials.values():
                if not trial.kill_reason:
                    flooded = self._logs.excess(trial.ask.trial)
                    trial.retry = trial.retry and not flooded
                    trial.kill_reason = flooded or trial.overdue(
                        now, company=len(worker.trials) > 1
                    )
                    if trial.kill_reason:
                        placement.kill(worker.slot)
        if self._deadline is not None and now > self._deadline:
            for worker in self._connections.workers:
                placement.kill(worker.slot)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._deadline = time.monotonic() + (
            self._plan.placement.grace if self._signals == 1 else 0.0
        )
        self._connections.wake()
