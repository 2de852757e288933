"""The tests that a trainer of one's own inherits: the example passes, every planted fault is found."""

import random
from typing import ClassVar

import numpy as np
import pytest

from trainers import report
from trainers.examples import own
from trainers.trainer_tests import TrainerTests

NAMES = [name for name in dir(TrainerTests) if name.startswith("test_")]
HISTORY = []


class TestTheExample(TrainerTests):
    train = staticmethod(own.train)
    config: ClassVar = {
        "model": {"width": 2},
        "optimizer": {"lr": 0.01},
        "trainer": {"epochs": 3, "batch_size": 256},
    }
    rows = 400


def _walk(config, data, checkpoint, *, first, saves=True):
    """A sound trainer: a random walk whose steps hang on seed and epoch."""
    place = checkpoint.load()["model"] if checkpoint.load() else 0.0
    for epoch in range(first, config["trainer"]["epochs"] + 1):
        place = place + random.Random(1000 * config["seed"] + epoch).random()
        if saves:
            checkpoint.save({"model": place}, epoch=epoch)
        yield {"epoch": epoch, "val_loss": place, "labels": np.zeros(len(data.val.index))}


def sound(config, data, device, checkpoint):
    yield from _walk(config, data, checkpoint, first=checkpoint.epoch + 1)


def saves_after_its_yield(config, data, device, checkpoint):
    place = checkpoint.load() or 0.0
    for epoch in range(checkpoint.epoch + 1, config["trainer"]["epochs"] + 1):
        place += random.Random(1000 * config["seed"] + epoch).random()
        yield {"val_loss": place}
        checkpoint.save(place, epoch=epoch)


def blocks(config, data, device, checkpoint):
    for values in _walk(config, data, checkpoint, first=checkpoint.epoch + 1):
        report(**values)


def ends_early(config, data, device, checkpoint):
    for epoch in range(1, config["trainer"]["epochs"]):
        yield {"val_loss": float(epoch)}


def predicts_train_rows(config, data, device, checkpoint):
    for values in _walk(config, data, checkpoint, first=checkpoint.epoch + 1):
        yield {**values, "labels": np.zeros(len(data.train.index))}


def keeps_a_history(config, data, device, checkpoint):
    for values in _walk(config, data, checkpoint, first=checkpoint.epoch + 1):
        HISTORY.append(0.1)
        yield {**values, "val_loss": values["val_loss"] + sum(HISTORY)}


def heeds_no_seed(config, data, device, checkpoint):
    yield from _walk({**config, "seed": 7}, data, checkpoint, first=checkpoint.epoch + 1)


def saves_nothing(config, data, device, checkpoint):
    yield from _walk(config, data, checkpoint, first=checkpoint.epoch + 1, saves=False)


def draws_on_from_the_start(config, data, device, checkpoint):
    place = checkpoint.load()["model"] if checkpoint.load() else 0.0
    for epoch in range(checkpoint.epoch + 1, config["trainer"]["epochs"] + 1):
        place += random.random()
        checkpoint.save({"model": place}, epoch=epoch)
        yield {"val_loss": place}


def forgets_part_of_its_state(config, data, device, checkpoint):
    place, pace = checkpoint.load()["model"] if checkpoint.load() else 0.0, 0.0
    for epoch in range(checkpoint.epoch + 1, config["trainer"]["epochs"] + 1):
        pace = 0.9 * pace + random.Random(1000 * config["seed"] + epoch).random()
        place += pace
        checkpoint.save({"model": place}, epoch=epoch)  # and not its pace
        yield {"val_loss": place}


def forgets_that_it_was_resumed(config, data, device, checkpoint):
    class Fresh:
        epoch, load, save = 0, staticmethod(lambda: None), checkpoint.save

    for values in _walk(config, data, Fresh, first=1):
        yield {"val_loss": values["val_loss"]}


def _failures(trainer, folder, names=NAMES):
    """By test, what it says of a trainer."""
    suite = type(
        "TestIt",
        (TrainerTests,),
        {"train": staticmethod(trainer), "config": {"trainer": {"epochs": 4}}},
    )
    texts = {}
    for name in names:
        (folder / name).mkdir()
        try:
            getattr(suite(), name)(folder / name)
        except AssertionError as error:
            texts[name] = str(error)
    return texts


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [sound, saves_after_its_yield, blocks])
def test_a_sound_trainer_passes_all(tmp_path, trainer):
    assert len(NAMES) == 6
    assert _failures(trainer, tmp_path) == {}


FAULTS = {
    ends_early: (
        "every_epoch_is_yielded",
        r"1 to trainer.epochs=4, but got \[1, 2, 3\]; loop over",
    ),
    predicts_train_rows: ("outputs_have_a_row", "per validation row .30., but epoch 1 has 70"),
    keeps_a_history: ("one_seed_is_one_training", "the same seed must give the same numbers, but"),
    heeds_no_seed: ("another_seed", "two seeds must give different numbers, but got the same"),
    saves_nothing: ("a_stopped_training", "after 2 epochs nothing is saved; call checkpoint.save"),
    draws_on_from_the_start: ("a_resumed_training", "resumed after epoch 2 must give the same"),
    forgets_part_of_its_state: ("a_resumed_training", "but at epoch 3 val_loss is .*; save model"),
    forgets_that_it_was_resumed: (
        "a_resumed_training",
        r"must yield epochs \[3, 4\], but got \[3, 4, 5",
    ),
}


@pytest.mark.parametrize("trainer", FAULTS, ids=lambda trainer: trainer.__name__)
@pytest.mark.slow
def test_a_planted_fault_is_found_by_the_test_of_its_name(tmp_path, trainer):
    test, text = FAULTS[trainer]
    (told,) = _failures(trainer, tmp_path, [name for name in NAMES if test in name]).values()
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(told)


def test_an_error_of_the_trainer_is_raised_as_it_is(tmp_path):
    def broken(config, data, device, checkpoint):
        yield {"val_loss": 1.0}
        raise ZeroDivisionError("of its own")

    with pytest.raises(ZeroDivisionError, match="of its own"):
        _failures(broken, tmp_path)
