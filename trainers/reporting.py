"""`trainers.report`: an ordinary function that blocks until it has trained tells its epochs.

    import trainers

    def fit(config, data, device, checkpoint):
        for epoch in range(1, config["trainer"]["epochs"] + 1):
            ...
            trainers.report(epoch=epoch, val_loss=…, accuracy=…)

It runs beside the worker's loop in the same thread: `report` hands the values over and comes back
when the next epoch is wanted. Outside of a search `report` does nothing, so the script runs by
itself.
"""

import contextvars
import os
import re
from collections.abc import Callable, Generator, Hashable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from greenlet import getcurrent, greenlet

from trainers.api import NothingReported, Values

NO_EPOCHS = (
    "the trainer must be a generator function that yields once per epoch, or a function that calls "
    "trainers.report once per epoch, but it gave {got} and reported nothing; use yield or report"
)
# How the losses of an epoch are spelled, such as Lightning's `val/loss`; without case and marks.
OF_TRAIN, OF_VALIDATION = "train|training", "val|valid|validation|eval|dev"
LOSSES = {
    "train_loss": re.compile(f"({OF_TRAIN})loss(epoch)?|loss({OF_TRAIN})"),
    "val_loss": re.compile(f"({OF_VALIDATION})loss|loss({OF_VALIDATION})"),
}
VALIDATES = re.compile(f"(loss)?({OF_VALIDATION})")
TEST = re.compile("testloss|losstest")


class TrialStopped(BaseException):
    """Raised by `report` where the trial is to stop; clean up and let it pass.

    No `Exception`, so that a training's own `except Exception` does not swallow it.
    """


def report(**values: Any) -> None:
    """Tells one epoch: what a generator would yield, such as `epoch`, `val_loss`, `predictions`.

    Raises:
        TrialStopped: the trial is to stop: it was interrupted, pruned, or no longer improves.
        RuntimeError: it is called in another thread or process than the function that trains.
    """
    training = _TRAININGS.get(getcurrent())
    if training is not None and training.process == os.getpid():
        training.tell(values)
    elif _TRAININGS:
        raise RuntimeError(
            "trainers.report: must be called in the thread in which the trainer was called, "
            "but got another thread or process; hand the values over to it"
        )


def epochs_reported(train: Callable[[], Any]) -> Generator[Values, None, None]:
    """The epochs of a call, by yield or by `report`. Closing it means stop.

    Raises:
        NothingReported: the call gives no generator and reports nothing.
    """
    training = _Training(train)
    reported = False
    try:
        result = training.advance()
        while not training.dead:
            reported = True
            yield result
            result = training.advance()
    finally:
        training.stop()
    if isinstance(result, Generator):
        yield from result
    elif not reported:
        raise NothingReported(NO_EPOCHS.format(got=type(result).__name__))


class _Training:
    """A call that runs until it reports, and goes on when it is told to."""

    def __init__(self, train: Callable[[], Any]) -> None:
        self.process = os.getpid()
        self._greenlet = greenlet(train)
        self._greenlet.gr_context = contextvars.copy_context()
        self._stopped = False

    @property
    def dead(self) -> bool:
        """True once the call has returned or raised."""
        return bool(self._greenlet.dead)

    def advance(self) -> Any:
        """Runs to the next report and gives its values; or to the end, and gives its result."""
        self._greenlet.parent = getcurrent()
        _TRAININGS[self._greenlet] = self
        try:
            return self._greenlet.switch()
        finally:
            del _TRAININGS[self._greenlet]

    def tell(self, values: Values) -> None:
        """Called by the call itself."""
        if not self._stopped:
            self._greenlet.parent.switch(values)
        if self._stopped:
            raise TrialStopped

    def stop(self) -> None:
        """Raises `TrialStopped` where the call waits; it may clean up, but report no more."""
        self._stopped = True
        if self._greenlet and not self.dead:
            with suppress(TrialStopped):
                self.advance()


_TRAININGS: dict[Any, _Training] = {}  # what runs now, by its greenlet


def with_losses(told: Any) -> dict[str, Any]:
    """With both losses under the names that verdicts read (R16), where they are told by others.

    A program without a name of validation calls the rows so on which it validates: test.
    """
    if not hasattr(told, "keys"):
        raise TypeError(
            "a trainer must yield a dict per epoch, such as {'val_loss': 0.5, 'predictions': …}, "
            f"but got {told!r:.60}, a {type(told).__name__}; give each number its name"
        )
    values = dict(told)
    for ours, name in _losses_among(tuple(values)):
        values.setdefault(ours, values[name])
    if "loss" in values and "val_loss" in values:
        values.setdefault("train_loss", values["loss"])
    return values


@lru_cache(maxsize=64)  # each epoch of a training has the same few names
def _losses_among(names: tuple[Hashable, ...]) -> list[tuple[str, Hashable]]:
    """Which of the names spell a loss, each with the name that verdicts read."""
    letters = {name: "".join(filter(str.isalpha, str(name))).lower() for name in names}
    losses = dict(LOSSES)
    if not any(VALIDATES.match(each) for each in letters.values()):
        losses["val_loss"] = TEST
    return [
        (ours, name)
        for name, each in letters.items()
        for ours, spelt in losses.items()
        if spelt.fullmatch(each)
    ]
