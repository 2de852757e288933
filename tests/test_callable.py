"""A user's generator as a seat, by import path."""

import numpy as np
import pytest

from trainers.api import Data, End, Epoch, Failure, Part
from trainers.callable import CallableSeats, open_seats
from trainers.checkpoint import FolderCheckpoint

DATA = Data(train=Part(index=np.arange(2)), val=Part(index=np.arange(2)))


def _seat(train, folder):
    seats = CallableSeats(train, data=DATA, device="cpu")
    seats.admit(5, config={"seed": 0}, checkpoint=FolderCheckpoint(folder))
    return seats


def test_epochs_are_counted_from_one_or_as_told(tmp_path):
    def counted(config, data, device, checkpoint):
        yield {"accuracy": 0.1}
        yield {"accuracy": 0.2, "epoch": 4}
        yield {"accuracy": 0.3}

    seats = _seat(counted, tmp_path)
    outcomes = [seats.step()[0] for _ in range(4)]
    assert [outcome.epoch for outcome in outcomes[:3]] == [1, 4, 5]
    assert outcomes[3] == End(trial=5)
    assert "epoch" not in outcomes[1].values


def test_epoch_zero_is_the_untrained_model(tmp_path):
    def zero(config, data, device, checkpoint):
        yield {"epoch": 0}
        yield {}

    seats = _seat(zero, tmp_path)
    assert [seats.step()[0].epoch for _ in range(2)] == [0, 1]


def test_a_repeated_epoch_and_any_other_error_is_a_failure_of_the_trial(tmp_path):
    def twice(config, data, device, checkpoint):
        yield {"epoch": 2}
        yield {"epoch": 2}

    seats = _seat(twice, tmp_path)
    assert isinstance(seats.step()[0], Epoch)
    (failure,) = seats.step()
    assert isinstance(failure, Failure)
    assert str(failure.error) == "epochs must rise, but got epoch 2 after 2; yield each epoch once"


def test_a_resumed_trial_numbers_its_epochs_on(tmp_path):
    checkpoint = FolderCheckpoint(tmp_path)
    checkpoint.save({}, epoch=7)
    checkpoint.confirm(7, best_epoch=7)
    checkpoint.flush()

    def on(config, data, device, checkpoint):
        yield {}

    assert _seat(on, tmp_path).step()[0].epoch == 8


def test_release_closes_the_generator(tmp_path):
    closed = []

    def open_ended(config, data, device, checkpoint):
        try:
            while True:
                yield {}
        finally:
            closed.append(True)

    seats = _seat(open_ended, tmp_path)
    seats.step()
    seats.release(5)
    assert closed == [True]
    assert seats.step() == []


def test_what_is_no_generator_function_is_refused(tmp_path):
    with pytest.raises(
        TypeError,
        match="must be a generator function that yields once per epoch, but calling it gave int; use yield",
    ):
        _seat(lambda *_: 3, tmp_path)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (
            "nowhere.train",
            ImportError,
            "trainer._target_: 'nowhere.train' cannot be imported: No module named 'nowhere'",
        ),
        ("toys.nothing", ImportError, "trainer._target_: 'toys.nothing' cannot be imported"),
        (
            "toys.PAUSE",
            TypeError,
            "trainer._target_: must name a function, but got 'toys.PAUSE', a float; give",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_told_with_what_was_tried(target, error, message):
    with pytest.raises(error, match=message):
        open_seats(target, data=DATA, device="cpu")
