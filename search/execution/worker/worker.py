"""The process that trains: asks the conductor for trials, streams their epochs, hears go or stop. Serves many trials.

Never opens the study, the journal or the split.
Started by a placement as `python -m search.execution.worker.worker SOCKET LIFELINE MODULE`.
"""

import gc
import importlib
import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from search.execution import process_guard as guard

if __name__ == "__main__":
    guard.start_guard(int(sys.argv[2]))
    guard.die_with_starter()
    gc.disable()  # while all is being imported: to look through it takes a fifth of the time

from omegaconf import DictConfig

from search.config.trial_config import TrialConfigs, trainer_config
from search.contract.arrays import read_folds
from search.contract.metrics import Metric
from search.execution.messages import Channel, Link, Message
from search.execution.worker.dry_run import answered_in_copy
from search.execution.worker.failures import ended_by, out_of_memory
from search.execution.worker.lane_assignment import Candidates, LaneAssignment, Seated
from search.execution.worker.log_redirect import Output
from search.execution.worker.trial_runner import StepResult, TrialFailed, TrialRunner
from trainers.api import Config
from trainers.checkpoint import TrialCheckpoint

# Every epoch is told at once; its answer is awaited when this many seconds have passed since the last one, so that short
# epochs do not wait for the conductor. What a trial has trained beyond the epoch at which it was to stop is ignored.
WINDOW = 0.01
STATE_AFTER = {
    "stop": "complete",
    "prune": "pruned",
    "diverged": "infeasible",
    "interrupt": "interrupted",
}
TOLD = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", guard.MARK)


class WorkerExited(EOFError):
    """The conductor is no longer there: no trial's fault."""


class Worker:
    """Serves one conductor until told to quit.

    `log`: the name of its own, where output goes that belongs to no trial; None within the conductor, where all stays as it is.
    """

    def __init__(self, link: Channel, *, setup: Message, log: str | None) -> None:
        self._link, self._setup = link, setup
        self._configs = TrialConfigs(DictConfig(setup["config"]))
        self._every = float(setup["config"]["trainer"]["checkpoint_every"])
        self._most_printed = int(float(setup["config"]["trainer"]["max_log_mb"]) * 2**20)
        self._folder = Path(setup["folder"])
        self._folds = read_folds(self._folder / "arrays")
        self._output = Output(self._folder / "logs", own=log)
        self._opened: tuple[TrialRunner, LaneAssignment] | None = None
        self._seated: dict[int, Seated] = {}
        self._fit, self._frozen, self._company = True, False, False
        self._answered = 0.0

    def serve(self) -> None:
        """Trials, one after the other or side by side.

        Returns when there is no more work, or, with nobody seated any more, after a failure, which calls for a fresh process.
        """
        while self._seated or self._fit:
            if self._seated:
                self._round()
                continue
            work = self._ask({"kind": "ask", "room": 1, "curious": self._curious})
            if work["kind"] == "quit":
                return
            self._take(work)

    # Coming

    def _take(self, work: Message) -> None:
        """Seats what was handed over, and what else there is room for then."""
        for asked in work["trials"]:
            self._seat(asked, work["abreast"])
        if work["trials"] and self._room:
            self._settle()

    @property
    def _room(self) -> int:
        return self._opened[1].room if self._fit and self._opened is not None else 0

    @property
    def _curious(self) -> bool:
        return self._opened is None or self._opened[1].shares

    def _seat(self, asked: Message, candidates: Sequence[Message]) -> None:
        trial = int(asked["trial"])
        self._output.belongs_to(trial)
        checkpoint = TrialCheckpoint(
            self._place(trial),
            folds=len(self._folds),
            every=self._every,
            files=self._folder / "files" / str(trial),
        )
        seated = self._seated[trial] = Seated(trial=trial, checkpoint=checkpoint)

        def company() -> Candidates:
            return [
                (self._config({**asked, **other}), int(other["trials"])) for other in candidates
            ]

        with self._costs_only(seated):
            config = self._config(asked)
            trainings, seating = self._open(config)
            strategy = seating.seat(trial, config, candidates=company)
            self._tell(
                {"kind": "begin", "trial": trial, "epoch": checkpoint.epoch, "strategy": strategy}
            )
            self._answered = time.monotonic()
            trainings.admit(trial, config=config, checkpoint=checkpoint)
            if not self._frozen:
                gc.freeze()  # what the first trial has imported stays too
                self._frozen = True
        if seated.end is not None:
            self._leave(seated)

    def _open(self, config: Config) -> tuple[TrialRunner, LaneAssignment]:
        """The trainer, opened by the first trial, whose failure it is if that fails."""
        if self._opened is None:
            metric, device = Metric(**self._setup["metric"]), str(self._setup["device"])
            trainings = TrialRunner(
                config["trainer"]["_target_"], folds=self._folds, device=device, metric=metric
            )
            self._opened = (
                trainings,
                LaneAssignment(trainings, setup=self._setup["lanes"], ask=self._ask),
            )
        return self._opened

    # Training

    def _round(self) -> None:
        """An epoch of everyone. Each is told at once; answers are awaited when it is time for them, or someone has ended."""
        assert self._opened is not None
        self._output.belongs_to(next(iter(self._seated)) if len(self._seated) == 1 else None)
        for seated in list(self._seated.values()):
            with self._costs_only(seated):
                seated.checkpoint.hold()
            if seated.end is not None:
                self._leave(seated)
        for told in self._opened[0].step():
            seated = self._seated[told.trial]
            seated.result = told
            seated.epochs += told.message is not None
            if told.message is not None:
                self._tell(told.message)
        if len(self._seated) > 1 and self._output.printed > self._most_printed:
            for seated in list(self._seated.values()):
                self._disrupted(seated, "printed too much in company")
                self._leave(seated)
        if (
            any(seated.ended for seated in self._seated.values())
            or time.monotonic() - self._answered > WINDOW
        ):
            self._settle()

    def _settle(self) -> None:
        """Hears of everyone whether to go on; those who are not leave, and others may come."""
        work = self._ask({"kind": "settle", "room": self._room, "curious": self._curious})
        self._answered, self._company = time.monotonic(), len(self._seated) > 1
        for seated in list(self._seated.values()):
            self._hear(seated, work["answers"][str(seated.trial)])
        self._take(work)

    def _hear(self, seated: Seated, answer: Message) -> None:
        """What the conductor says comes first; but a training that has come to its own end is not interrupted any more."""
        state = STATE_AFTER.get(answer["kind"])
        with self._costs_only(seated):
            seated.checkpoint.confirm(int(answer["epoch"]), best_epoch=int(answer["best_epoch"]))
            if state is not None and not (seated.ended and state == "interrupted"):
                seated.checkpoint.keep(state)
                seated.end = {"state": state, "reason": answer["why"]}
            elif seated.result is not None and seated.ended:
                self._complete(seated, seated.result)
        if seated.end is not None:
            self._leave(seated)

    def _complete(self, seated: Seated, told: StepResult) -> None:
        memory = told.error is not None and out_of_memory(told.error)
        if told.error is not None and (told.disrupted or (memory and self._company)):
            self._disrupted(seated, str(ended_by(told.error)["reason"]), memory=memory)
            return
        if told.error is not None:
            raise told.error
        if not seated.epochs and not seated.checkpoint.epoch:
            raise TrialFailed("the trainer ended without a single epoch; yield once per epoch")
        seated.checkpoint.keep("complete")
        seated.end = {"state": "complete", "reason": ""}

    # Going

    def _disrupted(self, seated: Seated, reason: str, *, memory: bool = False) -> None:
        """Something has happened in company, and may have been another's: to be tried again by itself.

        Where memory has run out for too many of one program, fewer sit together from now on, this trial among them.
        """
        self._fit = False
        crowded = memory and self._opened is not None and self._opened[1].crowded(seated.trial)
        seated.end = (
            {"state": "crowded", "reason": ""}
            if crowded
            else {"state": "disrupted", "reason": reason}
        )

    @contextmanager
    def _costs_only(self, seated: Seated) -> Iterator[None]:
        """Whatever a trainer raises is an outcome of its trial; this process takes nobody new after it."""
        try:
            yield
        except WorkerExited:
            raise
        except Exception as error:  # noqa: BLE001
            self._raised(seated, error)

    def _raised(self, seated: Seated, error: Exception) -> None:
        self._fit = False
        self._output.belongs_to(seated.trial)
        traceback.print_exception(error)
        seated.end = ended_by(error)
        if out_of_memory(error) and len(self._seated) > 1:
            self._disrupted(seated, str(seated.end["reason"]), memory=True)

    def _leave(self, seated: Seated) -> None:
        """The trial's end is told, once nothing of it is left here."""
        assert seated.end is not None
        end = seated.end
        del self._seated[seated.trial]
        if self._opened is not None:
            trainings, seating = self._opened
            seating.free(seated.trial)
            try:
                trainings.release(seated.trial)
            except Exception as error:  # noqa: BLE001  # a generator's `finally` may raise; the trial is over
                self._raised(seated, error)
                end = seated.end if end["state"] in ("complete", "pruned") else end
        if end["state"] in ("failed", "infeasible", "pruned"):
            shutil.rmtree(
                self._place(seated.trial), ignore_errors=True
            )  # nothing of it is worth keeping
        left = guard.kill_children() if self._output.redirect and not self._seated else []
        if left:
            told = f"left {len(left)} processes behind, stopped: {', '.join(left)}"
            end["reason"] = "; ".join(filter(None, [end["reason"], told]))
        self._output.belongs_to(None)
        self._tell({"kind": "end", "trial": seated.trial, **end})

    def _place(self, trial: int) -> Path:
        return self._folder / "checkpoints" / str(trial)

    def _config(self, asked: Message) -> dict[str, Any]:
        """What the trainer gets."""
        return trainer_config(self._configs.resolve(knobs=asked["knobs"], seed=int(asked["seed"])))

    def _tell(self, message: Message) -> None:
        try:
            self._link.send(message)
        except OSError as error:
            raise WorkerExited from error

    def _ask(self, message: Message) -> Message:
        self._tell(message)
        try:
            return self._link.receive()
        except (EOFError, OSError) as error:
            raise WorkerExited from error


def main(connection: int, early: str) -> None:
    """Life of a worker process: say hello, warm up while nobody has an answer yet, be set up, serve.

    `early`: a module to import, whose function `warm` is called where it has one.
    """
    link = Link(socket.socket(fileno=connection))
    with suppress(EOFError, OSError):
        link.send(
            {
                "kind": "hello",
                "pid": os.getpid(),
                "environment": {key: os.environ.get(key, "") for key in TOLD},
            }
        )
        if early:
            with suppress(Exception):  # which will be the first trial's failure
                module = importlib.import_module(early)
                if hasattr(module, "warm"):
                    module.warm()
        gc.freeze()  # all this stays: looking through it again takes a fifth of a second each time
        gc.enable()
        while (setup := link.receive())["kind"] == "rehearse":
            with answered_in_copy(setup["asked"]) as answer:
                link.send({"kind": "answer", "answer": answer})
        if setup["kind"] == "setup":
            Worker(link, setup=setup, log=setup["log"]).serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(
        0
    )  # at once: what a trainer has registered to run at exit must not hold up the next worker


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[3])
