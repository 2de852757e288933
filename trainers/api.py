"""The interface between a search and its trainer: data, checkpoint, seats, outcomes of a step.

Imports no torch.

A user's trainer is a generator function:

    def train(config, data, device, checkpoint):
        ...
        yield {"train_loss": …, "val_loss": …, "predictions": logits_on_validation}

The function is called in a worker process, once per trial. It yields once per epoch; closing the
generator means stop. A yield holds one of `predictions` (logits [n_val, classes]; regression
[n_val, outputs] in training units), `probabilities` (0 to 1), `labels`, or the metric's own name;
other numbers become columns of the curves. `train_outputs`, `rows` of train by their places and
one of the three outputs for them, becomes the metric on train, `train_accuracy` or the like. A
yield may hold `epoch`, which must then rise; epoch 0 is the untrained model.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Config = dict[str, Any]
Values = Mapping[str, Any]
OUTPUTS = ("predictions", "probabilities", "labels")  # from which the search computes the metric
IGNORED = -100  # the label of a step that has none, as torch's losses take it
END = 0  # class that ends a target sequence, and pads it; CTC's blank; labels count from 1 there


class TrainerNotImported(ImportError):
    """The import path of a trainer, a metric or a `predict` leads nowhere in this process."""


class NothingReported(Exception):
    """A training has run to its end and told no epoch; every other one would do the same."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One set of rows.

    `index` [n]: row numbers in the data set; `x` [n, …] normalised; `y` [n] or [n, outputs]. With
    `data=own`, x and y are None: the trainer loads its rows by `index`. `lengths` [n]: how many
    steps of each row of x [n, steps, …] are real; the rest is padding. Labels per step are y
    [n, steps], `IGNORED` at padding; targets of other lengths than their inputs are y [n, longest]
    of classes from 1, padded by `END`. `tokens`: x holds token ids, whole numbers from 0. `soft`
    [n, outputs]: a teacher's outputs, where `distillation` names one. `auxiliary` [n, columns]:
    further targets, where `data.auxiliary` names some: classes by their numbers, scaled numbers.
    """

    index: NDArray[np.int64]
    x: NDArray[Any] | None = None
    y: NDArray[Any] | None = None
    lengths: NDArray[np.int64] | None = None
    tokens: bool = False
    soft: NDArray[np.float32] | None = None
    auxiliary: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a trainer may see. `test` is None unless the sealed test set is being opened (R8)."""

    train: Part
    val: Part
    test: Part | None = None


class Checkpoint(Protocol):
    """The place where one trial saves its state.

    A state holds tensors, arrays, numbers, strings and None, in dicts, lists and tuples.
    `state["model"]`, if present, becomes the weights in `best/`. A save of epoch e counts once the
    search has recorded epoch e, so a resumed trial never skips a record. Save before or after the
    yield, and do not change a saved state before the yield. `folder` is for checkpoints that a
    trainer writes itself, and goes with them; `files` is for files that stay.
    """

    folder: Path
    files: Path

    @property
    def epoch(self) -> int:
        """The last epoch that the loaded state holds; 0 for a fresh start."""

    def load(self) -> Any | None:
        """The last state saved, or None for a fresh start."""

    def save(self, state: Any, *, epoch: int) -> None:
        """Offers a state that holds everything up to and with `epoch`."""


class Train(Protocol):
    """A user's trainer.

    `config` is a plain resolved dict with `seed`; `device` is "cpu" or "cuda".
    """

    def __call__(
        self, config: Config, data: Data, device: str, checkpoint: Checkpoint, /
    ) -> Generator[Values, None, None]:
        """Trains one configuration and yields once per epoch."""


class Predict(Protocol):
    """The optional other half of a trainer.

    Predictions of saved weights for `data.test`, as one yield of `Train` holds them.
    """

    def __call__(self, config: Config, data: Data, device: str, weights: Path, /) -> Values:
        """Loads `weights` (safetensors) and predicts the rows of `data.test`."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch of one seat, as its trainer reported it."""

    trial: int
    epoch: int
    values: Values


@dataclass(frozen=True, kw_only=True)
class End:
    """A seat has come to its own end. `remark`: what stands in the trial's row about it."""

    trial: int
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A seat has raised; the other seats go on."""

    trial: int
    error: Exception


@dataclass(frozen=True, kw_only=True)
class Disruption:
    """The program that several seats share has raised: each trial should be tried by itself."""

    trial: int
    error: Exception


Outcome = Epoch | End | Failure | Disruption


class Seats(Protocol):
    """Room for trials in one worker: a user's generator is one seat, the stock trainer has several.

    Called by the worker's one thread. After `admit`, every `step` gives at most one outcome per
    admitted trial, until the trial's End or Failure or its `release`. On a CPU, the values of a
    trial must not depend on the trials in the other seats.
    `strategy` names how forward passes are made; it stands in every row.
    """

    strategy: str

    def admit(self, trial: int, *, config: Config, checkpoint: Checkpoint) -> None:
        """Seats a trial, from its checkpoint where there is one.

        May raise: the trial then has failed.
        """

    def step(self) -> list[Outcome]:
        """One epoch of every seat."""

    def release(self, trial: int) -> None:
        """Frees the trial's seat, trained out or not."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds per step of one training alone, and of so many lanes together.

    `cause`: why lanes are impossible; empty where they are possible. `doubtful`: the times
    scattered, however often they were repeated.
    """

    cause: str = ""
    alone: float = 0.0
    lanes: Mapping[int, float] = field(default_factory=dict)
    doubtful: bool = False


@dataclass(frozen=True, kw_only=True)
class Key:
    """`name` is equal for trainings that may share a program.

    `cause`: why this training shares with none; empty where it may share.
    """

    name: str
    cause: str = ""


@runtime_checkable
class Fusable(Seats, Protocol):
    """Seats that can train several trials as one program: those of one key."""

    def key(self, config: Config) -> Key:
        """The key of a training. May raise: the training cannot be built."""

    def measure(self, config: Config, *, trials: int | None) -> Pace:
        """Whether lanes are possible, and how fast they are; no trial is touched.

        `trials`: how many shall train here; None where the pace does not matter.
        """

    def fuse(self, key: str) -> None:
        """From now on, trials of this key share a program."""

    def hear(self, trial: int, *, score: float) -> None:
        """The metric of a trial's last epoch, turned so that higher is better.

        Comes after the `step` of the epoch, and before its state is read.
        """
