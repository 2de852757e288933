"""A confirmation on trials whose values are drawn: who goes on, when it ends, and how often it errs."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
from simulated import begun, tune_plan
from simulated_confirmations import confirmed
from simulated_sweeps import LAWS, NOISE_FLOORS, OTHER_LAWS

from search.config.knob_parts import RATE
from search.protocols.stage_plan import stage_plan
from search.protocols.step import Request, Step
from search.stages import confirm
from search.stages.decision import decide
from search.stages.group import Group
from search.stages.racing import LEVEL, OWN, Race
from search.storage.trials import TrialRecord

POINTS = (  # the baseline, the incumbent of the sweeps, and leaders of a joint stage
    {},
    {RATE: 0.01},
    {RATE: 0.01, "model.dropout": 0.5},
    {"model.dropout": 0.1},
    {"model.dropout": 0.2},
)


LEVELS = (0.8, 0.9, 0.9, 0.7, 0.7)  # of these; one standard deviation between seeds is 0.004


def _planned(*, most=5, own_level=False):
    """The plan of a confirmation by the guide; `most`: fresh seeds that the budget pays;
    `own_level`: of the incumbent, since a sweep has adopted it.
    """
    plan = tune_plan()
    request = Request(entry=8, stage="confirm", because="", configurations=POINTS)
    staged = stage_plan(plan, begun(plan), request, name="confirmed")
    seeds = staged.settings.seeds[:most]
    fixed = replace(staged.settings, seeds=seeds, own_level=own_level)
    return replace(staged, settings=fixed)


def _former(plan):
    """The same with one look, at all seeds."""
    return replace(plan, settings=replace(plan.settings, early=0))


def _carried_out(plan, value_of, rows=()):
    """The outcome once nothing more is wanted, and its trials. `value_of`: of a configuration's
    place and its seed's.
    """
    rows, fixed = list(rows), plan.settings
    while specs := confirm.wanted(plan, rows):
        for spec in specs:
            value = value_of(fixed.configurations.index(spec.knobs), fixed.seeds.index(spec.seed))
            state = "complete" if value is not None else "infeasible"
            rows.append(TrialRecord(spec=spec, state=state, value=value, best_epoch=1))
    return confirm.outcome(plan, rows, resolution=0.0), rows


def _drawn(repeat, levels=LEVELS):
    noise = np.random.default_rng(repeat).normal(scale=0.004, size=(len(POINTS), 10))
    return lambda place, seed: levels[place] + noise[place, seed]


@pytest.mark.parametrize("most", [5, 10])
def test_what_three_seeds_decide_gets_no_more_and_the_interval_is_that_of_a_look(most):
    outcome, rows = _carried_out(_planned(most=most), _drawn(0))
    assert [len(group.scores) for group in outcome.groups] == [3, 3, 3, 2, 2]
    assert len(rows) == 13
    assert outcome.decision.adopted
    assert outcome.decision.standings == ("worse", "tie", "tie", "dropped", "dropped")
    assert outcome.decision.confidence == 0.95


@pytest.mark.parametrize("most", [5, 10])
def test_a_baseline_that_breaks_with_every_seed_gets_no_more_than_the_first_look(most):
    plan = _planned(most=most)
    counts = []
    for broke, first in ((False, None), (True, None), (True, 0.3)):
        outcome, _ = _carried_out(
            replace(plan, settings=replace(plan.settings, broke=broke)),
            lambda place, seed, first=first: LEVELS[place] + 0.001 * seed if place else first,
        )
        counts.append([len(group.scores) for group in outcome.groups])
        assert outcome.decision.adopted
    assert counts[0][0] >= 5
    assert counts[1] == [2, 5, 5, 2, 2]
    assert counts[2] == [3, 3, 3, 2, 2]  # it trains now, and is told apart


@pytest.mark.parametrize(("ahead", "seeds"), [(0.001, [5, 5, 3, 2, 2]), (-0.001, [3, 3, 3, 2, 2])])
def test_what_lies_behind_the_baseline_after_three_seeds_gets_no_more(ahead, seeds):
    levels = (0.8, 0.8 + ahead, 0.799, 0.7, 0.7)
    noise = ((0, 0.004, -0.004, 0, 0), (0.005, -0.005, 0, 0, 0), (-0.003, 0.003, 0, 0, 0))
    outcome, _ = _carried_out(
        _planned(), lambda place, seed: levels[place] + noise[min(place, 2)][seed]
    )
    assert [len(group.scores) for group in outcome.groups] == seeds
    assert outcome.decision.winner == 0


@pytest.mark.slow
def test_where_nothing_differs_the_baseline_stays_and_a_planted_gain_is_found_as_with_all_seeds():
    plan = _planned()
    flat = confirmed(np.random.default_rng(0).normal(size=(4000, 5, 5)), own_level=False)
    assert np.mean(flat.winners == 0) >= 0.95  # simulated at once: the stage ends alike, see below
    assert flat.trainings.mean() < 17.5  # of 19
    for deviations, fewest in ((2.5, 18.0), (5.0, 15.0)):
        levels = [0.8, 0.8, 0.8, 0.8 + 0.004 * deviations, 0.8]
        found, trials = [], []
        for each in (_former(plan), plan):
            ended = [_carried_out(each, _drawn(repeat, levels)) for repeat in range(40)]
            found.append(sum(outcome.decision.winner == 3 for outcome, _ in ended))
            trials.append(np.mean([len(rows) for _, rows in ended]))
        assert found[1] >= found[0] - 1
        assert trials[0] == 19
        assert trials[1] < fewest


@pytest.mark.parametrize(("lead", "stays"), [(0.0005, True), (0.01, False)])
def test_the_incumbent_stays_within_one_standard_error_of_the_best_that_turns_more_knobs(
    lead, stays
):
    levels, seeds = (0.8, 0.9, 0.9 + lead, 0.7, 0.7), (0.003, -0.006, 0.0, 0.006, -0.003)
    outcome, _ = _carried_out(_planned(), lambda place, seed: levels[place] + seeds[seed])
    assert outcome.decision.winner == (1 if stays else 2)
    assert outcome.decision.standings[3] == "dropped"
    assert len(outcome.groups[3].scores) == outcome.plan.settings.halved


@pytest.mark.slow
def test_beside_a_baseline_without_results_the_incumbent_stays_and_a_planted_leader_is_found():
    plan = _planned()
    leaders = ({RATE: 0.01, "model.dropout": share} for share in (0.1, 0.2, 0.5))
    fixed = replace(plan.settings, configurations=(*POINTS[:2], *leaders))
    plan = replace(plan, settings=fixed)

    def winners(levels):
        for repeat in range(100):
            drawn = _drawn(repeat, levels)
            outcome, _ = _carried_out(
                plan, lambda place, seed, drawn=drawn: drawn(place, seed) if place else None
            )
            yield outcome.decision.winner, outcome.decision.standings[1]

    flat = [winner for winner, incumbent in winners([0.8] * 5) if incumbent != "dropped"]
    assert 0 not in flat
    assert flat.count(1) > 0.6 * len(flat)  # of two that are left the best mean alone gives half
    planted = [winner for winner, _ in winners([0.8, 0.8, 0.8 + 5 * 0.004, 0.8, 0.8])]
    assert planted.count(2) >= 95


def test_a_configuration_that_was_dropped_after_kind_seeds_does_not_win_by_these():
    seeds = np.array(
        [0.004, 0.005, 0.001, -0.001, -0.003]
    )  # what each gives, the first two the most
    levels = [(0.76, 5), (0.82, 2), (0.9005, 5), (0.9005, 5), (0.9003, 2)]  # and how many each has
    groups = [
        Group(candidate=place, scores=tuple(level + seeds[:count]))
        for place, (level, count) in enumerate(levels)
    ]
    decision = decide(groups, resolution=0.0, race=Race(first=5, most=5, halved=2))
    assert groups[4].mean > groups[2].mean
    assert (decision.winner, decision.best) == (2, 2)
    assert decision.standings == ("worse", "dropped", "tie", "tie", "dropped")


# A level of its own for the incumbent of the sweeps


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "most", "own_level"),
    [
        ("normal", 5, False),
        ("normal", 10, True),
        ("collapse 0.2", 5, True),
        ("collapse 0.2", 10, False),
    ],
)
def test_confirmations_simulated_at_once_end_as_the_stage_does(law, most, own_level):
    noise = LAWS[law](np.random.default_rng(most), (25, len(POINTS), most))
    scores = noise + np.array([0.0, 1.5, 2.0, 0.0, 0.0])[:, None]
    plan, at_once = _planned(most=most, own_level=own_level), confirmed(scores, own_level=own_level)
    for place, each in enumerate(scores):
        outcome, rows = _carried_out(plan, lambda at, seed, each=each: float(each[at, seed]))
        assert outcome.decision.winner == at_once.winners[place]
        assert len(rows) == at_once.trainings[place]


def test_an_incumbent_that_shared_the_leaders_level_and_stayed_out_is_adopted_at_its_own():
    seeds = (0.0, 0.03, -0.03, 0.06, -0.06)  # of each, so that the p of the incumbent is 0.02
    levels, noise = (0.67, 0.735, 0.66, 0.6, 0.6), (seeds, seeds[::-1], seeds, seeds, seeds)
    ends = []
    for own_level in (False, True):
        plan = _planned(own_level=own_level)
        ends.append(
            _carried_out(plan, lambda place, seed: levels[place] + noise[place][seed])[0].decision
        )
    shared, own = ends
    assert (shared.winner, own.winner) == (0, 1)
    assert shared.comparisons[1].critical_p < own.comparisons[1].p < OWN * LEVEL
    assert own.comparisons[1].critical_p == OWN * LEVEL
    assert own.comparisons[1].low > 0
    assert own.comparisons[2].critical_p < OWN * LEVEL  # the leaders share the other one


def test_with_one_rival_there_is_one_level_and_it_is_whole():
    plan = _planned(own_level=True)
    both = replace(plan.settings, configurations=POINTS[:2])
    assert not confirm.race_of(replace(plan, settings=both)).own_level
    assert confirm.race_of(plan).own_level


# Plain noise, and what takes each its own way through the rules: unequal and heavy noise, skew, pairs and what opposes
# them, a grid of scores, collapses, two modes, seeds in a row. `decisions_confirmed.py` of the benchmarks takes all laws.
WAYS = (
    "normal", "baseline x5", "half x5", "heavy, t2", "log-normal, 1", "paired, 0.95", "half opposed", "80 rows", "counts",
    "collapse 0.1", "collapse 0.2", "two modes", "in a row, 0.5",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("law", "most"), list(zip(WAYS, cycle([5, 10]), strict=False)))
def test_an_own_level_finds_the_incumbent_more_often_and_leaders_as_before(law, most):
    noise_floor = NOISE_FLOORS.get(law, 0.0)

    def shares(*truth):
        noise = (LAWS | OTHER_LAWS)[law](np.random.default_rng(5), (400, len(truth), most))
        scores = noise + np.array(truth)[:, None]
        for own_level in (False, True):
            winners = confirmed(scores, own_level=own_level, noise_floor=noise_floor).winners
            yield float(np.mean(winners > 0)), float(np.mean(np.array(truth)[winners]))

    (former, _), (false, _) = shares(0, 0, 0, 0, 0)
    assert false <= 2 * OWN * former + 0.02  # two levels in place of one; the same draws for both
    (_, former_gain), (_, gain) = shares(0, 2, 0, 0, 0)
    assert gain >= former_gain
    (_, former_gain), (_, gain) = shares(0, 0, 2.5, 0, 0)
    assert gain >= former_gain - 0.125  # a twentieth of the gain


# Scores end at 1. There good configurations have hardly any noise: beside them, what is bad or ends in two ways has not
# broken, and a seed below 1 that is better than the whole baseline has not either.
AT_THE_END = {
    "normal": lambda dice, shape: dice.normal(0.82, 0.03, shape),
    "heavy, t2": lambda dice, shape: 0.82 + 0.02 * dice.standard_t(2, shape),
    "two ways": lambda dice, shape: np.where(
        dice.random(shape) < 0.6, dice.normal(0.82, 0.03, shape), dice.normal(0.99, 0.003, shape)
    ),
    "log-normal": lambda dice, shape: 1 - 0.17 * np.exp(0.4 * dice.normal(size=shape)),
}


@pytest.mark.slow
@pytest.mark.parametrize("law", AT_THE_END)
def test_beside_the_best_score_of_all_the_baseline_stays_by_chance_and_a_plain_gain_is_found(law):
    def adopted(*rivals):
        dice = np.random.default_rng(3)
        scores = AT_THE_END[law](dice, (500, 5, 5))
        for place, share in enumerate(rivals, start=1):
            scores[:, place] = np.where(dice.random((500, 5)) < share, 0.95, 1.0)
        at_rows = np.round(np.clip(scores, 0, 1) * 252) / 252
        winners = confirmed(at_rows, own_level=True, noise_floor=0.5 / 252).winners
        return float(np.mean(winners > 0))

    assert adopted() <= 0.08
    assert adopted(0, 0, 0, 0) >= 0.88  # two ways: it was 0.66
    if law != "two ways":
        assert adopted(0.2, 0.2, 0.2, 0.2) >= 0.98  # log-normal: it was 0.93


@pytest.mark.parametrize(
    ("stage", "evidence", "has_one"),
    [
        ("sweep", {"untested": False}, True),
        ("regularisers_off", {"untested": False}, True),
        ("sweep", {"untested": True}, False),  # one seed per value
        ("longer", {"untested": False}, False),  # taken unless it is worse
    ],
)
def test_only_what_a_test_on_other_seeds_has_adopted_gets_a_level_of_its_own(
    stage, evidence, has_one
):
    plan, request = tune_plan(), Request(entry=5, stage=stage, because="")
    step = Step(
        number=1, request=request, decision="adopt", says="", held=POINTS[1], evidence=evidence
    )
    confirmation = Request(entry=8, stage="confirm", because="", configurations=POINTS)
    fixed = stage_plan(plan, begun(plan, step), confirmation, name="confirmed").settings
    assert fixed.own_level == has_one
    leaders = replace(confirmation, configurations=(POINTS[0], *POINTS[2:]))
    assert not stage_plan(plan, begun(plan, step), leaders, name="confirmed").settings.own_level
    former = tune_plan("protocol.own_level=false")
    assert not stage_plan(
        former, begun(former, step), confirmation, name="confirmed"
    ).settings.own_level
