"""Sets whose labels, or rows, are not alike: shuffled train labels are told, hard tasks and other films are left alone."""

import json

import numpy as np
import pytest

from search.diagnostics.preflight import labels
from search.diagnostics.preflight.of_rows_seen import of_rows_seen
from search.diagnostics.preflight.reading import Reading, readable
from search.diagnostics.preflight.validation_labels import validation_labels
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes.subject import Subject
from trainers.probes.watched import watched


def _hard(rows, dice):
    x = dice.normal(0, 1, (rows, 12))
    return x, (x[:, 0] + dice.normal(0, 3, rows) > 0).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize(
    ("train", "told"),
    [
        (lambda x, y, dice: (x, dice.permutation(y)), "fail"),
        (lambda x, y, dice: (x, y), "pass"),
        (lambda x, y, dice: (x[:60], y[:60]), "pass"),  # few rows
        (lambda x, y, dice: (x, np.where(dice.random(len(y)) < 0.4, dice.permutation(y), y)), "pass"),  # heavy noise
    ],
    ids=["shuffled", "sound", "few", "noisy"],
)  # fmt: skip
def test_train_labels_of_other_rows_fail_where_validation_labels_are_of_their_own(
    kind, train, told
):
    dice = np.random.default_rng(21)
    x = dice.normal(0, 1, (800, 6))
    y = x[:, 0] + x[:, 1] + dice.normal(0, 0.3, 800)
    y = y if kind == "numbers" else (y > 0).astype(int)
    reading = Reading.of(*train(x[:500], y[:500], dice), classification=kind == "classes")
    check = labels.label_signal(reading, moved={}, val=(x[500:], y[500:]))
    assert check.outcome == told, check.told


@pytest.mark.slow
def test_a_hard_task_is_no_task_of_shuffled_labels_though_validation_is_easy_or_comes_several_times():
    dice = np.random.default_rng(22)
    x, y = _hard(500, dice)
    held, asked = _hard(60, dice)
    reading = Reading.of(x, np.random.default_rng(1).permutation(y), classification=True)
    again = np.repeat(held, 5, axis=0) + 1e-6, np.repeat(asked, 5)
    assert readable(Reading.of(*again, classification=True))[1] > 6  # each knows its copies
    for val in (again, (held, asked)):
        assert labels.label_signal(reading, moved={}, val=val).outcome == "note"
    easy = held + 9.0 * (2 * asked[:, None] - 1)  # and far from all train rows
    assert labels.label_signal(reading, moved={}, val=(easy, asked)).outcome == "note"


@pytest.mark.slow
def test_validation_of_other_films_is_not_told_to_bear_the_labels_of_other_rows():
    dice = np.random.default_rng(23)
    films = dice.normal(0, 1, (40, 50))
    x = np.repeat(films, 20, axis=0) + dice.normal(0, 0.1, (800, 50))
    y = np.repeat(np.arange(40) % 2, 20)
    y[600:] = np.where(films[30:, 0].repeat(20) > 0, 1, 0)
    reading = Reading.of(x[:600], y[:600], classification=True)
    check = validation_labels(reading, (x[600:], y[600:]), alike=True)
    assert check.measured["train"] > 0.95 > 0.7 > check.measured["val"]
    assert (check.outcome, "another kind" in check.told) == ("pass", True)
    mixed = np.random.default_rng(1).permutation(800)  # frames of all films in both sets
    reading = Reading.of(x[mixed[:600]], y[mixed[:600]], classification=True)
    swapped = validation_labels(reading, (x[mixed[600:]], 1 - y[mixed[600:]]), alike=True)
    assert (swapped.outcome, "swapped" in swapped.told) == ("fail", True)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "told"), [("shuffled apart", "warn"), ("", "")])
def test_pictures_shuffled_apart_are_told_though_they_are_changed_and_all_answers_come_before_a_loss(
    fault, told, tmp_path
):
    trainer = {"batch_size": 32, "epochs": 3, "fault": fault}
    trainer["_target_"] = "repositories_pictures.folder"
    rows = np.random.default_rng(0).permutation(1000)
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.003}}, device="cpu",
        data=Data(train=Part(index=rows[:560]), val=Part(index=rows[560:700])), folder=tmp_path,
        task="classification", metric="score",
    )  # fmt: skip
    seen = json.loads(json.dumps(plain(watched(subject)), allow_nan=False))
    assert len(seen["pairs"]["held_targets"]) == 140
    checks = of_rows_seen(seen["pairs"], seen, metric="score", alike=True)
    assert [check.outcome for check in checks if check.name == "label_signal"] == [told] * bool(
        told
    )
