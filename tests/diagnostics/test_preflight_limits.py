"""No check hangs, none compares other columns where tables are wide, and wrong labels are told from hard ones."""

import json
import math
import time

import numpy as np
import pytest
import torch
from test_preflight import CALM

from search.diagnostics.preflight import learning, loop, losses, stepping
from search.diagnostics.preflight.check import Judge
from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.label_noise import UNSEEN, label_noise
from search.diagnostics.preflight.near_rows import near_copies, repeated
from search.diagnostics.preflight.noise_floor import CERTAIN, noise_floor
from search.diagnostics.preflight.of_data import in_time
from search.diagnostics.preflight.reading import Reading
from search.diagnostics.preflight.target_leakage import telltale_feature
from search.diagnostics.preflight.validation_labels import validation_labels
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes import questions, watched
from trainers.probes.limits import Budget, OutOfTime
from trainers.probes.seen import LossCall
from trainers.probes.subject import Subject

# torch's first optimizer imports much more of it: a limit that ends in the middle would leave half of that behind.
torch.optim.SGD([torch.zeros(1, requires_grad=True)])


def endless(config, data, device, checkpoint):
    """A trainer whose first epoch never ends."""
    while True:
        time.sleep(0.01)
    yield {}


def _forever():
    while True:
        pass


def test_a_check_of_the_data_ends_in_its_time_and_those_behind_it_say_why_they_were_not_made():
    budget = Budget(0.05, of="all checks of the data")
    passed = Judge(name="missing_values", rule="R10").passed("in time")
    assert in_time(budget, "missing_values", lambda: passed).outcome == "pass"
    for name in ("shared_rows", "label_noise"):
        cut = in_time(budget, name, _forever)
        assert (cut.name, cut.outcome) == (name, "not checkable")
        assert "the budget of 0.05 s was spent" in cut.told
    assert budget.spent["shared_rows"] > 0.03 > budget.spent["label_noise"]


def test_a_question_ends_in_its_own_time_and_all_together_in_theirs():
    budget, causes = Budget(0.15, of="preflight.seconds"), []
    for name in ("overfit", "speed", "padding"):
        with pytest.raises(OutOfTime) as over, budget.asking(name, most=0.1):
            _forever()
        causes.append(str(over.value))
    assert "longer than its 0.1 s" in causes[0]
    assert causes[1] == causes[2] == "the budget of 0.15 s was spent (preflight.seconds)"
    assert sum(budget.spent.values()) < 0.3


def test_a_first_look_that_does_not_end_is_left_and_is_no_failure(monkeypatch, tmp_path):
    monkeypatch.setattr(watched, "FIRST_LOOK", 0.2)
    rows = np.zeros((8, 2), dtype=np.float32)
    part = Part(x=rows, y=np.zeros(8, dtype=np.int64), index=np.arange(8))
    trainer = {"_target_": f"{__name__}.endless", "batch_size": 4, "epochs": 1}
    subject = Subject(
        config={"trainer": trainer, "seed": 0}, data=Data(train=part, val=part), device="cpu",
        folder=tmp_path, task="classification",
    )  # fmt: skip
    seen = json.loads(json.dumps(plain(watched.watched(subject)), allow_nan=False))
    check = loop.trains(seen)
    assert check.outcome == "not checkable"
    assert "longer than its 0.2 s" in check.told


def _wide(rows, seed):
    dice = np.random.default_rng(seed)
    x = dice.normal(0, 1, (rows, 1200)).astype(np.float32)
    y = dice.integers(0, 2, rows)
    return x + 0.4 * (2 * y[:, None] - 1), y


@pytest.mark.slow
def test_sets_of_a_wide_table_are_compared_by_the_same_columns():
    (x, y), (held, held_y) = _wide(300, 0), _wide(120, 1)
    held[:, ::2], x[:, ::2] = -held[:, ::2], -x[:, ::2]
    reading = Reading.of(x, y, classification=True)
    assert validation_labels(reading, (held, held_y), alike=True).outcome == "pass"
    near = np.concatenate([held[:100], x[:20] + 0.02])
    assert near_copies({"train": x, "val": near}, np.random.default_rng(2).permuted(x, axis=0))["val"] > 0.1  # fmt: skip


@pytest.mark.slow
def test_few_rows_that_chance_makes_harder_pass_and_as_many_wrong_labels_in_many_rows_do_not():
    def drawn(rows, seed):
        dice = np.random.default_rng(seed)
        y = dice.integers(0, 2, rows)
        return dice.normal(0, 1, (rows, 4)) + 0.45 * (2 * y[:, None] - 1), y

    reading = Reading.of(*drawn(300, 0), classification=True)
    seen = [validation_labels(reading, drawn(24, seed), alike=True) for seed in range(1, 16)]
    lost = [check.measured["train"] - check.measured["val"] for check in seen]
    assert max(lost) > 0.15  # the loss that is told where there are rows enough
    assert {check.outcome for check in seen} == {"pass"}
    x, y = drawn(400, 99)
    y[:150] = 1 - y[:150]
    assert validation_labels(reading, (x, y), alike=True).outcome == "fail"


@pytest.mark.parametrize(
    ("again", "told"),
    [(lambda x: x[:, ::-1], "in another order"), (lambda x: np.roll(x, 1, axis=1) * [0, *[1] * 7], "at another place"),
     (lambda x: np.where(np.arange(8) % 2, x[::-1], x), "with three values or more"), (lambda x: x + 1.0, "")],
)  # fmt: skip
def test_rows_that_stand_in_train_in_another_form_are_told(again, told):
    x = np.random.default_rng(3).normal(0, 1, (300, 8))
    sets = {"train": x[:200], "val": np.concatenate([x[200:], again(x[:50])])}
    text = repeated(sets, like=np.random.default_rng(4).permuted(x[:200], axis=0))
    assert told in text
    assert bool(text) == bool(told)


def test_a_column_that_measures_nothing_and_tells_the_labels_is_named():
    dice = np.random.default_rng(5)
    y, x = np.arange(300) % 2, dice.normal(0, 1, (300, 3))
    mostly = np.where(dice.random(300) < 0.05, 1 - y, y)
    leaks = {
        "as an identifier is": 1000 * mostly + dice.permutation(300),
        "by its gaps alone": np.where(mostly == 1, np.nan, dice.normal(0, 1, 300)),
        "labels lie in runs": ((2 * dice.integers(0, 9, 300) + y) * 7919) % 101,
    }
    for told, column in leaks.items():
        raw = np.column_stack([x, column])
        filled = np.nan_to_num(raw, nan=float(np.nanmean(column)))
        check = telltale_feature(filled, y, raw=raw, classification=True)
        assert (check.outcome, told in check.told) == ("warn", True)
        sound = np.column_stack([x, dice.permutation(column)])
        filled = np.nan_to_num(sound, nan=0.0)
        assert telltale_feature(filled, y, raw=sound, classification=True).outcome == "pass"


def _swapped(rows, share, *, apart, seed):
    """Two clouds, of which a share has the other label."""
    dice = np.random.default_rng(seed)
    y = dice.integers(0, 2, rows)
    x = dice.normal(0, 1, (rows, 4)) + apart * y[:, None] * np.eye(4)[0]
    return Reading.of(x, np.where(dice.random(rows) < share, 1 - y, y), classification=True)


@pytest.mark.slow
@pytest.mark.parametrize(("apart", "seed"), [(4.0, 0), (1.6, 0), (1.0, 1), (1.0, 8)])
def test_classes_that_overlap_are_not_taken_for_wrong_labels(apart, seed):
    reading = _swapped(250, 0.0, apart=apart, seed=seed)
    check = label_noise(reading, legible=True)
    assert check.outcome == ("pass" if noise_floor(reading).most <= UNSEEN else "note")
    assert noise_floor(reading).most < 0.05 or apart < 4.0


@pytest.mark.slow
@pytest.mark.parametrize(("apart", "noise", "outcome"), [(1.5, 0.0, "pass"), (2.5, 0.3, "warn")])
def test_surest_rows_that_are_right_far_more_often_than_all_are_not_called_noisy(
    apart, noise, outcome
):
    dice = np.random.default_rng(3)
    y = dice.integers(0, 6, 900)
    x = dice.normal(0, 1, (900, 10)) + apart * np.eye(10)[y]
    y = np.where(dice.random(900) < noise, (y + dice.integers(1, 6, 900)) % 6, y)
    check = label_noise(Reading(x=x, y=y, classification=True, trees=100), legible=True)
    assert (check.outcome, check.measured["share"] > 0.15) == (outcome, True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_swapped_labels_that_so_few_rows_cannot_tell_are_said_to_be_possible(seed):
    check = label_noise(_swapped(112, 0.3, apart=1.6, seed=seed), legible=True)
    assert check.outcome in ("warn", "note")
    if check.outcome == "note":
        assert "in 112 rows, up to " in check.told
        assert check.measured["unseen"] > 0.25


@pytest.mark.slow
@pytest.mark.parametrize("seed", [9, 10, 11])
def test_labels_of_two_classes_that_are_swapped_at_random_are_told_with_their_share(seed):
    reading = _swapped(250, 0.3, apart=4.0, seed=seed)
    check = label_noise(reading, legible=False)
    assert (check.outcome, "seem to be swapped" in check.remedy) == ("warn", True)
    assert abs(check.measured["share"] - 0.3) < 0.1
    assert noise_floor(reading).gain > CERTAIN


@pytest.mark.parametrize(("val_loss", "outcome"), [(0.02, "pass"), (3.1, "fail"), (6.0, "fail")])
def test_a_val_loss_that_does_not_know_rows_learned_by_heart_is_of_other_labels(val_loss, outcome):
    again = {"own": 0.02, "shuffled": 3.0, "spread": 0.2}
    heart = {"tries": [{"val_loss": None, "again": None}, {"val_loss": val_loss, "again": again}]}
    assert losses.reported_losses(CALM, heart=heart).outcome == outcome


def test_evaluated_losses_that_are_not_finite_are_no_ones_mean():
    noted = {"train": [], "others": [None, 0.5], "sizes": [2, 2]}
    seen = {**CALM, "val_loss": [None, 0.5], "evaluated_losses": [noted, noted]}
    assert "last batch" not in losses.reported_losses(seen, heart={}).told
    whole = {**seen, "val_loss": [0.5, 0.5]}
    assert "the last batch" in losses.reported_losses(whole, heart={}).told


@pytest.mark.parametrize(("taught", "told"), [(None, True), (1.0, True), (0.0, False)])
def test_targets_of_evaluated_rows_are_held_against_their_labels_where_those_of_train_are(
    taught, told
):
    of_train = None if taught is None else {"follows": taught}
    seen = {**CALM, "held_targets": {"follows": 0.1}, "targets": of_train}
    assert ("follow their labels by 10%" in losses.reported_losses(seen, heart={}).told) == told


@pytest.mark.slow
def test_what_the_val_loss_knows_is_measured_while_rows_are_learned_by_heart(tmp_path):
    dice = np.random.default_rng(0)
    y = np.arange(200) % 4
    x = (dice.normal(0, 1, (200, 5)) + 3 * np.eye(5)[y]).astype(np.float32)
    part = Part(x=x, y=y.astype(np.int64), index=np.arange(200))
    call = LossCall(
        name="cross_entropy", outputs=(32, 4), targets=(32,), probabilities=False,
        log_probabilities=False, within_unit=False, classes=True,
    )  # fmt: skip
    outcomes = {}
    for fault in ("", "wrong labels"):
        trainer = {"_target_": "foreign_loops.fit", "batch_size": 32, "epochs": 3, "fault": fault, "form": "plain"}  # fmt: skip
        subject = Subject(
            config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.05}}, data=Data(train=part, val=part),
            device="cpu", folder=tmp_path, task="classification", metric="accuracy",
        )  # fmt: skip
        heart = questions.learned_by_heart(subject, parameters=1000, loss=call)
        outcomes[fault] = losses.reported_losses(CALM, heart=heart).outcome
    assert outcomes == {"": "pass", "wrong labels": "fail"}


@pytest.mark.parametrize(("rows", "outcome"), [(64, "pass"), (640, "fail")])
def test_the_same_batch_again_is_a_fault_unless_it_is_all_rows_as_for_a_closure(rows, outcome):
    batch = {
        "shape": [64, 5], "finite": True, "content": "same", "alike": False, "mean": 0.0, "spread": 1.0,
    }  # fmt: skip
    seen = CALM | {"batches": [batch] * 40, "epochs": [20, 40], "rows": rows, "rows_seen": {**CALM["rows_seen"], "taught": 1, "covered": [1.0, 1.0], "again": 1}}  # fmt: skip
    assert loop.batches(seen).outcome == outcome


BATCH = {"shape": [16, 5], "finite": True, "alike": False, "mean": 0.0, "spread": 1.0}


OWN = {"taught": 0, "covered": [0, 0], "distinct": [13, 13]}  # of 64 rows that a trainer loads


@pytest.mark.parametrize(
    ("rows", "again", "outcome"),
    [({"covered": [0.2, 0.2]}, 0.99, "warn"), ({"covered": [0.2, 0.2]}, 0.21, "pass"),
     ({"covered": [0.5, 0.5]}, 0.5, "pass"), ({**OWN, "held": 16}, 1.0, "warn"),
     ({**OWN, "held": 16}, 0.21, "pass"), ({**OWN, "held": 4}, 1.0, "pass")],
)  # fmt: skip
def test_rows_drawn_by_chance_from_a_fifth_are_told_from_rows_drawn_from_all(rows, again, outcome):
    taken = {**CALM["rows_seen"], "taught": 1, **rows, "again": again}
    given = [{**BATCH, "content": number} for number in range(8)]
    seen = {**CALM, "batches": given, "epochs": [4, 8], "rows_seen": taken}
    assert loop.batches(seen).outcome == outcome


@pytest.mark.parametrize(("targets", "outcome"), [(64, "note"), (80, "warn")])
def test_rows_beyond_those_given_are_no_fault_where_the_loss_is_of_those_given(targets, outcome):
    given = [{**BATCH, "shape": [80, 5], "content": number} for number in range(2)]
    call = {"targets": [targets]}
    assert (
        loop.batches({**CALM, "batches": given, "epochs": [1, 2], "loss": call}).outcome == outcome
    )


def test_more_rows_than_were_given_may_be_of_validation_or_of_a_split_of_ones_own():
    batches = [
        {"shape": [30, 4], "finite": True, "alike": False, "content": str(n), "rows": []}
        for n in range(13)
    ]
    seen = CALM | {"batches": batches, "epochs": [13], "rows": 336, "val_rows": 84, "optimizers": 1}
    check = loop.batches(seen)
    assert check.told == "an epoch took 390 rows, of 336 that were given"
    assert check.remedy.endswith(
        "take part in the training, or does the trainer take rows of its own?"
    )


def test_a_wave_of_rates_that_counts_epochs_is_told_from_restarts_and_warm_up():
    norms = [1.0, 2.0] * 20
    seen = {**CALM, "losses": [2.3] * 40, "ratios": [1e-3] * 40, "gradient_norms": norms}
    wave = [0.05 * (1 + math.cos(math.pi * step / 20)) for step in range(40)]
    for rates in (
        wave,
        [*wave, 0.1 * (1 + 1e-14), wave[1]],
    ):  # by rounding, the second peak is higher
        told = learning.learning_rate({**seen, "rates": rates}, steps=10_000)
        assert (told.outcome, "at step 20 and rises again" in told.told) == ("fail", True)
    restarts = [wave[step % 20] for step in range(40)]
    warm_up = [0.1 * min(1.0, (step + 1) / 20) for step in range(40)]
    for rates in (restarts, warm_up, [0.1] * 40):
        assert learning.learning_rate({**seen, "rates": rates}, steps=10_000).outcome == "pass"


def test_a_gradient_of_one_norm_in_all_steps_is_a_clip_and_a_warning_where_the_loss_does_not_fall():
    seen = {**CALM, "losses": [2.3] * 40, "ratios": [1e-3] * 40, "rates": [0.1] * 40}
    cut = learning.learning_rate({**seen, "gradient_norms": [0.01] * 40}, steps=10_000)
    assert (cut.outcome, "norm of 0.01 in each of 40 steps: all are" in cut.told) == ("warn", True)
    falls = {**seen, "losses": [2.3 * 0.95**step for step in range(40)]}
    learns = learning.learning_rate({**falls, "gradient_norms": [0.01] * 40}, steps=10_000)
    assert learns.outcome == "note"
    for norms in ([0.01] * 39 + [0.009], [0.01] * 8):
        few = {**seen, "gradient_norms": norms}
        assert learning.learning_rate(few, steps=10_000).outcome == "pass"


def test_weights_shrunk_once_between_two_steps_and_a_negated_part_of_a_loss_are_faults():
    shrunk = {**CALM, "steps": 2, "factors": [0.8]}
    assert stepping.optimizer_steps(shrunk).outcome == "fail"
    call = {
        "name": "cross_entropy", "value": 2.3, "reduction": "mean", "outputs": [16, 10], "targets": [16],
        "constant": None,
        "zero": None,
    }  # fmt: skip
    for backward, outcome in ((-1.15, "fail"), (-2.3, "fail"), (1.15, "pass"), (2.3, "pass")):
        seen = {**CALM, "loss": call, "first_loss": 2.3, "losses": [backward]}
        assert first_loss(seen, entropy=2.3, classes=10).outcome == outcome


@pytest.mark.parametrize(
    ("train_loss", "val_loss", "told"),
    [([0.05, 0.04], [1.5, 1.4], "no mean is so small"), ([1.6, 1.5], [7.5, 7.0], "5 times the loss of the predictions"),
     ([7.9, 7.4], [7.5, 7.0], ""), ([1.6, 1.5], [1.5, 1.4], ""), ([1.6, 1.5], [90.0, 40.0], "")],
)  # fmt: skip
def test_losses_that_are_on_another_scale_than_a_mean_are_told(train_loss, val_loss, told):
    call = {"name": "cross_entropy", "outputs": [16, 10], "reduction": "mean", "value": 2.3}
    again = [{"own": own, "shuffled": 3.0, "spread": 0.05} for own in (1.5, 1.4)]
    seen = {**CALM, "loss": call, "losses_until": [10, 20], "train_loss": train_loss, "val_loss": val_loss, "losses_again": again}  # fmt: skip
    check = losses.reported_losses(seen, heart={})
    assert told in check.told
    assert (check.outcome == "warn") == bool(told)


@pytest.mark.parametrize(("val_loss", "outcome"), [(0.1, "pass"), (2.2, "pass"), (5.0, "fail")])
def test_without_predictions_a_val_loss_above_a_guess_is_none_of_rows_that_are_all_right(
    val_loss, outcome
):
    seen = {
        **CALM,
        "loss": {"name": "cross_entropy", "outputs": [16, 10], "reduction": "mean", "value": None},
    }
    heart = {"tries": [{"val_loss": val_loss, "again": None, "score": 0.98}]}
    assert losses.reported_losses(seen, heart=heart).outcome == outcome


@pytest.mark.parametrize(
    ("told", "outcome"),
    [([2.3, 9.0, 9.0, 9.0, 9.0], "fail"), ([2.3, 2.0, 1.5], "not checkable")],
)
def test_a_loop_without_a_torch_optimizer_whose_loss_grows_is_told(told, outcome):
    assert learning.learning_rate({**CALM, "losses": told}, steps=100).outcome == outcome
