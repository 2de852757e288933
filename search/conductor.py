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

from search.contract import Contract
from search.crew import Crew, Gone, Said, Served
from search.devices import Slot
from search.errors import Interrupted
from search.folder import Folder
from search.lanes import PEEK, Fusions
from search.logs import TrialLogs
from search.placement import Placement
from search.plan import Plan
from search.record import Record
from search.rows import Ask
from search.stages import Stage
from search.study import Study
from search.underway import SHARED, Underway, fresh_standing
from search.waiting import Waiting
from search.watcher import Watcher
from search.wire import Message, WireError

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
        crew: Crew,
        contract: Contract,
        stage: Stage,
        fusions: Fusions,
        watcher: Watcher,
    ) -> None:
        self._plan, self._folder, self._crew = plan, folder, crew
        self._stage, self._fusions, self._watcher = stage, fusions, watcher
        self._logs = TrialLogs(folder.logs, limit=plan.limits.log_bytes)
        self._record = Record(plan, folder=folder, study=study, contract=contract, stage=stage, watcher=watcher)
        self._queue = Waiting(map(self._underway, self._record.unfinished()), slots=fusions.slots)
        self._signals, self._told = 0, False
        self._deadline: float | None = None
        self._looked = 0.0

    def run(self, placement: Placement) -> None:
        """Until the stage wants nothing more.

        Raises:
            Interrupted: by SIGINT, SIGTERM or SIGHUP; what runs has been checkpointed.
            RunError: workers cannot start, or all trials fail alike.
        """
        handlers = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        grace = 0.0
        try:
            self._watcher.foreseen(self._stage.foreseen(self._record.rows))
            self._refill()
            if self._queue or self._stage.thinking:
                placement.start()
                while not self._done():
                    self._turn(placement)
                placement.close()
                self._crew.dismiss()
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
        for happened in self._crew.wait(TICK):
            if isinstance(happened, Said):
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
            self._watcher.note(f"stopping at the next epoch's end, after {grace:g} s at the latest; once more stops at once")

    def _done(self) -> bool:
        busy = any(worker.trials for worker in self._crew.workers)
        return not busy and (not (self._queue or self._stage.thinking) or self._signals > 0)

    def _refill(self) -> None:
        """Asks the stage for more; whether a round has ended is for the stage to see."""
        workers = self._crew.workers
        room = sum(worker.room for worker in workers) or int(not any(worker.trials for worker in workers))
        if room and not self._queue:
            asks = self._stage.wanted(self._record.rows, room=room)
            for ask in asks:
                self._record.add(ask)
                self._queue.add(self._underway(ask))
            if asks:
                self._watcher.foreseen(self._stage.foreseen(self._record.rows))

    def _underway(self, ask: Ask) -> Underway:
        return Underway(ask=ask, standing=fresh_standing(self._plan.metric, self._plan.limits), limits=self._plan.limits)

    def _assign(self) -> None:
        for worker in self._crew.workers:
            if worker.waiting and self._queue:
                worker.waiting = False
                self._crew.tell(worker, {"kind": "work", **self._handed(worker)})

    def _handed(self, worker: Served) -> Message:
        """The trials that a worker gets, and what else could train beside them."""
        trials = self._queue.hand(worker, workers=self._crew.workers)
        worker.room -= len(trials)
        told = []
        for trial in trials:
            ask, trial.heard = trial.ask, time.monotonic()
            worker.trials[ask.trial] = trial
            self._record.begin(worker.slot, ask)
            told.append({"trial": ask.trial, "seed": ask.seed, "knobs": dict(ask.knobs)})
        return {"trials": told, "abreast": self._abreast() if told and worker.curious else []}

    def _abreast(self) -> list[Message]:
        """Trials that may train at the same time, by their knobs."""
        asks = self._stage.abreast(self._record.rows)[:PEEK]
        counted = Counter(tuple(ask.knobs.items()) for ask in asks)
        return [{"knobs": dict(knobs), "trials": trials} for knobs, trials in counted.items()]

    # Workers speak and go

    def _on_said(self, worker: Served, message: Message, placement: Placement) -> None:
        try:
            reply = self._reply(worker, message)
        except WireError as error:
            for trial in worker.trials.values():
                trial.doom = f"its worker broke the protocol: {error}"
            placement.kill(worker.slot)
            return
        if reply is not None:
            self._crew.tell(worker, reply)

    def _reply(self, worker: Served, message: Message) -> Message | None:
        kind = message["kind"]
        if kind == "hello":
            return self._setup(worker.slot)
        if kind in ("ask", "settle"):
            worker.room, worker.curious = int(message["room"]), bool(message["curious"])
            if kind == "settle":
                return self._on_settled(worker)
            worker.waiting = worker.born = True
            return None
        if kind in ("fusion", "crowded"):
            fusion, news = self._fusions.told(message)
            if news:
                self._watcher.note(news)
            return {"kind": "fusion", "fusion": asdict(fusion)}
        trial = worker.trials.get(message.get("trial", -1))
        if kind == "broken" or trial is None:
            raise WireError(str(message.get("why", f"a message {kind!r} of a trial that it was not given")))
        if kind == "begin":
            records = self._record.epochs(trial.ask.trial)
            trial.begin(int(message["epoch"]), records=records, device=worker.slot.label, strategy=str(message["strategy"]))
        elif kind == "epoch" and trial.word == "go":
            self._record.epoch(worker.slot, trial, message)
        elif kind == "end":
            self._on_end(worker, trial, message)
        return None

    def _on_settled(self, worker: Served) -> Message:
        """Whether to go on, for all its trials, and new ones where it has room."""
        answers = {str(number): self._answer(trial) for number, trial in worker.trials.items()}
        if self._signals:
            return {"kind": "settled", "answers": answers, "trials": [], "abreast": []}
        self._refill()
        return {"kind": "settled", "answers": answers, **self._handed(worker)}

    def _answer(self, trial: Underway) -> Message:
        """Go on or stop; what was told after the epoch at which a trial was to stop has not been recorded."""
        word = "interrupt" if trial.word == "go" and self._signals else trial.word
        if trial.doom:  # where its worker cannot be killed, it ends here
            word = "stop"
        standing = trial.standing
        return {"kind": word, "why": standing.why, "epoch": standing.epoch, "best_epoch": standing.best_epoch}

    def _on_end(self, worker: Served, trial: Underway, message: Message) -> None:
        del worker.trials[trial.ask.trial]
        self._watcher.left(worker.slot, trial.ask)
        if trial.doom:
            self._died(trial, trial.doom, company=False)
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
        self._finish(trial, str(message["state"]), reason=str(message["reason"]), cause=message.get("cause"))

    def _on_gone(self, gone: Gone) -> None:
        """Its trials go on from their checkpoints. Where one of them was the cause, it alone has died."""
        trials, gone.worker.trials = list(gone.worker.trials.values()), {}
        for trial in trials:
            self._watcher.left(gone.worker.slot, trial.ask)
        if self._signals:
            return  # when the search is resumed
        doomed = [trial for trial in trials if trial.doom]
        self._queue.put_back([trial for trial in trials if doomed and not trial.doom])
        for trial in reversed(doomed or trials):
            self._died(trial, trial.doom or gone.how, company=len(trials) > 1)

    def _died(self, trial: Underway, reason: str, *, company: bool) -> None:
        """Its worker has died, or would have been killed: another attempt, or a row that says why."""
        if trial.die(company=company):
            again = "trying again by itself" if trial.suspect and company else "trying again"
            self._watcher.note(f"trial {trial.ask.trial}: {reason}; {again}")
            self._queue.put_back([trial])
        else:
            self._finish(trial, "lost" if trial.retry else "failed", reason=reason, cause=reason)

    def _finish(self, trial: Underway, state: str, *, reason: str, cause: str | None) -> None:
        number = trial.ask.trial
        log = self._logs.see(number) if state in ("failed", "lost") else ""
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
        for worker in self._crew.workers:
            for trial in worker.trials.values():
                if not trial.doom:
                    flooded = self._logs.flooded(trial.ask.trial)
                    trial.retry = trial.retry and not flooded
                    trial.doom = flooded or trial.overdue(now, company=len(worker.trials) > 1)
                    if trial.doom:
                        placement.kill(worker.slot)
        if self._deadline is not None and now > self._deadline:
            for worker in self._crew.workers:
                placement.kill(worker.slot)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._deadline = time.monotonic() + (self._plan.placement.grace if self._signals == 1 else 0.0)
        self._crew.wake()
