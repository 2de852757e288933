"""Masks beside their pictures, groups of batches, scores and what they hear, ways of steps: planted faults are told, sound twins are left alone."""

import json

import numpy as np
import pytest
import torch
import workshop
from test_preflight import CALM
from torch.utils.data import DataLoader

from search.diagnostics.preflight import maps, stepping
from search.diagnostics.preflight.check import Judge
from search.diagnostics.preflight.direction import of_direction
from search.diagnostics.preflight.scores import of_scores
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes import heard, uphill
from trainers.probes.maps_turned import MapsTurned
from trainers.probes.subject import Subject

CLEAR = Judge(name="reported_losses", rule="R16").passed("nothing told")


def _rows(*, fault, augment, places):
    return DataLoader(workshop.Cells(np.arange(*places), fault, augment), 16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("mask not mirrored", "turned or mirrored"), ("mask not turned", "turned or mirrored"),
        ("mask cropped elsewhere", "moved"), ("", ""), ("cropped", ""), ("noise", ""), ("darker", ""),
    ],
)  # fmt: skip
def test_maps_that_stay_where_their_pictures_turn_are_told_and_no_augmentation_of_both(fault, told):
    torch.manual_seed(0)
    watch = MapsTurned()
    for teaches, places in ((True, (0, 96)), (False, (200, 260))):
        for shown, mask in _rows(fault=fault, augment=teaches, places=places):
            watch.given([shown], teaches=teaches)
            watch.asked(mask if fault != "cropped" else mask[:, 0].long())  # classes, too
    seen = watch.told()
    assert seen["fits"][0] > 0.8
    found = maps.apart(seen)
    assert (found is not None) == bool(told), seen
    assert told in (found or [""])[0]


def test_few_maps_and_maps_that_say_nothing_tell_nothing():
    watch, dice = MapsTurned(), torch.Generator().manual_seed(0)
    watch.given([torch.randn(8, 1, 16, 16, generator=dice)], teaches=True)
    watch.asked(torch.randn(8, 1, 16, 16, generator=dice))
    assert maps.apart(watch.told()) is None
    for teaches in (True, False):
        watch.given([torch.randn(40, 1, 16, 16, generator=dice)], teaches=teaches)
        watch.asked((torch.rand(40, 16, 16, generator=dice) < 0.5).long())
        watch.given([torch.randn(40, 5, generator=dice)], teaches=teaches)  # no picture
        watch.asked(torch.zeros(40))
    assert watch.told()["rows"] == [48, 40]
    assert maps.apart(watch.told()) is None


@pytest.mark.parametrize(
    ("passes", "steps", "discarded", "outcome"),
    [
        ([50, 100], [12, 24], 1, "warn"),
        ([50, 100], [12, 24], 0, "pass"),  # they are added to the next step's
        ([50, 100], [13, 26], 1, "pass"),  # a step for them
        ([48, 96], [12, 24], 1, "pass"),  # none is left
        ([50, 99], [12, 24], 1, "pass"),
        ([50], [12], 0, "pass"),
        ([], [], 0, "pass"),
    ],
)
def test_gradients_of_a_last_group_that_are_cleared_are_told_and_not_those_that_are_used(
    passes, steps, discarded, outcome
):
    def outcome_of(batches):
        seen = {
            **CALM, "losses_until": passes, "steps_until": steps, "steps": 24, "weights": [],
            "discarded": discarded, "batches": batches, "epochs": passes,
        }  # fmt: skip
        check = stepping.optimizer_steps(seen)
        assert ("last 2 of 50 batches" in check.told) == (outcome == "warn")
        return check.outcome

    assert outcome_of([{"content": str(place % 50)} for place in range(100)]) == outcome
    shuffled = [{"content": str(place)} for place in range(100)]  # each row has its turn
    for batches in (shuffled, []):
        assert outcome_of(batches) == ("note" if outcome == "warn" else outcome)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _subject(script, fault, place, *, rows):
    trainer = {"_target_": f"workshop.{script}", "batch_size": 25, "epochs": 9, "fault": fault}
    parts = [Part(index=np.arange(*places)) for places in ((0, rows[0]), rows)]
    return Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.003}}, device="cpu",
        data=Data(train=parts[0], val=parts[1]), folder=place, task="classification", metric="score",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("score of the last batch", "otherwise to 4 of 5 batches: it is of the last one alone"),
        ("score of train's last batch", "that of the last batch of train"),
        ("score of train", "that of the rows of train"),
        ("", ""),
        ("score in one pass", ""),
        ("score by the weights", ""),
    ],
)
def test_a_score_that_hears_one_batch_or_train_alone_is_told_and_no_other(fault, told, tmp_path):
    subject = _subject("tags", fault, tmp_path, rows=(300, 414))
    answer = json.loads(json.dumps(plain(heard.heard(subject)), allow_nan=False))
    check = of_scores(CLEAR, answer)
    assert (check.outcome, told in check.told) == ("warn" if told else "pass", True), check.told


def _answer(**changes):
    usual = {
        "plain": [[0.5, 0.6], [1.0, 0.9]], "changed": [[0.5, 0.2], [3.0, 1.1]],
        "sizes": [25, 25, 25, 14], "train": [{}, {}],
    }  # fmt: skip
    return {**usual, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"changed": [[0.5, 0.2], [1.0, 1.1]]},  # the loss is of other rows
        {"changed": [[0.4, 0.2], [3.0, 1.1]]},  # the score hears all
        {"changed": [[0.5, 0.6], [3.0, 1.1]]},  # it hears none, and is no number of train's
        {"sizes": [100, 100]},  # half of all rows
        # it rests, and so does one of train's
        {
            "plain": [[0.5, 0.5], [1.0, 0.9]],
            "changed": [[0.5, 0.5], [3.0, 1.1]],
            "train": [{"right, rows": 0.5}] * 2,
        },
        {"plain": [[0.5, None], [1.0, 0.9]]},
        {"changed": [[0.5], [3.0]]},  # left in its second epoch
    ],
)
def test_a_score_is_not_doubted_on_less(changes):
    assert of_scores(CLEAR, _answer()).outcome == "warn"
    assert of_scores(CLEAR, _answer(**changes)) is CLEAR
    assert of_scores(CLEAR, {"cause": "one batch"}) is CLEAR


def test_each_evaluated_batch_but_those_named_keeps_its_answer():
    net = torch.nn.Linear(2, 1)
    rows = torch.linspace(-9.0, 9.0, 12).reshape(6, 2)  # no answers that could be chances
    with heard.Answering(lambda epoch, place: place == 1) as answering, torch.no_grad():
        first, second, third = (net(rows) for _ in range(3))
    assert torch.equal(first, third)
    assert torch.equal(second, -first.roll(1, 0))
    assert answering.sizes == [[6, 6, 6]]
    assert torch.equal(net(rows), first)
    assert not torch.nn.modules.module._has_any_global_hook()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "told", "trainings"),
    [("uphill", "warn", 3), ("advantage turned", "warn", 3), ("", "pass", 1), ("no baseline", "pass", 1)],
)  # fmt: skip
def test_a_policy_whose_steps_make_its_score_worse_is_told_and_one_that_learns_asks_one_seed(
    fault, told, trainings, tmp_path, monkeypatch
):
    monkeypatch.setattr(uphill, "ENOUGH", 300.0)  # of a busy machine
    subject = _subject("walks", fault, tmp_path, rows=(96, 160))
    answer = json.loads(json.dumps(plain(uphill.uphill(subject, higher=True)), allow_nan=False))
    assert [len(answer[kind]) for kind in ("still", "own")] == [trainings] * 2
    assert of_direction(CLEAR, answer, higher=True).outcome == told


@pytest.mark.parametrize(
    ("still", "own", "turned", "told"),
    [
        ([1.0, 1.2, 0.9], [0.1, 0.2, 0.1], [2.0, 2.1, 2.2], "warn"),
        ([1.0, 1.2, 0.9], [0.1, 1.3, 0.1], [2.0, 2.1, 2.2], "pass"),  # one seed learns
        ([1.0, 1.2, 0.9], [0.9, 1.1, 0.8], [1.1, 1.3, 1.0], "pass"),  # chance
        (
            [1.0, 1.0, 1.0],
            [0.1, 0.1, 0.1],
            [2.0, 2.0, 2.0],
            "pass",
        ),  # no seed is heeded: one training
        ([1.0], [2.0], [], "pass"),
    ],
)
def test_steps_the_wrong_way_are_told_where_each_seed_says_so_beyond_chance(
    still, own, turned, told
):
    answer = {"still": still, "own": own, "turned": turned}
    assert of_direction(CLEAR, answer, higher=True).outcome == told
    lower = {kind: [-score for score in scores] for kind, scores in answer.items()}
    assert of_direction(CLEAR, lower, higher=False).outcome == told
    assert of_direction(CLEAR, {"cause": "no actions are drawn"}, higher=True) is CLEAR
