"""A confirmation on trials whose values are drawn: who goes on, when it ends, and how often it errs."""

from dataclasses import replace

import numpy as np
import pytest
from simulated import begun, tune_plan

from search.config.tune_settings import RATE
from search.protocols.stage_plan import stage_plan
from search.protocols.step import Request
from search.stages import confirm
from search.stages.decision import decide
from search.stages.group import Group
from search.stages.racing import Race
from search.storage.trials import TrialRecord

POINTS = (  # the baseline, the incumbent of the sweeps, and leaders of a joint stage
    {},
    {RATE: 0.01},
    {RATE: 0.01, "model.dropout": 0.5},
    {"model.dropout": 0.1},
    {"model.dropout": 0.2},
)


LEVELS = (0.8, 0.9, 0.9, 0.7, 0.7)  # of these; one standard deviation between seeds is 0.004


def _planned(*, most=5):
    """The plan of a confirmation by the guide; `most`: fresh seeds that the budget pays."""
    plan = tune_plan()
    request = Request(entry=8, stage="confirm", because="", configurations=POINTS)
    staged = stage_plan(plan, begun(plan), request, name="confirmed")
    seeds = staged.settings.seeds[:most]
    return replace(staged, settings=replace(staged.settings, seeds=seeds))


def _former(plan):
    """The same of an earlier version, which looked once, at all seeds."""
    return replace(plan, settings=replace(plan.settings, early=0))


def _carried_out(plan, value_of, rows=()):
    """The outcome once nothing more is wanted, and its trials. `value_of`: of a configuration's
    place and its seed's.
    """
    rows, fixed = list(rows), plan.settings
    while specs := confirm.wanted(plan, rows):
        for spec in specs:
            value = value_of(fixed.configurations.index(spec.knobs), fixed.seeds.index(spec.seed))
            rows.append(TrialRecord(spec=spec, state="complete", value=value, best_epoch=1))
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


@pytest.mark.parametrize(("ahead", "seeds"), [(0.001, [5, 5, 3, 2, 2]), (-0.001, [3, 3, 3, 2, 2])])
def test_what_lies_behind_the_baseline_after_three_seeds_gets_no_more(ahead, seeds):
    levels = (0.8, 0.8 + ahead, 0.799, 0.7, 0.7)
    noise = ((0, 0.004, -0.004, 0, 0), (0.005, -0.005, 0, 0, 0), (-0.003, 0.003, 0, 0, 0))
    outcome, _ = _carried_out(
        _planned(), lambda place, seed: levels[place] + noise[min(place, 2)][seed]
    )
    assert [len(group.scores) for group in outcome.groups] == seeds
    assert outcome.decision.winner == 0


def test_where_nothing_differs_the_baseline_stays_and_a_planted_gain_is_found_as_with_all_seeds():
    plan = _planned()
    flat = [_carried_out(plan, _drawn(repeat, [0.8] * 5)) for repeat in range(150)]
    assert np.mean([outcome.decision.winner == 0 for outcome, _ in flat]) >= 0.95
    assert np.mean([len(rows) for _, rows in flat]) < 17.5  # of 19
    for deviations, fewest in ((2.5, 18.0), (5.0, 15.0)):
        levels = [0.8, 0.8, 0.8, 0.8 + 0.004 * deviations, 0.8]
        found, trials = [], []
        for each in (_former(plan), plan):
            ended = [_carried_out(each, _drawn(repeat, levels)) for repeat in range(60)]
            found.append(sum(outcome.decision.winner == 3 for outcome, _ in ended))
            trials.append(np.mean([len(rows) for _, rows in ended]))
        assert found[1] >= found[0] - 1
        assert trials[0] == 19
        assert trials[1] < fewest


def test_a_confirmation_that_an_earlier_version_ended_or_began_is_decided_by_all_its_seeds():
    plan = _planned()
    former, rows = _carried_out(_former(plan), _drawn(0))
    assert [len(group.scores) for group in former.groups] == [5, 5, 5, 2, 2]
    assert confirm.wanted(plan, rows) == []
    decision = str(former.decision)
    assert str(confirm.outcome(plan, rows, resolution=0.0).decision) == decision
    for begun_with in (14, 17):  # one or some of the seeds that the look would have saved
        outcome, again = _carried_out(plan, _drawn(0), rows[:begun_with])
        assert [row.spec for row in again] == [row.spec for row in rows]
        assert str(outcome.decision) == decision


@pytest.mark.parametrize(("lead", "stays"), [(0.0005, True), (0.01, False)])
def test_the_incumbent_stays_within_one_standard_error_of_the_best_that_turns_more_knobs(
    lead, stays
):
    levels, seeds = (0.8, 0.9, 0.9 + lead, 0.7, 0.7), (0.003, -0.006, 0.0, 0.006, -0.003)
    outcome, _ = _carried_out(_planned(), lambda place, seed: levels[place] + seeds[seed])
    assert outcome.decision.winner == (1 if stays else 2)
    assert outcome.decision.standings[3] == "dropped"
    assert len(outcome.groups[3].scores) == outcome.plan.settings.halved


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
