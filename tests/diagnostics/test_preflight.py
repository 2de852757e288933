"""The checks before the budget is spent: planted faults are found, sound set-ups are left alone, and what they cost nobody."""

import json
import signal
import uuid
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import MARK, marked, running, search, told_of, wait_for, words_of
from omegaconf import OmegaConf
from refusals import check_told, raises
from rich.console import Console
from sklearn.datasets import load_digits

from search.config.check_keys import own_rate
from search.config.compose import compose_experiment
from search.config.compose_protocol import compose_protocol
from search.config.knob_parts import own_parts
from search.config.plan import check_task, read_plan
from search.config.trial_config import TrialConfigs
from search.contract.arrays import read_folds, write_folds
from search.contract.contract import prepare
from search.contract.dataset import completed
from search.diagnostics.preflight import (
    by_heart,
    features,
    labels,
    learning,
    loop,
    model,
    output,
    sets,
    stepping,
)
from search.diagnostics.preflight.by_chance import by_chance
from search.diagnostics.preflight.check import CAUSES, Check, Judge, Preflight, excused
from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.label_noise import label_noise
from search.diagnostics.preflight.of_data import of_data
from search.diagnostics.preflight.reading import Reading
from search.diagnostics.preflight.report import require, show, sound, soundness, write
from search.diagnostics.preflight.run import of_training
from search.diagnostics.preflight.target_leakage import telltale_feature
from search.diagnostics.probe_process import answer
from search.execution.slots import Slot
from search.storage.json_numbers import plain
from trainers.probes import questions, watched
from trainers.probes.limits import Budget
from trainers.probes.subject import Subject

SLOTS = (Slot(number=0, gpu=None, threads=1),)
BY_HEART = {"overfit"}  # faults that only learning by heart, or comparing labels, can tell
BY_LABELS = {"labels_matter"}
OF_DATA = (
    "data",
    "data._target_",
    "normalise",
    "split",
)  # words that change what checks of the data see


def _prepared(setup, place):
    words = [word.replace("+data.seed=0", "+data.seed=1") for word in setup.words]
    if "data._target_=planted.digits" in words:  # of 1797, which show the same
        words.append("+data.rows=500")
    plan = read_plan(
        completed(compose_experiment("lr_sweep", overrides=words, config_dir=None)), root=place
    )
    check_task(plan)
    return plan, prepare(plan.config, metric=plan.metric)


OF_DATA_MADE: dict[str, list[Check]] = {}


def _of_data(plan, prepared):
    """The checks of the data, made once for set-ups that share all that these look at."""
    config = plan.config
    seen = [OmegaConf.to_container(config[group]) for group in ("data", "split", "normalise")]
    key = json.dumps([seen, plan.metric.name, config.model.get("channels")])
    if key not in OF_DATA_MADE:
        OF_DATA_MADE[key] = [*of_data(plan, prepared, budget=Budget(1e6, of=""))]
    return OF_DATA_MADE[key]


def alarms_of(setup, place, *, of_its_data=True):
    """Outcome of every check that warns or fails; only the questions are asked that the set-up's fault is about."""
    plan, prepared = _prepared(setup, place)
    write_folds(place / "arrays", prepared.folds(), stamp=prepared.stamp)
    config = TrialConfigs(plan.config).resolve(knobs={}, seed=0)
    data = read_folds(place / "arrays")[0].data
    subject = Subject(
        config=config, data=data, device="cpu", folder=place, task=plan.config.data.task
    )
    with pytest.MonkeyPatch.context() as shorter:  # a dozen steps an epoch show what fifty do
        shorter.setattr(watched, "WATCHED_ROWS", 400)
        shorter.setattr(watched, "WATCHED_BATCHES", 12)
        told = {"watched": watched.watched(subject)}
    if {*setup.found} & {*BY_HEART, *BY_LABELS} and "label_noise" not in setup.found:
        with (
            pytest.MonkeyPatch.context() as shorter
        ):  # digits need 8 steps, and 50 for their labels
            shorter.setattr(questions, "FIT_STEPS", 150)
            shorter.setattr(questions, "LABEL_STEPS", 50)
            told["overfit"] = questions.learned_by_heart(subject, parameters=1000, loss=None)
            if not BY_LABELS & {*setup.besides}:  # what may alarm or not is not worth asking
                told["labels_matter"] = questions.labels_matter(subject, rate=0.05)
    told = json.loads(json.dumps(plain(told), allow_nan=False))
    checks = (
        [*_of_data(plan, prepared)]
        if of_its_data and {*OF_DATA} & {word.partition("=")[0] for word in setup.words}
        else []
    )
    checks += of_training(plan, prepared, told, data_checks=checks, slots=SLOTS, trainings=39)
    return {
        check.name: check.outcome for check in excused(checks) if check.outcome in ("warn", "fail")
    }


# Planted faults and sound set-ups

ASKED_ELSEWHERE = ("wrong backward pass", "label noise 40 %, two classes")


@pytest.mark.slow
@pytest.mark.parametrize(
    "setup",
    [s for s in planted.FAULTS if s.name not in ASKED_ELSEWHERE],
    ids=lambda setup: setup.name,
)
def test_a_planted_fault_is_told_by_its_own_check_and_by_no_other(setup, elsewhere):
    if setup.door:
        with raises(setup.door):
            _prepared(setup, elsewhere)
        return
    alarms = alarms_of(setup, elsewhere)
    assert {*alarms} & {*setup.found}
    assert {*alarms} <= {*setup.found, *setup.besides}


QUICK = ("a loop with L-BFGS", "a loop with a scaled loss", "a loop that accumulates", "a loop with autograd.backward",
         "a forecast from lags", "a survey", "one rounded feature", "heavy tails", "words of a transformer", "digits", "diabetes, linear", "tiny texts", "sequences", "unbalanced but fine", "small but fine", "rows that repeat",
         "a gentle drift", "batch norm", "dropout", "penalties", "last layer of zeros", "residual blocks of zeros", "minmax, one cycle",
         "sorted file", "five folds", "a loop of one's own")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "setup", [s for s in planted.SOUND if s.name in QUICK], ids=lambda setup: setup.name
)
def test_a_sound_set_up_raises_no_alarm(setup, elsewhere):
    alarms = alarms_of(setup, elsewhere)
    assert {*alarms} <= {*setup.besides}
    assert "fail" not in alarms.values()


# Rules, each where nothing differs and where something does


@cache
def _cloud(rows, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (rows, 6))


@pytest.mark.slow
def test_sets_of_one_distribution_raise_no_alarm():
    alarms = 0
    for seed in range(12):
        dice = np.random.default_rng(seed)
        sizes = dice.integers(30, 150, 3)
        parts = {
            name: dice.normal(0, 1, (size, 4))
            for name, size in zip(("train", "val", "test"), sizes, strict=True)
        }
        alarms += sets.same_distribution(parts).outcome != "pass"
    assert alarms == 0


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "outcomes"), [(0.6, {"warn", "fail"}), (1.5, {"fail"})])
def test_a_shift_of_the_test_set_is_found(shift, outcomes):
    parts = {"train": _cloud(300, 1), "val": _cloud(150, 2), "test": _cloud(200, 3, shift)}
    check = sets.same_distribution(parts)
    assert check.outcome in outcomes
    assert check.measured["train/val"]["auc"] < 0.6 < check.measured["train/test"]["auc"]


@pytest.mark.slow
def test_groups_that_differ_are_no_shift_where_whole_groups_are_held_out():
    dice = np.random.default_rng(0)
    centre = dice.normal(0, 3, (40, 5))
    group = {
        "train": np.repeat(np.arange(20), 20),
        "val": np.repeat(np.arange(20, 30), 20),
        "test": np.repeat(np.arange(30, 40), 20),
    }
    parts = {
        name: centre[numbers] + dice.normal(0, 0.3, (len(numbers), 5))
        for name, numbers in group.items()
    }
    assert (
        sets.same_distribution(parts).outcome != "pass"
    )  # who knows the groups tells the sets apart
    assert sets.same_distribution(parts, groups=group).outcome == "pass"


@given(copies=st.integers(0, 30))
@settings(max_examples=20)
def test_every_copied_row_is_counted(copies):
    train, val = _cloud(200, 4), np.array(_cloud(100, 5))
    val[:copies] = train[:copies]
    check = sets.shared_rows({"train": train, "val": val, "test": _cloud(50, 6)})
    assert check.measured["shares"]["val"] == copies / 100
    # One row alone may be a coincidence: numbers are often rounded.
    assert check.outcome == ("pass" if copies == 0 else "warn" if copies == 1 else "fail")


def test_a_class_that_a_set_lacks_and_a_class_that_moves_are_told():
    y = {"train": np.arange(90) % 3, "val": np.arange(30) % 3, "test": np.arange(30) % 3}
    assert sets.class_balance(y, classes=3).outcome == "pass"
    assert (
        "has no row in val" in sets.class_balance({**y, "val": np.arange(30) % 2}, classes=3).told
    )
    skewed = {
        **y,
        "train": np.repeat([0, 1, 2], [600, 200, 200]),
        "test": np.repeat([0, 1, 2], [60, 120, 120]),
    }
    assert sets.class_balance(skewed, classes=3).outcome == "warn"
    rare = {name: np.repeat([0, 1], [570, 30]) for name in y}
    assert sets.class_balance(rare, classes=2).outcome == "note"


def test_train_rows_of_the_future_are_told():
    time = {"train": np.arange(10.0), "val": np.arange(10.0, 14), "test": np.arange(14.0, 20)}
    assert sets.shared_groups(None, time).outcome == "pass"
    assert sets.shared_groups(None, {**time, "val": np.arange(5.0, 9)}).outcome == "fail"
    assert sets.shared_groups(None, None).outcome == "not checkable"


def _read(x, y):
    return Reading.of(x, y, classification=True)


@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.slow
def test_label_noise_is_measured_among_the_surest_rows(noise):
    dice = np.random.default_rng(7)
    y = np.arange(900) % 3
    x = dice.normal(0, 1, (900, 8)) + 2.0 * np.eye(8)[y]
    wrong = dice.random(900) < noise
    check = label_noise(_read(x, np.where(wrong, (y + 1) % 3, y)), legible=True)
    assert check.outcome == ("warn" if noise else "pass")
    assert abs(check.measured["share"] - noise) < 0.1
    assert label_noise(_read(x, y), legible=False).outcome == "not checkable"


@pytest.mark.slow
@pytest.mark.parametrize(("half", "apart"), [(True, 4.0), (False, 4.0), (False, 1.5), (False, 2.0)])
def test_a_class_half_mislabelled_is_named_and_classes_that_overlap_are_not(half, apart):
    dice = np.random.default_rng(11)
    y = (dice.random(700) < 0.3).astype(int)
    x = dice.normal(0, 1, (700, 5)) + apart * np.eye(5)[0] * y[:, None]
    given = np.where((y == 1) & (dice.random(700) < 0.5) & half, 0, y)
    check = label_noise(_read(x, given), legible=True)
    assert check.outcome == ("warn" if half else "pass"), check.told
    assert "classes" not in check.measured or check.measured["classes"] == (1, 0)


@pytest.mark.slow
def test_random_labels_are_read_by_no_plain_model():
    dice = np.random.default_rng(8)
    read = [
        labels.label_signal(
            _read(dice.normal(0, 1, (80, 4)), dice.integers(0, 2, 80)), moved={}
        ).outcome
        for _ in range(12)
    ]
    assert read == ["note"] * 12


@pytest.mark.slow
def test_labels_one_row_late_are_named_and_not_looked_for_where_no_reading_could_prove_it():
    dice = np.random.default_rng(9)
    y = dice.integers(0, 3, 300)
    x = dice.normal(0, 1, (300, 4)) + 4.0 * np.eye(4)[y]
    late = labels.label_signal(_read(x[1:], y[:-1]), moved={1: (x[1:], y[1:])})
    assert (late.outcome, late.measured["moved"]) == ("fail", 1)
    sound = _read(x, y)
    nothing = np.zeros((len(y), 4)), np.full(len(y), "no label")  # would raise, were it read
    assert labels.label_signal(sound, moved={1: nothing}).outcome == "pass"
    assert sound.chances is sound.chances  # fitted once, for all checks


def test_features_by_their_scale_and_extremes():
    x = _cloud(300, 9)
    assert features.feature_scales(x).outcome == "pass"
    assert features.feature_scales(x * [1, 1, 1, 1, 1, 300]).outcome == "warn"
    assert features.feature_scales(x * [1, 1, 1, 1, 1, 1e6]).outcome == "fail"
    assert features.feature_scales(x * 1e4).outcome == "fail"
    assert features.feature_scales(np.ones((5, 2))).outcome == "not checkable"
    assert features.extreme_values(x).outcome == "pass"
    marked = np.array(x)
    marked[17, 2] = -9999.0
    assert "feature 2 of train row 17" in features.extreme_values(marked).remedy
    missing = np.array(x)
    missing[:200, 3] = np.nan
    assert [features.missing_values(part).outcome for part in (x, marked, missing)] == [
        "pass",
        "pass",
        "warn",
    ]
    missing[:200, 3], missing[:20, 3] = 0.0, np.nan
    assert features.missing_values(missing).outcome == "note"


def test_features_that_never_change_are_a_note_at_the_border_of_images_and_a_warning_in_a_table():
    table = np.array(_cloud(100, 10))
    assert features.constant_features(table).outcome == "pass"
    table[:, 1] = 4.0
    assert (
        features.constant_features(
            np.concatenate([table, _cloud(100, 11), _cloud(100, 12)], axis=1)
        ).outcome
        == "warn"
    )
    image = np.maximum(_cloud(100, 13), 0)
    image = np.concatenate([np.zeros((100, 1)), image, image[:, ::-1]], axis=1)
    assert features.constant_features(image).outcome == "note"
    channels = np.stack([_cloud(100, 14), np.zeros((100, 6))], axis=1)
    assert "channel 1" in features.constant_features(channels).told
    assert "channel 1" in features.constant_features(channels.reshape(100, 12), channels=2).told


def test_targets_by_their_scale_and_kind():
    y = _cloud(200, 15)[:, :1]
    assert labels.targets(y).outcome == "pass"
    assert labels.targets(50 * y).outcome == "warn"
    heavy = y + 30.0 * (np.arange(len(y))[:, None] < 3)  # three of many rows
    assert "the farthest 1% of the targets hold" in labels.targets(heavy / heavy.std()).told
    errors = y + 20.0 * np.sin(np.arange(len(y))[:, None]) * (np.arange(len(y))[:, None] < 9)
    assert "the farthest 5% of the targets hold" in labels.targets(errors / errors.std()).told
    skewed = np.random.default_rng(17).exponential(size=(300, 1))
    assert labels.targets((skewed - skewed.mean()) / skewed.std()).outcome == "pass"
    assert labels.targets(1e4 * y).outcome == "fail"
    assert labels.targets(np.zeros((200, 1))).outcome == "fail"
    assert "like classes" in labels.targets(np.round(y)).told
    counts = np.random.default_rng(16).poisson(2.0, (300, 1)).astype(float)
    assert labels.targets((counts - counts.mean()) / counts.std()).outcome == "pass"
    assert labels.targets(np.arange(300.0)[:, None] % 5).outcome == "warn"


# Judgements of what was measured

CALM = {
    "target_among_inputs": None, "pairs": None, "centred_batches": 0, "dropped": 0.0, "answer_dropped": 0, "soft_targets": 0, "tokens": None, "of_own_class": 0, "never_taught": [], "one_answer": False, "target_counts": [], "evaluated_means": [],
    "rows_seen": {"taught": None, "covered": [], "distinct": [], "held": 0, "again": None, "on_train": None, "on_val": None, "on_taught": None}, "given_spread": None, "losses_again": [], "evaluated_losses": [],
    "first_layer": None, "maximized": 0, "cleared": 0, "factors": [], "drawn_anew": {}, "steps_until": [], "put_back": {}, "restarts": 0, "made_anew": False, "followed": None, "losses_until": [], "passes": 0,
    "broadcast": [], "still_norms": 0, "carried": 0, "followers_kept": None,
    "error": "", "rows": 64, "val_rows": 16, "weights": [], "batches": [], "epochs": [], "losses": [], "loss": None, "optimizers": 1, "steps": 0,
    "evaluated": [], "rows_mix": False, "unused_inputs": 0.0, "linear_layers": 0, "decay": 0.0, "saturated": 0.0, "averaged": None, "gradient_norms": [],
    "steps_without_gradient": 0, "stale_gradients": 0, "ratios": [], "rates": [], "noisy_evaluations": [], "unsteady_evaluation": False, "sampled": False, "changed_buffers": [], "quiet_trainings": [],
    "dead": [], "relu_rows": 0, "batch_norms": 0, "epochs_told": 1, "train_loss": [1.0], "val_loss": [1.0], "first_loss": None,
    "targets": None, "held_targets": None, "between_batches": [], "plateaus": [], "scores": [], "over_rows": 0, "summed": 0,
    "not_finite": [], "again": {}, "again_error": "", "cut": "", "unread": "", "discarded": 0, "backwards": 0, "forgetful": 0, "next_tokens": None, "hand_steps": 0, "hand_rates": [],
    "schedules": [], "scaled": 0, "unscaled": 0, "unloaded": 0, "loaded": 0, "drawn": None, "never_cleared": 0, "changed_late": 0, "betas": [], "divergence": "", "logarithm_of": "", "prepared": False,
    "padding_taught": None, "blurred": 0.0, "maps_turned": None, "draws": False, "viewed": [], "other_seed": {},
}  # fmt: skip


def test_what_was_not_seen_is_not_checkable_and_no_alarm():
    made = [
        loop.batches(CALM), loop.shuffling(CALM, ordered=True), stepping.optimizer_steps(CALM), loop.evaluation_mode(CALM),
        loop.repeatable(CALM, exact=True, metric="accuracy"), output.output_layer(CALM, classification=True, classes=3),
        first_loss(CALM, entropy=1.0, classes=3), model.initial_weights(CALM), model.gradients(CALM), model.dead_units(CALM),
        model.capacity(CALM, rows=10), model.own_gradients({}), learning.learning_rate(CALM, steps=10), by_heart.overfit({}, optimizers=1),
        learning.labels_matter({}, seen=CALM), learning.speed({}, epochs=1, trainings=1, slots=1, batch=32),
    ]  # fmt: skip
    assert {check.outcome for check in made} == {"not checkable"}
    assert all(check.told.startswith("because ") for check in made)


@pytest.mark.parametrize(
    ("fell", "legible", "outcome"),
    [(0.01, True, "warn"), (None, True, "warn"), (0.4, True, "fail"), (0.01, False, "fail")],
)
def test_a_training_that_learned_nothing_is_no_proof_against_labels_that_trees_read(
    fell, legible, outcome
):
    answer = {"true": 0.1, "shuffled": 0.1, "rows": 500, "deviations": 0.3, "fell": fell}
    check = learning.labels_matter(answer, seen=CALM, legible=legible)
    assert check.outcome == outcome
    assert ("its train loss did not fall" in check.told) == (outcome == "warn")
    known = {**answer, "true": 0.6, "deviations": 9.0}
    assert learning.labels_matter(known, seen=CALM, legible=legible).outcome == "pass"


def test_a_gpu_has_a_percent_and_another_remedy_where_one_seed_is_two_trainings():
    seen = {**CALM, "again": {"val_loss": ((1.0,), (1.005,))}}
    assert loop.repeatable(seen, exact=False, metric="accuracy").outcome == "pass"
    on_cpu = loop.repeatable(seen, exact=True, metric="accuracy")
    assert (on_cpu.outcome, "cudnn" in on_cpu.remedy) == ("warn", False)
    seen["again"]["val_loss"] = ((1.0,), (1.1,))
    on_gpu = loop.repeatable(seen, exact=False, metric="accuracy")
    assert on_gpu.remedy.endswith("on a GPU also set torch.backends.cudnn.deterministic = True")


@pytest.mark.parametrize(("other", "outcome"), [([1.0], "note"), ([1.1], "pass"), ([], "pass")])
def test_a_seed_that_changes_nothing_is_noted(other, outcome):
    seen = {**CALM, "again": {"val_loss": ([1.0], [1.0])}, "other_seed": {"val_loss": other}}
    assert loop.repeatable(seen, exact=True, metric="accuracy").outcome == outcome


@pytest.mark.parametrize(
    ("losses", "ratio", "steps", "outcome"),
    [
        ([2.3, 1.0, 0.5], 1e-3, 1000, "pass"),
        ([2.3, 9.0, None], 1e-3, 1000, "fail"),
        ([2.3, 40.0, 1.0], 1e-3, 1000, "pass"),  # one heavy batch
        ([2.3, 40.0, 40.0], 1e-3, 1000, "fail"),
        ([None, None, None], 1e-3, 1000, "fail"),
        ([2.3, 2.3, 2.3], 1e-10, 1000, "fail"),
        ([2.3, 2.3, 2.3], 1e-10, 1e8, "pass"),
        ([2.3, 2.0, 2.0], 3.0, 1000, "pass"),
        ([2.3, 2.4, 2.4], 0.7, 1000, "warn"),
        ([2.3, 2.4, 2.4], 3.0, 1000, "fail"),
    ],
)
def test_a_rate_is_judged_by_its_losses_and_by_how_far_the_weights_can_go(
    losses, ratio, steps, outcome
):
    seen = {
        **CALM,
        "losses": losses,
        "ratios": [ratio] * 3,
        "rates": [0.1] * 3,
        "gradient_norms": [1.0] * 3,
    }
    assert learning.learning_rate(seen, steps=steps).outcome == outcome


@pytest.mark.parametrize(
    ("got", "outcome"),
    [(2.303, "pass"), (3.0, "pass"), (6.0, "warn"), (20.0, "fail"), (None, "fail"), (0.2, "warn")],
)
def test_a_first_loss_is_held_against_the_entropy_of_the_classes(got, outcome):
    call = {
        "name": "cross_entropy",
        "constant": None,
        "zero": None,
        "outputs": [32, 10],
        "value": got,
        "targets": [32],
        "reduction": "mean",
    }
    seen = {**CALM, "loss": call, "first_loss": got, "losses": [got]}
    assert first_loss(seen, entropy=2.303, classes=10).outcome == outcome
    assert first_loss({**seen, "first_loss": 0.69}, entropy=0.2, classes=2).outcome == (
        "pass"
    )  # a rare class, equal chances


@pytest.mark.parametrize(
    ("got", "zero", "outcome"),
    [(1.1, 1.06, "note"), (40.0, 1.06, "fail"), (1.1, None, "fail"), (1.1, 90.0, "fail")],
)
def test_a_first_loss_of_targets_away_from_zero_is_told_from_that_of_large_weights(
    got, zero, outcome
):
    call = {
        "name": "mse_loss", "constant": 0.02, "zero": zero, "outputs": [32, 1], "value": got,
        "targets": [32, 1], "reduction": "mean",
    }  # fmt: skip
    seen = {**CALM, "loss": call, "first_loss": got, "losses": [got]}
    assert first_loss(seen, entropy=None, classes=0).outcome == outcome


@pytest.mark.parametrize(
    ("ends", "remedy"),
    [((-2.3, -4e5, False), "is its sign lost"), ((0.9, 0.7, True), "not finite in the end"), ((0.9, 0.3, False), "a model too small")],
)  # fmt: skip
def test_what_keeps_rows_from_being_learned_by_heart_is_told_by_their_losses(ends, remedy):
    start, end, lost = ends
    attempt = {"score": 0.1, "start": start, "end": end, "lost": lost, "fitted": False, "rate": 0.1, "steps": 500}  # fmt: skip
    check = by_heart.overfit({"rows": 64, "tries": [attempt]}, optimizers=1)
    assert (check.outcome, remedy in check.remedy) == ("fail", True)


@pytest.mark.parametrize(
    ("tries", "outcome", "told"),
    [
        ([{"score": 1.0, "start": 2.3, "end": 0.01, "fitted": True}], "pass", "1.00 of 1"),
        (
            [{"score": 0.5, "start": 2.3, "end": 1.0, "fitted": False}],
            "fail",
            "the loss falls, so suspect a model too small",
        ),
        (
            [{"score": 0.1, "start": 2.3, "end": 2.3, "fitted": False}],
            "fail",
            "the loss rests at every rate",
        ),
        ([{"score": None, "start": 2.3, "end": 0.01, "fitted": True}], "pass", "loss 2.3 → 0.01"),
        (
            [
                {
                    "score": None,
                    "start": None,
                    "end": None,
                    "fitted": False,
                    "error": "ValueError: no",
                }
            ],
            "not checkable",
            "ValueError: no",
        ),
        (
            [{"score": None, "start": 2.5, "end": 2.06, "fitted": False, "metric": [0.72, 0.999]}],
            "note",
            "from 0.72 to 0.999 on these rows, so they are known, and the loss has a floor",
        ),
        (
            [{"score": None, "start": 2.5, "end": 2.06, "fitted": False, "metric": [0.3, 0.6]}],
            "fail",
            "the loss rests at every rate",
        ),
    ],
)
def test_learning_by_heart_is_judged_by_its_best_try_and_names_what_to_suspect(
    tries, outcome, told
):
    check = by_heart.overfit(
        {
            "rows": 64,
            "tries": [{"rate": 0.1, "steps": 9, "error": "", **attempt} for attempt in tries],
        },
        optimizers=1,
    )
    assert check.outcome == outcome
    assert told in f"{check.told} {check.remedy}"


# Of REINFORCE on digits, measured: as it is, without a baseline, with an entropy bonus; rewards of other rows, one
# action's chance for all.
@pytest.mark.parametrize(
    ("metric", "draws", "outcome"),
    [
        ([0.203, 0.703], True, "note"),
        ([0.109, 0.5], True, "note"),
        ([0.188, 0.906], True, "note"),
        ([0.203, 0.703], False, "fail"),
        ([0.078, 0.109], True, "fail"),
        ([0.047, 0.063], True, "fail"),
    ],
)
def test_a_policy_whose_score_rises_need_not_know_its_rows_by_heart(metric, draws, outcome):
    attempt = {"score": metric[1], "metric": metric, "start": 0.02, "end": 0.001}
    attempt |= {"rate": 0.001, "steps": 500, "error": "", "fitted": False}
    heart = {"rows": 64, "tries": [attempt]}
    check = by_heart.overfit(heart, optimizers=1, metric="accuracy", seen={**CALM, "draws": draws})
    assert check.outcome == outcome
    assert ("draws its actions" in check.told) == (outcome == "note")


def test_a_schedule_that_is_stepped_per_batch_has_no_rate_left_and_a_slow_one_has():
    seen = {**CALM, "losses": [2.3] * 4, "ratios": [1e-3] * 4, "gradient_norms": [1.0] * 4}
    stepped = learning.learning_rate({**seen, "rates": [0.1, 1e-2, 1e-3, 1e-5]}, steps=1000)
    assert stepped.outcome == "fail"
    assert "falls from 0.1 to 1e-05 within 4 of 1000 steps" in stepped.told
    slow = {**seen, "rates": [0.1, 0.1, 0.01, 0.01]}
    assert learning.learning_rate(slow, steps=1000).outcome == "pass"
    assert learning.learning_rate({**seen, "rates": [0.1, 1e-2, 1e-3, 1e-5]}, steps=8).outcome == "pass"  # fmt: skip


def test_two_features_whose_sum_is_the_label_give_it_away_and_separate_clouds_do_not():
    dice = np.random.default_rng(17)
    y = dice.integers(0, 3, 400)
    part = dice.normal(0, 3, 400)
    x = np.column_stack([dice.normal(0, 1, (400, 4)), part, y - part])
    check = telltale_feature(x, y, classification=True)
    assert (check.outcome, sorted(check.measured["features"])) == ("warn", [4, 5])
    two = y > 0
    clouds = dice.normal(0, 1, (400, 6))
    clouds[:, :2] += 2.5 * two[:, None]
    assert telltale_feature(clouds, two.astype(int), classification=True).outcome == "pass"


def test_rates_that_were_not_tried_are_told_and_are_no_failure():
    attempt = {"rate": 0.1, "steps": 500, "score": 0.2, "start": 2.3, "end": 2.3, "fitted": False, "error": ""}  # fmt: skip
    heart = {"rows": 64, "tries": [attempt]}
    assert by_heart.overfit(heart, optimizers=1).outcome == "fail"
    cut = by_heart.overfit({**heart, "left_out": 4}, optimizers=1)
    assert cut.outcome == "not checkable"
    assert "4 rates not tried" in cut.told


def test_an_alarm_that_another_failure_explains_is_not_judged():
    def failing(name, outcome="fail"):
        return Check(name=name, rule="R1", outcome=outcome, told="bad", remedy="mend")

    both = excused([failing("overfit"), failing("initial_weights"), failing("capacity", "note")])
    assert [(check.name, check.outcome) for check in both] == [
        ("initial_weights", "fail"),
        ("capacity", "note"),
        ("overfit", "not checkable"),
    ]
    assert "initial_weights has failed and explains it" in both[-1].told
    assert excused([failing("overfit"), failing("initial_weights", "warn")])[-1].outcome == "fail"


def test_a_remedy_names_the_knob_as_the_user_calls_it():
    seen = {**CALM, "rates": [0.1] * 3, "ratios": [0.01] * 3, "losses": [1.4, 20.0, 350.0]}
    check = learning.learning_rate(seen, steps=10)
    assert excused([check])[0].remedy.startswith("lower optimizer.lr; ")
    own = compose_protocol(
        ["trainer._target_=mine.train", "data.rows=100", "knob.h.eta=log(1e-4,1)"], config_dir=None
    )
    assert excused([check], own_parts(own))[0].remedy.startswith("lower h.eta; ")
    unturned = ["trainer._target_=mine.train", "data.rows=100", "+h.eta=0.1"]  # no knob is the rate
    for words, key in (
        (unturned, "h.eta"),
        ([*unturned, "+g.lr=0.1"], ""),  # which of the two?
        ([*unturned, "optimizer.lr=0.2"], ""),
        (unturned[:2], ""),
        (["optimizer.lr=0.2"], ""),
    ):
        assert own_rate(compose_protocol(words, config_dir=None)) == key
    rare = sets.class_balance({"train": np.repeat([0, 1], [400, 20])}, classes=2, metric="f1")
    weight = {"h.pos_weight": "trainer.balance"}  # 1 of which changes nothing
    assert excused([rare], weight)[0].remedy == rare.remedy != ""


def test_the_causes_of_a_check_are_checks():
    assert {cause for causes in CAUSES.values() for cause in causes} <= set(CAUSES)


@pytest.mark.slow
def test_a_wrong_backward_pass_is_told_on_request(elsewhere):
    setup = next(setup for setup in planted.FAULTS if setup.name == "wrong backward pass")
    plan, prepared = _prepared(setup, elsewhere)
    write_folds(elsewhere / "arrays", prepared.folds(), stamp=prepared.stamp)
    config = TrialConfigs(plan.config).resolve(knobs={}, seed=0)
    config["model"]["width"] = 8  # torch names a wrong gradient by differences of all its numbers
    asked = {"kind": "preflight", "config": config, "folder": str(elsewhere), "device": "cpu", "task": "classification", "metric": {"name": "accuracy", "direction": "maximize"},
             "stock": True, "questions": ["own_gradients"], "seconds": 600}  # fmt: skip
    assert "GradcheckError" in answer(asked)["own_gradients"]["told"]
    sane = {**config, "model": {**config["model"], "fault": ""}}
    told = answer({**asked, "config": sane, "questions": ["speed", "own_gradients"]})
    assert told["own_gradients"]["told"] == ""
    assert model.own_gradients(told["own_gradients"]).outcome == "pass"
    assert [entry["batch"] for entry in told["speed"]["batches"]] == [16, 32, 64, 128, 256, 512]


# The command

# A program that starts faster than one that imports scikit-learn.
STEADY_PROGRAM = 'trainer.command=["{python}","-m","steady_program","{optimizer.lr}","{seed}","{trainer.epochs}"]'


def test_the_command_writes_a_table_and_a_file_and_of_a_program_what_can_be_checked(elsewhere):
    words = ["data=breast_cancer", "trainer.epochs=2", "rehearse=false"]
    done = search("preflight", *words, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((elsewhere / "results" / "preflight" / "preflight.json").read_text())
    assert told["failed"] == []
    parts = ["first_look", "overfit", "labels_matter", "speed", "data"]
    assert list(told["seconds_of"]) == parts
    assert all(0 < told["seconds_of"][name] < told["seconds"] for name in parts)
    assert [check["name"] for check in told["checks"]] == [
        name
        for name in CAUSES
        if name not in ("targets", "padding", "held_out")  # of other data, of own trainers
    ]
    assert {check["outcome"] for check in told["checks"]} == {"pass", "note", "not checkable"}
    assert all(check["name"] in done.stdout for check in told["checks"])
    # What it does meanwhile, also where no bar is shown.
    assert done.stdout.splitlines()[1].startswith("looking at the data, at two epochs")
    assert (
        "preflight: a preflight: nothing failed"
        in search("status", "preflight", cwd=elsewhere).stdout
    )
    words = ["own_command", STEADY_PROGRAM, "name=preflight", "rehearse=false"]
    again = search("preflight", *words, cwd=elsewhere)
    assert again.returncode == 0, again.stdout + again.stderr  # a program, anew in the same place
    told = json.loads((elsewhere / "results" / "preflight" / "preflight.json").read_text())
    outcome = {check["name"]: check["outcome"] for check in told["checks"]}
    assert outcome["trains"] == outcome["repeatable"] == "pass"
    unseen = {outcome[name] for name in ("overfit", "gradients", "batch_norm", "reported_losses")}
    assert unseen == {"not checkable"}
    status = search("status", "preflight", cwd=elsewhere).stdout
    for shown in (again.stdout, status):
        assert "31 checks could not be made, mainly because" in " ".join(shown.split())
        assert "no step of a torch optimizer was seen" in " ".join(shown.split())
    assert "does not say that the set-up is sound" in " ".join(again.stdout.split())
    assert "could not be made" not in done.stdout


def test_a_search_with_a_preflight_ends_there_unless_told_otherwise(elsewhere):
    words = ["data=breast_cancer", "optimizer.lr=1e-8", "trainer.epochs=1", "seeds=1"]
    words += ["placement.slots=1", "rehearse=false"]  # beside inline, what is asked starts anew
    ended = search("lr_sweep", *words, "preflight=on", cwd=elsewhere)
    assert ended.returncode == 1
    check_told(ended.stderr, "preflight-failed", "learning_rate")
    assert not (elsewhere / "results" / "lr_sweep" / "journal.log").exists()
    words = ["tune", "protocol.stages=[preflight,baseline]", *words]
    warned = search(*words, "preflight=warn", cwd=elsewhere)
    assert warned.returncode == 0, warned.stdout + warned.stderr
    # What it is about comes first, and a stage is named before it lasts.
    order = ["tune: accuracy (maximize)", "stages: preflight, baseline", "no budget: ", "starting ",
             "01-preflight: ", "learning_rate", "checks in", "02-baseline: "]  # fmt: skip
    assert [warned.stdout.count(f"\n{part}") for part in order[:-3]] == [1] * 5
    places = [warned.stdout.find(part) for part in order]
    assert places == sorted(places)
    resumed = search(*words, "preflight=on", cwd=elsewhere)
    assert resumed.returncode == 0  # it has begun: no second preflight
    assert "checks in" not in resumed.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["preflight=sometimes"], ("unknown-option-of-group", "'sometimes'")),
        (
            ["preflight.mode=sometimes"],
            ("unknown-choice", "preflight.mode", "'sometimes'", "off, on, warn"),
        ),
        (
            ["preflight.allow=[overfitt]"],
            ("unknown-check", "preflight.allow", "'overfitt'", "'overfit'"),
        ),
    ],
)
def test_a_wrong_word_is_told(words, told, elsewhere):
    done = search("preflight", *words, cwd=elsewhere)
    assert done.returncode == 2
    check_told(done.stderr, *told)
    assert not (elsewhere / "results").exists()


def test_a_folder_with_a_search_is_left_alone(smoke):
    done = search("preflight", "smoke", "name=smoke", cwd=smoke)
    assert done.returncode == 2
    check_told(done.stderr, "folder-has-a-search", "results/smoke")


def test_a_training_that_dies_or_hangs_is_told(elsewhere):
    for target, seconds, told in (
        ("toys.dies", 60, ("training-ends-when-looked-at",)),
        ("toys.hangs", 5, ("training-hangs-when-looked-at", "5 s", "trainer.epoch_timeout")),
    ):
        done = search(
            "preflight",
            "own_trainer",
            f"trainer._target_={target}",
            f"trainer.epoch_timeout={seconds}",
            "rehearse=false",
            cwd=elsewhere,
        )
        assert done.returncode == 1, done.stdout + done.stderr
        check_told(done.stderr, *told)


@pytest.mark.parametrize(
    ("allowed", "steps", "stops"),
    [("learning_rate", 0, False), ("learning_rate", 9, True), ("overfit", 0, True)],
)
def test_a_program_whose_losses_are_not_finite_goes_on_where_its_rate_is_tuned_next(
    allowed, steps, stops
):
    check = loop.trains(CALM | {"not_finite": ["train_loss"], "steps": steps})
    assert check.outcome == "fail"
    if stops:
        with raises("preflight-failed", "trains"):
            require([check], allow=[], tuned=[allowed], or_else="")
    else:
        require([check], allow=[], tuned=[allowed], or_else="")


def test_a_preflight_that_is_killed_leaves_no_process_behind(elsewhere):
    mark = uuid.uuid4().hex
    script = "import time; print(1); time.sleep(600)"
    words = [
        "preflight",
        "own_command",
        f"trainer.command=['{{python}}', '-c', '{script}']",
        "rehearse=false",
    ]
    for end in (signal.SIGKILL, signal.SIGINT):
        with running(*words, cwd=elsewhere, **{MARK: mark}) as program:
            wait_for(
                lambda: any(words_of(process)[1:2] == ["-c"] for process in marked(mark)),
                what="the script",
            )
            program.send_signal(end)
            wait_for(
                lambda: not marked(mark),
                what=lambda end=end: f"the end, after {end!r}, of {told_of(marked(mark))}",
            )
            program.wait()
            assert program.returncode in (-signal.SIGKILL, 130)


def test_what_failed_stands_in_the_file_and_is_required(elsewhere):
    bad = Check(
        name="overfit",
        rule="R9",
        outcome="fail",
        told="no",
        measured={"score": float("nan"), "n": np.int64(3)},
    )
    write(Preflight(checks=(bad,), seconds={}), Path(), seconds=1.0)
    assert not sound(Path())
    assert json.loads(Path("preflight.json").read_text())["checks"][0]["measured"] == {
        "score": None,
        "n": 3,
    }
    require([bad], allow=["overfit"], or_else="")
    with raises("preflight-failed", "overfit", "'preflight.allow=[labels,overfit]'", "or else"):
        require([bad], allow=["labels"], tuned=["learning_rate"], or_else=" or else")


# Leaks in other forms, and their sound twins


def _labelled(rows=600, classes=4):
    dice = np.random.default_rng(0)
    return dice, dice.normal(size=(rows, 6)), dice.integers(classes, size=rows)


def test_a_label_spread_over_a_column_per_class_is_a_telltale_and_a_category_is_not():
    dice, x, y = _labelled()
    leak, other = np.eye(4)[y], np.eye(4)[dice.integers(4, size=len(y))]
    found = telltale_feature(np.hstack([x, leak]), y, classification=True)
    assert (found.outcome, "a column per class" in found.told) == ("warn", True)
    sound = telltale_feature(np.hstack([x, other]), y, classification=True)
    assert sound.outcome == "pass"


@pytest.mark.parametrize(
    ("classes", "outcome"), [(4, "warn"), (2, "note")]
)  # of two classes, an honest answer of yes or no tells as much
def test_a_feature_with_a_value_per_class_that_tells_most_labels_is_looked_at(classes, outcome):
    dice, x, y = _labelled()
    y = y % classes
    code = np.where(dice.random(len(y)) < 0.93, y, dice.integers(classes, size=len(y)))
    told = telltale_feature(np.hstack([x, code[:, None]]), y, classification=True)
    assert (told.outcome, "a value per class" in told.told) == (outcome, True)
    noisy = code[:, None] + 0.1 * dice.normal(size=(len(y), 1))
    sound = telltale_feature(np.hstack([x, noisy]), y, classification=True)
    assert sound.outcome == "pass"


@pytest.mark.parametrize(("noise", "outcome"), [(0.03, "warn"), (0.3, "pass")])
def test_a_target_with_a_little_noise_among_the_inputs_is_a_telltale(noise, outcome):
    dice, x, _ = _labelled()
    y = dice.normal(size=(len(x), 1))
    leak = y + noise * dice.normal(size=y.shape)
    found = telltale_feature(np.hstack([x, leak]), y, classification=False)
    assert found.outcome == outcome


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("shared", [0, 30])
def test_shared_rows_do_not_depend_on_the_unit_of_a_feature(unit, shared):
    x = unit * np.random.default_rng(0).normal(size=(500, 5))
    val = np.concatenate([x[:shared], x[400 : 500 - shared]])
    check = sets.shared_rows({"train": x[:300], "val": val, "test": x[300:400]})
    assert check.outcome == ("fail" if shared else "pass")


def test_rows_of_few_categories_meet_by_chance_also_where_a_category_has_a_column_per_value():
    dice = np.random.default_rng(0)
    rows = np.hstack([np.eye(6)[dice.integers(6, size=900)] for _ in range(3)])
    x = {"train": rows[:500], "val": rows[500:700], "test": rows[700:]}
    by_value = np.stack([rows[:, 6 * i : 6 * i + 6].argmax(axis=1) for i in range(3)], axis=1)
    assert by_chance(rows[:500]) == pytest.approx(by_chance(by_value[:500]), abs=0.1)
    assert sets.shared_rows(x).outcome == "note"


def _weights(name, *, trainable=True, optimized=True):
    shape = {
        "shape": (4, 4),
        "largest": 1.0,
        "finite": True,
        "gradients": 3,
        "alike": False,
        "beside": False,
        "moved": False,
    }
    return {"name": name, "trainable": trainable, "optimized": optimized, **shape}


@pytest.mark.parametrize(
    ("frozen", "optimized", "before", "outcome"),
    [
        (("backbone.0.weight", "backbone.1.weight"), False, {}, "note"),
        (("backbone.0.weight", "backbone.1.weight"), True, {}, "warn"),
        (("backbone.0.weight", "backbone.1.weight"), True, {"loaded": 1}, "note"),
        (("backbone.0.weight", "backbone.1.weight"), True, {"prepared": True}, "note"),
        (("backbone.0.weight",), False, {"loaded": 1}, "warn"),
        (("head.weight",), False, {"loaded": 1}, "warn"),
    ],
)
def test_a_whole_part_before_others_kept_from_the_optimizer_or_loaded_is_frozen_on_purpose(
    frozen, optimized, before, outcome
):
    names = ("backbone.0.weight", "backbone.1.weight", "head.weight")
    weights = [
        _weights(name, trainable=name not in frozen, optimized=name not in frozen or optimized)
        for name in names
    ]
    seen = {**CALM, "weights": weights, "steps": 3, "losses": [1.0], **before}
    assert model.gradients(seen).outcome == outcome


@pytest.mark.parametrize(("share", "outcome"), [(0.0, "pass"), (0.05, "pass"), (0.3, "warn")])
@pytest.mark.slow
def test_three_labels_of_ten_that_are_wrong_are_told_and_one_of_twenty_is_not(share, outcome):
    x, y = load_digits(return_X_y=True)
    wrong = np.random.default_rng(0).random(len(y)) < share
    check = label_noise(_read(x, np.where(wrong, (y + 1) % 10, y)), legible=True)
    assert check.outcome == outcome


def test_checks_that_one_reason_leaves_out_stand_in_one_line(capsys):
    left_out = [Judge(name=f"c{i}", rule="R1").unknown("of x=[y]") for i in range(3)]
    alone = Judge(name="alone", rule="R2").unknown("of z")
    fine = [Judge(name=f"fine{i}", rule="R3").passed("all well") for i in range(4)]
    show([*left_out, alone, *fine], Console(width=80), seconds=1)
    lines = capsys.readouterr().out.splitlines()
    assert "not checkable, because of x=[y]: c0, c1, c2" in lines
    assert [line.split()[0] for line in lines[1:3]] == ["alone", "fine0"]
    assert lines[-1] == "8 checks in 1 s: 4 pass, 4 not checkable"
    show([*left_out, alone, fine[0]], Console(width=80), seconds=1)  # most of them: all in one line
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:2]] == ["fine0"]
    assert lines[2] == "5 checks in 1 s: 1 pass, 4 not checkable"
    assert lines[3].startswith("4 of 5 checks could not be made, mainly because of x=[y] and")


def test_before_a_search_checks_that_passed_are_counted_and_not_listed(capsys):
    fine = [Judge(name=f"fine{i}", rule="R3").passed("all well") for i in range(3)]
    note = Judge(name="seen", rule="R7").note("9.6 per row")
    bad = Judge(name="bad", rule="R9").fail("not one", "mend it")
    show([*fine, bad, note], Console(width=80), seconds=2, briefly=True)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert [line.split()[0] for line in lines[:4]] == ["check", "seen", "bad", "→"]  # faults last
    assert lines[4:] == ["5 checks in 2 s: 3 pass, 1 note, 1 fail; every check: preflight.json"]
    show(fine, Console(width=80), seconds=2, briefly=True)
    text = capsys.readouterr().out
    assert text == "3 checks in 2 s: 3 pass; every check: preflight.json\n"


def test_a_preflight_that_could_check_next_to_nothing_is_no_good_news():
    fine = [asdict(Judge(name=f"f{i}", rule="R1").passed("well")) for i in range(6)]
    unseen = [asdict(Judge(name=f"u{i}", rule="R1").unknown("no step was seen")) for i in range(7)]
    told = soundness({"checks": [*fine, *unseen], "failed": []})
    assert told == "7 of 13 checks could not be made; no other one failed"
    told = soundness({"checks": [*fine, *unseen[1:]], "failed": []})
    assert told == "no check failed; 6 of 12 checks could not be made"
