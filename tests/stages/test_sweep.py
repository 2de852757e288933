"""The sweep, round by round, on trials whose values are drawn: its calibration, its extension, its refinement."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from refusals import raises

from search.config.compose import compose_experiment
from search.config.knob_roles import unequal_settings
from search.config.plan import read_plan
from search.config.trial_config import TrialConfigs, trainer_config, trial_config
from search.results.findings import find
from search.results.summary import conclusion
from search.results.summary.sweep import records
from search.stages import sweep
from search.storage.distributions import distribution_of
from search.storage.trials import TrialRecord

VAL_ROWS = 500


@cache
def _plan(*overrides):
    return read_plan(
        compose_experiment("lr_sweep", overrides=list(overrides), config_dir=None), root=Path("/r")
    )


@cache
def _plan_of(experiment, *overrides):
    return read_plan(
        compose_experiment(experiment, overrides=list(overrides), config_dir=None), root=Path("/r")
    )


def _run(plan, truth, *, rows=()):
    """Every trial that the sweep wants gets the value that `truth(value of the knob, seed)` draws; None is infeasible."""
    rows = list(rows)
    while specs := sweep.wanted(plan, rows, resolution=1 / VAL_ROWS):
        for spec in specs:
            value = truth(spec.knobs[plan.knobs[0].path], spec.seed)
            rows.append(
                TrialRecord(
                    spec=spec,
                    state="infeasible" if value is None else "complete",
                    value=value,
                    best_epoch=1,
                )
            )
    return find(plan, rows, val_rows=VAL_ROWS)


def _values(findings):
    return [group.value for group in findings.groups]


@pytest.mark.slow
def test_a_sweep_of_identical_values_with_all_rounds_keeps_the_baseline_in_92_percent_of_draws():
    dice, plan = np.random.default_rng(0), _plan()
    ends = [_run(plan, lambda value, seed: dice.normal(0.95, 0.01)).decision for _ in range(24)]
    assert sum(end.winner == 0 for end in ends) >= 23  # one that errs in one of five passes in 0.03
    assert all(end.tie for end in ends if not end.adopted)


@pytest.mark.slow
def test_with_all_its_rounds_a_baseline_five_deviations_worse_loses():
    dice, plan = np.random.default_rng(1), _plan()
    lost = [
        _run(
            plan, lambda value, seed: dice.normal(0.90 if value == 0.1 else 0.95, 0.01)
        ).decision.adopted
        for _ in range(29)
    ]
    assert all(lost)  # a rule that misses one of ten passes in 0.05


def _peak(at, width=1.0):
    return lambda value, seed: (
        0.9 - 0.05 * ((math.log10(value) - math.log10(at)) / width) ** 2 + 0.0001 * seed
    )


def test_the_gaps_beside_the_best_are_refined_in_the_knobs_scale():
    findings = _run(_plan(), _peak(0.013))
    assert _values(findings)[13:] == [0.00681, 0.00825, 0.0121, 0.0147]
    assert findings.groups[findings.decision.winner].value == 0.0121
    assert findings.decision.adopted


@pytest.mark.parametrize(
    ("at", "least", "most"), [(20.0, 1e-4, 1e4), (3e-6, 1e-8, 1.0), (1e7, 1e-4, 1e8)]
)
def test_a_best_value_at_the_edge_extends_the_range_by_as_much_again_at_most_twice(at, least, most):
    plan = _plan("space.optimizer.lr.min=1e-20", "space.optimizer.lr.max=1e20")
    tried = _values(_run(plan, _peak(at)))
    assert (min(tried), max(tried)) == (
        pytest.approx(least, rel=0.01),
        pytest.approx(most, rel=0.01),
    )
    nearest = min(tried, key=lambda value: abs(math.log(value / at)))
    assert abs(math.log10(nearest / at)) < 0.17


@pytest.mark.slow
def test_a_best_value_at_the_edge_that_ties_with_the_other_half_is_no_edge():
    dice, plan = np.random.default_rng(7), _plan("protocol.most_seeds=1", "protocol.refine=0")
    flat = [_run(plan, lambda value, seed: dice.normal(0.95, 0.01)) for _ in range(60)]
    extended = [len(findings.groups) > 13 for findings in flat]
    assert np.mean(extended) <= 0.05
    same = _run(plan, lambda value, seed: 0.95 if value >= 1e-3 else 0.9)
    assert len(same.groups) == 13  # 1.0 is among the best, and so is 0.001
    assert not any("edge" in line for line in conclusion(same))


def test_an_edge_beside_values_that_cannot_be_trained_is_none():
    findings = _run(
        _plan(), lambda value, seed: None if value > 0.15 else 0.9 + 0.01 * math.log10(value)
    )
    assert max(_values(findings)) == 1.0
    assert findings.groups[findings.decision.best].value == 0.147


def test_a_range_is_not_extended_beyond_its_hard_limits():
    plan = _plan("space.optimizer.lr.max=2", "protocol.refine=0")
    tried = _values(_run(plan, _peak(50.0)))
    assert tried[13:] == [2.0] or tried[13:] == [1.0, 2.0]
    assert max(tried) == 2.0


def test_whole_numbers_and_choices_are_refined_as_far_as_there_is_room():
    whole = _plan(
        "~space.optimizer",
        "space.model.width=int(interval(1, 4))",
        "model.width=2",
        "+space.model.width.points=4",
    )
    assert sorted(_values(_run(whole, lambda value, seed: -abs(value - 2) / 100))) == [1, 2, 3, 4]
    choices = _plan("~space.optimizer", "space.model.width=choice(8, 16, 128)")
    assert sorted(_values(_run(choices, lambda value, seed: value / 1000))) == [8, 16, 128]


@pytest.mark.parametrize(("at_64", "winner"), [(0.9500, 64), (0.9480, 128)])
def test_the_cheapest_value_of_a_capacity_knob_within_one_standard_error_of_the_best_wins(
    at_64, winner
):
    words = [
        "~space.optimizer",
        "+space.model.width={low: 16, high: 256, scale: log, type: int, points: 5, group: capacity}",
    ]
    plan = _plan(*words, "protocol.refine=0", "protocol.extend=0", "model.width=16")
    means = {16: 0.8, 32: 0.9, 64: at_64, 128: 0.9505, 256: 0.9508}
    order = {16: (0, 1, 2), 32: (1, 2, 0), 64: (2, 0, 1), 128: (0, 2, 1), 256: (1, 0, 2)}
    findings = _run(plan, lambda value, seed: means[value] + 0.002 * (order[value][seed] - 1))
    assert findings.groups[findings.decision.winner].value == winner
    assert findings.groups[findings.decision.best].value == 256
    assert [
        group.value
        for group, told in zip(findings.groups, findings.decision.standings, strict=True)
        if told == "tie"
    ] == [
        64,
        128,
        256,
    ]
    assert (
        f"{winner} is the cheapest value within one standard error of 256, the best mean (P5)"
        in conclusion(findings)
    )


def test_a_baseline_in_a_tie_stays_even_where_a_cheaper_value_is_as_good():
    words = [
        "~space.optimizer",
        "+space.model.width={low: 16, high: 64, scale: log, type: int, points: 3, group: capacity}",
    ]
    plan = _plan(*words, "protocol.refine=0", "protocol.extend=0", "model.width=64")
    findings = _run(
        plan, lambda value, seed: {16: 0.9, 32: 0.9503, 64: 0.9510}[value] + 0.002 * (seed - 1)
    )
    assert findings.groups[findings.decision.winner].value == 64
    assert not findings.decision.adopted


def test_a_round_starts_only_when_the_round_before_has_ended_and_a_resumed_sweep_wants_what_an_undisturbed_one_did():
    plan, truth = _plan(), _peak(0.013)
    whole = _run(plan, truth)
    for cut in (1, 20, 38, 39, 45, 50):
        rows = whole.rows[:cut]
        specs = sweep.wanted(plan, rows, resolution=1 / VAL_ROWS)
        wanted = {row.spec.trial for row in whole.rows[cut:] if (row.spec.trial < 39) == (cut < 39)}
        assert {spec.trial for spec in specs} == wanted
        assert [row.spec for row in _run(plan, truth, rows=rows).rows] == [
            row.spec for row in whole.rows
        ]


def test_what_follows_moves_with_the_knob_and_is_written_down():
    plan = _plan_of("batch_size_sweep")
    assert sweep.cells(plan, 128) == [{"trainer.batch_size": 128, "optimizer.lr": 0.2}]
    assert sweep.cells(plan, 32) == [{"trainer.batch_size": 32, "optimizer.lr": 0.1}]
    linear = _plan_of("batch_size_sweep", "protocol.link=linear")
    assert sweep.cells(linear, 8)[0]["optimizer.lr"] == 0.025
    assert sweep.cells(_plan_of("batch_size_sweep", "protocol.link=none"), 8) == [
        {"trainer.batch_size": 8}
    ]
    findings = _run(plan, lambda value, seed: 0.9 - abs(math.log2(value / 64)) / 50 + seed / 1e4)
    assert findings.winner.spec.knobs == {"trainer.batch_size": 64, "optimizer.lr": 0.141}
    assert "optimizer.lr moved with trainer.batch_size: from 0.05 to 0.283 (R28)" in conclusion(
        findings
    )
    (record,) = records(findings)
    assert (record["followers"]["256"], "R29" in record["rules"]) == (0.283, False)  # no rate


def test_followers_keep_their_type_and_epochs_move_against_the_learning_rate():
    plan = _plan("protocol.follower=trainer.epochs", "protocol.link=sqrt", "trainer.epochs=4")
    moved = {rate: sweep.cells(plan, rate)[0]["trainer.epochs"] for rate in (1e-4, 0.1, 1.0)}
    assert moved == {1e-4: 126, 0.1: 4, 1.0: 1}
    assert all(type(epochs) is int for epochs in moved.values())
    words = ["protocol.follower=trainer.epochs", "protocol.link=linear", "optimizer.lr=0.001"]
    assert sweep.cells(_plan(*words), 1.0)[0]["trainer.epochs"] == 1  # never fewer than one
    stored = distribution_of(None, [126])
    assert stored.to_internal_repr(126) == 126
    assert isinstance(stored.to_external_repr(126.0), int)
    batches = _plan_of("batch_size_sweep", "protocol.follower=optimizer.momentum")
    assert sweep.cells(batches, 256)[0]["optimizer.momentum"] == 0.999  # its hard limit


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["protocol.follower=optimizer.lr"], ("follower-is-a-knob", "optimizer.lr")),
        (
            ["protocol.follower=split.seed", "split.seed=3"],
            ("follower-has-no-effect", "split.seed"),
        ),
        (
            ["protocol.follower=trainer.patience", "trainer.patience=null"],
            ("follower-not-positive", "trainer.patience=None"),
        ),
        (["protocol.follower=model.dropout"], ("follower-not-positive", "model.dropout=0.0")),
    ],
)
def test_what_cannot_follow_is_refused(words, message):
    with raises(*message):
        _plan(*words, "protocol.link=sqrt")


@pytest.mark.slow
def test_settings_that_differ_between_optimizers_beside_the_tuned_rate_are_said():
    findings = _run_cells(_plan_of("optimizer_sweep"), lambda knobs: 0.9)
    line = next(line for line in conclusion(findings) if line.startswith("not the same"))
    assert "optimizer.weight_decay (adamw 0.01, else 0.0)" in line
    assert "optimizer.momentum (sgd 0.9, nesterov 0.9, else 0.0)" in line
    equal = _plan("knob.optimizer=choice(adam,amsgrad)", "optimizer=adam")
    assert unequal_settings(equal.config, equal.knobs) == []


def test_initial_weights_that_follow_the_activation_are_said_to():
    findings = _run(_plan_of("activation_sweep"), lambda value, seed: 0.9 + seed / 1e4)
    assert (
        "initial weights moved with model.activation (model.init=follow): He, but Xavier"
        in conclusion(findings)[-1]
    )
    fixed = _run(
        _plan_of("activation_sweep", "model.init=torch"), lambda value, seed: 0.9 + seed / 1e4
    )
    assert not any("initial weights" in line for line in conclusion(fixed))


@pytest.mark.slow
def test_every_optimizer_gets_its_own_default_rate_and_the_same_budget():
    plan = _plan_of("optimizer_sweep")
    budgets = {choice: sweep.cells(plan, choice) for choice in plan.knob.choices}
    assert {len(cells) for cells in budgets.values()} == {6}
    assert budgets["adam"][0] == {"optimizer": "adam", "optimizer.adam.lr": 3e-4}
    assert plan.first_round[0] == "sgd"
    config = trial_config(plan.config, knobs=budgets["adamw"][3], seed=1)
    assert config.optimizer._target_ == "torch.optim.AdamW"
    assert config.optimizer.lr == budgets["adamw"][3]["optimizer.adamw.lr"]
    assert config.chosen.optimizer == "adamw"
    linked = _plan_of("optimizer_sweep", "schedule=one_cycle").config
    adam = budgets["adam"][2]
    rate = trial_config(linked, knobs=adam, seed=0).schedule.max_lr
    assert rate == adam["optimizer.adam.lr"]


@pytest.mark.slow
def test_a_trial_gets_the_same_config_whichever_trials_came_before_it():
    base = _plan_of(
        "optimizer_sweep", "schedule=one_cycle", "+optimizer.link=${optimizer.lr}"
    ).config
    knobs = [
        {},
        {"optimizer": "adamw", "optimizer.adamw.lr": 0.01},
        {"optimizer": "sgd", "optimizer.sgd.lr": 0.1, "optimizer.not_of_it": 3},
        {"optimizer.lr": 0.2},
        {"optimizer.not_of_it": 4},
        {"optimizer": "adamw", "optimizer.adamw.lr": 0.02},
        {"optimizer": "sgd", "optimizer.sgd.lr": 0.3},
    ]
    configs = TrialConfigs(base)
    for seed, own in enumerate([*knobs, *reversed(knobs)]):
        alone = OmegaConf.to_container(trial_config(base, knobs=own, seed=seed), resolve=True)
        assert configs.resolve(knobs=own, seed=seed) == trainer_config(alone), own


def test_a_trial_needs_no_variable_that_only_addresses_of_the_search_are_links_to(
    monkeypatch,
):
    monkeypatch.setenv("OF_THE_CONDUCTOR", "x")
    plan = _plan_of(
        "optimizer_sweep",
        "+callbacks.mine={_target_: x.Y, url: '${oc.env:OF_THE_CONDUCTOR}'}",
        "storage.url='${oc.env:OF_THE_CONDUCTOR}'",
    )
    monkeypatch.delenv("OF_THE_CONDUCTOR")
    assert TrialConfigs(plan.config).resolve(knobs={}, seed=3)["seed"] == 3


def test_a_trainer_gets_plain_lists_also_where_one_holds_a_link():
    base = OmegaConf.create({"data": {"_target_": None}, "seed": 0, "sizes": ["${seed}", 32]})
    for seed in (1, 2):
        sizes = TrialConfigs(base).resolve(knobs={}, seed=seed)["sizes"]
        assert (type(sizes), sizes) == (list, [seed, 32])


def _run_cells(plan, truth):
    rows = []
    while specs := sweep.wanted(plan, rows, resolution=1 / VAL_ROWS):
        rows += [
            TrialRecord(spec=spec, state="complete", value=truth(spec.knobs), best_epoch=1)
            for spec in specs
        ]
    return find(plan, rows, val_rows=VAL_ROWS)


@pytest.mark.slow
def test_equal_optimizers_leave_the_baseline_in_92_percent_of_draws_and_a_planted_one_is_found():
    dice, plan = np.random.default_rng(3), _plan_of("optimizer_sweep")
    kept = [
        _run_cells(plan, lambda knobs: dice.normal(0.95, 0.01)).decision.winner == 0
        for _ in range(24)  # a rule that errs in one of five passes in 0.03
    ]
    assert sum(kept) >= 23

    def planted(knobs):
        """Adam is better, at a rate that is not its default."""
        return dice.normal(0.95 if knobs.get("optimizer.adam.lr") == 0.01 else 0.9, 0.005)

    for _ in range(3):
        findings = _run_cells(plan, planted)
        assert findings.winner.spec.knobs == {"optimizer": "adam", "optimizer.adam.lr": 0.01}
        assert conclusion(findings)[0].startswith(
            "optimizer = adam with optimizer.adam.lr=0.01 is adopted: accuracy 0.9"
        )


@pytest.mark.parametrize(
    ("experiment", "words", "message"),
    [
        ("optimizer_sweep", ["+space.optimizer.lr={low: 1e-3, high: 1.0, scale: log}"], ("conditional-under-no-choice", "space.optimizer.lr", "sgd_plain", "optimizer.sgd_plain.lr")),
        ("optimizer_sweep", ["space.optimizer.choices=[sgd,adan]"], ("unknown-option-of-group", "'adan'", "'adam'")),
        ("schedule_sweep", ["space.schedule.choices=[constant,cosin]"], ("unknown-option-of-group", "'cosin'", "'cosine'")),
        ("init_sweep", ["+space.model.dropout={low: 0.0, high: 0.5, scale: linear, role: nuisance}"], ("one-nuisance-per-value", "model.gain", "model.dropout")),
        ("init_sweep", ["space.model.gain.role=fixed"], ("unknown-choice", "'fixed'")),
        ("batch_size_sweep", ["protocol.link=cubic"], ("unknown-choice", "protocol.link", "'cubic'")),
        ("batch_size_sweep", ["protocol.follower=optimizer.rate"], ("follower-not-a-key", "protocol.follower", "optimizer.rate")),
    ],
)  # fmt: skip
def test_roles_that_cannot_be_are_refused(experiment, words, message):
    with raises(*message):
        _plan_of(experiment, *words)


def test_an_off_value_is_no_place_on_a_log_scale():
    plan = _plan_of("weight_decay_sweep")
    off = _run(plan, lambda value, seed: 0.95 if value == 0 else 0.90 - value)
    assert len(off.groups) == 7
    assert not any("edge" in line for line in conclusion(off))
    low = _run(plan, lambda value, seed: 0.95 if value == 1e-6 else 0.90)
    assert min(value for value in _values(low) if value) == 1e-10  # the hard limit


@pytest.mark.slow
def test_config_groups_of_a_users_own_are_swept_like_ours(elsewhere):
    """A group that we do not have, and an option of the user's in one that we have."""
    files = {
        "experiment/mine.yaml": "# @package _global_\n# python -m search mine\n# Mine.\ndefaults:\n  - /shade@shade: none\n  - override /space: mine\ntrainer:\n  l1: ${shade.flip}\n",
        "shade/none.yaml": "flip: 0.0\n",
        "shade/flips.yaml": "flip: 0.5\nseed: ${seed}\n",
        "space/mine.yaml": "shade:\n  choices: [none, flips]\n",
        "optimizer/tiger.yaml": "_target_: tiger.Tiger\nlr: 1e-4\n",
        "space/two.yaml": "optimizer:\n  choices: [adam, tiger]\n  tiger: {lr: {low: 1e-5, high: 1e-3, scale: log, points: 3}}\n",
    }
    for name, text in files.items():
        path = elsewhere / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    plan = read_plan(
        compose_experiment("mine", overrides=[], config_dir=elsewhere / "conf"), root=elsewhere
    )
    assert plan.first_round == ("none", "flips")
    config = trial_config(plan.config, knobs={"shade": "flips"}, seed=7)
    assert OmegaConf.to_container(config, resolve=True)["shade"] == {"flip": 0.5, "seed": 7}
    two = read_plan(
        compose_experiment("lr_sweep", overrides=["space=two"], config_dir=elsewhere / "conf"),
        root=elsewhere,
    )
    assert two.first_round == ("sgd", "adam", "tiger")
    assert [cell.get("optimizer.tiger.lr") for cell in sweep.cells(two, "tiger")] == [
        1e-4,
        1e-5,
        1e-3,
    ]
    assert sweep.cells(two, "adam") == [{"optimizer": "adam"}]


def test_a_cliff_is_found_beside_its_edge():
    findings = _run(
        _plan(),
        lambda value, seed: None if value > 0.02 else 0.8 + 0.01 * math.log10(value) + seed / 1e4,
    )
    assert 0.01 <= findings.groups[findings.decision.winner].value <= 0.02
    assert findings.decision.adopted  # the baseline, 0.1, lies beyond the cliff


@pytest.mark.slow
def test_rivals_of_the_baseline_get_its_seeds_and_a_resumed_race_wants_what_an_undisturbed_one_did():
    plan, dice = _plan("protocol.refine=0"), np.random.default_rng(6)
    drawn = {}

    def truth(value, seed):
        """The same score again for the same trial."""
        gain = 0.012 if value == 0.01 else 0.0
        return drawn.setdefault((value, seed), dice.normal(0.9 + gain, 0.01))

    whole = _run(plan, truth)
    seeds = {group.value: len(group.scores) for group in whole.groups}
    assert seeds[0.1] == max(seeds.values()) > 3
    assert min(seeds.values()) == 3
    assert sum(seeds.values()) == len(whole.rows)
    for cut in range(39, len(whole.rows) + 1):
        again = _run(plan, truth, rows=whole.rows[:cut])
        assert [row.spec for row in again.rows] == [row.spec for row in whole.rows]


def test_without_a_race_or_with_one_seed_there_are_the_first_seeds_only():
    dice = np.random.default_rng(7)
    for words in (["protocol.most_seeds=3"], ["seeds=1"]):
        plan = _plan("protocol.refine=0", "protocol.extend=0", *words)
        findings = _run(plan, lambda value, seed: dice.normal(0.9, 0.01))
        assert len(findings.rows) == 13 * plan.seeds


def test_with_one_seed_per_value_nothing_is_said_to_be_beyond_chance():
    dice = np.random.default_rng(8)
    findings = _run(_plan("seeds=1"), lambda value, seed: dice.normal(0.9, 0.01))
    lines = conclusion(findings)
    assert not any("(P5)" in line or "chance" in line for line in lines)
    assert any(line.startswith("one seed per value: a difference may be noise") for line in lines)


def test_seeds_that_change_nothing_are_told():
    lines = conclusion(_run(_plan(), lambda value, seed: 0.9 - abs(math.log10(value) + 1.5) / 50))
    assert any(
        line.startswith(
            "every seed gave the same score, so a difference was compared without a test: the trainer ignores"
        )
        for line in lines
    )
    assert not any("(P5)" in line for line in lines)


def test_a_best_value_at_a_hard_limit_is_told():
    findings = _run(_plan("space.optimizer.lr.max=2", "protocol.refine=0"), _peak(50.0))
    limit = "2, the best, lies at the hard limit space.optimizer.lr.max: what lies beyond was "
    assert f"{limit}not tried (P2)" in conclusion(findings)


@pytest.mark.parametrize("experiment", ["balance_sweep", "fraction_sweep"])
def test_where_nothing_lies_beyond_a_limit_none_is_told(experiment):
    findings = _run(_plan_of(experiment), lambda value, seed: 0.5 + 0.1 * value + 1e-4 * seed)
    lines = conclusion(findings)
    assert findings.groups[findings.decision.best].value == 1
    assert not any("hard limit" in line for line in lines)


def test_seeds_that_break_are_told_as_a_share():
    dice = np.random.default_rng(9)

    def truth(value, seed):
        """The baseline collapses in one seed of three, the greatest value always diverges."""
        if value == 1.0:
            return None
        return 0.1 if value == 0.1 and seed % 3 == 1 else dice.normal(0.9, 0.001)

    findings = _run(_plan("protocol.refine=0", "protocol.extend=0"), truth)
    lines = conclusion(findings)
    broke = next(line for line in lines if line.startswith("seeds that broke"))
    assert broke.endswith("the baseline in 3 of 10")
    assert "1.0" not in broke  # not usable at all, as the table says
    assert findings.groups[findings.decision.winner].value == 0.1


def test_a_value_that_is_better_but_breaks_more_often_is_told_and_not_adopted():
    dice = np.random.default_rng(11)

    def truth(value, seed):
        """One value is better, and collapses in two seeds of five."""
        if value == 1.0:
            return 0.1 if seed % 5 in (1, 3) else dice.normal(0.95, 0.001)
        return dice.normal(0.9, 0.001)

    findings = _run(_plan("protocol.refine=0", "protocol.extend=0"), truth)
    assert not findings.decision.adopted
    (told,) = [line for line in conclusion(findings) if line.startswith("better than the baseline")]
    assert "in the seeds that trained: " in told
    assert "1.0 (broke in 4 of 10)" in told
    assert "the baseline broke in 0 of 10; use seeds=12" in told


def test_a_gain_that_seeds_cannot_tell_is_called_undecided():
    dice = np.random.default_rng(10)
    plan = _plan("protocol.refine=0", "protocol.extend=0", "protocol.most_seeds=3")
    lines = conclusion(_run(plan, lambda value, seed: dice.normal(0.9, 0.01)))
    assert any(line.startswith("undecided: ") and "up to 0.0" in line for line in lines)


def _halving(truth):
    """A sweep of the rate in which only the better half goes on."""
    plan = _plan("protocol.extend=0", "protocol.refine=0")
    return _run(replace(plan, settings=replace(plan.settings, halving=True)), truth)


def test_only_the_better_half_goes_on_after_the_first_seed_and_the_others_are_said_to_be_dropped():
    findings = _halving(lambda value, seed: 0.9 - 0.1 * abs(math.log10(value / 0.01)) + seed / 1e4)
    count, seeds = len(findings.groups), findings.plan.seeds
    dropped = [
        group
        for group, standing in zip(findings.groups, findings.decision.standings, strict=True)
        if standing == "dropped"
    ]
    assert len(dropped) == (count - 1) // 2
    assert all(len(group.scores) == 1 for group in dropped)
    assert min(len(g.scores) for g in findings.groups if g not in dropped) == seeds
    assert findings.groups[findings.decision.winner].value == pytest.approx(0.01, rel=0.5)
    assert max(g.mean for g in dropped) < min(
        g.mean for g in findings.groups[1:] if g not in dropped
    )


@pytest.mark.slow
def test_halving_adopts_an_equal_value_no_more_often_and_still_finds_a_planted_one():
    dice = np.random.default_rng(4)
    equal = [
        _halving(lambda value, seed: dice.normal(0.95, 0.01)).decision.adopted for _ in range(24)
    ]
    assert sum(equal) <= 1  # a rule that errs in one of five passes in 0.03
    planted = [
        _halving(lambda value, seed: dice.normal(0.99 if 0.009 < value < 0.011 else 0.95, 0.01))
        for _ in range(14)
    ]
    right = [0.009 < float(each.groups[each.decision.winner].value) < 0.011 for each in planted]
    assert all(right)  # a rule that misses one of five passes in 0.04


def test_a_value_that_diverges_with_its_first_seed_is_not_trained_again():
    findings = _halving(lambda value, seed: None if value > 0.1 else 0.9 + value + seed / 1e4)
    high = [g for g in findings.groups if float(g.value) > 0.1]
    assert high
    assert all(g.scores == (None,) for g in high)
