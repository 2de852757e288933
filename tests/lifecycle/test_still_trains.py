"""A trainer that breaks in the middle of a search is told from knobs that diverge."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from kit import search, trials
from refusals import check_told
from simulated import carried_out, tune_plan

from search.lifecycle.still_trains import SILENT, asked_again, is_far

RATE = "optimizer.lr"
TRAINER = """
from pathlib import Path

def train(config, data, device, checkpoint):
    begun, rate, wide = Path("begun"), config["optimizer"]["lr"], config["model"].get("b", 0) > 0.1
    with begun.open("a") as file:
        file.write("x")
    call = len(begun.read_text())
    for epoch in (1, 2, 3):
        score = 0.9 - abs(rate - 0.02) - config["seed"] / 1000 + epoch / 1000
        if HABIT == "raise" and call > 12:
            raise KeyError("feature_17")
        if HABIT == "nan" and call > 12 or HABIT == "rates" and call > 5 and (rate > 0.02 or wide):
            score = float("nan")
        score *= 100 if HABIT == "unit" and call > 8 else 1
        yield {"train_loss": 1 - score, "val_loss": 1 - score, "accuracy": score}
"""
WORDS = (
    "trainer._target_=mine.train",
    "data.rows=300",
    "knob.optimizer.lr=log(1e-3,1)",
    "optimizer.lr=0.01",
    "trainer.epochs=3",
    "budget_trials=60",
    "preflight=off",
    "placement.slots=1",
    "name=mine",
)


JOINT = (
    "protocol.stages=[baseline,joint,confirm]",
    "knob.model.b=log(1e-3,1)",
    "knob.model.c=log(1e-3,1)",
    "+model.b=0.05",
    "+model.c=0.05",
)


def _tuned(folder, habit, *words):
    (folder / "mine.py").write_text(f"HABIT = {habit!r}\n{TRAINER}")
    return search("tune", *WORDS, *words, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("habit", "words", "stage"),
    [
        ("raise", (), "06-sweep.lr"),
        ("nan", (), "06-sweep.lr"),
        ("raise", (*JOINT, "split=kfold", "split.folds=2"), "02-joint"),
    ],
)
def test_a_trainer_that_breaks_in_the_middle_of_a_stage_ends_it_there(
    habit, words, stage, tmp_path
):
    done = _tuned(tmp_path, habit, *words)
    assert done.returncode == 1, done.stdout
    rows = trials(tmp_path / "results" / "mine").set_index("trial").sort_index()
    broken = int(rows["value"].isna().argmax())
    assert rows["value"].isna().tolist() == [False] * broken + [True] * (len(rows) - broken)
    # What diverges hands its seat on before it has its row, so one more may train.
    assert SILENT <= len(rows) - broken <= SILENT + (habit == "nan")
    assert set(rows["stage"][broken:]) == {stage}
    if not words:  # without folds or a search for steps, each trial is one call
        begun = len((tmp_path / "begun").read_text())
        assert begun == len(rows) + 3  # a look before the first trial, and the incumbent twice
    why = "KeyError: 'feature_17'" if habit == "raise" else "not finite"
    check_told(done.stderr, "trainings-have-broken", f"since trial {broken}:", why)
    assert not (tmp_path / "results" / "mine" / "again").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), JOINT])
def test_rates_that_diverge_do_not_end_the_search(words, tmp_path):
    done = _tuned(tmp_path, "rates", *words)
    assert done.returncode == 0, done.stderr
    rows = trials(tmp_path / "results" / "mine")
    assert rows["value"].isna().any()
    assert len(rows) >= 50 or not words  # the joint stage had all that was its own
    assert done.stdout.count("is trained again, apart") <= 5  # after 3, 6, 12 … in a row


@pytest.mark.slow
def test_a_unit_that_changes_in_the_middle_of_a_sweep_ends_it_before_anything_is_adopted(tmp_path):
    done = _tuned(tmp_path, "unit")
    assert done.returncode == 1, done.stdout
    check_told(done.stderr, "trainings-have-changed", "gives 89.", "06-sweep.lr")
    decisions = (tmp_path / "results" / "mine" / "decisions.jsonl").read_text()
    assert '"adopt"' not in decisions
    assert not (tmp_path / "results" / "mine" / "again").exists()


def _noise(knobs, seed):
    return np.random.default_rng([seed, zlib.crc32(repr(sorted(knobs.items())).encode())]).normal(
        0, 0.01
    )


def _asked(value_of, *, offset):
    """Of a protocol: after how many of its stages it is asked, and whether it would be stopped."""

    def value(knobs, seed):
        return value_of(knobs, seed + 100 * offset)

    history, rows = carried_out(tune_plan("budget_trials=120"), value)
    asked, stopped, ended = 0, False, 0
    for former, step in zip(history.steps, history.steps[1:], strict=False):
        ended += former.trials
        if not step.trials:
            continue
        _, worked = asked_again(rows[: ended + step.trials], former.incumbent)
        again = [value(row.spec.knobs, row.spec.seed) for row in worked]
        asked += bool(worked)
        stopped |= bool(again) and all(score is None for score in again)
    return asked, stopped


def _high_rates(knobs, seed):
    rate = float(knobs.get(RATE, 0.1))
    return None if rate > 0.15 else 0.9 - 0.02 * np.log10(rate / 0.02) ** 2 + _noise(knobs, seed)


def _corner(knobs, seed):
    wide = float(knobs.get("model.width", 64)) > 64 and float(knobs.get(RATE, 0.1)) > 0.01
    return None if wide else 0.9 - 0.02 * np.log10(float(knobs.get(RATE, 0.1)) / 0.02) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("truth", [_high_rates, _corner])
def test_no_simulated_protocol_is_stopped_for_rates_or_corners_that_diverge(truth):
    results = [_asked(truth, offset=offset) for offset in range(6)]
    assert not any(stopped for _, stopped in results)
    assert sum(asked for asked, _ in results) <= len(results)  # the price is a training or two


@pytest.mark.parametrize("at", [6, 12, 20, 40])
def test_every_simulated_protocol_whose_trainer_breaks_is_asked_after_the_stage_in_which_it_did(at):
    calls = iter(range(10_000))
    plan = tune_plan("budget_trials=120")
    history, rows = carried_out(plan, lambda *one: _high_rates(*one) if next(calls) < at else None)
    ended = 0
    for former, step in zip(history.steps, history.steps[1:], strict=False):
        ended += former.trials
        if ended + step.trials >= at + SILENT:
            break
    silent, worked = asked_again(rows[: ended + step.trials], former.incumbent)
    assert worked
    assert at - 3 <= silent[0].spec.trial <= at  # some before it diverged by themselves


@pytest.mark.parametrize(
    ("then", "asks"),
    [(lambda score: score, 0), (lambda score: 100 * score, 1), (lambda score: score / 2 + 1, 1)],
)
def test_a_sweep_asks_whether_scores_have_changed_where_they_have_and_for_no_usual_gain(then, asks):
    for at in (4, 7, 10):
        calls = iter(range(10_000))
        plan = tune_plan("space=[lr]", "budget_trials=60", "optimizer.lr=0.005")

        def value(knobs, seed, at=at, calls=calls):
            score = _high_rates(knobs, seed)
            return score if score is None or next(calls) < at else then(score)

        history, _ = carried_out(plan, value)
        pairs = [*zip(history.steps, history.steps[1:], strict=False)]
        timed = replace(plan.metric, formula="accuracy - seconds")
        for metric, times in ((plan.metric, asks), (timed, 0)):
            far = [is_far(former.incumbent, step, metric=metric) for former, step in pairs]
            assert sum(far) == times
