"""The joint search, on trials whose values are drawn: its start, its samplers, its end, its confirmation, its calibration."""

import math
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from drawn import joint_of, joint_plan
from refusals import raises

from search.config.compose import compose_experiment
from search.config.joint_settings import size
from search.config.knob_parts import EPOCHS
from search.config.knobs import Knob
from search.config.plan import read_plan
from search.execution.worker_pool import slots_of
from search.results.findings import find
from search.results.summary import conclusion, view_of
from search.results.summary.inert import repeated
from search.results.summary.joint import account, frame
from search.results.warm_start import Past
from search.stages import joint
from search.stages.importance import importances
from search.stages.joint_confirmation import confirmations, leaders, opening
from search.stages.observations import Observations
from search.stages.sampler_thread import SamplerThread
from search.stages.spent import elapsed, gpu_seconds
from search.storage.distributions import distribution_of

TWO = ["space=[lr,dropout]", "pruner=none"]
NAMES = ["space=[activation,depth]", "pruner=none"]  # 8 × 6 configurations


def _bowl(knobs, seed):
    """Best at a rate of 0.01 without dropout."""
    return (
        0.95
        - 0.05 * math.log10(knobs["optimizer.lr"] / 0.01) ** 2
        - 0.1 * knobs["model.dropout"]
        + 1e-4 * (seed % 7)
    )


def _configs(rows):
    return [tuple(row.spec.knobs.items()) for row in rows if row.spec.stage == joint.STAGE]


def test_a_search_says_at_its_start_how_many_trials_its_confirmation_adds():
    assert opening(joint_plan("n_trials=8")).startswith("8 trials, then up to 18 that train the ")
    assert opening(joint_plan("n_trials=8", "protocol.confirm=0")) == ""


def test_the_baseline_is_first_and_the_points_are_the_same_again_none_twice_and_all_within_the_space():
    plan = joint_plan("space=joint")
    points = list(islice(joint.points(plan), 200))
    assert points[0] == joint.default_point(plan.config, plan.knobs)
    assert points == list(islice(joint.points(plan), 200))
    assert len({joint.key(plan, point) for point in points}) == 200
    assert all(knob.holds(point[knob.path]) for point in points[1:] for knob in plan.knobs)
    lows = [point["optimizer.lr"] for point in points[1:129]]
    assert sum(rate < 0.01 for rate in lows) == pytest.approx(
        64, abs=2
    )  # an even cover of the log scale


@pytest.mark.parametrize("sampler", ["random", "qmc", "gp", "tpe", "cmaes"])
def test_a_joint_search_has_exactly_n_trials_and_repeats_none(sampler):
    plan, rows = joint_of(
        _bowl, *TWO, f"sampler={sampler}", "n_trials=17", "protocol.confirm=0", slots=3
    )
    assert [row.spec.trial for row in rows] == list(range(17))
    assert len(set(_configs(rows))) == 17
    assert joint.ended(plan, rows) == "all of n_trials=17 are done"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_sampler_that_learns_finds_what_quasi_random_points_do_not(sampler):
    best = {}
    for name in (sampler, "qmc"):
        rows = joint_of(_bowl, *TWO, f"sampler={name}", "n_trials=24", "protocol.confirm=0")[1]
        best[name] = max(row.value for row in rows[1:])
    assert best[sampler] > best["qmc"] + 0.002


def test_a_resumed_search_without_a_sampler_that_learns_goes_on_as_an_undisturbed_one_does():
    whole = joint_of(_bowl, *TWO, "sampler=qmc", "n_trials=12")[1]
    for cut in (0, 1, 5, 11, 12, 20):
        assert joint_of(_bowl, *TWO, "sampler=qmc", "n_trials=12", rows=whole[:cut])[1] == whole


@pytest.mark.parametrize("cut", [4, 10, 13])
def test_a_resumed_search_with_a_sampler_that_learns_loses_and_repeats_nothing(cut):
    first = joint_of(_bowl, *TWO, "sampler=tpe", "n_trials=16", until=cut)[1]
    rows = joint_of(_bowl, *TWO, "sampler=tpe", "n_trials=16", rows=first)[1]
    assert rows[:cut] == first
    assert len(_configs(rows)) == len(set(_configs(rows))) == 16


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_resumed_sampler_knows_what_was_learned_before(sampler):
    words = [*TWO, f"sampler={sampler}", "n_trials=24", "protocol.confirm=0"]
    first = joint_of(_cliff, *words, until=20)[1]
    rows = joint_of(_cliff, *words, rows=first)[1]
    next_one = rows[
        20
    ].spec.knobs  # as without the interruption, but for what rounding to three digits took away
    assert next_one == pytest.approx(
        joint_of(_cliff, *words)[1][20].spec.knobs, rel=0.02, abs=0.001
    )


def test_seeds_that_an_interruption_left_out_are_made_up_and_half_configurations_never_lead():
    words = [
        *TWO,
        "sampler=tpe",
        "seeds=2",
        "n_trials=32",
        "protocol.confirm=1",
        "sampler.startup=4",
    ]
    first = joint_of(_bowl, *words, until=15)[1]
    plan, rows = joint_of(_bowl, *words, rows=first)
    configs = _configs(rows)
    assert len(configs) == 32
    assert {configs.count(config) for config in configs} == {2}
    half = [row for row in rows if row.spec.stage == joint.STAGE][:-1]
    assert tuple(rows[31].spec.knobs.items()) not in {
        tuple(row.spec.knobs.items()) for row in leaders(plan, half)
    }
    with raises("trials-not-multiple-of-seeds", "n_trials", "seeds=2", "n_trials=6"):
        joint_plan("seeds=2", "n_trials=5")


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_range_so_narrow_that_its_values_are_few_is_used_up(sampler):
    words = [
        "space=[momentum]",
        "space.optimizer.momentum=interval(0.9,0.91)",
        "pruner=none",
        f"sampler={sampler}",
        "n_trials=120",
    ]
    plan, rows = joint_of(
        lambda knobs, seed: knobs["optimizer.momentum"], *words, "protocol.confirm=0"
    )
    assert (
        joint.ended(plan, rows)
        == "every configuration of the space has been tried, after 101 of 120 trials"
    )
    assert sorted(row.spec.knobs["optimizer.momentum"] for row in rows) == [
        round(0.9 + step / 10000, 4) for step in range(101)
    ]


@pytest.mark.slow
def test_options_with_whole_numbers_under_them_are_used_up_and_make_a_small_grid():
    names = (
        "sgd_plain",
        "sgd",
        "nesterov",
        "adagrad",
        "adadelta",
        "rmsprop",
        "adam",
        "amsgrad",
        "adamw",
        "adabound",
        "swats",
    )
    rates = [f"space.optimizer.{name}.lr=int(interval(1, 4))" for name in names]
    plan, rows = joint_of(
        lambda knobs, seed: 0.9,
        "space=optimizer",
        *rates,
        "pruner=none",
        "sampler=random",
        "n_trials=60",
        "protocol.confirm=0",
    )
    assert size(plan.knobs) == 4 * len(names)
    assert (
        joint.ended(plan, rows)
        == "every configuration of the space has been tried, after 45 of 60 trials"
    )  # and a baseline of 0.1
    grid = joint_plan("space=optimizer", "sampler=grid", "n_trials=60", "pruner=none")
    assert len(list(joint.points(grid))) == 5 * len(names) + 1


HALF = """
import sys
from pathlib import Path
from search.config.compose import compose_experiment
from search.config.plan import read_plan
from search.stages.sampler_thread import SamplerThread
SamplerThread._run = lambda self: print(hasattr(sys.modules.get("scipy.stats"), "qmc"))
plan = read_plan(compose_experiment("joint", overrides=["sampler=gp"], config_dir=None), root=Path.cwd())
SamplerThread(plan, wake=lambda: None).close()
"""


@pytest.mark.slow
def test_no_sampler_imports_a_part_of_a_package_while_the_rest_of_it_is_being_imported():
    """scipy.stats, imported by two threads at once, ended searches by an ImportError, now and then."""
    done = subprocess.run([sys.executable, "-c", HALF], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_cma_es_begins_at_the_best_point_known():
    def value(point):
        away = abs(math.log10(point["optimizer.lr"] / 2e-4))
        return -away - abs(point["model.dropout"] - 0.6)

    plan = joint_plan(*TWO, "sampler=cmaes", "n_trials=100")
    known = list(islice(joint.points(plan), 40))
    sampler = SamplerThread(plan, wake=lambda: None)
    for point in known:
        sampler.learn(point, value(point))
    sampler.request()
    while not (proposed := sampler.ready()):
        time.sleep(0.001)
    sampler.close()
    best = max(known, key=value)
    assert abs(math.log10(proposed[0]["optimizer.lr"] / best["optimizer.lr"])) < 1.5
    assert best["optimizer.lr"] < 1e-3


def test_a_baseline_of_0_counts_as_the_lowest_value_of_a_log_scale_to_the_sampler():
    plan = joint_plan("space=[lr,weight_decay]")
    lr, decay = plan.knobs
    assert tuple(
        knob.value_for_sampler(value)
        for knob, value in ((decay, 0.0), (decay, 1e-3), (decay, 5.0), (lr, 0.1))
    ) == (
        1e-6,
        1e-3,
        None,
        0.1,
    )
    observations = Observations(plan, {knob.path: distribution_of(knob, ()) for knob in plan.knobs})
    observations.learn(joint.default_point(plan.config, plan.knobs), 0.9)
    observations.learn({"optimizer.lr": 50.0, "optimizer.weight_decay": 0.0}, 0.9)
    known = [trial.params for trial in observations.trials(for_process=False)]
    assert known == [{"optimizer.lr": 0.1, "optimizer.weight_decay": 1e-6}]


def test_a_higher_n_trials_extends_a_search_that_has_been_confirmed():
    short = joint_of(_bowl, *TWO, "sampler=qmc", "n_trials=8")[1]
    plan, rows = joint_of(_bowl, *TWO, "sampler=qmc", "n_trials=12", rows=short)
    assert rows[: len(short)] == short
    assert joint.count(rows) == 12
    assert {row.spec.trial for row in rows} == set(range(len(rows)))
    assert find(plan, rows, val_rows=500).decision is not None


@pytest.mark.parametrize("sampler", ["random", "qmc", "gp", "tpe"])
def test_a_finite_space_ends_early_when_every_configuration_has_been_tried(sampler):
    few = [
        "space=activation",
        "pruner=none",
        f"sampler={sampler}",
        "n_trials=30",
        "protocol.confirm=1",
    ]
    plan, rows = joint_of(lambda knobs, seed: 0.9 + 0.001 * len(knobs["model.activation"]), *few)
    assert joint.count(rows) == size(plan.knobs) == 8
    assert (
        joint.ended(plan, rows)
        == "every configuration of the space has been tried, after 8 of 30 trials"
    )
    assert len(set(_configs(rows))) == 8


def test_a_space_is_used_up_only_with_all_seeds():
    words = [
        "space=activation",
        "pruner=none",
        "sampler=random",
        "n_trials=30",
        "seeds=3",
        "protocol.confirm=0",
    ]
    plan, rows = joint_of(lambda knobs, seed: 0.9, *words)
    assert joint.count(rows) == 24
    assert joint.ended(plan, rows).startswith(
        "every configuration of the space has been tried, after 24 of 30"
    )
    assert joint.ended(plan, rows[:-1]) == ""


def test_a_grid_is_every_combination_once_and_the_baseline():
    plan, rows = joint_of(
        lambda knobs, seed: 0.9, *NAMES, "sampler=grid", "n_trials=48", "protocol.confirm=0"
    )
    assert len(set(_configs(rows))) == joint.count(rows) == size(plan.knobs) == 48
    with raises("grid-larger-than-trials", "n_trials", "47", "48"):
        joint_plan(*NAMES, "sampler=grid", "n_trials=47")


def test_several_seeds_per_proposal_count_as_trials_and_rank_by_their_mean():
    plan, rows = joint_of(
        _bowl, *TWO, "sampler=tpe", "n_trials=32", "seeds=2", "protocol.confirm=0"
    )
    configs = _configs(rows)
    assert len(set(configs)) == 16
    assert configs[0::2] == configs[1::2]
    assert [row.spec.seed for row in rows[:4]] == [0, 1, 0, 1]
    table = frame(find(plan, rows, val_rows=250))
    assert table["value"].is_monotonic_decreasing
    assert table["n"].tolist() == [2] * 16  # also of those that are no candidates
    assert (table["mean"] - table["value"]).abs().max() < 1e-12


def test_hours_spent_end_the_search_and_interruptions_do_not_count():
    words = [*TWO, "sampler=qmc", "n_trials=50", "budget_hours=0.002"]  # 7.2 s, a second each
    plan, rows = joint_of(_bowl, *words, "protocol.confirm=0")
    assert joint.count(rows) == 8
    assert joint.ended(plan, rows) == "budget_hours=0.002 are spent, after 8 of 50 trials"
    paused = [replace(row, ended=row.ended + (1000 if row.spec.trial > 3 else 0)) for row in rows]
    assert elapsed(paused) == elapsed(rows) == 8
    beside = [replace(row, ended=1.0) for row in rows]  # all at the same time
    assert elapsed(beside) == 1


def test_seconds_of_gpus_spent_end_the_search_and_a_shared_gpu_counts_its_share():
    words = [
        *TWO,
        "sampler=qmc",
        "n_trials=50",
        "budget_gpu_seconds=10",
        "placement.slots_per_gpu=2",
    ]
    plan, rows = joint_of(_bowl, *words, "protocol.confirm=0")
    on_gpus = [replace(row, device="cuda:1") for row in rows[:20]]  # a second each
    assert gpu_seconds(rows, gpus=0.5) == 0  # on a CPU
    assert gpu_seconds(on_gpus, gpus=0.5) == 10
    assert joint.spent_budget(plan, on_gpus[:19]) == ""
    assert joint.spent_budget(plan, on_gpus) == "budget_gpu_seconds=10"
    assert joint.ended(plan, on_gpus) == "budget_gpu_seconds=10 are spent, after 20 of 50 trials"
    assert any(
        "20 trials, 10 GPU-seconds" in line for line in account(find(plan, on_gpus, val_rows=100))
    )


def test_seconds_of_gpus_need_a_gpu():
    config = compose_experiment("lr_sweep", overrides=["budget_gpu_seconds=10"], config_dir=None)
    with raises("gpu-budget-needs-gpu", "budget_gpu_seconds", "10"):
        slots_of(read_plan(config, root=Path.cwd()))


def _noisy(knobs, seed):
    return 0.9 + 0.02 * np.sin(1e4 * knobs["optimizer.lr"] + seed)


def test_the_leaders_and_the_baseline_are_confirmed_on_seeds_that_nobody_has_used():
    words = [*TWO, "sampler=qmc", "n_trials=20", "protocol.leaders=3", "protocol.most_seeds=3"]
    plan, rows = joint_of(_noisy, *words)
    fresh = [row for row in rows if row.spec.stage == joint.CONFIRM]
    assert len(fresh) == 4 * 3
    assert {row.spec.seed for row in fresh} == {1, 2, 3}
    best = sorted(rows[1:20], key=lambda row: -row.value)[:3]
    assert {tuple(row.spec.knobs.items()) for row in fresh} == {
        tuple(row.spec.knobs.items()) for row in [rows[0], *best]
    }
    findings = find(plan, rows, val_rows=500)
    assert findings.winner in fresh
    assert findings.winner.spec.seed == 1
    assert [group.trial for group in findings.groups] == [0, *(row.spec.trial for row in best)]


def test_leaders_get_no_fresh_seeds_where_the_first_ones_show_that_no_seed_moves_the_score():
    words = [*TWO, "sampler=qmc", "n_trials=20"]
    plan, rows = joint_of(lambda knobs, seed: _bowl(knobs, 0), *words)
    assert len([row for row in rows if row.spec.stage == joint.CONFIRM]) == 2 * 3
    said = "4 further leaders are not trained again: fresh seeds would give the same scores"
    assert any(line.startswith(said) for line in conclusion(find(plan, rows, val_rows=500)))


@pytest.mark.parametrize(("behind", "confirmed"), [(0.5, 2), (0.01, 6)])
def test_only_leaders_that_chance_could_still_lift_above_the_first_are_confirmed(behind, confirmed):
    dice = np.random.default_rng(0)
    bests = set()

    def one_good(knobs, seed):
        if not bests and tuple(knobs.values()) != (0.1, 0.0):
            bests.add(tuple(knobs.values()))
        is_best = tuple(knobs.values()) in bests
        return dice.normal(0.9 if is_best else 0.9 - behind, 0.01)

    words = [*TWO, "sampler=qmc", "n_trials=20", "protocol.most_seeds=3"]
    plan, rows = joint_of(one_good, *words)
    fresh = [row for row in rows if row.spec.stage == joint.CONFIRM]
    assert len(fresh) == 3 * confirmed
    findings = find(plan, rows, val_rows=500)
    assert len(findings.groups) == confirmed
    told = f"{6 - confirmed} further leaders are not trained again: chance lifts no score from so far below"
    assert any(line.startswith(told) for line in conclusion(findings)) == (confirmed < 6)
    whole = [row for row in rows if row.spec.stage != joint.CONFIRM]
    halfway = [*whole, *fresh[:4]]
    assert {spec.key for spec in confirmations(plan, halfway)} == {
        row.spec.key for row in fresh[4:6]
    }


@pytest.mark.slow
def test_where_no_configuration_differs_the_baseline_stays_in_at_least_92_percent_of_searches():
    dice, kept = np.random.default_rng(0), []
    for _ in range(30):
        plan, rows = joint_of(
            lambda knobs, seed: dice.normal(0.9, 0.01), *TWO, "sampler=random", "n_trials=12"
        )
        kept.append(find(plan, rows, val_rows=500).decision.winner == 0)
    assert sum(kept) >= 29  # a rule that errs in 15 of 100 passes in 0.05


@pytest.mark.slow
def test_a_configuration_five_deviations_better_is_adopted_and_three_seeds_nearly_always_tell():
    dice, adopted, raced = np.random.default_rng(1), [], []

    def planted(knobs, seed):
        return dice.normal(0.95 if knobs["optimizer.lr"] < 0.05 else 0.9, 0.01)

    for _ in range(29):
        plan, rows = joint_of(planted, *TWO, "sampler=qmc", "n_trials=12")
        findings = find(plan, rows, val_rows=500)
        adopted.append(
            findings.decision.adopted and findings.winner.spec.knobs["optimizer.lr"] < 0.05
        )
        raced.append(max(len(group.scores) for group in findings.groups) > 3)
    assert all(adopted)  # a rule that misses one of ten passes in 0.05
    assert sum(raced) <= 6  # 2; of a rule five times as strict 17


def test_the_luckiest_trial_does_not_win_by_its_luck():
    def lucky(knobs, seed):
        return 0.99 if seed == 0 and knobs["model.dropout"] > 0.5 else 0.9 + 1e-3 * seed

    plan, rows = joint_of(lucky, *TWO, "sampler=qmc", "n_trials=20")
    findings = find(plan, rows, val_rows=500)
    assert max(row.value for row in rows) == 0.99
    assert not findings.decision.adopted
    told = conclusion(findings)
    assert told[0].startswith(
        "the baseline, trial 0, stays: accuracy 0.902, mean of 3 fresh seeds; no configuration is better"
    )


def _cliff(knobs, seed):
    """High rates cannot be trained."""
    return None if knobs["optimizer.lr"] > 0.1 else _bowl(knobs, seed)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["gp", "tpe"])
def test_a_sampler_told_of_what_diverges_stays_away_from_it(sampler):
    words = [*TWO, "n_trials=30", "protocol.confirm=0", "optimizer.lr=0.001"]
    rows = joint_of(_cliff, *words, f"sampler={sampler}")[1]
    # Of random points a quarter: a sampler that learns nothing passes with 0.20.
    assert sum(row.state == "infeasible" for row in rows[14:]) <= 2
    assert max(row.value for row in rows if row.value is not None) > 0.945


def test_failed_trials_teach_nothing_and_the_search_goes_on():
    def shaky(knobs, seed):
        if knobs["model.dropout"] > 0.4:
            raise ValueError
        return _bowl(knobs, seed)

    plan, rows = joint_of(shaky, *TWO, "sampler=tpe", "n_trials=25")
    assert 0 < sum(row.state == "failed" for row in rows) < 25
    assert find(plan, rows, val_rows=500).decision.winner is not None


@pytest.mark.slow
def test_history_spares_the_start_and_moves_the_first_proposals_to_where_it_was_good():
    past = [Past(point={"optimizer.lr": rate, "model.dropout": drop}, value=_bowl({"optimizer.lr": rate, "model.dropout": drop}, 0))
            for rate in np.geomspace(1e-4, 1, 9) for drop in (0.0, 0.3, 0.6)]  # fmt: skip
    with_past = joint_of(_bowl, *TWO, "sampler=gp", "n_trials=8", "protocol.confirm=0", past=past)[
        1
    ]
    assert with_past[0].spec.knobs == next(joint.points(joint_plan(*TWO)))
    few = joint_of(_bowl, *TWO, "sampler=gp", "n_trials=8", "protocol.confirm=0", past=past[:4])[1]
    assert [row.spec.knobs for row in few] == [
        dict(point) for point in islice(joint.points(joint_plan(*TWO)), 8)
    ]
    without = joint_of(_bowl, *TWO, "sampler=gp", "n_trials=8", "protocol.confirm=0")[1]
    assert max(row.value for row in with_past[1:5]) > max(row.value for row in without)


OPTIMIZERS = ["space=[optimizer,dropout]", "pruner=none"]


@pytest.mark.slow
def test_idle_knobs_have_no_say_in_a_configuration_but_are_kept_for_the_sampler():
    plan, rows = joint_of(
        lambda knobs, seed: 0.9 if knobs["optimizer"] == "adam" else 0.8,
        *OPTIMIZERS,
        "sampler=tpe",
        "n_trials=60",
        "protocol.confirm=1",
    )
    for row in rows:
        chosen = row.spec.knobs["optimizer"]
        assert set(row.spec.knobs) == {"optimizer", f"optimizer.{chosen}.lr", "model.dropout"}
        assert set(row.spec.point) == {knob.path for knob in plan.knobs}
    assert sum(row.spec.knobs["optimizer"] == "adam" for row in rows[45:60]) > 7
    findings = find(plan, rows, val_rows=500)
    assert findings.winner.spec.knobs["optimizer"] == "adam"
    frame = view_of(plan).teller.frame(findings)
    other = frame[frame.optimizer != "adam"]
    assert frame[frame.optimizer == "adam"]["optimizer.adam.lr"].notna().all()
    assert other["optimizer.adam.lr"].isna().all()


@pytest.mark.slow
def test_auto_is_a_gaussian_process_unless_the_space_chooses_between_groups_or_trials_are_many():
    assert joint_plan(*TWO).settings.sampler == "gp"
    assert joint_plan("space=activation").settings.sampler == "gp"
    assert joint_plan(*OPTIMIZERS).settings.sampler == "tpe"
    assert joint_plan(*TWO, "n_trials=401").settings.sampler == "tpe"


@pytest.mark.slow
def test_the_conclusion_names_the_end_the_account_the_edge_and_what_matters():
    plan, rows = joint_of(
        lambda knobs, seed: 0.5 + 0.1 * math.log10(knobs["optimizer.lr"] / 1e-4) + 1e-4 * seed - 1e-3 * knobs["model.dropout"],
        *TWO, "sampler=qmc", "n_trials=60", "optimizer.lr=0.001", "pruner=median",
    )  # fmt: skip
    short = [
        replace(row, state="pruned", epochs=5) if row.spec.trial in (3, 4) else row for row in rows
    ]
    findings = find(plan, short, val_rows=500)
    told = conclusion(findings)
    tie = replace(findings.decision, standings=("tie",) * len(findings.groups))
    assert not any("edge" in line for line in conclusion(replace(findings, decision=tie)))
    assert "is adopted: accuracy 0.8" in told[0]
    assert "ended: all of n_trials=60 are done" in told
    assert any(
        line.startswith("300 epochs run in 60 trials; up to 90 saved by pruning 2 of them (3 %)")
        for line in told
    )
    assert any(
        "lies at the edge of its range: the range may be wrong (P2); try space.optimizer.lr.high=1000 name=…"
        in line
        for line in told
    )
    assert any(
        line.startswith(
            "what separates the better half from the rest, beyond chance (PED-ANOVA): optimizer.lr "
        )
        for line in told
    )
    (record,) = view_of(plan).teller.records(find(plan, short, val_rows=500))
    assert (record["decision"], record["stage"]) == ("adopt", "confirm")
    assert record["value"] == rows[record["trial"]].spec.knobs


def test_before_its_end_a_joint_search_has_no_winner_and_says_how_far_it_is():
    plan, rows = joint_of(_bowl, *TWO, "sampler=qmc", "n_trials=20", until=7)
    findings = find(plan, rows, val_rows=500)
    assert conclusion(findings)[0] == "no decision yet: 7 of 38 trials are done"
    assert (findings.winner, findings.foreseen) == (None, 38)


def test_where_nothing_can_be_trained_it_is_said():
    plan, rows = joint_of(lambda knobs, seed: None, *TWO, "sampler=qmc", "n_trials=5")
    assert (
        conclusion(find(plan, rows, val_rows=500))[0]
        == "no configuration is usable: none of 5 trials gave a result; 5 ended with: infeasible"
    )


def test_a_sampler_that_fails_ends_the_search_with_its_reason(monkeypatch):
    monkeypatch.setattr(SamplerThread, "_proposed", lambda self: 1 / 0)
    with raises("sampler-failed", "sampler=tpe"):
        joint_of(_bowl, *TWO, "sampler=tpe", "n_trials=15")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["space=[]"], ("joint-search-needs-knob", "space=[lr")),
        (["sampler=cmaes", "space=activation"], ("cmaes-needs-numbers", "model.activation", "sampler=gp")),
        (["sampler=cmaes", "space=lr"], ("cmaes-needs-numbers",)),
        (["sampler.kind=bohb"], ("unknown-choice", "sampler.kind", "'bohb'")),
        (["pruner.kind=axe"], ("unknown-choice", "pruner.kind", "'axe'")),
        (["n_trials=0"], ("wrong-type-or-range", "n_trials")),
        (["budget_hours=0"], ("wrong-type-or-range", "budget_hours")),
        (["protocol.confirm=-1"], ("wrong-type-or-range", "protocol.confirm", "-1")),
        (["pruner=asha", "pruner.reduction=1"], ("wrong-type-or-range", "pruner.reduction")),
        (["space=[lr,optimizer]"], ("conditional-under-no-choice", "space.optimizer.lr")),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(words, message):
    with raises(*message):
        joint_plan(*words)


def test_near_copies_of_a_leader_are_confirmed_after_all_others():
    """Rates of 0.9 and 1 diverge with another seed together, whichever is chosen."""
    known = (
        "[{lr:1.0,dropout:0.0},{lr:0.95,dropout:0.0},{lr:0.9,dropout:0.01},{lr:0.3,dropout:0.0}]"
    )

    def higher_is_better(knobs, seed):
        if knobs["optimizer.lr"] > 0.8 and seed >= 1:
            return None
        return 0.8 + 0.1 * min(knobs["optimizer.lr"], 1.0) - 0.01 * knobs["model.dropout"]

    words = ["n_trials=5", "seeds=1", "protocol.leaders=2", f"protocol.known={known}"]
    plan, rows = joint_of(higher_is_better, *TWO, *words)
    tried = [row for row in rows if row.spec.stage == joint.STAGE]
    assert [row.spec.knobs["optimizer.lr"] for row in leaders(plan, tried)[1:]] == [1.0, 0.3]
    few = [row for row in tried if row.spec.knobs["optimizer.lr"] != 0.3]
    assert [row.spec.knobs["optimizer.lr"] for row in leaders(plan, few)[1:]] == [1.0, 0.95]
    assert find(plan, rows, val_rows=250).winner.spec.knobs["optimizer.lr"] == 0.3


def test_a_configuration_that_trained_as_another_did_is_no_leader_and_its_knob_is_told():
    known = "[{lr:0.3,dropout:0.0},{lr:0.3,dropout:0.5},{lr:0.1,dropout:0.5},{lr:0.2,dropout:0.0}]"
    words = ["n_trials=5", "seeds=1", "protocol.leaders=3", f"protocol.known={known}"]
    plan, rows = joint_of(lambda knobs, seed: 0.8 + 0.1 * knobs["optimizer.lr"], *TWO, *words)
    tried = [row for row in rows if row.spec.stage == joint.STAGE]
    assert [row.spec.trial for row in leaders(plan, tried)] == [0, 1, 2, 3]
    tried = [replace(row, curve=str(row.spec.knobs["optimizer.lr"])) for row in tried]
    assert [row.spec.trial for row in leaders(plan, tried)] == [0, 1, 4]
    (told,) = repeated(find(plan, tried, val_rows=250))
    assert told.startswith("2 trials were the same training as another to the last digit, whatever")
    assert "whatever model.dropout was: nothing reads it" in told
    several = (20, 30)  # epochs, of which patience left both trainings as many
    ended = [
        replace(tried[0], spec=replace(tried[0].spec, trial=at, knobs={EPOCHS: epochs}))
        for at, epochs in enumerate(several)
    ]
    (told,) = repeated(find(plan, ended, val_rows=250))
    assert told.endswith("whatever trainer.epochs was: they had ended before, such as by patience")


@pytest.mark.slow
@pytest.mark.parametrize("has_cliff", [False, True])
def test_confirming_near_copies_last_costs_nothing_where_seeds_hold_nor_at_a_cliff(
    has_cliff, monkeypatch
):
    """Rates above 0.5 are a little better, and where there is a cliff half of their seeds break."""

    def mean(knobs):
        return 0.9 + 0.02 * math.log10(knobs["optimizer.lr"]) - 0.03 * knobs["model.dropout"]

    def broken(knobs, seed, world):
        is_high = has_cliff and knobs["optimizer.lr"] > 0.5
        return is_high and np.random.default_rng([seed, world, 7]).random() < 0.5

    def drawn(knobs, seed, world):
        if broken(knobs, seed, world):
            return 0.1
        key = [seed, world, *repr(sorted(knobs.items())).encode()]
        return mean(knobs) + 0.005 * float(np.random.default_rng(key).normal())

    tried = {}  # of each world: both rules confirm the same trials

    def answer(world):
        words = ["n_trials=40", "seeds=1", "sampler=random", "protocol.leaders=3", f"seed={world}"]
        plan, rows = joint_of(
            lambda knobs, seed: drawn(knobs, seed, world), *TWO, *words, rows=tried.get(world, ())
        )
        tried[world] = [row for row in rows if row.spec.stage == joint.STAGE]
        knobs = find(plan, rows, val_rows=10_000).winner.spec.knobs
        return (mean(knobs) + 0.1) / 2 if has_cliff and knobs["optimizer.lr"] > 0.5 else mean(knobs)

    apart = [answer(world) for world in range(24)]
    module = "search.stages.joint_confirmation.within_a_step"
    monkeypatch.setattr(module, lambda knob, value, other: value == other)
    gains = np.array(apart) - [answer(world) for world in range(24)]
    error = gains.std(ddof=1) / math.sqrt(len(gains))
    assert gains.mean() >= (-error if has_cliff else -0.001)


KNOWN = "protocol.known=[{lr:0.02,model.dropout:0.1},{model.dropout:0.25},{optimizer.lr:0.1}]"


@pytest.mark.parametrize("sampler", ["gp", "tpe", "qmc", "grid"])
def test_configurations_that_are_known_come_right_after_the_baseline_and_none_twice(sampler):
    plan = joint_plan(
        *TWO, f"sampler={sampler}", "n_trials=200", "space.optimizer.lr.points=3", KNOWN
    )
    default = joint.default_point(plan.config, plan.knobs)
    first = list(islice(joint.points(plan), 4))
    assert first[:3] == [
        default,
        {"optimizer.lr": 0.02, "model.dropout": 0.1},
        default | {"model.dropout": 0.25},
    ]
    assert first[3] != default  # the third that is named is the baseline itself
    for history in (False, True):
        begun = list(joint.start(plan, [], history=history))
        assert [spec.knobs for spec in begun[:3]] == first[:3]


def test_a_known_configuration_is_found_by_a_search_that_hardly_searches():
    rows = joint_of(_bowl, *TWO, "n_trials=3", "protocol.known=[{lr:0.01,dropout:0.0}]")[1]
    assert max(rows, key=lambda row: row.value or 0).spec.knobs["optimizer.lr"] == 0.01


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ("[{width:64}]", ("known-point-of-no-knob", "protocol.known", "optimizer.lr", "model.dropout")),
        ("[{lr:0.1,optimizer.lr:0.2}]", ("known-point-of-no-knob", "protocol.known", "each once", "optimizer.lr")),
        ("[{dropout:3}]", ("known-point-outside-space", "protocol.known", "model.dropout", "space.model.dropout")),
        ("[lr]", ("wrong-type-or-range", "protocol.known", "'lr'")),
        ("[{lr:0.01},{lr:0.02},{lr:0.03}]", ("more-known-points-than-trials", "n_trials")),
    ],
)  # fmt: skip
def test_known_configurations_that_cannot_be_are_refused(known, message):
    with raises(*message):
        joint_plan(*TWO, "n_trials=3", f"protocol.known={known}")


@pytest.mark.parametrize(
    ("pruner", "rungs"),
    [
        ("none", ()),
        ("median", (5, 10, 15, 20, 25, 30, 35, 40, 45)),
        ("patient", (5, 10, 15, 20, 25, 30, 35, 40, 45)),
        ("asha", (3, 9, 27)),
        ("hyperband", (3, 9, 27)),
    ],
)
def test_pruners_are_asked_at_rungs_only(pruner, rungs):
    assert joint_plan(f"pruner={pruner}").settings.rungs == rungs


@pytest.mark.slow
def test_importance_is_silent_where_nothing_matters_and_names_the_knob_that_does():
    knobs = [
        Knob(path=f"model.k{index}", group="capacity", low=0.0, high=1.0, why="")
        for index in range(4)
    ]
    named, silent = [], []
    for seed in range(4):
        dice = np.random.default_rng(seed)
        points = [{knob.path: float(dice.random()) for knob in knobs} for _ in range(80)]
        noise = dice.normal(size=80)
        planted = [
            5.0 * point["model.k2"] + error for point, error in zip(points, noise, strict=True)
        ]
        told = list(zip(points, planted, strict=True))
        named.append(next(iter(importances(told, knobs=knobs, direction="maximize")), ""))
        nothing = list(zip(points, map(float, noise), strict=True))
        silent.append(importances(nothing, knobs=knobs, direction="maximize") == {})
    assert named == ["model.k2"] * 4
    assert all(silent)  # a rule that errs in half passes in 0.06


def test_a_gain_among_the_leaders_gets_further_fresh_seeds_until_they_decide():
    dice, drawn = np.random.default_rng(11), {}

    def truth(knobs, seed):
        """A gain of three deviations at low rates, where the leaders are."""
        key = (knobs["optimizer.lr"], seed)
        gain = 0.03 if knobs["optimizer.lr"] < 0.01 else 0.0
        return drawn.setdefault(key, 0.9 + gain + 0.01 * dice.normal())

    words = (*TWO, "sampler=qmc", "n_trials=16", "optimizer.lr=0.1")
    plan, rows = joint_of(truth, *words)
    findings = find(plan, rows, val_rows=500)
    assert findings.decision.adopted
    seeds = {len(group.scores) for group in findings.groups}
    assert 3 in seeds
    assert max(seeds) <= 10
    assert len(findings.groups[0].scores) == max(seeds)
    none = joint_of(truth, *words, "protocol.most_seeds=3")[1]
    assert len(none) == 16 + 3 * len(findings.groups)


@pytest.mark.parametrize(("slope", "told"), [(0.3, True), (-0.3, False)])
def test_a_best_configuration_at_a_hard_limit_is_told_but_nothing_lies_below_0(slope, told):
    words = ["sampler=qmc", "n_trials=64", "protocol.most_seeds=3", "space.model.dropout.high=0.95"]
    plan, rows = joint_of(
        lambda knobs, seed: 0.5 + slope * knobs["model.dropout"] + 1e-5 * seed, *TWO, *words
    )
    lines = conclusion(find(plan, rows, val_rows=500))
    limit = "lies at the hard limit space.model.dropout.max: what lies beyond was not tried"
    assert any(limit in line for line in lines) == told
    assert any("model.dropout = " in line and "(P2)" in line for line in lines) == told
