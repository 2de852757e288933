"""Tests that a trainer of one's own inherits and should pass: epochs, seeds, resumption.

    from trainers.trainer_tests import TrainerTests

    class TestMine(TrainerTests):
        train = staticmethod(my_script.train)
        config = {"optimizer": {"lr": 0.01}, "trainer": {"epochs": 4}}
        rows = 1797

pytest runs them. They call the trainer as a worker does, on the CPU.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from trainers.api import OUTPUTS, Config, Data, Epoch, Failure, Part, Values
from trainers.callable import CallableSeats
from trainers.checkpoint import FolderCheckpoint

VAL_SHARE = 0.3
Epochs = dict[int, Values]


class TrainerTests:
    """`train`: the trainer. `config`: what it reads; `trainer.epochs` are few, and at least 3.

    `rows`: how many the data have; override `data` where a trainer needs `x` and `y`. `varying`:
    names of yielded numbers that differ in every run, such as times.
    """

    train: ClassVar[Callable[..., Any]]
    config: ClassVar[Config]
    rows: ClassVar[int] = 100
    varying: ClassVar[tuple[str, ...]] = ()

    def data(self) -> Data:
        """Row numbers of train and validation."""
        order = np.random.default_rng(0).permutation(self.rows)
        cut = round(VAL_SHARE * self.rows)
        return Data(train=Part(index=np.sort(order[cut:])), val=Part(index=np.sort(order[:cut])))

    def test_every_epoch_is_yielded_once_up_to_the_last(self, tmp_path: Path) -> None:
        """Epoch 0, the untrained model, may come first."""
        epochs = [epoch for epoch in self._trained(tmp_path) if epoch > 0]
        if epochs != list(range(1, self._last() + 1)):
            _fail(
                f"epochs must be 1 to trainer.epochs={self._last()}, but got {epochs}; "
                "loop over range(checkpoint.epoch + 1, config['trainer']['epochs'] + 1)"
            )

    def test_outputs_have_a_row_per_validation_row(self, tmp_path: Path) -> None:
        """A trainer that reports the metric itself has no outputs, and passes."""
        val_rows = len(self.data().val.index)
        for epoch, values in self._trained(tmp_path).items():
            for name in OUTPUTS:
                if name in values and len(values[name]) != val_rows:
                    _fail(
                        f"{name} must have a row per validation row ({val_rows}), but epoch "
                        f"{epoch} has {len(values[name])}; predict data.val.index, in its order"
                    )

    def test_one_seed_is_one_training(self, tmp_path: Path) -> None:
        """Another training between two of one seed must leave no trace either."""
        first = self._trained(tmp_path / "first")
        self._trained(tmp_path / "between", seed=1)
        again = self._trained(tmp_path / "again")
        self._check_same(first, again, "the same seed", "keep what it changes in the function")

    def test_another_seed_is_another_training(self, tmp_path: Path) -> None:
        """If seeds changed nothing, several of them would show no noise."""
        one, other = (self._trained(tmp_path / str(seed), seed=seed) for seed in (0, 1))
        if not any(self._differing(values, other.get(epoch, {})) for epoch, values in one.items()):
            _fail(
                "two seeds must give different numbers, but got the same ones in every epoch; "
                "seed weights and batches with config['seed']"
            )

    def test_a_stopped_training_has_saved_its_state(self, tmp_path: Path) -> None:
        """A killed trial would begin anew."""
        self._trained(tmp_path, stop=2)
        if FolderCheckpoint(tmp_path).epoch == 0:
            _fail(
                "a trainer must save its state, but after 2 epochs nothing is saved; "
                "call checkpoint.save(state, epoch=epoch) before each yield"
            )

    def test_a_resumed_training_gives_the_numbers_of_an_undisturbed_one(
        self, tmp_path: Path
    ) -> None:
        """As after a kill, each epoch is the same from the saved one on."""
        whole = self._trained(tmp_path / "whole")
        self._trained(tmp_path / "killed", stop=2)
        saved = FolderCheckpoint(tmp_path / "killed").epoch
        rest = self._trained(tmp_path / "killed")
        expected = {epoch: values for epoch, values in whole.items() if epoch > saved}
        self._check_same(
            expected,
            rest,
            f"a training resumed after epoch {saved}",
            "save model, optimizer and schedule, and seed each epoch with the seed and its number",
        )

    def _last(self) -> int:
        return int(self.config["trainer"]["epochs"])

    def _trained(self, folder: Path, *, seed: int = 0, stop: int | None = None) -> Epochs:
        """The values of each epoch, from the checkpoint in a folder on. `stop`: after it."""
        checkpoint = FolderCheckpoint(folder)
        seats = CallableSeats(type(self).train, data=self.data(), device="cpu")
        seats.admit(0, config={**copy.deepcopy(self.config), "seed": seed}, checkpoint=checkpoint)
        epochs: Epochs = {}
        try:
            while outcomes := seats.step():
                (outcome,) = outcomes
                if isinstance(outcome, Failure):
                    raise outcome.error
                if not isinstance(outcome, Epoch):
                    break
                epochs[outcome.epoch] = _held(outcome.values)
                checkpoint.confirm(outcome.epoch, best_epoch=outcome.epoch)
                if outcome.epoch == stop:
                    break
        finally:
            seats.release(0)
            checkpoint.flush()
        return epochs

    def _check_same(self, expected: Epochs, got: Epochs, what: str, remedy: str) -> None:
        __tracebackhide__ = True
        if expected.keys() != got.keys():
            _fail(f"{what} must yield epochs {[*expected]}, but got {[*got]}; {remedy}")
        for epoch, values in expected.items():
            if names := self._differing(values, got[epoch]):
                name = names[0]
                _fail(
                    f"{what} must give the same numbers, but at epoch {epoch} {name} is "
                    f"{_shown(got[epoch].get(name))}, and was {_shown(values.get(name))}; {remedy}"
                )

    def _differing(self, one: Values, other: Values) -> list[str]:
        """Names under which two epochs have other numbers."""
        names = [name for name in dict.fromkeys((*one, *other)) if name not in self.varying]
        return [name for name in names if not _are_equal(one.get(name), other.get(name))]


def _held(values: Values) -> Values:
    """Values as they are now: a trainer may change its tensors afterwards. A remark on files beside
    the training may differ by the moment.
    """
    return {name: _plain(value) for name, value in values.items() if name != "remark"}


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):  # a torch tensor, told apart without importing torch
        value = value.detach().cpu().numpy()
    return copy.deepcopy(value)


def _are_equal(one: Any, other: Any) -> bool:
    """NaN equals NaN."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_are_equal(one[key], other[key]) for key in one)
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return bool(one == other)
    return np.array_equal(np.asarray(one, float), np.asarray(other, float), equal_nan=True)


def _shown(value: Any) -> str:
    """The beginning of a value, in one line."""
    return f"{' '.join(repr(value).split()):.60}"


def _fail(text: str) -> NoReturn:
    __tracebackhide__ = True
    raise AssertionError(text)
