"""The process that trains: asks the conductor for trials, streams their epochs, hears go or stop. Serves many trials.

Never opens the study, the journal or the split.
Started by a placement as `python -m search.worker SOCKET LIFELINE`.
"""

import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from search import guard

if __name__ == "__main__":
    guard.start_guard(int(sys.argv[2]))
    guard.die_with_starter()

from omegaconf import DictConfig

from search.arrays import read_folds
from search.configs import TrialConfigs, trainer_config
from search.metrics import Metric
from search.training import Trainings, TrialFailed
from search.wire import Link, Message
from trainers.checkpoint import TrialCheckpoint

# Every epoch is told at once; its answer is awaited when this many seconds have passed since the last one, so that short
# epochs do not wait for the conductor. What a trial has trained beyond the epoch at which it was to stop is ignored.
WINDOW = 0.01
STATE_AFTER = {"stop": "complete", "prune": "pruned", "diverged": "infeasible", "interrupt": "interrupted"}
TOLD = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", guard.MARK)


class Channel(Protocol):
    """What the worker needs of a connection."""

    def send(self, message: Message) -> None:
        """Sends one message."""

    def receive(self) -> Message:
        """Waits for the reply."""


class Worker:
    """Serves one conductor until told to quit.

    `redirect`: whether a trial's output goes to its log (not within the conductor).
    """

    def __init__(self, link: Channel, *, setup: Message, redirect: bool) -> None:
        self._link, self._redirect = link, redirect
        self._configs = TrialConfigs(DictConfig(setup["config"]))
        self._every = float(setup["config"]["trainer"]["checkpoint_every"])
        self._folder = Path(setup["folder"])
        self._device = str(setup["device"])
        self._metric = Metric(**setup["metric"])
        self._folds = read_folds(self._folder / "arrays")
        self._trainings: Trainings | None = None

    def serve(self) -> None:
        """Trials, one after the other.

        Returns when there is no more work or after a failure, which calls for a fresh process.
        """
        while True:
            work = self._ask({"kind": "ask"})
            if work["kind"] == "quit" or not self._serve(work):
                return

    def _serve(self, work: Message) -> bool:
        trial = int(work["trial"])
        place = self._folder / "checkpoints" / str(trial)
        with self._log(trial):
            try:
                end = self._train(trial, work, TrialCheckpoint(place, folds=len(self._folds), every=self._every))
            except Exception as error:  # noqa: BLE001  # whatever a trainer raises is an outcome of its trial
                end = {"state": "infeasible" if _out_of_memory(error) else "failed", "reason": _reason(error), "fit": False}
                end["cause"] = f"{type(error).__name__} at {_place(error)}"
                traceback.print_exc()
            if end["state"] in ("failed", "infeasible", "pruned"):
                shutil.rmtree(place, ignore_errors=True)  # nothing of it is worth keeping
            left = guard.kill_children() if self._redirect else []
        if left:
            end["reason"] = "; ".join(
                filter(None, [end["reason"], f"left {len(left)} processes behind, stopped: {', '.join(left)}"])
            )
        self._link.send({"kind": "end", "trial": trial, **end})
        return bool(end.get("fit", True))

    def _train(self, trial: int, work: Message, checkpoint: TrialCheckpoint) -> Message:
        config = self._config(work)
        if self._trainings is None:
            self._trainings = Trainings(
                config["trainer"]["_target_"], folds=self._folds, device=self._device, metric=self._metric
            )
        trainings = self._trainings
        self._link.send({"kind": "begin", "trial": trial, "epoch": checkpoint.epoch, "strategy": trainings.strategy})
        answered, seen = time.monotonic(), 0
        try:
            trainings.admit(trial, config=config, checkpoint=checkpoint)
            while True:
                checkpoint.hold()
                message, error = trainings.step()
                seen += message is not None
                if message is None or time.monotonic() - answered > WINDOW:
                    answer = self._ask({**(message or {"kind": "settle", "trial": trial}), "answer": True})
                    answered = time.monotonic()
                    checkpoint.confirm(int(answer["epoch"]), best_epoch=int(answer["best_epoch"]))
                    if answer["kind"] in STATE_AFTER and (answer["kind"] != "interrupt" or message is not None):
                        _keep(checkpoint, STATE_AFTER[answer["kind"]])
                        return {"state": STATE_AFTER[answer["kind"]], "reason": answer["why"]}
                else:
                    self._link.send(message)
                if error is not None:
                    raise error
                if message is None:
                    if not seen and not checkpoint.epoch:
                        raise TrialFailed("the trainer ended without a single epoch; yield once per epoch")
                    _keep(checkpoint, "complete")
                    return {"state": "complete", "reason": ""}
        finally:
            trainings.release(trial)

    def _config(self, work: Message) -> dict[str, Any]:
        """What the trainer gets."""
        return trainer_config(self._configs.resolve(knobs=work["knobs"], seed=int(work["seed"])))

    def _ask(self, message: Message) -> Message:
        self._link.send(message)
        return self._link.receive()

    @contextmanager
    def _log(self, trial: int) -> Iterator[None]:
        """What the trial prints, its children's output included, goes to its log."""
        if not self._redirect:
            yield
            return
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        sys.stdout.flush()
        kept = [os.dup(1), os.dup(2)]
        with (logs / f"{trial}.log").open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            with suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            for number, copy in enumerate(kept, start=1):
                os.dup2(copy, number)
                os.close(copy)


def main(connection: int) -> None:
    """Life of a worker process: say hello, be set up, serve."""
    link = Link(socket.socket(fileno=connection))
    with suppress(EOFError, OSError):
        link.send({"kind": "hello", "pid": os.getpid(), "environment": {key: os.environ.get(key, "") for key in TOLD}})
        setup = link.receive()
        if setup["kind"] == "setup":
            Worker(link, setup=setup, redirect=True).serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # at once: what a trainer has registered to run at exit must not hold up the next worker


def _keep(checkpoint: TrialCheckpoint, state: str) -> None:
    """What stays on disk of a trial that has ended well, or is to go on later."""
    if state == "complete":
        checkpoint.finish()
    elif state == "interrupted":
        checkpoint.flush()


def _out_of_memory(error: Exception) -> bool:
    """Python's MemoryError or torch's OutOfMemoryError, told apart by its name, since torch may not be here."""
    return isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)


def _reason(error: Exception) -> str:
    """The error in one line, with the line of code that raised it."""
    told = str(error).strip().splitlines()
    place = "" if isinstance(error, TrialFailed) else f" ({_place(error)})"
    return f"{type(error).__name__}: {told[0] if told else ''}{place}"


def _place(error: Exception) -> str:
    """File and line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


if __name__ == "__main__":
    main(int(sys.argv[1]))
