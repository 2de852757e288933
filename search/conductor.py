"""The one process that asks, tells and writes: hands trials to workers, answers every epoch, records, and lets nobody's
death matter.

One thread, one loop; other threads only post events. Never trains, never computes a metric, never decides what a stage wants.
"""

import signal
import time
from collections import deque
from dataclasses import asdict, replace
from types import FrameType

from omegaconf import OmegaConf

from search.contract import Contract
from search.crew import Crew, Gone, Said, Served
from search.curves import MEAN, CurveLog
from search.devices import Slot
from search.errors import Interrupted, RunError
from search.folder import Folder
from search.logs import TrialLogs
from search.placement import Placement
from search.plan import Plan
from search.rows import Ask, Row
from search.stages import Stage
from search.study import Study
from search.underway import Underway, fresh_standing
from search.watcher import Watcher
from search.wire import Message, WireError

TICK = 0.25  # seconds between two looks at clocks and logs
ALIKE = 3  # trials that fail for one reason, with no other outcome, before the search gives up
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
        watcher: Watcher,
    ) -> None:
        self._plan, self._folder, self._study, self._crew, self._contract = plan, folder, study, crew, contract
        self._stage, self._watcher = stage, watcher
        self._rows = {row.ask.trial: row for row in study.rows(alive=True)}
        self._logs = TrialLogs(folder.logs, limit=plan.limits.log_bytes)
        unfinished = [trial for trial, row in self._rows.items() if not row.finished]
        self._curves = CurveLog(folder.curve_log, unfinished=unfinished)
        self._queue = deque(self._underway(row.ask) for row in self._rows.values() if not row.finished)
        self._causes: list[str | None] = []
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
            self._watcher.foreseen(self._stage.foreseen(list(self._rows.values())))
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
            self._crew.close()
            self._curves.close()
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
        busy = any(worker.trial for worker in self._crew.workers)
        return not busy and (not (self._queue or self._stage.thinking) or self._signals > 0)

    def _refill(self) -> None:
        """Asks the stage for more; whether a round has ended is for the stage to see."""
        workers = self._crew.workers
        room = sum(worker.waiting for worker in workers) or int(not any(worker.trial for worker in workers))
        if room and not self._queue:
            asks = self._stage.wanted(list(self._rows.values()), room=room)
            for ask in asks:
                self._rows[ask.trial] = Row(ask=ask, state="queued")
                self._queue.append(self._underway(ask))
            if asks:
                self._watcher.foreseen(self._stage.foreseen(list(self._rows.values())))

    def _underway(self, ask: Ask) -> Underway:
        return Underway(ask=ask, standing=fresh_standing(self._plan.metric, self._plan.limits), limits=self._plan.limits)

    def _assign(self) -> None:
        for worker in self._crew.workers:
            if worker.waiting and self._queue:
                trial = self._queue.popleft()
                worker.waiting, worker.trial, trial.heard = False, trial, time.monotonic()
                ask = trial.ask
                self._study.start(ask, values=self._stage.values)
                self._rows[ask.trial] = Row(ask=ask, state="running")
                self._watcher.began(worker.slot, ask)
                self._crew.tell(worker, {"kind": "work", "trial": ask.trial, "seed": ask.seed, "knobs": dict(ask.knobs)})

    # Workers speak and go

    def _on_said(self, worker: Served, message: Message, placement: Placement) -> None:
        try:
            reply = self._reply(worker, message)
        except WireError as error:
            self._doom(worker, f"its worker broke the protocol: {error}", placement)
            return
        if reply is not None:
            self._crew.tell(worker, reply)

    def _reply(self, worker: Served, message: Message) -> Message | None:
        kind, trial = message["kind"], worker.trial
        if kind == "hello":
            return self._setup(worker.slot)
        if kind == "ask":
            worker.waiting = worker.born = True
            return None
        if kind == "broken" or trial is None or message["trial"] != trial.ask.trial:
            raise WireError(str(message.get("why", f"a message {kind!r} of a trial that it was not given")))
        if kind == "begin":
            records = self._curves.records(trial.ask.trial)
            trial.begin(int(message["epoch"]), records=records, device=worker.slot.label, strategy=str(message["strategy"]))
        elif kind == "epoch" and trial.word == "go":
            self._on_epoch(worker, trial, message)
        elif kind == "end":
            self._on_end(worker, trial, message)
        return self._answer(trial) if message.get("answer") else None

    def _on_epoch(self, worker: Served, trial: Underway, message: Message) -> None:
        """Recorded first, then told, and answered last: a kill in between repeats the epoch and loses nothing."""
        epoch = int(message["epoch"])
        about = {"trial": trial.ask.trial, "epoch": epoch, "source": str(message["source"])}
        seconds = float(message["seconds"])
        for fold, told in enumerate(message.get("folds", ())):
            self._curves.append({**about, "fold": fold, **self._numbers(trial, told, seconds)})
        numbers = self._numbers(trial, message, seconds)
        record = {**about, "fold": MEAN if "folds" in message else 0, **numbers}
        self._curves.append(record)
        trial.hear(record)
        if trial.word != "diverged" and self._stage.compares(trial.ask):
            self._study.report(trial.ask.trial, epoch=epoch, value=numbers[self._plan.metric.name])
        if trial.word == "go" and trial.at_rung(self._stage.rungs(trial.ask)) and self._study.hopeless(trial.ask.trial):
            trial.prune()
        self._watcher.heard(worker.slot, trial.standing, record)

    def _numbers(self, trial: Underway, told: Message, seconds: float) -> dict[str, float]:
        """One fold's numbers, or their mean, with the metric; a composite one is computed here, where all seconds are known."""
        metric, values = self._plan.metric, {name: float(value) for name, value in told["values"].items()}
        if metric.formula:
            return {**values, metric.name: metric.combine({**values, "seconds": trial.seconds + seconds}), "seconds": seconds}
        return {**values, metric.name: float(told["value"]), "seconds": seconds}

    def _answer(self, trial: Underway) -> Message:
        """Go on or stop; what was told after the epoch at which a trial was to stop has not been recorded."""
        word = "interrupt" if trial.word == "go" and self._signals else trial.word
        if trial.doom:  # where its worker cannot be killed, it ends here
            word = "stop"
        standing = trial.standing
        return {"kind": word, "why": standing.why, "epoch": standing.epoch, "best_epoch": standing.best_epoch}

    def _on_end(self, worker: Served, trial: Underway, message: Message) -> None:
        worker.trial = None
        self._watcher.left(worker.slot)
        if trial.doom:
            self._died(trial, trial.doom)
            return
        if message["state"] == "interrupted":
            return
        reason = str(message["reason"])
        if message["state"] == "failed":
            reason += self._logs.see(trial.ask.trial)
        self._finish(trial, str(message["state"]), reason=reason, cause=message.get("cause"))

    def _on_gone(self, gone: Gone) -> None:
        trial, gone.worker.trial = gone.worker.trial, None
        if trial is None:
            return
        self._watcher.left(gone.worker.slot)
        if self._signals:
            return  # it goes on from its checkpoint when the search is resumed
        self._died(trial, trial.doom or gone.how)

    def _died(self, trial: Underway, reason: str) -> None:
        """Its worker has died, or would have been killed: another attempt, or a row that says why."""
        if trial.die():
            self._watcher.note(f"trial {trial.ask.trial}: {reason}; trying again")
            self._queue.appendleft(trial)
        else:
            self._finish(
                trial, "lost" if trial.retry else "failed", reason=reason + self._logs.see(trial.ask.trial), cause=reason
            )

    # Rows

    def _finish(self, trial: Underway, state: str, *, reason: str, cause: str | None) -> None:
        row = trial.row(state, reason=reason)
        row = replace(row, told=self._penalty() if state == "infeasible" else row.value)
        self._logs.trim(trial.ask.trial)
        self._study.finish(row)
        self._stage.ended(row)
        self._curves.forget(row.ask.trial)
        self._rows[row.ask.trial] = row
        self._watcher.finished(row)
        self._causes.append(cause if state in ("failed", "lost") else None)
        if len(self._causes) == ALIKE and cause is not None and set(self._causes) == {cause}:
            raise RunError(
                f"the first {ALIKE} trials all failed alike, so the search stops: {row.reason}; mend it, then use name=…"
            )

    def _penalty(self) -> float | None:
        """What the sampler is told of an infeasible trial: the floor, or the worst value so far (P8)."""
        if self._contract.floor is not None:
            return self._contract.floor
        values = [row.value for row in self._rows.values() if row.value is not None]
        return (min if self._plan.metric.direction == "maximize" else max)(values, default=None)

    def _setup(self, slot: Slot) -> Message:
        return {
            "kind": "setup",
            "config": OmegaConf.to_container(self._plan.config, resolve=False),
            "folder": str(self._folder.path),
            "device": slot.device,
            "metric": asdict(self._plan.metric),
        }

    # Clocks and signals

    def _look(self, now: float, placement: Placement) -> None:
        """At the clocks and logs of what is running."""
        for worker in self._crew.workers:
            trial = worker.trial
            if trial is not None and not trial.doom:
                flooded = self._logs.flooded(trial.ask.trial)
                trial.retry = trial.retry and not flooded
                reason = flooded or trial.overdue(now)
                if reason:
                    self._doom(worker, reason, placement)
        if self._deadline is not None and now > self._deadline:
            for worker in self._crew.workers:
                placement.kill(worker.slot)

    def _doom(self, worker: Served, reason: str, placement: Placement) -> None:
        if worker.trial is not None:
            worker.trial.doom = reason
        placement.kill(worker.slot)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._deadline = time.monotonic() + (self._plan.placement.grace if self._signals == 1 else 0.0)
        self._crew.wake()
