"""Gives a training its rows, epochs and end, apart from any search: nothing is saved or goes on."""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainers.api import Config, Data, Epoch, Failure, Part, Values
from trainers.callable import open_seats
from trainers.checkpoint import Unsaved
from trainers.probes import SCRATCH
from trainers.probes.steer import Enough
from trainers.probes.watch import Watch

LONGEST = 300  # characters of an error


@dataclass(kw_only=True)
class Run:
    """What a training gave: values by epoch (0: the untrained model, if told), and its error."""

    epochs: list[tuple[int, Values]] = field(default_factory=list)
    error: str = ""

    def series(self, name: str) -> list[float]:
        """One number of every trained epoch, NaN where it was not told."""
        return [_number(values.get(name)) for epoch, values in self.epochs if epoch > 0]

    def told(self, name: str) -> list[float]:
        """One number of every epoch in which it was told."""
        return [_number(values[name]) for _, values in self.epochs if name in values]

    @property
    def fall(self) -> float | None:
        """How far the train loss fell, as a share of the first; None where not told twice."""
        losses = self.told("train_loss")
        if len(losses) < 2 or not losses[0] > 0 or not math.isfinite(losses[-1]):
            return None
        return 1 - losses[-1] / losses[0]

    @property
    def trained(self) -> int:
        """Epochs trained."""
        return sum(epoch > 0 for epoch, _ in self.epochs)

    @property
    def first(self) -> Values:
        """The untrained model's, if told."""
        return next((values for epoch, values in self.epochs if epoch == 0), {})


def train(
    config: Config,
    *,
    data: Data,
    device: str,
    folder: Path,
    epochs: int | None = None,
    contexts: Sequence[AbstractContextManager[Any]] = (),
    stop: Callable[[Run], bool] | None = None,
    into: Run | None = None,
    compiled: bool = False,
) -> Run:
    """Trains within the contexts until it is `Enough`, or `stop` says so of what came so far.

    What the training writes goes to a place of its own in `folder`, which is removed afterwards.

    Args:
        epochs: in place of `trainer.epochs`.
        into: what is filled, so that it remains where the training is left in the middle.
        compiled: whether `torch.compile` works as it does in a trial, for measuring time. Else it
            is passed over: calls inside of a compiled program are not seen, and compiling takes
            longer than all that is looked at here.
    """
    # What a loss ended in is not to be seen as a training of its own.
    trainer = {**config["trainer"], "replay": False}
    shortened = {**config, "trainer": trainer if epochs is None else {**trainer, "epochs": epochs}}
    run = Run() if into is None else into
    with ExitStack() as stack:
        if not compiled:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        own = stack.enter_context(
            TemporaryDirectory(dir=folder, prefix=SCRATCH, ignore_cleanup_errors=True)
        )
        watches = [stack.enter_context(context) for context in contexts]
        try:
            seats = open_seats(config["trainer"]["_target_"], data=data, device=device)
            seats.admit(0, config=shortened, checkpoint=Unsaved(Path(own)))
            while not run.error:
                (outcome,) = seats.step()
                if not isinstance(outcome, Epoch):
                    run.error = told_of(outcome.error) if isinstance(outcome, Failure) else ""
                    break
                run.epochs.append((outcome.epoch, outcome.values))
                for watch in watches:
                    if isinstance(watch, Watch) and outcome.epoch > 0:
                        watch.epoch()
                if stop is not None and stop(run):
                    break
            seats.release(0)
        except Enough:
            pass
        except Exception as error:  # noqa: BLE001  # a user's class may raise anything
            run.error = told_of(error)
    return run


def why_unread(run: Run, data: Data, *, read: Callable[[Epoch, Data], object], whole: bool) -> str:
    """Why the last epoch cannot be read, as `read` says it by raising; empty if it can.

    `whole`: whether all validation rows were given. If not, a trainer may have taken all of them,
    and a class may be missing: values that do not fit these rows say nothing then.
    """
    if not run.epochs:
        return ""
    number, values = run.epochs[-1]
    try:
        read(Epoch(trial=0, epoch=number, values=values), data)
    except (ValueError, TypeError) as error:
        return str(error) if whole else ""
    except Exception as error:  # noqa: BLE001  # a user's metric may raise anything
        return str(error)
    return ""


def told_of(error: Exception) -> str:
    """An error in one line; torch lists all of its backends where one lacks a function."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST]}"


def some_rows(part: Part, rows: NDArray[np.int64], *, y: NDArray[Any] | None = None) -> Part:
    """A few rows of a set, in this order; `y`: other targets for them."""
    return replace(
        part,
        index=part.index[rows],
        x=None if part.x is None else part.x[rows],
        y=y if y is not None else None if part.y is None else part.y[rows],
        lengths=None if part.lengths is None else part.lengths[rows],
        auxiliary=None if part.auxiliary is None else part.auxiliary[rows],
    )


def with_batch(config: Config, batch: int) -> Config:
    """The same training with other batches, if it heeds `trainer.batch_size`."""
    return {**config, "trainer": {**config["trainer"], "batch_size": batch}}


def _number(value: Any) -> float:
    if isinstance(value, torch.Tensor):
        value = value.item()
    return float(value) if isinstance(value, int | float | np.number) else math.nan
