"""The guide carried out: order, verdicts, memory, budget, resumption, and that chance adopts nothing."""

import json
import random
import re
import shlex
import signal
from collections import Counter
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import simulated
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit import INLINE, running, search, steady, trials, wait_for
from omegaconf import OmegaConf
from pages import staged_findings
from refusals import check_told, raises
from rich.console import Console
from simulated import VAL_ROWS, begun, carried_out, dice_of, tune_plan

from search.commands.test import run as open_test_set
from search.config.compose import compose_experiment
from search.config.compose_protocol import compose_protocol
from search.config.incumbent import canonical, incumbent_config, merged
from search.config.knob_parts import EPOCHS, RATE
from search.config.plan import read_plan
from search.config.sweep_settings import SweepSettings
from search.contract.arrays import read_folds
from search.contract.dataset import completed
from search.diagnostics.preflight.report import soundness
from search.diagnostics.verdicts.across_trials import Together
from search.errors import UsageError
from search.execution.dry_run import questions
from search.execution.terminal import Terminal
from search.execution.worker.dry_run import answer
from search.lifecycle.resume import settle
from search.protocols.budget import (
    another_budget,
    budget_of,
    confirm_race,
    kept_for_confirm,
    sweep_trials,
    trials_left,
    with_budget,
)
from search.protocols.chosen import at_the_edge
from search.protocols.conclude import gain as gain_of
from search.protocols.evidence import faster
from search.protocols.former import Former
from search.protocols.joint_request import joint_request
from search.protocols.learned import beats_constant, unusual_update
from search.protocols.next_knob import next_sweep, sweep_request
from search.protocols.next_stage import next_stage, stage_due
from search.protocols.opening import check_budget, check_until, confirm_needs
from search.protocols.record import as_decided, record_of
from search.protocols.stage_command import stage_words, sweep_command
from search.protocols.stage_plan import stage_plan
from search.protocols.step import Request, Step
from search.results.ensemble import candidates_of, judge_ensemble
from search.results.findings import open_results
from search.results.report.go_on import next_commands
from search.results.search_result import SearchResult
from search.results.status import status_of
from search.results.summary.advise import joint_paths
from search.results.summary.edges import at_edges
from search.results.summary.tune import caveats, conclusion, table, unresolved
from search.results.tables import load_search
from search.stages import confirm, sweep
from search.stages.spent import is_out_of_time, time_to_keep
from search.storage.folder import Folder
from search.storage.sealed import json_lines, read_json, read_json_lines
from search.storage.trials import TrialRecord, TrialSpec
from trainers.ensemble import predict

NO_JOINT = "protocol.trials=2"
BOWL = 0.02  # how much accuracy a decade off the best rate costs


def _noise(knobs, seed, size=0.004):
    return size * float(dice_of(seed, sorted(knobs.items())).normal())


def _stages(history):
    return [step.name.partition("-")[2] for step in history.steps]


def _nothing(knobs, seed):
    """Every configuration is as good as the next."""
    return 0.9 + _noise(knobs, seed)


def _rate_matters(knobs, seed):
    """Best at a rate of 0.01."""
    decades = np.log10(knobs.get(RATE, 0.1) / 0.01)
    return 0.9 - BOWL * decades**2 + _noise(knobs, seed)


def test_the_guide_goes_from_the_set_up_to_a_confirmed_configuration_in_its_order():
    history, rows = carried_out(tune_plan(), _rate_matters)
    names = _stages(history)
    first = ["preflight", "baseline", "regularisers_off", "longer", "lr_range", "sweep.lr"]
    assert names[:6] == first
    assert names[-3:] == ["joint", "confirm", "ensemble"]
    assert [row.spec.trial for row in rows] == list(range(len(rows)))
    assert history.steps[5].decision == "adopt"
    assert abs(np.log10(history.held[RATE] / 0.01)) < 0.5


def _cut_off(knobs):
    """The verdict of trainings that were cut off with the few epochs of the search's config."""
    return "converged" if EPOCHS in knobs else "too_short"


def test_epochs_too_few_to_judge_by_become_four_times_as_many_before_the_rate_is_swept():
    plan = tune_plan("trainer.epochs=5", "space=[lr,epochs_range]")
    gained, rows = carried_out(plan, lambda *at: 0.02 * (EPOCHS in at[0]) + _nothing(*at), _cut_off)
    longer = next(step for step in gained.steps if step.request.stage == "longer")
    assert (longer.decision, dict(longer.held), longer.trials) == ("adopt", {EPOCHS: 20}, 3)
    assert [row.spec.knobs[EPOCHS] for row in rows if row.spec.trial in range(3, 6)] == [20] * 3
    swept = gained.sweeps[0]
    assert swept.request.path == RATE
    assert all(row.spec.knobs[EPOCHS] == 20 for row in swept.incumbent)
    assert gained.held[EPOCHS] >= 20  # the confirmation finds the gain
    equal, _ = carried_out(plan, lambda knobs, seed: 0.9 + 0.001 * seed, _cut_off)
    longer = next(step for step in equal.steps if step.request.stage == "longer")
    assert longer.decision == "adopt"  # to be judged by; whether it is a gain is asked at the end
    assert equal.held == {}
    worse, _ = carried_out(plan, lambda *at: _nothing(*at) - 0.05 * (EPOCHS in at[0]), _cut_off)
    longer = next(step for step in worse.steps if step.request.stage == "longer")
    assert (longer.decision, dict(longer.held)) == ("keep", {})
    assert longer.says.startswith("the baseline stays")
    broken, _ = carried_out(plan, lambda *at: None if EPOCHS in at[0] else _nothing(*at), _cut_off)
    longer = next(step for step in broken.steps if step.request.stage == "longer")
    assert (longer.decision, dict(longer.held)) == ("keep", {})


@pytest.mark.parametrize(("epochs", "taken"), [(1, 4), (2, 8), (3, None)])
def test_one_epoch_or_two_of_which_no_curve_can_be_told_become_more(epochs, taken):
    plan = tune_plan(f"trainer.epochs={epochs}", "space=[lr,epochs_range]")
    history, _ = carried_out(plan, _nothing, lambda knobs: "cannot_tell")
    longer = next(step for step in history.steps if step.request.stage == "longer")
    assert longer.request.configurations[1:] == ({EPOCHS: 4 * epochs},)
    assert bool(longer.trials) == (taken is not None)
    assert not history.held  # nothing is better beyond chance


@pytest.mark.parametrize(
    ("words", "verdict", "says"),
    [
        (
            ("space=[lr,epochs_range]",),
            "converged",
            "the incumbent's curves say converged, not too_short",
        ),
        (("space=[lr,width]",), "too_short", "no knob of the protocol allows more epochs"),
        (
            ("space=[lr,epochs_range]", "budget_trials=37"),
            "too_short",
            "it costs as much as 12 trials, and the sweeps' share leaves 11",
        ),
    ],
)
def test_more_epochs_are_not_tried_where_nothing_was_cut_off_none_may_turn_or_pay_for(
    words, verdict, says
):
    history, _ = carried_out(tune_plan("trainer.epochs=5", *words), _nothing, lambda knobs: verdict)
    longer = next(step for step in history.steps if step.request.stage == "longer")
    assert (longer.decision, longer.says) == ("skipped", says)


@pytest.mark.slow
def test_epochs_that_bring_nothing_are_no_answer_and_those_that_do_are_found():
    plan = tune_plan("trainer.epochs=5", "space=[lr,dropout,epochs_range]", "budget_trials=100")
    ends = []
    for gain in (0.0, 4.0):
        histories = [
            carried_out(
                plan,
                lambda knobs, seed, salt=salt, gain=gain: (
                    0.9
                    + _noise({**knobs, "salt": salt}, seed)
                    + 0.004 * gain * (knobs.get(EPOCHS, 5) > 10)
                ),
                _cut_off,
            )[0]
            for salt in range(20)
        ]
        ends.append(sum(EPOCHS in history.held for history in histories))
    assert ends[0] <= 4  # 20 protocols that err in one of twenty: 5 or more in 0.0026
    assert ends[1] >= 18


def test_a_joint_stage_turns_what_mattered_and_what_the_verdict_names_choices_too():
    history, _ = carried_out(
        tune_plan("budget_trials=200"), _rate_matters, lambda knobs: "overconfident"
    )
    joint = next(step for step in history.steps if step.request.stage == "joint")
    paths = [knob.path for knob in joint.request.knobs]
    assert paths[0] == RATE
    assert {"model.norm", "model.width", "model.depth"} <= set(paths)
    swept = {step.request.path for step in history.sweeps if not step.effect}
    assert not swept & set(paths[1:])


@pytest.mark.parametrize(
    ("words", "has_all"), [(("space=[lr,dropout,width,momentum]",), True), ((), False)]
)
def test_a_knob_that_the_command_names_is_searched_beside_the_others_though_its_sweep_found_nothing(
    words, has_all
):
    history, _ = carried_out(
        tune_plan("budget_trials=200", *words), _rate_matters, lambda knobs: "overconfident"
    )
    joint = next(step for step in history.steps if step.request.stage == "joint")
    without = [step.request.path for step in history.sweeps if not step.effect]
    assert without
    assert (set(without) <= {knob.path for knob in joint.request.knobs}) == has_all


def test_a_joint_stage_of_few_trials_leaves_out_what_its_sweep_found_to_do_nothing():
    plan = tune_plan("budget_trials=75", "space=[lr,dropout,width,momentum]")
    history, _ = carried_out(plan, _rate_matters, lambda knobs: "overconfident")
    joint = next(step for step in history.steps if step.request.stage == "joint")
    knobs = joint.request.knobs
    assert len(knobs) <= max(2, joint.request.trials // 6)


def test_what_was_kept_for_a_confirmation_that_has_nothing_to_confirm_searches_on():
    def value(knobs, seed):  # the baseline is the best by far
        return 0.9 + _noise(knobs, seed, 0.001) - 0.1 * bool(knobs)

    history, rows = carried_out(tune_plan("budget_trials=120"), value)
    joints = [step for step in history.steps if step.request.stage == "joint"]
    assert [step.trials > 0 for step in joints] == [True, True]
    assert "none of the last stage is to be confirmed" in joints[1].request.because
    kept = 2 * history.settings.confirm  # the baseline and one leader
    assert len(rows) == 120 - kept
    assert not history.held


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("mnist1d", "augment_sequence"),
        ("digits", "augment_image"),
        ("breast_cancer", "augment_table"),
        ("latch", None),  # token ids cannot be changed a little
    ],
)
def test_the_augmentations_that_are_tried_fit_the_data(data, name):
    names = list(tune_plan(f"data={data}").settings.spaces)
    assert [each for each in names if each.startswith("augment")] == ([name] if name else [])


def test_the_incumbents_trials_are_never_trained_again():
    plan = tune_plan()
    history, rows = carried_out(plan, _nothing)
    trained = [
        (tuple(canonical(row.spec.knobs, base=plan.config).items()), row.spec.seed) for row in rows
    ]
    ran = {step.request.stage for step in history.steps if step.trials}
    assert {"baseline", "sweep", "joint"} <= ran
    assert len(set(trained)) == len(trained)


@pytest.mark.parametrize(("budget", "most"), [(42, 1), (60, 5), (70, 6), (150, 6)])
def test_the_seeds_of_a_sweep_are_as_many_as_its_share_pays_for_and_never_one_more(budget, most):
    plan = tune_plan(f"budget_trials={budget}", "space=[lr,dropout,width,momentum]")
    history, _ = carried_out(plan, _rate_matters)
    request = history.sweeps[0].request
    assert request.most_seeds == most
    assert history.sweeps[0].trials + plan.seeds <= 0.4 * budget


def test_a_budget_that_is_too_small_for_a_joint_stage_is_told_with_one_that_pays_for_it():
    def joint(budget):
        plan = tune_plan(f"budget_trials={budget}", "space=[lr,dropout,width]")
        history, _ = carried_out(plan, _rate_matters)
        return next(step for step in history.steps if step.request.stage == "joint")

    small = joint(31)
    assert small.decision == "skipped"
    assert (
        joint(small.request.skip.partition("budget_trials=")[2].partition(" ")[0]).decision
        == "done"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("space=[lr,dropout,width]", "budget_trials=31"), "-joint would need more: a larger "),
        (("protocol=coordinate", "space=[lr,dropout]", "budget_trials=31"), "-sweeps would need "),
        (("space=[lr]", "budget_trials=64"), "no stage was left that could use them"),
        (("space=[lr]", "budget_trials=30"), "no stage was left that could use them"),
        (("space=[lr,dropout]", "budget_trials=64"), ""),
    ],
)
def test_a_third_of_a_budget_that_stays_is_told_with_what_would_use_it(words, told):
    lines = [
        line for line in conclusion(staged_findings(_nothing, *words)) if "were not used" in line
    ]
    assert len(lines) == bool(told)
    assert all(told in line for line in lines)


def test_an_incumbent_that_stays_keeps_the_seeds_that_a_sweep_did_not_compare():
    plan = tune_plan("budget_trials=85", "seeds=2", "space=[lr,dropout,momentum]")

    def value(knobs, seed):
        return 0.9 - BOWL * np.log10(knobs.get(RATE, 0.1) / 0.01) ** 2 + _noise(knobs, seed, 0.002)

    history, _ = carried_out(plan, value, lambda knobs: "overfitting")
    rate, dropout = history.sweeps
    assert (rate.decision, dropout.decision) == ("adopt", "keep")
    assert dropout.request.most_seeds == 1  # no seeds are left that could decide
    assert dropout.incumbent == rate.incumbent
    assert len(rate.incumbent) > plan.seeds


def test_knobs_in_a_row_that_bring_nothing_end_the_sweeps():
    history, _ = carried_out(tune_plan(), _nothing)
    end = next(step for step in history.steps if step.request.stage == "sweeps")
    if all(step.decision == "keep" for step in history.sweeps):
        assert len(history.sweeps) == 1 + history.settings.idle
    assert "knobs in a row brought nothing" in end.says or "nothing is advised" in end.says


@pytest.mark.parametrize(
    ("verdict", "words", "knob"),
    [
        ("overfitting", (), "dropout"),
        ("overfitting", ("optimizer.weight_decay=1e-4",), "weight_decay"),
        ("overconfident", (), "label_smoothing"),
        ("overfitting", ("model.dropout=0.5",), "dropout"),
        ("lr_drop_due", (), "schedule_few"),
        ("unstable", (), "clip"),
        ("too_short", (), "epochs_range"),
        ("stuck", (), "optimizer_pair"),
        ("underfitting", ("model.dropout=0.5",), "dropout"),
        ("underfitting", (), "width"),
        ("vanishing", (), "activation"),
    ],
)
def test_the_next_knob_follows_the_verdict_and_a_penalty_that_is_on_comes_first(
    verdict, words, knob
):
    history, _ = carried_out(tune_plan(*words), _nothing, lambda knobs: verdict)
    after_rate = history.sweeps[1]
    assert after_rate.request.knob == knob
    assert verdict in after_rate.request.because


@pytest.mark.parametrize(
    ("verdict", "side", "knob", "rule"),
    [
        ("lr_too_high", "unstable", "clip", "P11"),  # its own remedy, the rate, was swept
        ("lr_too_high", "more_epochs", "epochs_range", "P10"),
        ("converged", "unstable", "width", "R44"),  # after what the seeds' own verdict names
    ],
)
def test_what_lies_across_the_trials_of_the_rate_leads_to_its_knob(verdict, side, knob, rule):
    whole, _ = carried_out(tune_plan("budget_trials=300"), _nothing, lambda knobs: verdict)
    at = whole.steps.index(whole.sweeps[0])
    rate = replace(whole.steps[at], sides=(side,))
    history = replace(whole, steps=(*whole.steps[:at], rate))
    request = next_stage(history)
    assert request.knob == knob
    assert request.rules == ("R34", rule)
    joint = joint_request(history, len(history.settings.stages) - 3)
    turned = {about.path for about in joint.knobs}
    assert (side == "unstable") == (turned >= {"trainer.clip", "schedule.warmup"})


def test_a_sweep_says_what_its_trials_say_together_but_for_their_number_of_epochs(monkeypatch):
    cliff = Together(name="unstable", rule="P11", says="0.01 is best and 0.02 diverges")
    late = Together(name="more_epochs", rule="P10", says="raise trainer.epochs")
    found = simulated.find
    monkeypatch.setattr(
        simulated, "find", lambda *of, **by: replace(found(*of, **by), together=(cliff, late))
    )
    history, _ = carried_out(tune_plan("space=[lr]", "budget_trials=44"), _rate_matters)
    assert history.sweeps[0].says.endswith("; 0.01 is best and 0.02 diverges (P11)")


@pytest.mark.parametrize("verdict", ["exploding", "dead_units", "stuck"])
def test_initial_weights_are_swept_where_a_verdict_names_them(verdict):
    history, _ = carried_out(tune_plan("budget_trials=200"), _nothing, lambda knobs: verdict)
    assert "init_few" in [step.request.knob for step in history.sweeps]


@pytest.mark.parametrize("verdict", ["too_short", "still_learning"])
def test_more_epochs_are_not_tried_where_patience_and_not_their_number_ended_the_trainings(verdict):
    """The rule's two calibrations: with patience never, without it always the first remedy."""

    def knobs(epochs):
        plan = tune_plan("trainer.epochs=20", "trainer.patience=5")
        history, _ = carried_out(plan, _nothing, lambda knobs: verdict, epochs=epochs)
        end = next(step for step in history.steps if step.request.stage == "sweeps")
        joint = next(step for step in history.steps if step.request.stage == "joint")
        turned = [knob.path for knob in joint.request.knobs]
        return [step.request.knob for step in history.sweeps], turned, end.says

    swept, turned, says = knobs(12)
    assert "epochs_range" not in swept
    assert "trainer.epochs" not in turned
    assert "raise trainer.patience" in says
    swept, _, says = knobs(None)
    assert swept[1] == "epochs_range"
    assert "trainer.patience" not in says


def test_what_was_tried_is_not_tried_again_until_something_changes_that_moves_it():
    def value(knobs, seed):  # a batch of 256 is much better, whatever the rate
        return 0.9 + 0.05 * (knobs.get("trainer.batch_size", 32) == 256) + _noise(knobs, seed)

    history, _ = carried_out(
        tune_plan("space=[lr,batch_size,momentum]"), value, lambda knobs: "converged"
    )
    knobs = [step.request.knob for step in history.sweeps]
    assert knobs[:4] == ["lr", "momentum", "batch_size", "lr"]
    again = history.sweeps[3].request
    assert again.rules == ("P6", "R39")
    rate = history.sweeps[2].held[RATE]
    assert (again.knobs[0].low, again.knobs[0].high) == pytest.approx(
        (rate / 4, rate * 4), rel=0.01
    )
    assert knobs.count("batch_size") == 1
    assert knobs.count("lr") == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        ({16: 1.0, 32: 1.0, 256: 1.0}, ""),  # nothing differs
        ({16: 2.0, 32: 1.0, 256: 0.4}, "; 256 is no worse beyond chance, and an epoch takes 2.5 times"),
        ({16: 0.2, 32: 1.0, 256: 0.9}, ""),  # the fastest is worse
    ],
)  # fmt: skip
def test_a_batch_size_that_is_much_faster_and_no_worse_is_told(seconds, said):
    rows = {
        size: [
            TrialRecord(
                spec=TrialSpec(trial=size, stage="sweep", knobs={}, seed=0),
                state="complete", epochs=10, seconds=10 * each,
            )
        ]
        for size, each in seconds.items()
    }  # fmt: skip
    words = faster(rows, chosen=32, good=(32, 256), path="my.batch")
    assert words.startswith(said) if said else words == ""
    assert ("say my.batch=256" in words) == bool(said)


def test_a_verdict_that_needs_a_hand_ends_the_sweeps_and_says_what_to_do():
    history, _ = carried_out(tune_plan(), _nothing, lambda knobs: "data_suspect")
    end = next(step for step in history.steps if step.request.stage == "sweeps")
    assert end.says.startswith("data_suspect needs a hand: compare train and validation")
    joint = next(step for step in history.steps if step.request.stage == "joint")
    assert (joint.decision, joint.says) == ("skipped", end.says)


@pytest.mark.slow
@settings(max_examples=4)
@given(st.integers(38, 180), st.sampled_from([2.5, 8.0, 100.0]))
@example(45, 100.0)
@example(138, 100.0)
def test_no_protocol_trains_more_than_its_budget_and_every_stage_gets_its_share(budget, sharp):
    plan = tune_plan(f"budget_trials={budget}")

    def value(knobs, seed):
        return (
            0.9
            - BOWL * np.log10(knobs.get(RATE, 0.1) / 0.01) ** 2
            + _noise(knobs, seed, 0.01 / sharp)
        )

    history, rows = carried_out(plan, value, lambda knobs: "overfitting")
    assert len(rows) == history.trials <= budget
    assert history.steps[-1].request.stage == "ensemble"
    trained = Counter[str]()
    for step in history.steps:
        trained[step.request.stage] += step.trials
    share = history.settings.share
    third = history.settings.most_seeds - plan.seeds  # of a race, once one of two fell back
    assert trained["baseline"] + trained["sweep"] <= max(share * budget + third, 4 * plan.seeds)
    confirm = next(step for step in history.steps if step.request.stage == "confirm")
    decided = confirm.decision == "adopt"  # the look after three seeds may end it
    assert confirm.trials >= (6 if decided else 2 * history.settings.confirm)
    left = (1 - share) * budget
    assert trained["joint"] + trained["confirm"] >= min(left, 2 * history.settings.confirm)


@pytest.mark.slow
def test_where_nothing_is_to_be_found_the_baseline_stays_in_at_least_92_percent_of_protocols():
    plan, kept, judged, changed = tune_plan("space=[lr,dropout,width,momentum]"), 0, 0, 0
    for repeat in range(24):

        def value(knobs, seed, repeat=repeat):
            return 0.9 + _noise({**knobs, "repeat": repeat}, seed)

        history, _ = carried_out(plan, value)
        kept += not history.held
        judged += any(step.request.stage == "confirm" and step.trials for step in history.steps)
        changed += any("has changed meanwhile" in step.says for step in history.steps)
    assert kept >= 23  # a rule that errs in one of five passes with 0.03
    assert judged >= 20  # what chance put ahead was trained on fresh seeds, and not adopted
    assert changed == 0  # a test that errs in one of a thousand


@pytest.mark.slow
def test_what_is_better_is_found_and_confirmed():
    plan, found, total = tune_plan("space=[lr,dropout]"), 0, 15
    for repeat in range(total):

        def value(knobs, seed, repeat=repeat):
            return _rate_matters({**knobs, "repeat": repeat}, seed)

        history, _ = carried_out(plan, value)
        found += 0.002 < history.held.get(RATE, 0.1) < 0.05
    assert found >= 0.92 * total


@pytest.mark.slow
def test_the_answer_is_never_worse_than_the_incumbent_of_the_sweeps_beyond_noise():
    plan, noise = tune_plan("space=[lr,dropout]", "budget_trials=90"), 0.004

    def truth(knobs):
        return 0.9 - BOWL * np.log10(knobs.get(RATE, 0.1) / 0.01) ** 2

    for repeat in range(6):

        def value(knobs, seed, repeat=repeat):
            return truth(knobs) + _noise({**knobs, "repeat": repeat}, seed, noise)

        history, _ = carried_out(plan, value)
        swept = [step for step in history.steps if step.request.stage == "sweep"][-1]
        assert truth(history.held) >= truth(swept.held) - noise


def _narrow(gain, protocols):
    """The answers of protocols in which one rate of the grid is that many deviations better."""
    plan, answers = tune_plan("space=[lr,dropout]"), []
    for repeat in range(protocols):

        def value(knobs, seed, repeat=repeat):
            better = gain * (0.02 < knobs.get(RATE, 0.1) < 0.025)
            return 0.9 + 0.004 * better + _noise({**knobs, "repeat": repeat}, seed)

        answers.append(carried_out(plan, value)[0])
    return answers


@pytest.mark.slow
def test_what_a_sweep_found_ahead_and_could_not_decide_is_trained_on_fresh_seeds():
    steps = [history.steps for history in _narrow(2.0, 8)]
    histories = [begun(tune_plan("space=[lr,dropout]"), *each[:-2]) for each in steps]
    undecided = [at for at, history in enumerate(histories) if history.undecided]
    assert undecided
    for at in undecided:
        history, confirm = histories[at], steps[at][-2]
        (ahead,) = history.undecided
        assert ahead in confirm.request.configurations
        assert len(confirm.request.configurations) <= 2 + history.settings.leaders
        turned = [len(each) for each in confirm.request.configurations[1 + bool(history.held) :]]
        assert turned == sorted(turned)  # of equal scores the first one goes on
        sweeps = [step for step in history.sweeps if step.leaders]
        assert all(step.decision == "keep" for step in sweeps)
        values = [each for step in sweeps for each in step.evidence["values"]]
        led = [each for each in values if each["knobs"].items() <= ahead.items()]
        assert any(each["difference"] > 0 and each["p"] < 0.16 for each in led)


@pytest.mark.slow
def test_a_gain_too_small_for_a_sweep_is_found_on_fresh_seeds():
    found = [0.02 < history.held.get(RATE, 0.1) < 0.025 for history in _narrow(2.0, 20)]
    assert sum(found) >= 17  # all; without fresh seeds 12


def test_what_was_undecided_at_another_incumbent_is_not_confirmed():
    plan = tune_plan("space=[lr,dropout]")
    first = Step(
        number=1,
        request=Request(entry=5, stage="sweep", because="", knob="lr", knobs=plan.knobs[:1]),
        decision="keep",
        says="",
        leaders=({RATE: 0.01},),
    )
    assert begun(plan, first).undecided == ({RATE: 0.01},)
    adopted = replace(first, number=2, decision="adopt", held={"model.dropout": 0.5}, leaders=())
    assert begun(plan, first, adopted).undecided == ()
    other = replace(first, number=2, leaders=({"model.dropout": 0.5},))
    assert begun(plan, first, other).undecided == ({RATE: 0.01, "model.dropout": 0.5},)


def test_a_gain_that_vanishes_on_fresh_seeds_is_said():
    plan = tune_plan("space=[lr,dropout]")

    def value(knobs, seed):  # the seeds of the search favour one rate by luck alone
        lucky = seed < plan.seeds and 0.02 < knobs.get(RATE, 0.1) < 0.025
        return 0.9 + 0.05 * lucky + _noise(knobs, seed, 0.001)

    history, _ = carried_out(plan, value)
    confirm = next(step for step in history.steps if step.request.stage == "confirm")
    assert confirm.decision == "keep"
    assert not history.held


TIMED = ("metric=composite", "metric.formula='accuracy-seconds'", "metric.direction=maximize")


@pytest.mark.parametrize(
    ("late", "words", "told"),
    [
        (lambda score: score, (), 0),
        (lambda score: 0.8 + score / 5, (), 1),
        (lambda score: 0.8 + score / 5, TIMED, 0),  # seconds do differ
        (lambda score: 100 * score, (), 1),
    ],
)
def test_a_baseline_that_scores_otherwise_on_fresh_seeds_is_told(late, words, told):
    plan, calls = tune_plan("space=[lr,dropout]", *words), iter(range(10_000))

    def value(knobs, seed):  # other rows, or per cent, from the twentieth training on
        return late(_nothing(knobs, seed)) if next(calls) >= 20 else _nothing(knobs, seed)

    history, _ = carried_out(plan, value)
    confirm = next(step for step in history.steps if step.request.stage == "confirm")
    assert confirm.says.count("has changed meanwhile") == told


def test_knobs_of_another_option_are_left_behind_and_equal_configurations_are_one():
    config = tune_plan().config
    held = {RATE: 0.03, "optimizer.momentum": 0.5, "model.width": 64}
    other = merged(held, {"optimizer": "adam", "optimizer.adam.lr": 1e-3}, base=config)
    assert other == {"model.width": 64, "optimizer": "adam", RATE: 1e-3}
    back = merged(held, {"optimizer": "sgd", "optimizer.sgd.lr": 0.3}, base=config)
    assert canonical(back, base=config) == {
        "model.width": 64, "optimizer.lr": 0.3, "optimizer.momentum": 0.5,
    }  # fmt: skip
    assert canonical({RATE: 0.1, "model.dropout": 0.0}, base=config) == {}
    incumbent = incumbent_config(config, other)
    assert incumbent.optimizer.lr == incumbent.choices.optimizer.adam.lr == 1e-3
    assert "Adam" in incumbent.optimizer._target_


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["space=[lr,augment_sequence]"], ("knob-lacks-its-need", "space.augment", "data.dimensions=1", "data.dimensions=2")),
        (["space=[lr,residual]"], ("knob-lacks-its-need", "space.model.residual", "model.depth>1", "model.depth=1")),
        (["space=[lr,width]", "model=linear"], ("knob-lacks-its-need", "space.model.width", "model.depth!=0", "model.depth=0")),
        (["space=[lr,momentum]", "optimizer=adam"], ("knob-not-a-key", "optimizer.momentum")),
    ],
)  # fmt: skip
def test_a_knob_that_a_set_up_lacks_is_refused(words, message):
    with raises(*message):
        tune_plan.__wrapped__(*words)


def test_a_verdict_that_is_not_in_the_table_is_refused():
    with raises("unknown-verdict", "protocol.until", "'stuk'", "'stuck'"):
        check_until(tune_plan("protocol.until=[stuk]").settings)
    check_until(tune_plan("protocol=unstick").settings)


@pytest.mark.slow
def test_hours_too_small_for_a_first_sweep_say_which_would_pay():
    plan = tune_plan("budget_hours=0.01", "protocol.stages=[baseline,{sweep:lr},confirm]")
    baseline = Request(entry=0, stage="baseline", because="")
    step = Step(
        number=1, request=baseline, decision="done", says="", trials=3, seconds=30.0, clock=36.0
    )
    request = next_stage(begun(plan, step))
    needed = re.search("needs (\\d+) trials", request.skip)
    hours = re.search("budget_hours=(\\S+) would pay", request.skip)
    enough = begun(
        tune_plan(f"budget_hours={hours[1]}", "protocol.stages=[baseline,{sweep:lr},confirm]"), step
    )
    assert float(hours[1]) > 0.01
    assert sweep_trials(enough) >= int(needed[1]) - 1


def test_a_budget_too_small_for_the_first_stages_says_what_it_would_need():
    with raises("budget-too-small", "budget_trials=37", "10"):
        check_budget(tune_plan("budget_trials=10").settings, 3)


def test_another_budget_holds_for_what_has_not_begun_and_for_a_joint_stage_under_way():
    plan = tune_plan("budget_trials=200", "space=[lr,dropout,norm,depth,width,flood]")
    whole, _ = carried_out(plan, _rate_matters, lambda knobs: "overconfident")
    stages = [step.request.stage for step in whole.steps]
    joint, former = stages.index("joint"), [budget_of(plan.config)] * len(stages)
    for now in (70, 400):
        today = replace(begun(plan), settings=with_budget(plan.settings, {"budget_trials": now}))
        for ended in (5, joint, joint + 1):  # the next stage, and a joint one, is under way
            for done in range(ended + 1):
                history = replace(today, steps=whole.steps[:done])
                _, request = stage_due(history, former[:ended], ended=ended)
                due = whole.steps[done].request
                if done == ended == joint:
                    assert (request.trials < due.trials) == (now < 200)
                    least = confirm_needs(history.settings)
                    assert history.trials + request.trials + least <= max(
                        now, history.trials + 1 + least
                    )
                    due = replace(due, trials=request.trials)
                assert request == due
        for ended in (5, joint):  # the next stage has not begun
            last = replace(today, steps=whole.steps[:ended])
            request = stage_due(last, former[: ended - 1], ended=ended)[1]
            assert request == next_stage(last)
            assert request != whole.steps[ended].request
    told = another_budget({"budget_trials": 200}, {"budget_hours": 1.0}, ended=False)
    assert told.startswith(
        "budget_trials: no limit, was 200; budget_hours: 1.0, was no limit: what"
    )


def _hours(clock, *words):
    """A history of hours: 100 trials in 1 800 s, with a start of 60 s."""
    plan = tune_plan(*words)
    sweep = Request(entry=4, stage="sweep", because="", knobs=(plan.knobs[0],))
    first = Step(
        number=1, request=sweep, decision="keep", says="", trials=100, seconds=1800.0, clock=1860.0
    )
    idle = Step(number=2, request=sweep, decision="keep", says="", clock=clock)
    return plan, begun(plan, first, idle)


def test_hours_are_those_of_the_clock_and_keep_the_confirmations_share_at_the_pace_so_far():
    plan, history = _hours(2000.0, "budget_hours=1")
    assert trials_left(history) == (3600 - 2000) // 18
    share = history.settings.share
    assert sweep_trials(history) == (60 + share * 3540 - 2000) // 18  # what the checks have left
    confirm = Request(entry=6, stage="confirm", because="", configurations=({}, {RATE: 0.01}))
    late = _hours(3400.0, "budget_hours=1")[1]
    seeds = [
        len(stage_plan(plan, each, confirm, name="c").settings.seeds) for each in (history, late)
    ]
    assert seeds == [history.settings.confirm_most, history.settings.confirm]
    # Trials that pay for some of the further seeds are spent on these, unless they are too few.
    settings = replace(history.settings, budget_seconds=None)
    for left, most in ((10, 5), (18, 5), (19, 8), (24, 9), (25, 10), (90, 10)):
        some = replace(history, settings=replace(settings, budget_trials=100 + left))
        assert len(stage_plan(plan, some, confirm, name="c").settings.seeds) == most


def test_seconds_of_gpus_end_sweeps_and_joint_stage_in_time():
    def of_gpus(seconds):
        step = Step(
            number=1,
            request=Request(entry=1, stage="baseline", because=""),
            decision="done",
            says="",
            trials=10,
            gpu_seconds=seconds,
        )
        return begun(tune_plan("budget_gpu_seconds=1000"), step)

    assert (trials_left(of_gpus(100.0)), sweep_trials(of_gpus(100.0))) == (90, 30)
    assert next_sweep(of_gpus(390.0), 4, "given").skip == "the sweeps' share of the budget is spent"
    history = of_gpus(100.0)
    joint = Request(
        entry=5, stage="joint", because="", knobs=history.settings.spaces["lr"], trials=40
    )
    planned = stage_plan(tune_plan("budget_gpu_seconds=1000"), history, joint, name="j").settings
    kept = kept_for_confirm(history, left=90, rivals=history.settings.leaders)
    assert planned.gpu_budget == 1000 - 100 - 10 * kept


def test_the_time_that_a_stage_keeps_follows_the_machine_as_it_is_now():
    def trial(number, ended, *, seconds=10.0, state="complete"):
        spec = TrialSpec(stage="joint", knobs={}, seed=number, trial=number)
        epochs = 50 if state == "complete" else 10
        return TrialRecord(
            spec=spec, state=state, epochs=epochs, seconds=seconds, ended=ended, clock=ended
        )

    def kept(*rows, epochs=100, pace=0.2):
        return time_to_keep(SweepSettings(budget=900.0, kept=epochs, pace=pace), rows)

    calm = [trial(number, 10.0 * number) for number in range(1, 9)]
    slow = [trial(9 + number, 180.0 + 100 * number, seconds=100.0) for number in range(8)]
    pruned = [
        trial(20 + number, 82.0 + 2 * number, seconds=2.0, state="pruned") for number in range(5)
    ]
    assert kept() == 20.0
    assert kept(*calm) == 10 + 20.0
    assert kept(*calm, *slow) == 100 + 200.0
    assert kept(*calm, *slow[:2]) == 10 + 20.0  # two trials may be of larger models
    assert kept(*calm, pace=0.9) == 10 + 90.0  # it was slower before
    assert kept(*calm, *pruned, pace=0.1) == 10 + 20.0  # a pruned trial is a part of a training
    together = [replace(row, ended=80.0, wall=80.0) for row in calm]  # as lanes of one program
    assert kept(*together) == 80 + 20.0
    assert kept(*calm, *slow, epochs=0) == 0.0  # nothing comes after it
    limits = [SweepSettings(budget=budget, kept=100, pace=0.2) for budget in (111.0, 110.0, None)]
    assert [is_out_of_time(limit, calm) for limit in limits] == [False, True, False]


HOUR, TRIAL = 3600.0, 30.0  # seconds of the budget, and of a trial on a quiet machine


def _under_load(load):
    """A protocol of an hour in which a trial takes so many times as long as on a quiet machine."""
    plan = tune_plan("budget_hours=1")
    history, _ = carried_out(
        plan,
        _rate_matters,
        lambda knobs: "overfitting",
        seconds=lambda now: TRIAL * load(now),
    )
    return {step.request.stage: step for step in history.steps}, history


@pytest.mark.slow
@given(begins=st.floats(100, 4000), lasts=st.floats(0, 4000), times=st.floats(1, 100))
@settings(max_examples=6)
def test_the_confirmation_is_made_by_the_clock_whatever_the_load(begins, lasts, times):
    steps, history = _under_load(lambda now: times if begins < now < begins + lasts else 1.0)
    confirm = steps["confirm"]
    if confirm.decision == "skipped":  # the first sweep had no time for the seeds that decide
        assert confirm.says == "nothing was adopted, so the baseline is the answer"
        assert any("cut short" in step.says for step in history.steps)
        return
    decided = confirm.decision == "adopt"  # the look after three seeds may end it
    assert confirm.trials >= (6 if decided else 2 * history.settings.confirm)
    assert confirm.decision == "adopt"
    assert RATE in history.held


@pytest.mark.slow
def test_on_a_quiet_machine_hours_pay_for_all_stages_and_a_loaded_one_leaves_the_confirmation_its_time():
    steps, _ = _under_load(lambda now: 1.0)
    assert 0.8 * HOUR < steps["confirm"].clock <= HOUR
    assert [steps[name].trials for name in ("joint", "confirm")] == [42, 19]
    assert "cut short" not in steps["sweep"].says
    steps, _ = _under_load(lambda now: 4.0 if now > 1400 else 1.0)  # within the joint stage
    assert 0 < steps["joint"].trials < 42
    assert steps["confirm"].trials >= 10
    assert steps["confirm"].clock <= 1.1 * HOUR
    steps, _ = _under_load(lambda now: 8.0 if now > 300 else 1.0)  # within the first sweep
    assert "cut short: the hours leave only what the confirmation needs" in steps["sweep"].says


def test_hours_that_are_spent_pay_for_the_baseline_and_one_configuration_and_say_so():
    words = "protocol.stages=[baseline,{sweep:lr},confirm]"
    plan, history = _hours(3590.0, "budget_hours=1", words)
    (step, _), rate = history.steps, {RATE: 0.01}
    swept = replace(step, request=replace(step.request, entry=1), held=rate, clock=3590.0)
    request = next_stage(begun(plan, replace(swept, leaders=({RATE: 0.02},))))
    assert request.configurations == ({}, rate)
    assert not request.skip
    assert request.because.endswith(
        "; the hours are spent, so the baseline and one configuration are trained"
    )
    nothing = next_stage(begun(plan, replace(swept, held={})))
    assert nothing.skip == "nothing was adopted, so the baseline is the answer"
    assert "hours" not in nothing.because


def test_a_confirmation_that_the_budget_does_not_pay_says_that_nothing_is_confirmed():
    plan, history = _hours(
        100.0, "budget_trials=105", "protocol.stages=[baseline,{sweep:lr},confirm]"
    )
    (step, _), rate = history.steps, {RATE: 0.01}
    swept = replace(step, request=replace(step.request, entry=1), held=rate)
    request = next_stage(begun(plan, swept))
    assert request.stage == "confirm"
    assert request.skip == (
        "it needs 10 trials, and the budget leaves 5: what was adopted is not confirmed"
    )
    led = replace(swept, held={}, leaders=(rate,))
    assert next_stage(begun(plan, led)).skip.endswith("what a sweep found ahead is not confirmed")
    joint = replace(led, request=replace(led.request, stage="joint"))
    assert next_stage(begun(plan, joint)).skip.endswith(
        "what the joint stage found is not confirmed"
    )


def test_what_an_earlier_version_decided_holds_for_all_that_follows():
    history, rows = carried_out(tune_plan(), _rate_matters)
    records = [record_of(step, following="", command="", budget={}) for step in history.steps]
    place = next(at for at, step in enumerate(history.steps) if step.decision == "adopt")
    step, baseline = history.steps[place], history.steps[1]
    assert as_decided(step, records, rows) == step
    assert as_decided(step, records[:place], rows) == step  # it had not ended by then
    kept = {**records[1], "stage": step.name, "decision": "keep", "says": "the baseline stays"}
    former = as_decided(step, [*records[:place], kept], rows)
    assert (former.decision, former.says, former.held) == ("keep", "the baseline stays", {})
    assert former.incumbent == baseline.incumbent
    assert former.verdicts == baseline.verdicts
    assert (former.good, former.trials) == (step.good, step.trials)


def test_todays_rules_replace_no_stage_that_was_made_and_end_no_search_anew(tmp_path):
    history, _ = carried_out(tune_plan("space=[lr,dropout]"), _nothing)
    records = [record_of(step, following="", command="", budget={}) for step in history.steps]
    names, number = [step.name for step in history.steps], len(history.steps)
    ended, begun_yet = (
        Former(steps=records[: number - 1 + each], stages=frozenset(names), ended=each)
        for each in (True, False)
    )

    def due(former, request, at):
        before = replace(history, steps=history.steps[: at - 1])
        return former.due(before, request, folder=tmp_path)

    request = history.steps[-1].request
    other = replace(request, knob="other")
    for former in (ended, begun_yet):
        assert due(former, request, number) == (request, "")
    assert due(begun_yet, other, number + 1) == (other, "")
    assert due(ended, None, number + 1) == (None, "")
    for then, at in ((other, number), (None, number), (other, number + 1)):
        none, why = due(ended, then, at)
        assert none is None
        assert "the search has ended, and stays as it is" in why
    for then in (other, None):
        with raises("protocol-leads-elsewhere", names[-1]):
            due(begun_yet, then, number)
    for kind in ("sweep", "sweeps"):  # these are made again as they were
        (step, *_) = (step for step in history.steps if step.request.stage == kind)
        for then in (other, None):
            made, _ = due(begun_yet, then, step.number)
            assert (made.name(step.number), made.entry) == (step.name, step.request.entry)
            assert made.knobs == step.request.knobs
            assert made.skip == (step.says if kind == "sweeps" else "")
    now = {**records[0], "says": "in today's words"}
    assert [each.kept(now, 1)["says"] for each in (ended, begun_yet)] == [records[0]["says"]] * 2
    assert begun_yet.kept(now, number) is now
    assert ended.kept({**now, "scores": [0.5]}, 1)["scores"] == [0.5]  # trained anew elsewhere


def test_a_stage_that_is_decided_is_judged_by_the_trials_it_has():
    plan, (entry,) = (
        tune_plan("space=[lr]"),
        [Request(entry=0, stage="baseline", because="", configurations=({},))],
    )
    staged = stage_plan(plan, begun(plan), entry, name="decided")
    (first, *more) = confirm.wanted(staged, [])
    rows = [TrialRecord(spec=first, state="complete", value=0.5)]
    assert len(confirm.wanted(staged, rows)) == len(more) > 0
    closed = replace(staged, closed=True)
    assert confirm.wanted(closed, rows) == []
    assert confirm.outcome(closed, rows, resolution=0.0).decision.winner == 0


def test_the_page_says_which_knobs_were_turned_and_by_how_many_seeds_values_were_compared():
    findings = staged_findings(_rate_matters)
    held, never, *_, seeds = caveats(findings)
    answer = findings.steps[-1]["held"]
    together = [path for path in joint_paths(findings) if path != RATE]
    assert held.startswith("turned by the joint stage, in no sweep: ")
    assert held.split(": ")[1].removesuffix(" (P1)").split(", ") == together
    assert not {*answer, *together} & {*never.split(": ")[1].removesuffix(" (P1)").split(", ")}
    assert seeds.startswith("sweeps train each value with one seed, the better half with 3")
    (sweep, *_) = (step for step in findings.steps if step["kind"] == "sweep")
    tied = [each["value"] for each in sweep["evidence"]["values"] if each["standing"] == "tie"]
    line = f"lr: a tie: {', '.join(map(str, tied))}: no significant difference from the best mean"
    assert (line in unresolved(findings.steps)) == (len(tied) > 1)


def test_the_answer_says_which_knobs_of_the_command_were_never_turned():
    named = staged_findings(_rate_matters, "space=[lr,dropout,width,depth]", "budget_trials=45")
    (line,) = (line for line in conclusion(named) if "although the command names them" in line)
    others = ["model.dropout", "model.width", "model.depth"]
    never = [path for path in others if path not in joint_paths(named)]
    assert 0 < len(never) < len(others)
    assert line.endswith(f"names them: {', '.join(never)} (P1)")
    assert not any("never turned" in line for line in caveats(named))
    off = ("space=[lr,l1,width,depth]", "trainer.l1=0.1", "budget_trials=45")  # tried without it
    (line,) = (line for line in conclusion(staged_findings(_rate_matters, *off)) if "names" in line)
    assert "trainer.l1" not in line


@pytest.mark.parametrize(("outcome", "truth", "told"), [("warn", _nothing, True), ("warn", _rate_matters, False), ("note", _nothing, False)])  # fmt: skip
def test_where_nothing_is_better_the_end_repeats_what_the_preflight_doubts(outcome, truth, told):
    """Of labels that belong to other rows it warned 60 trials before, and no line said it again."""
    findings = staged_findings(truth, "space=[lr,dropout]", "budget_trials=60")
    checks = [{"name": "held_out", "outcome": outcome, "told": "no more than chance"}]
    first = {**findings.steps[0], "says": soundness({"checks": checks, "failed": []})}
    lines = conclusion(replace(findings, steps=(first, *findings.steps[1:])))
    line = (
        "why nothing is better, the preflight may tell: warnings, to be looked at: held_out (R10)"
    )
    assert (line in lines) == told


def test_what_the_confirmation_says_is_said_once_at_the_end(capsys):
    findings = staged_findings(_rate_matters, "space=[lr,dropout,width,depth]", "budget_trials=45")
    says = next(step["says"] for step in findings.steps if step["kind"] == "confirm")
    console = Console(width=10_000)
    console.print(table(findings, width=console.width), *conclusion(findings))
    assert capsys.readouterr().out.count(says) == 1
    assert conclusion(findings)[0].count("accuracy") == 0  # it tells the knobs and the trials


@pytest.mark.parametrize(("floor", "offered"), [(0.5, True), (0.95, False)])
def test_test_rows_are_not_offered_where_nothing_was_learned(floor, offered):
    findings = staged_findings(_nothing, "space=[lr]", NO_JOINT, floor=floor)
    words = [command for command, _ in next_commands(findings)]
    assert any("search test" in command for command in words) == offered


def test_a_value_that_was_adopted_before_a_joint_stage_is_not_said_to_be_turned_by_it():
    findings = staged_findings(_rate_matters)
    joint = next(step for step in findings.steps if step["kind"] == "joint")
    held = {**joint["held"], EPOCHS: 20}
    rows = [
        replace(row, spec=replace(row.spec, knobs={**held, **row.spec.knobs}))
        for row in findings.rows
    ]
    assert joint_paths(replace(findings, rows=rows)) == joint_paths(findings)


@pytest.mark.parametrize("whole", [1, 100])  # a share, and per cent
def test_a_gain_of_few_validation_rows_is_called_one(whole, monkeypatch):
    monkeypatch.setattr("simulated.VAL_ROWS", 100)
    plan = tune_plan("space=[lr,dropout]")

    def value(knobs, seed):  # a gain of 1.5 rows of 100, without any noise to speak of
        gain = 0.015 * (0.02 < knobs.get(RATE, 0.1) < 0.025)
        return whole * (0.9 + gain + _noise(knobs, seed, 1e-4))

    history, _ = carried_out(plan, value)
    assert f"one of 100 validation rows is {whole / 100:g}, so gains" in history.steps[1].says
    confirm = next(step for step in history.steps if step.request.stage == "confirm")
    assert (
        "of 100 validation rows: seeds agree on it, but other rows may not show it" in confirm.says
    )


@pytest.mark.parametrize(
    ("ratios", "said"), [((0.001, 0.002), ""), ((0.05, 0.04), "unstable? (R24)"), ((1e-5,), "slow")]
)
def test_updates_far_from_their_usual_size_are_told(ratios, said):
    words = unusual_update(ratios)
    assert (words == "") if not said else (said in words)


@pytest.mark.parametrize("protocol", ["fixed_order", "coordinate", "sweeps", "unstick"])
def test_the_other_protocols_end_and_each_stage_says_why_it_came(protocol):
    history, _ = carried_out(tune_plan(f"protocol={protocol}", "space=[lr,dropout]"), _rate_matters)
    assert next_stage(history) is None
    assert all(
        step.request.because and (step.says or step.decision == "done") for step in history.steps
    )
    if protocol == "coordinate":  # the rate is adopted in the first pass, so there is a second
        assert [step.request.knob for step in history.sweeps] == ["lr", "dropout", "lr", "dropout"]


@pytest.mark.parametrize("moves_the_rate", [False, True])
def test_a_knob_that_an_earlier_entry_swept_is_not_swept_again_unless_it_is_stale(moves_the_rate):
    between = "width" if moves_the_rate else "dropout"
    path = {"width": "model.width", "dropout": "model.dropout"}[between]

    def value(knobs, seed):
        return 0.9 + 0.03 * (path in knobs) + _noise(knobs, seed, 0.001)

    stages = f"[baseline,{{sweep:lr}},{{sweep:{between}}},{{sweeps:given}}]"
    plan = tune_plan(f"protocol.stages={stages}", f"space=[lr,{between},momentum]")
    history, _ = carried_out(plan, value)
    again = ["lr"] * moves_the_rate
    assert [step.request.knob for step in history.sweeps] == ["lr", between, *again, "momentum"]
    assert [step.request.rules for step in history.sweeps][:2] == [("R29",), ("R28",)]


@pytest.mark.parametrize(
    ("budget", "says", "adopts"),
    [
        (110, "pass 1 adopted nothing", False),  # it ended with a knob untried: its share was spent
        (90, "the budget is spent, but for what the confirmation may need", False),
        (110, "the budget is spent, but for what the confirmation may need", True),
    ],
)
def test_where_no_joint_stage_follows_the_sweeps_leave_the_confirmation_its_seeds_and_no_more(
    budget, says, adopts
):
    history, rows = carried_out(
        tune_plan("protocol=coordinate", f"budget_trials={budget}"),
        _rate_matters if adopts else _nothing,
    )
    (end,) = (step for step in history.steps if step.request.stage == "sweeps")
    assert end.says == says
    confirm_step = next(step for step in history.steps if step.request.stage == "confirm")
    assert (confirm_step.trials > 0) == adopts
    before = replace(history, steps=history.steps[: end.number])
    assert trials_left(before) >= confirm_needs(before.settings)
    assert len(rows) <= budget


def test_passes_after_a_sweep_of_the_list_begin_with_the_knobs_that_it_left():
    def value(knobs, seed):
        return 0.9 + 0.03 * ("model.dropout" in knobs) + _noise(knobs, seed, 0.001)

    stages = "[baseline,{sweep:lr},{sweeps:passes}]"
    plan = tune_plan("protocol=coordinate", f"protocol.stages={stages}", "space=[lr,dropout]")
    history, _ = carried_out(plan, value)
    swept = [step.request.knob for step in history.sweeps]
    assert swept[:4] == ["lr", "dropout", "lr", "dropout"]
    assert next_stage(history) is None


@pytest.mark.parametrize(("budget", "has_all"), [(64, False), (200, True)])
def test_a_joint_stage_leaves_further_seeds_to_the_confirmation_where_half_pays(budget, has_all):
    history, _ = carried_out(tune_plan(f"budget_trials={budget}", "space=[lr,dropout]"), _nothing)
    joint = next(step for step in history.steps if step.request.stage == "joint")
    before = replace(history, steps=history.steps[: joint.number - 1])
    kept = trials_left(before) - joint.request.trials
    least = confirm_needs(before.settings, rivals=history.settings.leaders)
    assert kept == least + confirm_race(history.settings).further * has_all


@pytest.mark.parametrize("low", ["0.002", "2e-3", "2.0e-3"])
def test_a_bound_of_a_knob_is_a_number_however_it_is_written(low):
    plan = tune_plan(f"space.optimizer.lr.low={low}")
    assert plan.settings.spaces["lr"][0].low == 0.002


@pytest.mark.slow
def test_a_linear_model_has_no_knob_of_hidden_layers():
    plan = tune_plan("model=linear")
    of_model = {knob.path for knob in plan.knobs if knob.path.startswith("model.")}
    assert of_model == {"model.init"}


@pytest.mark.parametrize(("depth", "left_out"), [(1, True), (2, False)])
def test_a_listed_knob_that_needs_another_model_is_left_out_and_said(depth, left_out):
    plan = tune_plan("protocol.knobs=[lr,residual,dropout]", f"model.depth={depth}")
    assert list(plan.settings.spaces) == ["lr", *["residual"] * (not left_out), "dropout"]
    assert plan.settings.left_out == ("residual",) * left_out
    history, _ = carried_out(plan, _nothing, lambda knobs: "underfitting")
    assert next_stage(history) is None


@pytest.mark.parametrize(
    ("knob", "words", "pruner"),
    [
        ("width", (), "median"),
        ("epochs_range", (), "median"),
        ("epochs_range", ("schedule=cosine",), "none"),
        ("schedule_few", (), "none"),
    ],
)
def test_a_joint_stage_prunes_unless_its_better_trainings_may_begin_more_slowly(
    knob, words, pruner
):
    plan = tune_plan(*words)
    turned = tuple(plan.settings.spaces[name][0] for name in ("lr", knob))
    joint = Request(entry=6, stage="joint", because="", knobs=turned, trials=20)
    assert stage_plan(plan, begun(plan), joint, name="j").settings.pruner == pruner


@pytest.mark.parametrize(
    ("epochs", "patience", "rungs"),
    [(50, 10, (10, 20, 30, 40)), (100, 10, (20, 40, 60, 80)), (15, 10, (10,)), (5, 10, ())],
)
def test_no_training_is_pruned_before_its_own_patience_would_end_it(epochs, patience, rungs):
    plan = tune_plan(f"trainer.epochs={epochs}", f"trainer.patience={patience}")
    turned = (plan.settings.spaces["lr"][0], plan.settings.spaces["width"][0])
    joint = Request(entry=6, stage="joint", because="", knobs=turned, trials=20)
    assert stage_plan(plan, begun(plan), joint, name="j").settings.rungs == rungs


@pytest.mark.parametrize("best", [1, 6])
def test_residual_connections_are_tried_once_a_deeper_model_is_the_incumbent(best):
    def value(knobs, seed):
        return 0.9 + 0.03 * (knobs.get("model.depth", 1) == best) + _noise(knobs, seed, 0.001)

    plan = tune_plan("protocol=fixed_order", "protocol.knobs=[lr,depth,residual]")
    assert not {"model.residual"} & {knob.path for knob in plan.knobs}  # not for the dry run
    history, _ = carried_out(plan, value)
    swept = [step.request.knob for step in history.sweeps]
    assert swept == ["lr", "depth", *["residual"] * (best > 1)]


@pytest.mark.slow
@pytest.mark.parametrize("has_lengths", [True, False])
def test_padded_sequences_are_neither_shifted_nor_cut(tmp_path, has_lengths):
    dice = np.random.default_rng(0)
    rows = {"x": dice.normal(size=(60, 12)).astype("float32"), "y": dice.integers(0, 2, 60)}
    if has_lengths:
        rows["lengths"] = dice.integers(3, 12, 60)
    np.savez(tmp_path / "rows.npz", **rows)
    words = ["data=npz", f"data.path={tmp_path / 'rows.npz'}", "data.task=classification"]
    config = compose_protocol([*words, "data.dimensions=1"], config_dir=None)
    plan = read_plan(completed(config), root=tmp_path)
    assert ("augment_sequence" in plan.settings.spaces) == (not has_lengths)
    assert ("augment_sequence" in plan.settings.left_out) == has_lengths


def test_where_every_seed_has_the_best_score_no_knob_is_turned_and_the_page_says_why():
    def solved(knobs, seed):
        return 1.0

    history, _ = carried_out(tune_plan(), solved, lambda knobs: "overfitting")
    assert not history.sweeps
    assert history.trials == history.seeds  # the baseline's
    says = {step.request.stage: step.says for step in history.steps}
    assert "has the best score there is" in says["sweep"]
    assert says["joint"] == says["sweeps"] == says["sweep"] == says["lr_range"]
    assert not history.held

    history, _ = carried_out(tune_plan(), lambda knobs, seed: 1.0 - 0.01 * (seed == 2))
    assert not history.steps[1].perfect
    history, _ = carried_out(tune_plan(), solved, lambda knobs: "dead")  # 1 %: one of 100 classes
    assert not history.steps[1].perfect
    metric = tune_plan().metric
    told = {whole: metric.is_best([1.0], unit=whole) for whole in (1.0, 100.0)}
    assert told == {1.0: True, 100.0: False}


def test_a_baseline_whose_trainings_ended_by_errors_ends_tune_in_words():
    with raises("baseline-has-no-result", "trial 0"):
        carried_out(
            tune_plan(), lambda knobs, seed: "failed" if knobs.get(RATE, 0.1) == 0.1 else 1.0
        )


def test_a_seed_that_gave_no_result_is_counted_and_makes_no_baseline_perfect():
    history, _ = carried_out(tune_plan(), lambda knobs, seed: None if seed == 2 else 1.0)
    baseline = history.steps[1]
    assert not baseline.perfect
    assert history.sweeps
    assert "accuracy 1, mean of 2 seeds, 1 of 3 trainings gave no result" in baseline.says


@pytest.mark.parametrize("whole", [1, 100])  # a share, and per cent
def test_trainings_that_beat_no_constant_prediction_are_not_tuned_around(whole):
    def chance(knobs, seed):  # labels that belong to other rows
        return whole * (0.5 + _noise(knobs, seed, 0.001))

    history, _ = carried_out(tune_plan(), chance, lambda knobs: "overfitting", floor=0.5)
    assert f"a constant prediction scores {0.5 * whole:g} (R11)" in history.steps[1].says
    assert [step.request.knob for step in history.sweeps] == ["lr"]
    end = next(step for step in history.steps if step.request.stage == "sweeps")
    assert "no training beats a constant prediction beyond chance" in end.says
    skipped = {step.request.stage for step in history.steps if step.request.skip}
    assert skipped >= {"joint", "ensemble"}  # nor is an average of what learned nothing kept
    assert not history.learned

    weak, _ = carried_out(  # a weak signal is one
        tune_plan(), lambda knobs, seed: whole * (0.53 + _noise(knobs, seed)), floor=0.5
    )
    assert weak.learned
    assert len(weak.sweeps) > 1


OWN = ("own_trainer", "trainer._target_=mine.train", "knob.optimizer.lr=log(1e-3,1)")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ""),
        ((*OWN, "data.labels=mine.npy"), ""),
        (OWN, "data.labels=FILE.npy gives it, in a search of another name= (R11)"),
        (
            (*OWN, "data.labels=mine.npy", "metric.name=wer", "metric.direction=minimize"),
            "compare by hand (R11)",
        ),
    ],
)
def test_the_baseline_and_the_page_say_what_gives_a_constant_prediction_where_none_is_known(
    words, told
):
    plan, unknown = tune_plan(*words), "what a constant prediction scores is not known"
    history, _ = carried_out(plan, lambda knobs, seed: 0.5 + _noise(knobs, seed))
    lines = caveats(staged_findings(_rate_matters, *words))
    for text in (history.steps[1].says, "; ".join(lines)):
        assert text.count(unknown) == bool(told)
        assert told in text


@pytest.mark.parametrize(
    ("score", "val_rows", "verdict", "learned"),
    [
        (0.83, 6, "overfitting", True),  # six rows tell neither way: an error of 0.19
        (0.67, 6, "overfitting", False),
        (0.83, 6, "stuck", False),
        (0.70, 60, "overfitting", False),  # an error of 0.06
        (0.83, 60, "overfitting", True),
    ],
)
def test_few_validation_rows_are_no_proof_that_nothing_was_learned(
    score, val_rows, verdict, learned
):
    metric = tune_plan().metric
    known = {"floor": 2 / 3 + 0.01, "val_rows": val_rows, "verdict": verdict}
    assert beats_constant(metric, [score] * 3, **known) == learned


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verdict", "floor", "first"),
    [
        ("dead_units", 6154.0, " (dead_units): look at the initial weights and biases"),
        ("dead", None, " (dead): run the preflight: does every weight get a gradient"),
        ("cannot_tell", None, ": run the preflight: does every weight get a gradient"),
    ],
)
def test_where_no_rate_moves_any_score_nothing_else_is_turned_and_it_is_said(verdict, floor, first):
    history, rows = carried_out(
        tune_plan("budget_trials=100", "data=diabetes", "metric=mse", "loss=mse"),
        lambda knobs, seed: 6153.9 + seed,  # a constant's by a hair, of each seed's initial weights
        lambda knobs: verdict,
        floor=floor,
        best_epoch=1,
    )
    assert [step.request.knob for step in history.sweeps] == ["lr"]
    assert len(rows) == history.sweeps[0].trials + history.seeds  # its sweep, and the baseline
    end = next(step for step in history.steps if step.request.stage == "sweeps")
    assert end.says.startswith(f"no learning rate moves the score of any seed{first}")
    assert end.says.endswith("then try protocol=unstick (R11, R26a)")
    assert not history.held

    later, _ = carried_out(  # some training was better later than at first: the rate is not read
        tune_plan(), lambda knobs, seed: 0.5 + seed / 100, lambda knobs: "cannot_tell", best_epoch=7
    )
    assert later.learned
    assert len(later.sweeps) > 1


@pytest.mark.parametrize(
    ("verdict", "floor", "adopted"),
    [("dead_units", 0.103, False), ("dead", None, False), ("converged", 0.103, True)],
)
def test_a_score_that_all_seeds_have_alike_is_adopted_only_if_something_was_learned(
    verdict, floor, adopted
):
    gain = 0.3 if adopted else 0.008  # a constant prediction of another class, or a real gain

    def alike(knobs, seed):
        return 0.103 + gain * _is_near(knobs)

    history, _ = carried_out(
        tune_plan("budget_trials=100"), alike, lambda knobs: verdict, floor=floor
    )
    sweep = history.sweeps[0]
    assert (sweep.decision == "adopt") == adopted
    assert bool(history.held) == adopted
    if not adopted:
        assert "is that of trainings that have learned nothing (R11)" in sweep.says


@pytest.mark.parametrize(
    ("verdict", "errors", "learned"),
    [
        ("data_suspect", 2, False),  # the best of many epochs comes so high by chance
        ("dead", 2, False),
        ("overfitting", 2, True),
        ("data_suspect", 4, True),
        ("overfitting", 0.5, False),
    ],
)
def test_the_best_of_many_epochs_is_no_learning_where_validation_shows_none(
    verdict, errors, learned
):
    one = (0.5 * 0.5 / VAL_ROWS) ** 0.5  # standard error of the validation rows
    history, _ = carried_out(
        tune_plan(),
        lambda knobs, seed: 0.5 + errors * one + _noise(knobs, seed, 0.0001),
        lambda knobs: verdict,
        floor=0.5,
    )
    assert history.learned == learned
    assert (len(history.sweeps) == 1) >= (not learned)


def test_a_sweep_of_which_another_value_has_learned_is_not_said_to_have_learned_nothing():
    learned = []
    for best in (0.52, 0.85):  # of a rate whose seeds differ too much for a test to adopt it
        history, _ = carried_out(
            tune_plan("budget_trials=64"),
            lambda knobs, seed, best=best: (
                best + 0.12 * (seed % 3 - 1) if knobs.get(RATE, 0.1) < 0.02 else 0.5
            ),
            lambda knobs: "stuck",
            floor=0.5,
        )
        learned.append(history.sweeps[0].learned)
    assert learned == [False, True]


@pytest.mark.parametrize(("gain", "learned"), [(0.0, False), (0.1, True)])
def test_where_no_constants_score_is_known_curves_that_rest_at_every_rate_end_the_sweeps(
    gain, learned
):
    """A dead layer of a trainer of one's own, whose last bias is moved by the rate; and a baseline
    whose rate is far off beside rates that learn.
    """
    history, _ = carried_out(
        tune_plan("budget_trials=64"),
        lambda knobs, seed: 0.33 + gain * _is_near(knobs) + _noise(knobs, seed),
        lambda knobs: "converged" if gain and _is_near(knobs) else "dead",
    )
    assert history.learned == learned
    assert bool(history.held) == learned
    joint = next(step for step in history.steps if step.request.stage == "joint")
    assert bool(joint.request.skip) != learned


@pytest.mark.parametrize("rows", [40, 170, 1000])
def test_no_value_of_a_sweep_beats_a_constant_by_the_luck_of_rows_seeds_and_epochs(rows):
    """Two classes that nothing tells apart: 7 rates, 3 seeds, the best of 100 epochs each."""
    dice, accuracy = np.random.default_rng(4), tune_plan().metric
    scores = dice.binomial(rows, 0.5, (300, 7, 3, 100)).max(-1) / rows
    told = [
        any(
            beats_constant(
                accuracy, list(seeds), floor=0.5, val_rows=rows, verdict="", among_others=True
            )
            for seeds in sweep
        )
        for sweep in scores
    ]
    assert np.mean(told) <= 0.01


@pytest.mark.slow
def test_a_model_is_made_four_times_as_wide_at_most_before_the_edge_says_more():
    def wide(words):
        history, _ = carried_out(tune_plan(*words), _nothing, lambda knobs: "converged")
        (step,) = [step for step in history.sweeps if step.request.knob == "width"]
        return step.request.knobs[0].high

    assert wide(("model.width=32",)) == 128
    assert wide(("model.width=2",)) == 32  # below the knob's range, where nothing is dear
    assert wide(("model.width=32", "space=[lr,width]")) == 512


@pytest.mark.slow
def test_what_is_better_but_breaks_more_often_is_named_where_the_baseline_stays():
    def value(knobs, seed):  # a rate near 0.01 is better by far, and three of ten seeds collapse
        is_better = abs(np.log10(knobs.get(RATE, 0.1) / 0.01)) < 0.4
        if is_better and seed in (7, 9, 11):
            return 0.1
        return 0.8 + 0.05 * is_better + _noise(knobs, seed, 0.002)

    history, _ = carried_out(tune_plan("budget_trials=150", "space=[lr]"), value)
    says = history.steps[-2].says
    assert not history.held
    assert says.startswith("the baseline stays: accuracy 0.8")
    assert re.search(
        r"better than the baseline in the seeds that trained: .* \(broke in 3 of ", says
    )
    assert "not adopted, since the baseline broke in 0 of" in says


def _is_near(knobs):
    """Whether a rate is near 0.01."""
    return bool(abs(np.log10(knobs.get(RATE, 0.1) / 0.01)) < 0.4)


def test_what_fresh_seeds_leave_open_is_named_with_its_gain_where_the_baseline_stays():
    fresh = [(0.61, 0.69), (0.79, 0.74), (0.67, 0.78), (0.63, 0.67), (0.66, 0.73)]

    def value(knobs, seed):  # a clear gain on the seeds of the search, an open one on fresh ones
        if seed >= 6:
            return fresh[seed - 6][_is_near(knobs)]
        return 0.6 + 0.05 * _is_near(knobs) + _noise(knobs, seed)

    plan = tune_plan("space=[lr]", "protocol.confirm_most=5")
    history, _ = carried_out(plan, value)
    assert not history.held
    rate = history.steps[-3].held[RATE]
    assert _is_near({RATE: rate})
    assert history.steps[-2].says.startswith(
        "the baseline stays: accuracy 0.672, mean of 5 seeds; nothing is better beyond chance (P5); "
        f"not decided: optimizer.lr={rate} has 0.722 on the same seeds; difference +0.05, 90 % "
    )
    equal, _ = carried_out(plan, lambda *at: value(*at) - 0.15 * (at[1] >= 6 and _is_near(at[0])))
    assert "not decided" not in equal.steps[-2].says
    fresh[:] = [(0.61, 0.622), (0.628, 0.625), (0.02, 0.631), (0.605, 0.617), (0.615, 0.618)]
    broken, _ = carried_out(plan, value)
    words = "without seeds that broke: 0 of 5, of the baseline 1 of 5; a larger budget"
    assert words in broken.steps[-2].says


def test_a_gain_that_every_seed_gives_alike_is_said_to_be_untested():
    history, _ = carried_out(
        tune_plan("space=[lr]"), lambda knobs, seed: 0.373 + 0.008 * _is_near(knobs)
    )
    assert _is_near(history.held)
    assert "every seed gave the same score, so a difference was compared without a test" in (
        history.steps[-2].says
    )


def test_where_every_training_fails_there_is_no_answer_and_the_reason_is_said():
    findings = staged_findings(lambda knobs, seed: None)
    confirm = next(step for step in findings.steps if step["kind"] == "confirm")
    assert confirm["says"] == "no training of the baseline gave a result"
    line, *_ = conclusion(findings)
    number = len(findings.rows)
    assert line == (
        f"no answer: none of {number} trials gave a result; {number} ended with: infeasible"
    )


def test_an_answer_at_the_edge_of_what_the_joint_stage_searched_is_said():
    own = tune_plan("knob.optimizer.lr=log(1e-4,1)", "knob.model.width=int(log(16,256))")
    for plan in (tune_plan("space=[lr,width]"), own):
        rate, width = (plan.settings.spaces[name][0] for name in ("lr", "width"))
        at = {RATE: 0.01, "model.width": int(width.high)}
        of = {"config": plan.config}
        assert at_edges([rate, width], at, **of) == [f"model.width={width.high:.0f}"]
        assert at_edges([rate, width], {**at, "model.width": 64}, **of) == []
    joint = Request(entry=6, stage="joint", because="", knobs=(rate, width))
    step = Step(number=1, request=joint, decision="done", says="", leaders=(at,))
    history = begun(own, step)
    assert at_the_edge(history, at).endswith(
        "at the edge of what the joint stage searched: the best may lie beyond (P2)"
    )
    assert at_the_edge(history, {RATE: 0.01}) == ""


def test_unstick_ends_once_the_training_learns():
    def verdict(knobs):
        return "converged" if knobs.get(RATE, 1.0) < 0.1 else "stuck"

    plan = tune_plan("protocol=unstick", "optimizer.lr=1.0")
    history, _ = carried_out(
        plan,
        lambda knobs, seed: 0.1 + 0.8 * (knobs.get(RATE, 1.0) < 0.1) + _noise(knobs, seed),
        verdict,
    )
    assert [step.request.knob for step in history.sweeps] == ["lr_by_five"]
    end = next(step for step in history.steps if step.request.stage == "sweeps")
    assert end.says == "the training learns: the incumbent's curves say converged"


def _has_written(journal, size, process):
    """Whether a journal has grown to a size, or its search has ended before."""
    there = journal.stat().st_size if journal.exists() else 0
    return there >= size or process.poll() is not None


KILLS = 2
TINY = [
    "tune", "own_trainer", "trainer._target_=toys.steady", "trainer.checkpoint_every=0.001",
    "placement.slots=2", "placement.max_retries=50", "rehearse=false", "preflight=off", "report=off",
    "space=[lr,epochs_range]", "trainer.epochs=4", "trainer.patience=3", "protocol.extend=1", "protocol.confirm=2",
    "space.optimizer.lr.points=5", "space.trainer.epochs.points=3",
    "space.trainer.epochs.low=2", "space.trainer.epochs.high=16",
    "protocol.stages=[baseline,{sweep:lr},{sweeps:verdict},confirm]",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_protocol_killed_at_any_moment_goes_on_to_the_same_rows_and_decisions(tmp_path):
    whole = search(*TINY, "name=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stdout + whole.stderr
    again = re.findall(r"trained again, apart\n +it gives (.*)", whole.stdout)
    assert again == ["the same"] * 2  # the baseline, and an incumbent with knobs of its own
    dice = random.Random(7)
    full = (tmp_path / "results" / "whole" / "journal.log").stat().st_size
    journal = tmp_path / "results" / "killed" / "journal.log"
    for kill in range(KILLS):  # at moments spread over all stages
        goal = (kill + dice.random()) / (KILLS + 1) * full
        with running(*TINY, "name=killed", cwd=tmp_path) as process:
            wait_for(partial(_has_written, journal, goal, process), seconds=600)
            process.send_signal(signal.SIGKILL if kill < KILLS - 1 else signal.SIGINT)
            process.communicate(timeout=60)
        _, stopped = open_results("killed", root=tmp_path / "results")
        assert stopped.stage
        assert not stopped.is_done
        for words, codes in (
            ([], {"test-needs-finished-search"}),
            # with what is missing: it depends on when the kill came
            (["--unfinished"], {"exported-files-missing", "test-needs-predict"}),
        ):
            with pytest.raises(UsageError) as caught:
                open_test_set(["killed", *words, f"results_root={tmp_path / 'results'}"], None)
            assert caught.value.code in codes, caught.value
    done = search(*TINY, "name=killed", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    folders = [tmp_path / "results" / name for name in ("whole", "killed")]
    first, second = (steady(trials(folder)) for folder in folders)
    assert first.equals(second)
    first, second = (
        json.dumps(read_json_lines(folder / "decisions.jsonl")).replace(folder.name, "")
        for folder in folders
    )
    assert first == second
    records = json.loads(first)
    assert [record["kind"] for record in records][:2] == ["baseline", "sweep"]
    assert "the answer:" in done.stdout

    folder, ended = open_results("killed", root=tmp_path / "results")
    assert ended.confirmed  # its trials were stopped by Ctrl-C, which deletes no weights
    for numbers in ended.confirmed.values():
        assert {str(trial) for trial in numbers} <= {
            path.name for path in folder.checkpoints.iterdir()
        }
    standing = status_of(folder, ended)
    assert (standing.state, standing.stage) == ("done", "")
    assert standing.command == f"python -m search {shlex.join([*TINY, 'name=killed'])}"
    values = trials(folder.path).set_index("trial").value[ended.confirmed["the answer"]]
    winner = SearchResult(load_search("killed", root=tmp_path / "results")).winner
    assert len(values) == winner.seeds > 1
    assert winner.mean == pytest.approx(values.mean())
    assert winner.value == values.iloc[0] != winner.mean
    runs = json.loads((folder.path / "runs.json").read_text())["runs"]
    assert len(runs) == KILLS + 1
    assert runs[-1]["seconds"] >= max(row.clock for row in ended.rows) > 0

    # as it is after an edit of the user's code
    (folder.path / "code.json").write_text('{"versions": [{"files": {"mine.py": "0"}}]}')
    console = Terminal(file=StringIO())
    settle(ended.plan, folder, console=console)
    assert "your code has changed since these trials were trained" in console.file.getvalue()

    for lines, got in (
        (records[1:], ()),
        ([{**records[0], "scores": [0.5]}, *records[1:]], ("[0.5]",)),
    ):
        (folder.path / "decisions.jsonl").write_text(json_lines(lines))
        with raises("decisions-of-other-trials", "01-baseline", *got):
            open_results("killed", root=tmp_path / "results")


def test_the_command_of_a_stage_names_a_search_that_may_be_called_so_however_long_the_name_is():
    plan = tune_plan("space=[lr]")
    history, _ = carried_out(plan, _rate_matters)
    request = next(step.request for step in history.steps if step.request.stage == "sweep")
    for length in (10, 100):
        name = f"{'x' * length}/06-sweep.lr"
        stage = stage_plan(plan, begun(plan), request, name=name)
        (word,) = [
            word
            for word in shlex.split(sweep_command(stage, "lr", words=["lr_sweep"]))
            if word.startswith("name=")
        ]
        assert re.fullmatch(r"name=x+-06-sweep\.lr", word)
        assert len(word.removeprefix("name=")) == min(length + len("-06-sweep.lr"), 100)


@pytest.mark.parametrize(
    ("words", "knob"),
    [
        (["space=[lr,dropout]"], "lr"),
        (
            [
                "trainer._target_=toys.steady",
                "data.rows=100",
                "knob.my.width=int(log(1234567,9999999))",
                "knob.optimizer.lr=log(1e-4,1)",
            ],
            "width",
        ),
    ],
)
def test_a_sweeps_command_compares_the_same_values_by_the_same_rules(words, knob):
    plan = tune_plan(*words)
    history = begun(plan)
    request = sweep_request(history, 4, knob, because="", rules=())
    stage = stage_plan(plan, history, request, name=f"tune/05-sweep.{knob}")
    words = shlex.split(sweep_command(stage, knob, words=stage_words(words)))[3:]
    alone = read_plan(
        compose_experiment(words[0], overrides=words[1:], config_dir=None), root=Path("/nowhere")
    )
    assert replace(alone.settings, worth=None) == stage.settings
    assert alone.first_round == stage.first_round
    assert [spec.knobs for spec in sweep.wanted(alone, [], resolution=0.0)] == [
        spec.knobs for spec in sweep.wanted(stage, [], resolution=0.0)
    ]


def test_two_spaces_of_one_group_keep_the_options_of_both():
    words = ["space=[optimizer_pair]", "knob.optimizer=choice(adamw,sgd)"]
    config = compose_protocol(words, config_dir=None)
    assert {"sgd", "adam", "adamw"} <= {*config.choices.optimizer}


def test_the_words_of_a_protocol_may_name_an_experiment():
    config = compose_protocol(["own_trainer", "trainer._target_=toys.steady"], config_dir=None)
    assert config.data.rows == 1797
    assert list(config.space) == ["lr", "epochs_range"]
    assert config.name == "tune"


@pytest.mark.slow
def test_snapshots_that_are_there_may_be_averaged(tmp_path):
    plan = tune_plan("schedule=warm_restarts", "schedule.T_0=3", "trainer.epochs=21")
    answer = [
        TrialRecord(
            spec=TrialSpec(trial=trial, stage="baseline", knobs={}, seed=trial),
            state="complete", value=0.9, best_epoch=8, epochs=10,
        )
        for trial in (0, 1)
    ]  # fmt: skip
    for trial in (0, 1):
        place = tmp_path / "checkpoints" / str(trial)
        place.mkdir(parents=True)
        for name in ("best", "snapshot-3", "snapshot-9", "snapshot-21"):
            (place / f"{name}.safetensors").write_bytes(b"")
    candidates = candidates_of(plan, Folder(tmp_path), answer, answer)
    assert [member.name for member in candidates["snapshots of one training"]] == [
        "0-snapshot-3.safetensors",
        "0-snapshot-9.safetensors",
    ]
    assert [member.name for member in candidates["the answer's seeds"]] == [
        "0.safetensors",
        "1.safetensors",
    ]
    plain = candidates_of(tune_plan(), Folder(tmp_path), answer, answer)
    assert plain["snapshots of one training"] == []


@pytest.mark.slow
def test_an_average_that_is_better_predicts_as_one_thing_and_the_test_tells_the_gap(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MY_CHOICE", "relu")
    words = [
        "tune",
        *INLINE,
        "data=digits",
        "trainer.epochs=4",
        "preflight=off",
        "space.optimizer.lr.points=3",
        "protocol.stages=[baseline,{sweep:lr},confirm,ensemble]",
        "model.width=16",
        "model.activation=${oc.env:MY_CHOICE}",
    ]
    done = search(*words, "confirm.refit=true", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    place = tmp_path / "results" / "tune" / "ensemble"
    content = json.loads((place / "ensemble.json").read_text())
    assert content["adopted"]
    assert len(content["members"]) > 1
    kept = {member["config"]["model"]["activation"] for member in content["members"]}
    assert kept == {"${oc.env:MY_CHOICE}"}  # it may be a password
    assert content["score"] > max(member["score"] for member in content["members"]) - 0.01
    (fold,) = read_folds(place.parent / "arrays")
    shown = replace(fold.data, test=fold.data.val)
    output = predict(content["members"][0]["config"], shown, "cpu", place / "ensemble.json")
    accuracy = (output["probabilities"].argmax(1) == fold.data.val.y).mean()
    assert accuracy == pytest.approx(content["score"])

    opened = search("test", "tune", cwd=tmp_path)
    assert "test accuracy of the ensemble: 0." in opened.stdout
    assert "validation to test: the answer" in opened.stdout
    note = json.loads((place.parent / "best" / "refit.json").read_text())
    assert note["rows"] == len(fold.data.train.index) + len(fold.data.val.index)
    assert note["trial"] == read_json(place.parent / "best" / "provenance.json")["trial"]
    (opening,) = read_json_lines(place.parent / "test_ledger.jsonl")
    told = re.search(r"trained again on train and validation: (0\.\d+) on", opened.stdout)
    assert float(told[1]) == pytest.approx(opening["score"], abs=1e-4)

    folder, found = open_results("tune", root=tmp_path / "results")
    answer = [row for row in found.rows if row.spec.trial in found.confirmed["the answer"]]
    for change, reason in (
        ("predict=toys.too_few_rows", "ValueError: probabilities must have one row per"),
        ("predict=null", "has no function that predicts"),
        ("_target_=trainers.command.train", "a program keeps its own weights"),
    ):
        trainer = OmegaConf.create({"trainer": OmegaConf.from_dotlist([change])})
        plan = replace(found.plan, config=OmegaConf.merge(found.plan.config, trainer))
        members = candidates_of(plan, folder, answer, found.rows)
        assert reason in judge_ensemble(plan, folder, members).reason
    again = search(*words, "confirm.refit=true", cwd=tmp_path)
    assert "training trial" not in again.stdout  # once
    weights = place.parent / "best" / "refit.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b"F32", b"F16", 1))
    changed = search("test", "tune", "--again", cwd=tmp_path)
    assert changed.returncode == 2
    check_told(changed.stderr, "weights-were-changed", "best/refit.safetensors")
    weights.unlink()
    sealed = search("test", "tune", "--again", cwd=tmp_path)
    assert sealed.returncode == 2
    check_told(sealed.stderr, "refit-is-missing", "refit.safetensors", "confirm.refit")
    assert len(read_json_lines(place.parent / "test_ledger.jsonl")) == 1
    assert content["says"] in again.stdout.replace("\n", " ")


@pytest.mark.parametrize(("verdict", "searches"), [("too_short", True), ("data_suspect", False)])
def test_a_joint_stage_goes_on_with_what_may_generalise_better_unless_the_verdict_needs_a_hand(
    verdict, searches
):
    words = ("space=[lr,width,weight_decay]", "budget_trials=64")
    history, _ = carried_out(tune_plan(*words), _nothing, lambda knobs: verdict)
    assert [step.request.knob for step in history.sweeps] == ["lr"]  # nothing else is advised
    joint = next(step for step in history.steps if step.request.stage == "joint")
    assert (joint.trials > 0) == searches
    paths = [knob.path for knob in joint.request.knobs]
    assert ({"model.width", "optimizer.weight_decay"} <= set(paths)) == searches


RARE = ("metric=balanced_accuracy", "data=breast_cancer", "budget_trials=120")


def _balanced(gain, salt):
    """Drawing rare classes more often is better by so much; nothing else does anything."""
    return lambda knobs, seed: (
        0.8 + gain * knobs.get("trainer.balance", 0.0) + _noise({**knobs, "salt": salt}, seed)
    )


@pytest.mark.slow
@pytest.mark.parametrize("verdict", ["overfitting", "overconfident", "converged"])
def test_rare_classes_are_drawn_more_often_where_the_metric_counts_each_class_alike(verdict):
    history, _ = carried_out(tune_plan(*RARE), _balanced(0.04, 0), lambda knobs: verdict)
    assert history.sweeps[1].request.path == "trainer.balance"
    assert history.sweeps[1].decision == "adopt"
    assert history.held["trainer.balance"] > 0.5
    by_rows, _ = carried_out(tune_plan(*RARE[1:]), _balanced(0.04, 0), lambda knobs: verdict)
    assert "trainer.balance" not in {step.request.path for step in by_rows.sweeps}
    numbers = tune_plan("data=diabetes", "metric=mse", "loss=mse", "budget_trials=120")
    other, _ = carried_out(numbers, _nothing, lambda knobs: verdict)
    assert "trainer.balance" not in {step.request.path for step in other.sweeps}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("data=diabetes", "metric=mse", "loss=mse"), ("data=latch", "model=gru")]
)
def test_the_guides_own_knobs_can_be_turned_whatever_the_task(words):
    assert answer(questions(tune_plan(*words, "budget_trials=44"))).wrong == ""


@pytest.mark.slow
def test_rare_classes_drawn_more_often_without_effect_are_hardly_ever_the_answer():
    kept = 0
    for salt in range(24):
        history, _ = carried_out(
            tune_plan(*RARE), _balanced(0.0, salt), lambda knobs: "overfitting"
        )
        kept += not history.held
    assert kept >= 21  # 92 of 96 draws; a rule that errs in one of three passes with 0.02


@pytest.mark.parametrize(
    ("words", "off"),
    [
        (["optimizer.weight_decay=0.1"], {"optimizer.weight_decay": 0.0}),
        (
            ["trainer=own", "my.l2=1", "knob.my.l2=log(1e-5,10)", "knob.my.lr=log(1e-3,1)"],
            {"my.l2": 1e-5},
        ),
        *(
            (["trainer=own", f"my.{knob}", f"knob.my.{domain}", "knob.my.lr=log(1e-3,1)"], off)
            for knob, domain, off in (
                ("l1=3", "l1=int(interval(0,8))", {"my.l1": 0}),
                ("dropout=true", "dropout=choice(true,false)", {"my.dropout": False}),
            )
        ),
    ],
)
def test_a_penalty_that_is_far_too_strong_is_taken_away_before_anything_is_swept(words, off):
    ((path, weakest),) = off.items()

    def value(knobs, seed):
        is_on = knobs.get(path, 1.0) > weakest  # as the command says
        return 0.9 - 0.03 * is_on + _noise(knobs, seed, 0.001)

    history, _ = carried_out(tune_plan(*words, NO_JOINT), value)
    step = next(step for step in history.steps if step.request.stage == "regularisers_off")
    assert step.decision == "adopt"
    # No trial leaves a range that the command names, and a penalty keeps its type.
    assert repr(step.held) == repr(off)
    assert step.number < history.sweeps[0].number


def test_where_no_penalty_is_on_none_is_taken_away_and_nothing_is_trained_for_it():
    history, _ = carried_out(tune_plan(NO_JOINT), _nothing)
    step = next(step for step in history.steps if step.request.stage == "regularisers_off")
    assert (step.decision, step.trials) == ("skipped", 0)
    assert step.says == "no regulariser is on"


def _breaks_above(limit):
    """Every training breaks above a rate; below, a penalty costs much."""

    def value(knobs, seed):
        if knobs.get(RATE, 0.1) > limit:
            return None
        return 0.9 - 3 * knobs.get("optimizer.weight_decay", 0.1) + _noise(knobs, seed, 0.001)

    return value


@pytest.mark.slow
def test_penalties_are_switched_off_once_more_where_no_training_gave_a_result_before_the_rate():
    plan = tune_plan("optimizer.weight_decay=0.1", NO_JOINT)
    history, rows = carried_out(plan, _breaks_above(0.02))
    for step in history.steps:  # though the baseline has no result, the incumbent's is told
        told = gain_of(plan, replace(history, steps=history.steps[: step.number]))
        assert bool(told) == any(row.value is not None for row in step.incumbent)
    steps = [step for step in history.steps if step.request.stage == "regularisers_off"]
    assert [step.decision for step in steps] == ["none", "adopt"]
    assert steps[1].number == history.sweeps[0].number + 1
    assert steps[1].trials == plan.seeds  # the incumbent's own are there
    assert history.held["optimizer.weight_decay"] == 0.0
    assert len(rows) == history.trials


@pytest.mark.parametrize(("limit", "decision"), [(1.0, "adopt"), (0.0, "none")])
def test_penalties_are_switched_off_once_where_that_told_something_or_no_rate_gave_a_result(
    limit, decision
):
    history, _ = carried_out(
        tune_plan("optimizer.weight_decay=0.1", NO_JOINT), _breaks_above(limit)
    )
    steps = [step for step in history.steps if step.request.stage == "regularisers_off"]
    assert [step.decision for step in steps] == [decision]


def _two_faults(words, *, most, gain=0.0, rates=(0.02, 0.5), floor=0.1):
    """A protocol whose trainings learn at some rates alone, with a weight decay of at most so much,
    of which `gain` is what the score has more; elsewhere the loss rests.
    """

    def learns(knobs):
        given = dict(word.split("=") for word in words if not word.startswith("budget"))
        rate, decay = (
            float(knobs.get(path, given.get(path, usual)))
            for path, usual in ((RATE, 0.1), ("optimizer.weight_decay", 0.0))
        )
        return rates[0] <= rate <= rates[1] and decay <= most, decay > 0

    def value(knobs, seed):
        learned, is_on = learns(knobs)
        return 0.1 + (0.8 + gain * is_on) * learned + _noise(knobs, seed, 0.001)

    def verdict(knobs):
        return "converged" if learns(knobs)[0] else "dead"

    return carried_out(tune_plan(*words, NO_JOINT), value, verdict, floor=floor)


@pytest.mark.parametrize("floor", [0.1, None])  # None: nothing tells what a constant scores
@pytest.mark.parametrize("rate", [1e-5, 10.0])
def test_a_penalty_and_a_rate_that_hide_each_other_are_both_found(rate, floor):
    words = f"{RATE}={rate}", "optimizer.weight_decay=10", "budget_trials=60"
    history, _ = _two_faults(words, most=1.0, floor=floor)
    assert history.learned
    assert 0.02 <= history.held[RATE] <= 0.5
    assert history.held["optimizer.weight_decay"] == 0.0
    steps = [step for step in history.steps if step.request.stage == "regularisers_off"]
    assert [(step.decision, "off_for_now" in step.evidence, step.trials) for step in steps] == [
        ("adopt", True, 3),
        ("adopt", False, 3),  # at the rate that was found the penalty costs all that is learned
    ]
    assert steps[1].number == history.sweeps[0].number + 1
    assert " with the penalties with the same seeds; difference" in steps[1].says


@pytest.mark.parametrize(("gain", "says"), [(0.0, "they are on again"), (0.02, "they are on")])
def test_a_sound_penalty_that_went_off_beside_a_bad_rate_comes_back_with_a_good_one(gain, says):
    words = f"{RATE}=1e-5", "optimizer.weight_decay=0.001", "budget_trials=60"
    history, _ = _two_faults(words, most=1.0, gain=gain)
    steps = [step for step in history.steps if step.request.stage == "regularisers_off"]
    assert [step.decision for step in steps] == ["adopt", "keep"]
    assert steps[0].held == {"optimizer.weight_decay": 0.0}
    assert says in steps[1].says
    assert [*steps[1].held] == [RATE]  # what the command says is in force once more


def test_penalties_go_off_where_nothing_is_learned_though_an_untrained_model_scores_better_with_them():
    def value(knobs, seed):
        shrinks = 0.02 * (knobs.get("trainer.l1", 1.0) > 0)  # outputs near the constant's
        is_good = not shrinks and knobs.get(RATE, 1e-6) > 0.001
        return 0.1 + shrinks + 0.7 * is_good + _noise(knobs, seed, 0.0001)

    words = f"{RATE}=1e-6", "trainer.l1=1", "budget_trials=60", NO_JOINT
    history, _ = carried_out(tune_plan(*words), value, lambda knobs: "dead", floor=0.2)
    assert history.held["trainer.l1"] == 0.0
    assert history.held[RATE] > 0.001


def test_a_penalty_beside_which_something_is_learned_stays_where_a_test_finds_no_difference():
    words = f"{RATE}=0.1", "optimizer.weight_decay=0.001", "budget_trials=60"
    history, _ = _two_faults(words, most=1.0)
    steps = [step for step in history.steps if step.request.stage == "regularisers_off"]
    assert [(step.decision, dict(step.held)) for step in steps] == [("keep", {})]


def _joint_rates(best, trials=90):
    """Steps of a grid of seven rates that a joint stage looks below and above the incumbent."""
    plan = tune_plan("space=[lr,dropout]", f"budget_trials={trials}", "protocol.extend=0")

    def value(knobs, seed):
        gain = 0.1 * np.log10(knobs.get(RATE, 0.1) / best) ** 2
        return 0.9 - gain + _noise(knobs, seed, 0.0005)

    history, _ = carried_out(plan, value, lambda knobs: "overfitting")
    joint = next(step for step in history.steps if step.request.stage == "joint")
    swept, turned = history.swept(RATE).request.knobs[0], joint.request.knobs[0]
    step = (np.log10(swept.high) - np.log10(swept.low)) / (max(swept.points, 7) - 1)
    ends = np.log10([turned.low, joint.held[RATE], turned.high])
    return (ends[1] - ends[0]) / step, (ends[2] - ends[1]) / step


@pytest.mark.parametrize("verdict", ["converged", "overfitting", "underfitting"])
def test_a_knob_stands_once_among_those_that_a_joint_stage_considers(verdict):
    plan = tune_plan("space=[lr,dropout,width,weight_decay]", "budget_trials=120")
    history, _ = carried_out(plan, _nothing, lambda knobs: verdict)
    joint = next(step.request for step in history.steps if step.request.stage == "joint")
    names = [each.knob for each in joint.considered]
    turned = [each.knob for each in joint.considered if not each.passed]
    assert len(names) == len({*names})
    assert turned == [knob.path for knob in joint.knobs]


def test_a_joint_stage_looks_two_steps_beyond_an_edge_at_which_a_sweep_ended():
    assert _joint_rates(1e-6) == pytest.approx((2, 1), abs=0.1)
    assert _joint_rates(0.01) == pytest.approx((1, 1), abs=0.1)


def test_the_few_values_that_a_small_budget_pays_for_move_a_joint_stage_no_further_beyond_them():
    below, above = _joint_rates(1e-6, trials=40)  # four rates: a step is as wide as two of seven
    assert (below, above) == pytest.approx((2, 2), abs=0.1)
    assert _joint_rates(0.05, trials=40) == pytest.approx((2, 2), abs=0.1)
