"""Serves the conductor from within a worker: asks for trials, streams their epochs, obeys answers.

Knows neither the study, nor the journal, nor the split. Serves many trials.
"""

import gc
import json
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import structs
from omegaconf import DictConfig

from search.config.text import one_line
from search.config.trial_config import TrialConfigs
from search.contract.arrays import read_folds
from search.execution import messages
from search.execution import process_guard as guard
from search.execution.end_reasons import END_AFTER, TrialEnd
from search.execution.link import Link
from search.execution.memory import memory_kills
from search.execution.messages import Quit, Settled, TrialEnded, Work
from search.execution.worker.charged import Charged
from search.execution.worker.conductor_channel import ConductorChannel, expected
from search.execution.worker.epoch_message import TrialFailed
from search.execution.worker.failures import cause_of, end_of, out_of_memory, print_error
from search.execution.worker.lane_assignment import LaneAssignment
from search.execution.worker.log_redirect import LogRedirect
from search.execution.worker.notice import Notice
from search.execution.worker.seated import WINDOW, Seated
from search.execution.worker.trial_files import TrialFiles
from search.execution.worker.trial_runner import StepResult, TrialRunner
from trainers.api import Config

PROGRAMS = "trainers.command"  # the module by which a trainer runs a program
WORTHLESS = (TrialEnd.FAILED, TrialEnd.INFEASIBLE, TrialEnd.PRUNED)  # ends that keep no checkpoint
FINISHED_WELL = (TrialEnd.COMPLETE, TrialEnd.PRUNED)


class Worker:
    """Serves one conductor until it is told to quit.

    `log`: name of the log for output that belongs to no trial; None within the conductor's own
    process. `files`: how files of its trials reach the search; `notice`: when it must leave.
    """

    def __init__(
        self,
        link: Link,
        *,
        setup: messages.Setup,
        log: str | None,
        files: TrialFiles | None = None,
        notice: Notice | None = None,
    ) -> None:
        config = json.loads(setup.config)
        self._conductor, self._setup = ConductorChannel(link), setup
        self._files, self._notice = files or TrialFiles(), notice or Notice()
        self._configs = TrialConfigs(DictConfig(config))
        self._every = float(config["trainer"]["checkpoint_every"])
        self._most_printed = int(float(config["trainer"]["max_log_mb"]) * 2**20)
        self._folder = Path(setup.folder)
        self._checkpoints = self._folder / "checkpoints"
        self._folds = read_folds(self._folder / "arrays")
        self._output = LogRedirect(self._folder / "logs", own=log)
        self._lanes: LaneAssignment | None = None
        self._seated: dict[int, Seated] = {}
        self._fit, self._frozen, self._shared = True, False, False
        self._answered_at, self._memory_kills = 0.0, memory_kills()

    def serve(self) -> None:
        """Trains trials, one after the other or side by side.

        Returns when there is no more work. After a failure, or a notice, it returns once its last
        trial has left: the next trial gets a fresh process.
        """
        while self._seated or (self._fit and not self._notice.given):
            if self._seated:
                self._step()
                continue
            self._notice.idle = True
            work = self._conductor.ask(
                messages.AskForWork(room=1, wants_candidates=self._wants_candidates)
            )
            self._notice.idle = False
            if isinstance(work, Quit):
                return
            self._take(expected(work, Work))

    # Trials come

    def _take(self, work: Work) -> None:
        """Seats the trials, and asks for more where there is room beside them.

        They are handed back where the trial before them has failed, or the worker must leave.
        """
        fit = self._fit and not self._notice.given
        for assigned in work.trials:
            if fit:
                self._seat(assigned, work.candidates)
            else:
                self._conductor.tell(TrialEnded(trial=assigned.trial, end=TrialEnd.INTERRUPTED))
        if fit and work.trials and self._room:
            self._settle()

    @property
    def _room(self) -> int:
        return self._lanes.room() if self._fit and self._lanes is not None else 0

    @property
    def _wants_candidates(self) -> bool:
        return self._lanes is None or self._lanes.shares

    def _seat(self, assigned: messages.AssignedTrial, peers: Sequence[messages.Candidates]) -> None:
        trial, seed = assigned.trial, assigned.seed
        self._output.belongs_to(trial)
        self._files.fetch(trial)
        seated = Seated.of(assigned, self._folder, folds=len(self._folds), every=self._every)
        self._seated[trial] = seated
        with self._charged_to(seated):
            config = self._configs.resolve(knobs=assigned.knobs, seed=seed)
            seated.epochs = int(config["trainer"]["epochs"])
            seated.checkpoint.keep_snapshots(config)
            lanes = self._opened(config)
            strategy = lanes.seat(
                trial,
                config,
                candidates=peers,
                config_of=lambda knobs: self._configs.resolve(knobs=knobs, seed=seed),
            )
            self._conductor.tell(seated.begun(strategy=strategy))
            self._answered_at = time.monotonic()
            lanes.runner.admit(trial, config=config, checkpoint=seated.checkpoint)
            if not self._frozen:
                gc.freeze()  # what the first trial has imported stays too
                self._frozen = True
        if seated.end is not None:
            self._leave(seated)

    def _opened(self, config: Config) -> LaneAssignment:
        """The trainer, opened by the first trial; if that fails, it is that trial's failure."""
        if self._lanes is None:
            setup, target = self._setup, config["trainer"]["_target_"]
            runner = TrialRunner(
                target, folds=self._folds, device=setup.device, metric=setup.metric
            )
            self._lanes = LaneAssignment(runner, setup=setup.lanes, ask=self._conductor.ask)
        return self._lanes

    # Trials train

    def _step(self) -> None:
        """An epoch of every trial; they are sent when an answer is due or a trial has ended."""
        assert self._lanes is not None
        self._output.belongs_to(next(iter(self._seated)) if len(self._seated) == 1 else None)
        for seated in list(self._seated.values()):
            with self._charged_to(seated):
                seated.checkpoint.hold()
            if seated.end is not None:
                self._leave(seated)
        for result in self._lanes.runner.step():
            self._send_epoch(self._seated[result.trial], result)
        if len(self._seated) > 1 and self._output.printed > self._most_printed:
            for seated in list(self._seated.values()):
                self._disrupt(seated, "printed too much beside other trials")
                self._leave(seated)
        window = min((seated.window for seated in self._seated.values()), default=WINDOW)
        if self._notice.given or time.monotonic() - self._answered_at >= window:
            self._settle()

    def _send_epoch(self, seated: Seated, result: StepResult) -> None:
        """Tells the epoch, unless its trial must begin again in a fresh process."""
        if self._output.redirect and self._lanes and (taint := self._lanes.runner.tainted):
            self._fit = False
            seated.end = TrialEnded(trial=seated.trial, end=TrialEnd.TAINTED, reason=taint)
            self._leave(seated)
            return
        seated.result = result
        if result.message is not None:
            seated.epoch = result.message.epoch
            with self._charged_to(seated):  # a message may hold what cannot be sent
                # The untrained model is told at once, since the first epoch may be long, and the
                # last epoch, since what a trainer does behind it may hang.
                self._conductor.tell(result.message, more=0 < seated.epoch < seated.epochs)

    def _settle(self) -> None:
        """Asks about every trial whether it goes on; some leave, others may come."""
        self._files.send_logs()
        lanes = self._lanes if self._fit else None
        message = messages.Settle(
            room=self._room,
            soon=lanes.soon(self._seated.values()) if lanes is not None else 0,
            wants_candidates=self._wants_candidates,
            leaving=self._notice.given,
        )
        work = expected(self._conductor.ask(message), Settled)
        self._answered_at, self._shared = time.monotonic(), len(self._seated) > 1
        if self._lanes is not None:
            self._lanes.runner.exclude(self._conductor.waited)
        if PROGRAMS in sys.modules:  # a trainer may run a program that is killed
            self._memory_kills = memory_kills()
        for seated in list(self._seated.values()):
            self._obey(seated, work.answers[seated.trial])
        self._files.send(self._seated)
        self._take(work)

    def _obey(self, seated: Seated, answer: messages.Answer) -> None:
        """The conductor's decision comes first, but what has ended by itself is not interrupted."""
        end = END_AFTER.get(answer.decision)
        with self._charged_to(seated):
            epoch, trials = answer.epoch, len(self._seated)
            seated.checkpoint.confirm(epoch, best_epoch=answer.best_epoch, trials=trials)
            seated.next_decision = answer.next_decision
            if seated.end is not None:
                pass
            elif end is not None and not (seated.ended and end is TrialEnd.INTERRUPTED):
                seated.checkpoint.keep(end)
                seated.end = TrialEnded(trial=seated.trial, end=end, reason=answer.reason)
            elif seated.result is not None and seated.ended:
                self._complete(seated, seated.result)
        if seated.end is not None:
            self._leave(seated)

    def _complete(self, seated: Seated, result: StepResult) -> None:
        if result.error is not None:
            error = cause_of(result.error, kills_before=self._memory_kills)
            memory = out_of_memory(error)
            if result.disrupted or (memory and self._shared):
                reason = end_of(error, trial=seated.trial, folder=self._folder).reason
                self._disrupt(seated, reason, memory=memory)
                return
            raise error
        if seated.epoch < 0 and not seated.checkpoint.epoch:
            raise TrialFailed("the trainer ended without a single epoch; yield once per epoch")
        seated.checkpoint.keep(TrialEnd.COMPLETE)
        reason = one_line(result.remark)
        seated.end = TrialEnded(trial=seated.trial, end=TrialEnd.COMPLETE, reason=reason)

    # Trials go

    def _disrupt(self, seated: Seated, reason: str, *, memory: bool = False) -> None:
        """Something has failed that several trials share: each is tried again by itself.

        If memory has run out for the trials of one program, fewer of them sit together from now on,
        this trial among them.
        """
        self._fit = False
        crowded = memory and self._lanes is not None and self._lanes.crowded(seated.trial)
        seated.end = TrialEnded(
            trial=seated.trial,
            end=TrialEnd.CROWDED if crowded else TrialEnd.DISRUPTED,
            reason="" if crowded else reason,
        )

    def _charged_to(self, seated: Seated) -> Charged:
        """Within it, an exception of a trainer ends its trial."""
        return Charged(seated, fail=self._fail)

    def _fail(self, seated: Seated, error: Exception) -> None:
        """An exception ends the trial; this process takes no new trial after it."""
        self._fit = False
        self._output.belongs_to(seated.trial)
        with suppress(OSError):  # the disk may be full
            print_error(error)
        seated.end = end_of(error, trial=seated.trial, folder=self._folder)
        by_notice = self._notice.given and seated.end.end in (TrialEnd.FAILED, TrialEnd.KILLED)
        if by_notice:  # the program got the same signal
            seated.end = TrialEnded(trial=seated.trial, end=TrialEnd.INTERRUPTED)
        if out_of_memory(error) and len(self._seated) > 1:
            self._disrupt(seated, seated.end.reason, memory=True)

    def _leave(self, seated: Seated) -> None:
        """Reports the trial's end, once nothing of it is left here."""
        assert seated.end is not None
        end = seated.end
        del self._seated[seated.trial]
        if self._lanes is not None:
            self._lanes.free(seated.trial)
            try:
                self._lanes.runner.release(seated.trial)
                self._fit &= self._lanes.runner.fresh
            except Exception as error:  # noqa: BLE001  # a generator's `finally` may raise
                self._fail(seated, error)
                end = seated.end if end.end in FINISHED_WELL else end
        if end.end in WORTHLESS:
            shutil.rmtree(self._checkpoints / str(seated.trial), ignore_errors=True)
        left = guard.kill_children() if self._output.redirect and not self._seated else []
        behind = f"left behind and stopped: {', '.join(left)}" if left else ""
        self._output.belongs_to(None)
        self._files.send([end.trial], ended=True)
        reason = "; ".join(filter(None, [end.reason, behind]))
        self._conductor.tell(structs.replace(end, reason=reason))
