"""From an import path to seats; a user's generator function is one seat, one trial at a time."""

import difflib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hydra.utils import get_object

from trainers.api import (
    Checkpoint,
    Config,
    Data,
    End,
    Epoch,
    Failure,
    Fusable,
    Outcome,
    Seats,
    Train,
    TrainerNotImported,
    Values,
)
from trainers.featured import FeaturedFusable, FeaturedSeats, prepared_rows
from trainers.features import read_steps
from trainers.isolation.code_state import CodeState
from trainers.isolation.process_state import StepState
from trainers.isolation.shared_files import LIGHTNING_ROOT, SharedFiles
from trainers.reporting import epochs_reported, with_losses
from trainers.rows import own_rows
from trainers.seeding import seed_generators
from trainers.settings import copied


def rehearse(config: Config, shape: Sequence[Any]) -> str | None:
    """Imports and builds what a config names, without training.

    `shape`: of the data, see `trainers.dry_run.DataShape`. Returns a description where the trainer
    has one: two configs with the same description train alike.

    Raises:
        ImportError, TypeError: as `open_seats`; and whatever building a user's class raises.
    """
    trainer = import_function(config["trainer"]["_target_"], "trainer._target_")
    if not _seats_class(trainer):
        _check_takes_four(trainer, str(config["trainer"]["_target_"]))
    read_steps(config)
    if config["metric"].get("_target_"):
        import_function(config["metric"]["_target_"], "metric._target_")
    if config["trainer"].get("predict"):
        import_function(config["trainer"]["predict"], "trainer.predict")
    description: str | None = (
        trainer.rehearse(config, shape) if hasattr(trainer, "rehearse") else None
    )
    return description


T = TypeVar("T")
FOUR = "config", "data", "device", "checkpoint"
MOST_EPOCHS = 10**9
EXITED = (
    "the trainer called sys.exit({!r}), which says that it failed; raise an error that says why"
)
logging.getLogger(get_object.__module__).addHandler(logging.NullHandler())  # the error says it all


def open_seats(target: str, *, data: Data, device: str) -> Seats:
    """Seats for the trainer at an import path.

    The path names a class of seats (the stock trainer) or a generator function.

    Raises:
        ImportError: the path cannot be imported; the text says what was tried.
        TypeError: the path names something else.
    """
    trainer = import_function(target, "trainer._target_")
    if _seats_class(trainer):

        def make(rows: Data) -> Seats:
            seats: Seats = trainer(data=own_rows(rows), device=device)
            return seats

        plain = make(data)
        featured = FeaturedFusable if isinstance(plain, Fusable) else FeaturedSeats
        return featured(plain, data, device=device, make=make)
    return CallableSeats(trainer, data=data, device=device)


def import_function(target: str, key: str) -> Any:
    """The function, or class of seats, that a `key` of the config names.

    Raises:
        TrainerNotImported: it cannot be imported.
        TypeError: it is neither.
    """
    try:
        trainer: Any = get_object(target)
    except SystemExit as error:  # a script that reads its arguments, or trains, at import
        raise TrainerNotImported(
            f"{key}: {target!r} cannot be imported: its module ends the program, as argparse does "
            "on words that it does not know; move what a script runs below "
            "`if __name__ == '__main__':`, or train it as a program (own_command)"
        ) from error
    except Exception as error:  # importing runs a user's module, which may raise anything
        cause: object = error.__cause__ or error
        package = (getattr(cause, "name", None) or "").partition(".")[0]
        remedy, (module, _, name) = "mend the path or the module", target.rpartition(".")
        if getattr(cause, "name", None) == target and module in sys.modules:
            cause = f"{module} has no {name!r}"
            near = difflib.get_close_matches(name, vars(sys.modules[module]), n=1)
            remedy = f"did you mean {near[0]!r}?" if near else remedy
        elif _is_hidden(package):
            remedy = f"rename your {package}, which Knobwise's own hides, or train as a program"
        elif {package, f"{package}.py"} & {each.name for each in Path("src").glob("*")}:
            remedy = "say PYTHONPATH=src before the command, since it lies in src/"
        elif sys.flags.safe_path and (Path(package).is_dir() or Path(f"{package}.py").is_file()):
            remedy = "start without -P and PYTHONSAFEPATH, which hide the current folder"
        text = f"{key}: {target!r} cannot be imported: {cause}; {remedy}"
        raise TrainerNotImported(text) from error
    if not _seats_class(trainer) and (inspect.isclass(trainer) or not callable(trainer)):
        raise TypeError(
            f"{key}: must name a function, but got {target!r}, a {type(trainer).__name__}; "
            "give the function's import path"
        )
    return trainer


def _check_takes_four(trainer: Any, target: str) -> None:
    """Refuses the `main` of a script, or an order of one's own, before anything is written."""
    with suppress(ValueError):  # Python knows no signature of it
        signature = inspect.signature(trainer)
        if not _takes_four(signature):
            raise TypeError(
                f"trainer._target_: must take ({', '.join(FOUR)}), but {target!r} takes "
                f"{signature}; write a function that takes these four, in this order, or train "
                "the script as a program (own_command)"
            )


def _takes_four(signature: inspect.Signature) -> bool:
    try:
        taken = signature.bind(*FOUR).arguments
    except TypeError:
        return False
    return all(name == given or name not in FOUR for name, given in taken.items())


def _is_hidden(package: str) -> bool:
    """Whether ours comes before a package of that name in the current folder."""
    ours = Path(__file__).parents[1] / package
    return bool(package) and Path(package).is_dir() and ours.is_dir() and not ours.samefile(package)


def _seats_class(trainer: Any) -> bool:
    return inspect.isclass(trainer) and all(
        hasattr(trainer, name) for name in ("admit", "step", "release")
    )


class CallableSeats:
    """One seat for a generator function, or for one that blocks and calls `trainers.report`."""

    strategy = "own"

    def __init__(self, train: Train, *, data: Data, device: str) -> None:
        self._train, self._data, self._device = train, data, device
        self._trial = -1
        self._last_epoch, self._epochs = -1, MOST_EPOCHS
        self.code = CodeState()
        # Of the trial that is seated:
        self._files: SharedFiles
        self._generator: Generator[Values, None, None] | None = None
        self._outside: StepState  # as this process was before
        self._state: StepState  # as the generator has left it
        self._lightning_root: str | None  # the value of its variable there

    def admit(self, trial: int, *, config: Config, checkpoint: Checkpoint) -> None:
        """Seats the one trial; a resumed one numbers its epochs on from its checkpoint."""
        own_config, data = prepared_rows(copied(config), own_rows(self._data), device=self._device)
        self.code.watch(config)
        call = partial(self._train, own_config, data, self._device, checkpoint)
        seed_generators(int(config["seed"]), cuda=self._device == "cuda")
        blocks = not inspect.isgeneratorfunction(self._train)
        self._trial, self._generator = trial, epochs_reported(call) if blocks else call()
        self._last_epoch = checkpoint.epoch or -1
        self._epochs = int(config.get("trainer", {}).get("epochs", MOST_EPOCHS))
        self._files = SharedFiles()
        self._outside = self._state = StepState.read()
        self._lightning_root = os.environ.get(LIGHTNING_ROOT, str(checkpoint.files))

    def step(self) -> list[Outcome]:
        """The generator's next epoch."""
        if self._generator is None:
            return []
        try:
            values = with_losses(self._in_own_state(self._generator.__next__))
            self._last_epoch = self._number(values)
            if remark := self.code.remark() or self._files.remark():
                values.setdefault("remark", remark)
            return [Epoch(trial=self._trial, epoch=self._last_epoch, values=values)]
        except StopIteration as end:
            self._close()
            remark = end.value if isinstance(end.value, str) else ""
            return [End(trial=self._trial, remark=remark)]
        except SystemExit as end:
            return [self._exited(end)]
        except Exception as error:  # noqa: BLE001  # a user's code may raise anything
            return [Failure(trial=self._trial, error=error)]

    def _exited(self, end: SystemExit) -> Outcome:
        """What `sys.exit` means, which scripts call at their end and where they give up.

        Raises:
            SystemExit: before the last epoch, and no error: as a handler of a signal may.
        """
        if end.code not in (None, 0):
            error = RuntimeError(EXITED.format(end.code)).with_traceback(end.__traceback__)
            return Failure(trial=self._trial, error=error)
        if self._last_epoch < self._epochs:
            raise end
        self._close()
        return End(trial=self._trial)

    def release(self, trial: int) -> None:
        """Closes the generator, so that its `finally` runs."""
        if self._generator is not None:
            self._close()

    def _close(self) -> None:
        generator, self._generator = self._generator, None
        if generator is not None:
            try:
                self._in_own_state(generator.close)
            finally:
                self.code.end()
            self.code.look()

    def _in_own_state(self, call: Callable[[], T]) -> T:
        """What a call gives; it finds the process as the generator has left it, and leaves it as it
        was before. Lightning's variable goes by itself, since it alone differs in most trainings:
        to look for what differs takes longer than a short epoch.
        """
        self._state.restore(self._outside)
        if self._lightning_root is not None:
            os.environ[LIGHTNING_ROOT] = self._lightning_root
        try:
            return call()
        finally:
            self._lightning_root = os.environ.pop(LIGHTNING_ROOT, None)
            self._state = StepState.read()
            self._outside.restore(self._state)

    def _number(self, values: dict[str, Any]) -> int:
        epoch = values.pop("epoch", None)
        if epoch is None:
            return max(self._last_epoch, 0) + 1
        number = _whole(epoch)
        if number is None:  # rounded, two of them would be one
            raise ValueError(
                f"epochs must be whole numbers, but got epoch {epoch!r:.60}; number what you yield "
                "1, 2, 3 …, evaluations within an epoch too"
            )
        if number <= self._last_epoch:
            raise ValueError(
                f"epochs must rise, but got epoch {epoch} after {self._last_epoch}; "
                "yield or print each epoch once, and of several folds their mean; what is "
                "evaluated before the training, as in Lightning's sanity check, is no epoch"
            )
        return number


def _whole(epoch: Any) -> int | None:
    """A number of an epoch, such as 3, 3.0 or a tensor of it; None for any other."""
    try:
        number = int(epoch)
        return number if number == epoch and abs(number) <= MOST_EPOCHS else None
    except (TypeError, ValueError, OverflowError):
        return None
