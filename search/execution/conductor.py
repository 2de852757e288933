"""The one process that asks, records and answers: one thread, one loop; other threads post events.

Hands trials to workers, answers every epoch, and continues where a worker has died. Training, the
metric and what a stage wants are the business of others.
"""

import time
from types import FrameType

from search.config.plan import Plan
from search.contract.contract import Contract
from search.errors import Interrupted
from search.execution import messages
from search.execution.callbacks import Callback
from search.execution.carried_files import CarriedFiles, FileMessage
from search.execution.clocks import TICK, Clocks
from search.execution.connections import Happening, MessageReceived, WorkerExited, WorkerHandle
from search.execution.end_reasons import StopDecision
from search.execution.lanes import Fusions
from search.execution.reception import Reception
from search.execution.recorder import Recorder
from search.execution.running_trial import RunningTrial, fresh_early_stopping
from search.execution.signals import signals_handled
from search.execution.slot_control import SlotControl
from search.execution.trial_endings import TrialEndings, machine_error
from search.execution.trial_queue import TrialQueue
from search.execution.worker_pool import WorkerPool
from search.stages.stage import Stage, looked_ahead
from search.storage.folder import Folder
from search.storage.logs import TrialLogs
from search.storage.study import Study
from search.storage.trial_storage import ServerAway
from search.storage.trials import TrialSpec

FAREWELL = 5.0  # time that workers get to end when there is no more work [s]


class Conductor:
    """Runs a stage's trials to their end."""

    def __init__(
        self,
        plan: Plan,
        *,
        folder: Folder,
        study: Study,
        pool: WorkerPool,
        contract: Contract,
        stage: Stage,
        fusions: Fusions,
        callback: Callback,
    ) -> None:
        self._plan, self._folder, self._pool = plan, folder, pool
        self._connections, self._storage = pool.connections, study.storage
        self._stage, self._fusions, self._callback = stage, fusions, callback
        self._logs = TrialLogs(folder.logs, limit=plan.limits.log_bytes)
        self._files = CarriedFiles(folder.path, logs=self._logs)
        self._recorder = Recorder(
            plan, folder=folder, study=study, contract=contract, stage=stage, callback=callback
        )
        unfinished = map(self._running_trial, self._recorder.unfinished())
        self._queue = TrialQueue(unfinished, slots=fusions.slots)
        self._endings = TrialEndings(
            folder.path,
            queue=self._queue,
            recorder=self._recorder,
            logs=self._logs,
            callback=callback,
            connections=pool.connections,
        )
        self._signals, self._stopping_said = 0, False
        self._slots = SlotControl(
            folder.path, pool=pool, grace=plan.placement.grace, callback=callback
        )
        self._reception = Reception(plan, folder=folder, fusions=fusions, callback=callback)
        self._clocks = Clocks(pool, logs=self._logs, callback=callback)

    def run(self, *, keep_workers: bool = False) -> None:
        """Runs until the stage wants nothing more. `keep_workers`: they then wait for another one.

        Raises:
            Interrupted: by SIGINT, SIGTERM or SIGHUP; running trials have been checkpointed.
            RunError: workers cannot start, the machine is at fault, or all trials fail alike.
        """
        with signals_handled(self._on_signal):
            try:
                self._carry_out(keep_workers=keep_workers)
            except ServerAway:
                if not self._signals:
                    raise
            except OSError:
                self._recorder.check_folder()  # what somebody has removed comes first
                raise
        if self._signals:
            raise Interrupted("interrupted", code="interrupted")

    def _carry_out(self, *, keep_workers: bool) -> None:
        grace, kept = 0.0, False
        try:
            self._callback.foreseen(self._stage.foreseen(self._recorder.rows))
            self._refill()
            if self._queue or self._stage.thinking:
                self._pool.start()
                self._assign()  # workers of an earlier stage have asked already
                while not self._done():
                    self._turn()
                if not keep_workers:
                    self._pool.close()
                    self._connections.dismiss(messages.Quit())
                    grace = FAREWELL
            kept = keep_workers and not self._signals
        finally:
            if not kept:
                self._pool.stop(grace=grace)
            self._slots.close()
            self._stage.close()
            self._recorder.close()

    def _turn(self) -> None:
        asked_at = time.monotonic()
        for happened in self._connections.wait(TICK):
            self._on_happening(happened)
        if not self._signals:
            self._refill()
            self._assign()
        elif not self._stopping_said:
            self._stopping_said, grace = True, self._plan.placement.grace
            self._callback.note(
                f"stopping at the next epoch's end, after {grace:g} s at the latest; "
                "once more stops at once"
            )
        self._recorder.sync()
        self._clocks.look(asked_at=asked_at)
        self._slots.look()

    def _done(self) -> bool:
        busy = any(worker.trials for worker in self._connections.workers)
        return not busy and (not (self._queue or self._stage.thinking) or self._signals > 0)

    def _refill(self) -> None:
        """Asks the stage for trials while the queue is empty and a seat is free."""
        if self._stage.paused:
            self._queue.clear()
            return
        workers = self._connections.workers
        room = sum(worker.room for worker in workers) or int(not any(w.trials for w in workers))
        if room and not self._queue.ready:
            wanted = self._stage.wanted(self._recorder.rows, room=room)
            for spec in wanted:
                self._recorder.add(spec)
                self._queue.add(self._running_trial(spec))
            if wanted:
                self._callback.foreseen(self._stage.foreseen(self._recorder.rows))

    def _running_trial(self, spec: TrialSpec) -> RunningTrial:
        early_stopping = fresh_early_stopping(self._plan.metric, self._plan.limits)
        return RunningTrial(spec=spec, early_stopping=early_stopping, limits=self._plan.limits)

    def _assign(self) -> None:
        for worker in self._connections.workers:
            if worker.waiting and self._queue and (trials := self._hand_out(worker)):
                worker.waiting = False
                candidates = self._candidates(worker, trials)
                self._tell(worker, messages.Work(trials=trials, candidates=candidates))

    def _tell(self, worker: WorkerHandle, message: messages.Message) -> None:
        """What a worker is told, relies on records that a kill does not undo."""
        self._recorder.flush()
        self._connections.tell(worker, message)

    def _hand_out(self, worker: WorkerHandle, *, soon: int = 0) -> list[messages.AssignedTrial]:
        trials = self._queue.take(worker, workers=self._connections.workers, soon=soon)
        worker.room = max(worker.room - len(trials), 0)
        for trial in trials:
            trial.hand_out(rungs=self._stage.rungs(trial.spec))
            worker.trials[trial.spec.trial] = trial
            self._recorder.begin(worker.slot, trial.spec)
        return [trial.assigned(self._plan.trained_knobs(trial.spec.knobs)) for trial in trials]

    def _candidates(
        self, worker: WorkerHandle, trials: list[messages.AssignedTrial]
    ) -> list[messages.Candidates]:
        """Trials that may train beside those handed out, counted by their knobs."""
        if not trials or not worker.wants_candidates:
            return []
        return [
            messages.Candidates(knobs=self._plan.trained_knobs(knobs), trials=count)
            for knobs, count in looked_ahead(self._stage.candidates(self._recorder.rows))
        ]

    def _on_happening(self, happened: Happening) -> None:
        if isinstance(happened, WorkerExited):
            self._endings.on_exit(happened, stopping=self._signals > 0)
            self._logs.append(happened.worker.slot.log, happened.output)
            self._pool.replace(happened)
        elif isinstance(happened, MessageReceived):
            try:
                reply = self._reply(happened.worker, happened.message)
            except messages.MessageError as error:
                self._break_off(happened.worker, str(error))
            else:
                if reply is not None:
                    self._tell(happened.worker, reply)
        else:
            self._break_off(happened.worker, happened.reason)

    def _break_off(self, worker: WorkerHandle, reason: str) -> None:
        for trial in worker.trials.values():
            trial.kill_reason = f"its worker broke the protocol: {reason}"
        self._pool.kill(worker.slot)

    def _reply(self, worker: WorkerHandle, message: messages.Message) -> messages.Message | None:
        """The answer to a message, where it has one. Raises MessageError: it makes no sense."""
        if isinstance(message, FileMessage):
            return self._files.reply(message, trials=worker.trials, log=worker.slot.log)
        match message:
            case messages.Hello():
                return self._reception.greet(worker, message)
            case messages.Settle():
                return self._on_settle(worker, message)
            case messages.AskForWork() if worker.leave_by is not None:
                return messages.Quit()
            case messages.AskForWork():
                worker.room, worker.wants_candidates = message.room, message.wants_candidates
                worker.waiting = True
                return None
            case messages.FusionWanted():
                fusion, news = self._fusions.settle(message.key, message.wanted, message.pace)
            case messages.MemoryExceeded():
                fusion, news = self._fusions.crowded(message.key, seats=message.seats)
            case messages.MachineFault():
                raise machine_error(message.reason, worker)
            case messages.TrialBegun() | messages.EpochTrained() | messages.TrialEnded():
                self._on_trial(worker, message)
                return None
            case _:
                raise messages.MessageError(f"a message {type(message).__name__} from a worker")
        if news:
            self._callback.note(news)
        return messages.FusionDecided(fusion=fusion)

    def _on_trial(
        self,
        worker: WorkerHandle,
        message: messages.TrialBegun | messages.EpochTrained | messages.TrialEnded,
    ) -> None:
        trial = worker.trials.get(message.trial)
        if trial is None:
            raise messages.MessageError(f"a message of trial {message.trial}, which it has not")
        if isinstance(message, messages.TrialBegun):
            if message.damage:
                at = message.epoch
                restart = f"it goes on from epoch {at}" if at else "it begins anew"
                self._callback.note(f"trial {message.trial}: {message.damage}; {restart}")
            records = self._recorder.epochs(trial.spec.trial)
            trial.begin(
                message.epoch, records=records, device=worker.slot.label, strategy=message.strategy
            )
        elif isinstance(message, messages.TrialEnded):
            self._endings.on_end(worker, message)
        elif trial.decision is StopDecision.GO:
            self._recorder.record_epoch(worker.slot, trial, message)

    def _on_settle(self, worker: WorkerHandle, message: messages.Settle) -> messages.Settled:
        """Whether each of its trials goes on, and new trials where it has room."""
        worker.room, worker.wants_candidates = message.room, message.wants_candidates
        stopping = self._signals > 0 or message.leaving or worker.leave_by is not None
        answers = {each: trial.answer(stopping=stopping) for each, trial in worker.trials.items()}
        if stopping:
            return messages.Settled(answers=answers)
        # A stage is asked for them only once the trials that leave have their rows.
        soon = message.soon if self._queue.ready else 0
        self._refill()
        trials = self._hand_out(worker, soon=soon)
        return messages.Settled(
            answers=answers, trials=trials, candidates=self._candidates(worker, trials)
        )

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._pool.close()
        grace = self._plan.placement.grace if self._signals == 1 else 0.0
        self._clocks.deadline = time.monotonic() + grace
        self._storage.end_wait()
        self._connections.wake()
