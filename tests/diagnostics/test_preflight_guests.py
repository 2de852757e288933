"""Faults of guests' loops are named, each beside a sound twin: train's rows as validation, schedules, a teacher's targets, seasons."""

import guests
import numpy as np
import pytest

from search.diagnostics.preflight import learning, losses, sets
from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.leaking_pairs import by_ratio
from search.diagnostics.preflight.schedule import ends_early
from trainers.api import Data, Part
from trainers.probes.subject import Subject
from trainers.probes.watched import watched

CONFIG = {"seed": 0, "optimizer": {"lr": 0.003}, "data": {"task": "classification"}}


def seen(habit, tmp_path, script="classes"):
    """What is seen of one of the guests' loops on clouds."""
    dice = np.random.default_rng(0)
    y = dice.integers(0, 3, 400)
    x = (2.0 * dice.normal(0, 1, (3, 6))[y] + dice.normal(0, 1, (400, 6))).astype(np.float32)
    parts = [Part(index=rows, x=x[rows], y=y[rows]) for rows in (np.arange(300), np.arange(300, 400))]  # fmt: skip
    trainer = {"_target_": f"guests_loops.{script}", "habit": habit, "batch_size": 32, "epochs": 40}
    subject = Subject(
        config={**CONFIG, "trainer": trainer}, data=Data(train=parts[0], val=parts[1]), device="cpu",
        folder=tmp_path, task="classification", metric="accuracy",
    )  # fmt: skip
    return watched(subject)


@pytest.mark.slow
def test_a_val_loss_of_rows_of_train_is_told_though_the_predictions_are_of_validation(tmp_path):
    found = losses.reported_losses(seen("loss of train's rows", tmp_path), heart={})
    assert found.outcome == "fail"
    assert "is the loss of rows of train in every epoch" in found.told
    assert losses.reported_losses(seen("", tmp_path), heart={}).outcome == "pass"


def test_a_plateau_that_waits_for_an_accuracy_to_fall_is_told_by_the_predictions(tmp_path):
    wrong = seen("plateau of accuracy, wrong way", tmp_path)
    check = learning.learning_rate(wrong, steps=400, epochs=40)
    assert check.outcome == "fail"
    assert "waits for a metric to fall" in check.told
    assert learning.learning_rate(seen("plateau", tmp_path), steps=400, epochs=40).outcome == "pass"


def test_a_first_loss_is_that_of_the_labels_where_a_teacher_is_asked_too(tmp_path):
    check = first_loss(seen("", tmp_path, "teacher_and_student"), entropy=1.1, classes=3)
    assert check.outcome == "pass"
    assert check.measured["expected"] == 1.1


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0, 3.0])
def test_a_power_that_counts_epochs_and_is_stepped_per_batch_is_foretold(power):
    rates = [0.1 * (1 - step / 50) ** power for step in range(28)]
    assert "at step 50 of 700" in ends_early(rates, steps=700, epochs=50)
    meant = [0.1 * (1 - step / 700) ** power for step in range(28)]
    assert ends_early(meant, steps=700, epochs=50) == ""


@pytest.mark.slow
def test_sets_that_follow_one_another_may_differ_within_what_train_has_had():
    day = np.arange(900)
    season = np.column_stack([np.sin(2 * np.pi * day / 365), np.cos(2 * np.pi * day / 365)])
    season += np.random.default_rng(0).normal(0, 0.1, season.shape)
    parts = {"train": slice(0, 550), "val": slice(550, 700), "test": slice(700, 900)}
    sound = sets.same_distribution({k: season[rows] for k, rows in parts.items()}, ordered=True)
    assert sound.outcome in ("note", "pass")
    dated = np.column_stack([season, day])
    check = sets.same_distribution(
        {k: dated[rows] for k, rows in parts.items()}, ordered=True, names=("sine", "cosine", "day")
    )
    assert check.outcome == "warn"
    assert "feature 2 (day)" in check.told


def test_a_label_computed_by_a_difference_is_told_and_clouds_that_lie_apart_are_not():
    told = alarms = 0
    for seed in range(30):
        dice = np.random.default_rng(seed)
        x = dice.gamma(3, 40, (500, 5))
        bill = (x[:, 1] > x[:, 3] + 40).astype(int)  # no ratio: the border lies at 40
        told += by_ratio(x, bill, classification=True, telling=0.997)[1] == "difference"
        y = dice.integers(0, 2, 500)
        clouds = dice.normal(0, 1, (500, 5)) + 4 * dice.normal(0, 1, (2, 5))[y]
        alarms += bool(by_ratio(clouds, y, classification=True, telling=0.997)[1])
    assert told >= 15
    assert alarms == 0


def test_the_collection_of_guests_has_as_many_sound_set_ups_as_faults_and_a_third_aside():
    for kind in (guests.FAULTS, guests.SOUND):
        assert len(kind) == 60
        assert sum(setup.aside for setup in kind) == 20
