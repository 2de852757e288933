"""The sweep's decision: calibrated where nothing differs, powerful where something does, robust against a collapsed seed."""

import math

import numpy as np
import pytest
from scipy import stats

from search.stages.decision import Group, decide, dunnett

DRAWS = 1000


def _groups(scores):
    return [Group(value=index, scores=tuple(row)) for index, row in enumerate(scores)]


def test_thirteen_identical_values_leave_the_baseline_in_at_least_92_percent_of_draws():
    dice = np.random.default_rng(1)
    kept = [
        decide(_groups(dice.normal(0.95, 0.01, (13, 3))), resolution=0.001).winner == 0
        for _ in range(DRAWS)
    ]
    assert np.mean(kept) >= 0.92


def test_a_baseline_five_deviations_worse_loses_in_at_least_98_percent_of_draws():
    dice = np.random.default_rng(2)
    lost = []
    for _ in range(DRAWS):
        scores = dice.normal(0.95, 0.01, (13, 3))
        scores[0] -= 0.05
        lost.append(decide(_groups(scores), resolution=0.001).winner != 0)
    assert np.mean(lost) >= 0.98


@pytest.mark.parametrize("collapsed", [1, 2])
def test_a_value_with_a_collapsed_seed_neither_wins_nor_ties(collapsed):
    dice = np.random.default_rng(3)
    for _ in range(300):
        scores = dice.normal(0.974, 0.002, (13, 3))
        scores[5 : 5 + collapsed] = (0.976, 0.976, 0.948)
        decision = decide(_groups(scores), resolution=0.002)
        assert set(decision.standings[5 : 5 + collapsed]) == {"unstable"}
        assert decision.winner not in range(5, 5 + collapsed)


def test_a_seed_that_still_does_better_than_a_good_other_value_has_not_collapsed():
    others = [
        (0.100, 0.101, 0.100),
        (0.110, 0.111, 0.110),
        (0.105, 0.106, 0.105),
        (0.112, 0.113, 0.112),
        (0.15, 0.151, 0.15),
    ]
    decision = decide(_groups([*others, (0.201, 0.129, 0.195)]), resolution=0.001)
    assert "unstable" not in decision.standings
    assert decision.best == 5


def test_plain_noise_is_hardly_ever_taken_for_a_collapse():
    dice = np.random.default_rng(4)
    flagged = [
        "unstable" in decide(_groups(dice.normal(0, 1, (13, 3))), resolution=0).standings
        for _ in range(DRAWS)
    ]
    assert np.mean(flagged) <= 0.01


def test_a_value_with_an_infeasible_seed_ranks_below_all_whole_ones():
    decision = decide(
        _groups([(0.90, 0.91, 0.90), (0.99, None, 0.99), (0.89, 0.90, 0.90)]), resolution=0.001
    )
    assert decision.standings == ("tie", "unusable", "tie")
    assert decision.winner == 0


def test_where_no_value_is_whole_the_best_of_what_there_is_wins_and_where_there_is_nothing_nobody():
    assert decide(_groups([(None, 0.5, None), (None, 0.7, 0.6)]), resolution=0).winner == 1
    nothing = decide(_groups([(None, None), (None, None)]), resolution=0)
    assert nothing.winner is None
    assert nothing.standings == ("unusable", "unusable")


def test_equal_scores_are_a_tie_and_one_seed_tells_no_interval():
    equal = decide(_groups([(0.5, 0.5, 0.5)] * 4), resolution=0.002)
    assert equal.tie
    assert not equal.adopted
    single = decide(_groups([(0.5,), (0.6,)]), resolution=0.002)
    assert single.winner == 1
    assert math.isnan(single.interval(1))


@pytest.mark.parametrize(
    ("comparisons", "freedom", "critical"),
    [(1, 10, 1.81), (2, 20, 2.03), (9, 20, 2.60), (3, 60, 2.10)],
)
def test_critical_values_are_those_of_dunnetts_table(comparisons, freedom, critical):
    """Dunnett (1955), table 1a, one-sided 95 %."""
    assert dunnett(comparisons, freedom) == pytest.approx(critical, abs=0.006)


def test_the_interval_is_students():
    decision = decide(_groups([(0.1, 0.2, 0.3), (0.1, 0.2, 0.3)]), resolution=0)
    assert decision.interval(3) == pytest.approx(
        stats.t.ppf(0.975, decision.freedom) * 0.1 / math.sqrt(3)
    )
