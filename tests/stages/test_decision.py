"""The decision: calibrated under many kinds of noise, powerful where something differs, silent where seeds cannot tell."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats
from simulated_sweeps import LAWS, decided, simulate

from search.contract.metrics import Metric
from search.stages.breaking import breaking
from search.stages.comparison import compare
from search.stages.critical_p import critical_p
from search.stages.decision import best_group, decide
from search.stages.further_seeds import seeds_needed
from search.stages.group import Group, mark_collapsed, scores_of
from search.stages.noise import advantage, statistics_of
from search.stages.racing import LOOK, Race, interval_widths
from search.stages.scores import broken_seeds, step_of

SWEEPS = 600
RACE, NO_RACE, TEN = Race(first=3, most=10), Race(first=3, most=3), Race(first=10, most=10)


def _groups(scores):
    return [Group(candidate=index, scores=tuple(row)) for index, row in enumerate(scores)]


# Calibration. Three standard errors of a share of 0.95 in 600 sweeps are 0.027.


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_where_no_value_differs_the_baseline_stays_and_every_interval_covers_its_mean(law):
    for values, race in ((2, RACE), (8, RACE), (2, NO_RACE), (13, NO_RACE), (2, TEN)):
        flat = simulate(law, sweeps=SWEEPS, values=values, race=race)
        assert np.mean(flat.winners == 0) >= 0.94 - 0.027
        if values < 13:  # the least of thirteen shares lies lower by chance
            assert flat.covered(np.zeros(values)).min() >= 0.93 - 0.03


@pytest.mark.slow
@pytest.mark.parametrize("law", [law for law in LAWS if law != "collapse 0.2"])
def test_equal_values_are_rarely_called_worse(law):
    for values, race in ((3, RACE), (8, Race(first=3, most=3))):
        flat = simulate(law, sweeps=400, values=values, race=race)
        assert flat.calls_an_equal_value_worse() <= 0.05 + 0.033


@pytest.mark.parametrize("law", ["half opposed", "baseline opposed", "two modes"])
def test_the_baseline_stays_where_seeds_move_values_apart_or_have_two_modes(law):
    flat = simulate(law, sweeps=400, values=8, race=RACE)
    assert np.mean(flat.winners == 0) >= 0.94 - 0.036


@pytest.mark.slow
def test_a_gain_of_three_deviations_among_eight_is_found_for_less_than_a_third_more_trainings():
    for law in ("normal", "paired", "heavy, t3"):
        truth = 3.0 * np.eye(8)[5]
        planted = simulate(law, sweeps=SWEEPS, values=8, race=RACE, truth=truth)
        assert np.mean(planted.winners == 5) >= 0.95
        assert planted.trainings.mean() <= 1.3


def test_a_real_gain_beside_a_value_five_times_as_noisy_is_found():
    planted = simulate("one x5", sweeps=SWEEPS, values=13, race=RACE, truth=5.0 * np.eye(13)[7])
    assert np.mean(planted.winners == 7) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_the_interval_of_a_winner_covers_its_mean(law):
    for values, race in ((8, RACE), (2, NO_RACE), (2, TEN)):
        truth = np.where(np.arange(values) > 0, 5.0, 0.0)
        better = simulate(law, sweeps=SWEEPS, values=values, race=race, truth=truth)
        assert better.winner_covered(truth) >= 0.93 - 0.03


def test_the_simulation_decides_as_the_program_does():
    race, truth = Race(first=3, most=3), np.array([0.0, 2.0, 0.0, 4.0])
    told = simulate("a decade", sweeps=40, values=4, race=race, truth=truth, seed=5)
    noise = LAWS["a decade"](np.random.default_rng(5), (40, 4, 3)) + truth[:, None]
    ours = [decide(_groups(scores), resolution=0.0) for scores in noise]
    assert [one.winner for one in ours] == told.winners.tolist()
    assert np.allclose([one.half_widths for one in ours], told.half_widths, equal_nan=True)


# The numbers behind it


def test_two_values_are_compared_by_welchs_test():
    scores = np.array([[0.1, 0.9, 0.4, 0.2], [1.1, 1.6, 0.8, 1.9]])
    edge = advantage(statistics_of(scores), reference=0, level=0.05)
    scipys = stats.ttest_ind(scores[1], scores[0], equal_var=False, alternative="greater")
    assert edge.p[1] == pytest.approx(scipys.pvalue)
    assert edge.critical[1] == pytest.approx(0.05, abs=1e-4)


def test_the_interval_of_a_difference_is_welchs_of_the_confidence_that_is_told():
    pair = np.array([[0.1, 0.9, 0.4, 0.2], [1.1, 1.6, 0.8, 1.9]])
    welch = stats.ttest_ind(pair[1], pair[0], equal_var=False)
    decided = {race: decide(_groups(pair), resolution=0.0, race=race) for race in (RACE, NO_RACE)}
    assert [one.confidence for one in decided.values()] == [0.95, 0.9]
    for race, share in ((RACE, 1 - 2 * LOOK), (NO_RACE, 0.9)):
        low, high = welch.confidence_interval(share)
        compared = decided[race].comparisons[1]
        assert (compared.low, compared.high) == (pytest.approx(low), pytest.approx(high))
    low, high = welch.confidence_interval(0.95)
    compared = compare(*pair)
    assert (compared.low, compared.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("law", ["normal", "one x5", "baseline x5", "skewed", "80 rows"])
@pytest.mark.parametrize("race", [RACE, NO_RACE])
def test_the_intervals_of_differences_hold_as_often_as_they_say(law, race):
    flat = simulate(law, sweeps=SWEEPS, values=2, race=race)
    edge = advantage(flat.statistics, reference=0, level=race.level)
    widths = special.stdtrit(edge.freedom[:, 1], 1 - edge.critical[:, 1]) * edge.errors[:, 1]
    assert np.mean(np.abs(edge.differences[:, 1]) <= widths) >= race.confidence - 0.037


def test_two_values_of_three_seeds_are_no_pairs_by_chance():
    scores = np.array([[0.1, 0.5, 0.9], [0.21, 0.6, 1.0]])
    assert statistics_of(scores).correlation == 0
    assert statistics_of(np.vstack([scores, scores + 0.1, scores - 0.1])).correlation > 0.5


def test_many_equal_values_have_dunnetts_critical_value():
    scores = np.random.default_rng(0).normal(size=(10, 4000))
    edge = advantage(statistics_of(scores), reference=0, level=0.05)
    assert stats.norm.ppf(1 - edge.critical[1]) == pytest.approx(2.42, abs=0.02)  # Dunnett's table


def test_seeds_that_move_all_values_alike_are_used_as_pairs():
    scores = np.random.default_rng(1).normal(size=(6, 8)) * 0.1 + np.arange(8)
    edge = advantage(statistics_of(scores + np.arange(6)[:, None]), reference=0, level=0.05)
    apart = np.sqrt(2 * scores[0].var(ddof=1) / 8)
    assert edge.errors[1] < 0.2 * apart
    assert edge.p[1] < 1e-4


def test_two_values_that_seeds_move_against_each_other_have_the_error_of_their_pairs():
    scores = np.array([[0.1, 0.9, 0.4, 0.2, 0.5], [1.9, 1.0, 1.3, 1.6, 1.4]])
    edge = advantage(statistics_of(scores), reference=0, level=0.05)
    assert edge.errors[1] == pytest.approx(stats.sem(scores[1] - scores[0]))
    few = advantage(statistics_of(scores[:, :3]), reference=0, level=0.05)
    assert few.errors[1] == pytest.approx(math.sqrt((stats.sem(scores[:, :3], axis=1) ** 2).sum()))


def test_an_interval_is_never_narrower_than_students_by_the_values_own_noise():
    scores = np.array([[0.1, 0.2, 0.3], [0.1, 0.9, 0.2], [0.2, 0.2, 0.21]])
    statistics, race = statistics_of(scores), Race(first=3, most=3)
    students = stats.t.ppf(0.975, 2) * scores.std(axis=1, ddof=1) / math.sqrt(3)
    widths = interval_widths(statistics, winners=np.array(0), race=race)
    assert np.all(widths >= students - 1e-12)
    assert interval_widths(statistics, winners=np.array(2), race=race)[2] > widths[2]


def test_a_mean_that_was_looked_at_again_has_the_interval_of_a_single_look():
    scores = np.random.default_rng(9).normal(size=(2, 5))
    scores[1, 3:] = np.nan
    statistics = statistics_of(scores)
    once = interval_widths(statistics, winners=np.array(0), race=Race(first=5, most=5))
    raced = interval_widths(statistics, winners=np.array(0), race=Race(first=3, most=10))
    assert raced[0] / once[0] == pytest.approx(
        stats.t.ppf(1 - 0.0125 / 2, 4) / stats.t.ppf(0.975, 4)
    )
    assert raced[1] == once[1]


def test_fishers_test_of_broken_seeds_is_scipys():
    scores = np.where(np.arange(10) < np.array([[1], [6]]), -np.inf, 1.0)
    more, less = breaking(statistics_of(scores), reference=0)
    table = [[6, 4], [1, 9]]
    assert more[1] == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)
    assert less[1] == pytest.approx(stats.fisher_exact(table, alternative="less").pvalue)


@pytest.mark.parametrize(
    ("scores", "share", "step"),
    [
        (np.array([70, 71, 75, 79]) / 80, 0.0, 1 / 80),
        (np.array([70, 72, 76, 78]) / 80, 1 / 80, 1 / 80),
        (np.array([70, 72, 76, 78]) / 80, 1 / 252, 2 / 80),  # other rows than the contract's
        (np.array([87.5, 88.75, 95.0]), 1 / 80, 1.25),  # in percent
        (np.array([0.51, 0.52, 0.57, 0.6, 0.63]), 0.0, 0.01),  # rounded by a trainer
        (np.random.default_rng(0).normal(size=39), 1 / 252, 0.0),
        (np.array([0.7, 0.7, 0.7]), 0.0, 0.0),
        (np.array([1.1e-12, 1.3e-12, 1.7e-12, 2.9e-12, 7e-12]), 1 / 100, 0.0),  # small losses
    ],
)
def test_the_step_of_scores_is_their_own_grid(scores, share, step):
    assert step_of(scores, share=share) == pytest.approx(step, abs=1e-9)


@pytest.mark.parametrize("size", [1e-60, 1e-12, 1e3, 1e120, 1e149])
def test_the_units_of_the_metric_change_no_decision(size):
    scores = np.random.default_rng(3).normal(0, 0.001, (6, 4))
    scores[4] += 0.01
    plain = decide(_groups(scores), resolution=0.0, race=RACE)
    scaled = decide(_groups(scores * size), resolution=0.0, race=RACE)
    assert (scaled.winner, scaled.standings) == (plain.winner, plain.standings)
    assert plain.adopted
    assert np.array(scaled.half_widths) / size == pytest.approx(plain.half_widths)
    assert scaled.comparisons[4].low / size == pytest.approx(plain.comparisons[4].low)
    assert scaled.comparisons[4].p == pytest.approx(plain.comparisons[4].p)


def test_of_values_with_one_mean_the_order_and_the_rounding_change_no_decision():
    scores = np.array([[0.8, 0.78, 0.79], [0.9, 0.88, 0.92], [0.3, 0.6, 0.9], [0.61, 0.6, 0.59]])
    two = np.array([[0.5, 0.5, 0.5], [0.1, 0.2, 0.3]])
    scores = np.concatenate([scores, [[0.7, 0.1, 1.0]], two])  # three means of 0.6: sums that round
    turned = [0, 1, 4, 3, 2, 5, 6]
    (one, other) = (
        advantage(statistics_of(each), reference=0, level=0.05) for each in (scores, scores[turned])
    )
    assert one.p[turned] == pytest.approx(other.p, rel=1e-9)
    assert one.critical[1] == pytest.approx(other.critical[1], rel=1e-9)


def test_a_loss_beyond_all_numbers_has_diverged():
    groups = _groups([[-1.0, -1.1, -0.9], [-1e200, -1e300, -3e250], [-2.0, -1e160, -2.1]])
    decision = decide(groups, resolution=0.0)
    assert (decision.winner, decision.standings[1]) == (0, "unusable")
    assert decision.comparisons[2].broken == 1
    assert [group.mean for group in groups[1:]] == [-math.inf, pytest.approx(-2.05)]


def test_the_name_of_the_metric_says_nothing_small_real_gains_are_adopted():
    dice = np.random.default_rng(2)
    scores = dice.normal(0.9, 0.0005, (8, 5))
    scores[3] += 0.0025
    assert decide(_groups(scores), resolution=1 / 500).winner == 3


# Seeds that break


def test_one_collapsed_seed_of_the_baseline_is_no_gain_of_the_others():
    dice = np.random.default_rng(3)
    scores = np.vstack([(0.5, 0.914, 0.890), dice.normal(0.9, 0.01, (8, 3))])
    groups = _groups(scores)
    decision = decide(groups, resolution=0.0)
    assert decision.winner == 0
    assert decision.standings[0] == "unstable"
    assert mark_collapsed(groups, resolution=0.0)[0].clean == (0.914, 0.890)
    assert (decision.comparisons[0].broken, decision.comparisons[0].trained) == (1, 3)


@pytest.mark.parametrize("collapsed", [1, 2])
def test_a_value_with_a_collapsed_seed_neither_wins_nor_ties(collapsed):
    dice = np.random.default_rng(3)
    for _ in range(30):
        scores = dice.normal(0.974, 0.002, (13, 3))
        scores[5 : 5 + collapsed] = (0.976, 0.976, 0.9)
        decision = decide(_groups(scores), resolution=0.0)
        assert set(decision.standings[5 : 5 + collapsed]) == {"unstable"}
        assert decision.winner not in range(5, 5 + collapsed)


def test_two_collapsed_seeds_of_three_are_two_also_beside_one_other_value():
    pair = np.array([(0.5, 0.51, 0.9), (0.9, 0.91, 0.905)])
    assert broken_seeds(pair).sum(1).tolist() == broken_seeds(pair[::-1]).sum(1)[::-1].tolist()
    assert broken_seeds(pair).sum(1).tolist() == [2, 0]
    scores = np.array([(0.5, 0.51, 0.9), (0.9, 0.91, 0.905), (0.9, 0.89, 0.905)])
    assert broken_seeds(scores).sum(1).tolist() == [2, 0, 0]


def test_a_seed_that_still_does_better_than_a_good_other_value_has_not_collapsed():
    others = [
        (0.100, 0.101, 0.100),
        (0.110, 0.111, 0.110),
        (0.105, 0.106, 0.105),
        (0.112, 0.113, 0.112),
        (0.15, 0.151, 0.15),
    ]
    decision = decide(_groups([*others, (0.201, 0.129, 0.195)]), resolution=0.0)
    assert "unstable" not in decision.standings
    assert decision.best == 5


def test_a_baseline_of_which_no_seed_reaches_what_is_good_is_bad_and_not_broken():
    """Two seeds of the baseline learned nothing, one a little; three rates have solved the task."""
    groups = [
        Group(candidate=0, scores=(0.4048, 0.4048, 0.5317)),
        *(Group(candidate=place, scores=(1.0, 1.0, 1.0)) for place in range(1, 4)),
        Group(candidate=4, scores=(0.5714,)),
    ]
    scores = np.array([[0.4048, 0.4048, 0.5317], *[[1.0] * 3] * 3])
    assert not broken_seeds(scores, noise_floor=0.004).any()
    decision = decide(groups, resolution=1 / 126)
    assert (decision.winner, decision.adopted) == (2, True)  # the middle of those that are perfect
    dice = np.random.default_rng(11)
    scores = dice.normal(size=(300, 8, 3))
    scores[:, 0] = np.where(dice.random((300, 3)) < 0.6, -60.0, -40.0)
    assert np.mean(decided(scores, race=Race(first=3, most=3)).winners > 0) >= 0.98  # it was 0.65


@pytest.mark.parametrize(
    ("baseline", "rival", "broken"),
    [
        ((0.78, 0.855, 0.86), (1.0, 1.0, 1.0), [0, 0]),
        ((0.78, 0.8, 0.86, 0.99, 0.992), (1.0,) * 5, [0, 0]),  # two ways to end, or wide noise
        ((0.84, 0.8, 0.82, 0.83, 0.81), (1.0, 1.0, 0.95, 1.0, 1.0), [0, 0]),
        ((0.97, 0.1, 0.972, 0.98, 0.975), (1.0,) * 5, [1, 0]),
        ((0.1, 0.12, 0.972, 0.98, 0.975), (1.0,) * 5, [2, 0]),
        ((0.1, 0.12, 0.11, 0.98, 0.975), (1.0,) * 5, [3, 0]),
        ((0.97, 0.968, 0.972, 0.98, 0.975), (1.0, 1.0, 0.1, 1.0, 1.0), [0, 1]),
        ((None,) * 5, (1.0, 1.0, 0.1, 1.0, 1.0), [5, 1]),
    ],
)
def test_no_seed_has_broken_beside_rivals_without_noise_only(baseline, rival, broken):
    others = [(1.0,) * len(rival)] * 2
    of = statistics_of(scores_of(_groups([baseline, rival, *others])), noise_floor=0.002)
    assert of.broken.tolist() == [*broken, 0, 0]


@pytest.mark.parametrize(
    ("values", "winner"),
    [
        ((0.1, 0.001, 0.01, 1.0), 0.01),  # the lowest would be an edge
        ((0.1, 0.01, 1.0), 0.01),  # of two the lower one
        (("sgd", "adam", "nadam"), "adam"),  # names have no middle
        ((0, True, False), True),
    ],
)
def test_of_numbers_that_tie_at_a_perfect_score_the_middle_one_is_taken(values, winner):
    groups = [
        Group(candidate=value, scores=(1.0,) * 3 if place else (0.5, 0.6, 0.55), perfect=(1.0,))
        for place, value in enumerate(values)
    ]
    decision = decide(groups, resolution=0.01)
    assert decision.adopted
    assert groups[decision.winner].candidate is winner
    assert decision.best == decision.winner
    assert groups[best_group(groups, resolution=0.01)].candidate is winner


def test_a_baseline_that_ties_with_perfect_values_stays():
    groups = [
        Group(candidate=value, scores=(1.0,) * 3, perfect=(1.0,)) for value in (0.1, 0.01, 1.0)
    ]
    decision = decide(groups, resolution=0.01)
    assert (decision.winner, decision.best, decision.adopted) == (0, 0, False)


@pytest.mark.parametrize("values", [3, 13])
def test_plain_noise_is_hardly_ever_taken_for_a_collapse(values):
    scores = np.random.default_rng(4).normal(0, 1, (1000, values, 3))
    assert np.mean(broken_seeds(scores).any((1, 2))) <= 0.015


def test_a_value_that_breaks_in_one_seed_of_three_is_not_adopted_and_its_share_is_compared():
    scores = [(0.90, 0.91, 0.90), (0.99, None, 0.99), (0.89, 0.90, 0.90)]
    decision = decide(_groups(scores), resolution=0.0)
    assert decision.standings == ("tie", "unstable", "tie")
    assert decision.winner == 0
    assert decision.comparisons[1].p_breaks == pytest.approx(0.5)


def test_more_seeds_are_asked_of_a_baseline_that_broke_until_its_share_is_told():
    dice = np.random.default_rng(5)
    scores = dice.normal(0.9, 0.001, (4, 10))
    scores[0, [0, 2, 4, 6]] = 0.1
    scores[2] += 0.0001
    seeds = seeds_needed(scores, RACE)
    assert seeds[0] == max(seeds) > 3
    broken = decide(
        _groups([row[:needed] for row, needed in zip(scores, seeds, strict=True)]), resolution=0.0
    )
    assert broken.winner == 0


def test_a_baseline_that_explodes_hides_no_gain_that_each_of_five_seeds_shows():
    """A rate 30 times too high: its losses differ by decades, so no mean lies beyond its noise."""
    lost, good = [-7.7, -185.6, -11.2, -2e4, -2.4e5], [3.11, 3.11, 2.78, 3.05, 3.13]
    decision = decide(_groups([lost, good]), resolution=0.0)
    assert decision.comparisons[1].p > 0.1
    assert decision.winner == 1
    assert decide(_groups([lost, good[:4]]), resolution=0.0).winner == 0
    assert decide(_groups([[*lost[:4], 2.0], good]), resolution=0.0).winner == 0  # not far below
    assert decide(_groups([lost, [*good[:4], -1e3]]), resolution=0.0).winner == 0
    race = Race(first=3, most=6)
    assert seeds_needed(np.array([lost[:3], good[:3]]), race).tolist() == [4, 4]

    def adopted(explodes, gain):
        dice = np.random.default_rng(2)
        scores = dice.normal(size=(SWEEPS, 4, 6)) + gain * (np.arange(4) > 0)[:, None]
        scores[:, 0] = explodes(dice, scores[:, 0])
        return np.mean(decided(scores, race=race).winners > 0)

    assert adopted(lambda dice, noise: 1000 * noise, 0.0) <= 0.05  # equal means, whatever the noise
    assert adopted(lambda dice, noise: -np.exp(6 + noise), 3.0) >= 0.95  # it was 0.5


# What is not tested, and what cannot be told


@pytest.mark.parametrize(("values", "first", "most"), [(8, 3, 10), (5, 5, 5), (5, 5, 10)])
@pytest.mark.parametrize("chance", [0.3, 0.5, 0.7])
def test_a_baseline_that_breaks_in_most_seeds_goes_for_that_alone_and_not_by_chance(
    values, first, most, chance
):
    def adopted(*chances, ahead=0.0):
        dice = np.random.default_rng(3)
        scores = dice.normal(size=(500, values, most)) + ahead * (np.arange(values) > 0)[:, None]
        breaks = dice.random(scores.shape) < np.resize(chances, values)[:, None]
        scores = np.where(breaks, -np.inf, scores)
        winners = decided(scores, race=Race(first=first, most=most)).winners
        return float(np.mean(winners > 0))

    assert adopted(chance) <= 0.05  # all break as often
    if chance == 0.7:  # the others never do, and where they train all are as good
        assert adopted(chance, *[0.0] * (values - 1)) >= (0.6 if most > first else 0.3)


def test_a_value_far_above_the_one_seed_that_is_left_of_a_breaking_baseline_is_adopted():
    lost, good = (None, None, 0.53), (0.95, 0.96, 0.95)
    decision = decide(_groups([lost, good, good]), resolution=0.0)
    assert decision.winner == 1
    near = decide(_groups([(None, None, 0.94), good, good]), resolution=0.0)
    assert near.winner == 0


def test_where_nothing_of_the_baseline_is_usable_the_best_wins_and_where_nothing_is_nobody():
    decision = decide(_groups([(None, None, None), (None, 0.7, 0.6)]), resolution=0)
    assert (decision.winner, decision.adopted) == (1, True)
    nothing = decide(_groups([(None, None), (None, None)]), resolution=0)
    assert nothing.winner is None
    assert nothing.standings == ("unusable", "unusable")


def test_equal_scores_are_a_tie_and_the_baseline_stays():
    equal = decide(_groups([(0.5, 0.5, 0.5)] * 4), resolution=0.002)
    assert equal.identical
    assert not equal.adopted
    assert equal.standings == ("tie",) * 4


def test_one_seed_per_value_and_seeds_that_change_nothing_take_the_best_untested():
    single = decide(_groups([(0.5,), (0.6,)]), resolution=0.002)
    assert single.untested
    assert single.winner == 1
    same = decide(_groups([(0.5,) * 3, (0.52,) * 3, (0.6,) * 3]), resolution=0.002)
    assert same.identical
    assert same.winner == 2


@pytest.mark.parametrize(
    ("name", "direction", "value"),
    [("accuracy", "maximize", 1.0), ("accuracy", "maximize", 100.0), ("edit_distance", "minimize", 0.0)],
)  # fmt: skip
def test_equal_scores_show_that_seeds_change_nothing_only_if_something_is_better(
    name, direction, value
):
    metric = Metric(name=name, direction=direction)
    assert Metric(name="mine", direction="maximize", target="my.metric").perfect == ()

    def groups(values):
        return [
            Group(candidate=place, scores=(metric.sign * value,) * 3, perfect=metric.perfect)
            for place, value in enumerate(values)
        ]

    perfect = decide(groups([value] * 4), resolution=0.002)
    assert not perfect.identical
    assert not perfect.untested
    assert (perfect.winner, perfect.standings) == (0, ("tie",) * 4)
    assert decide(groups([0.5] * 4), resolution=0.002).identical
    assert decide(groups([value, 0.5, 0.5, 0.5]), resolution=0.002).identical
    assert not decide(groups([value, value, 0.5]), resolution=0.002).identical
    assert math.copysign(1, metric.value_of(-0.0)) == math.copysign(1, metric.value_of(0.0)) == 1


def test_what_three_seeds_cannot_tell_is_undecided():
    scores = [(0.90, 0.85, 0.86), *[(0.90, 0.91, 0.905)] * 5]
    decision = decide(_groups(scores), resolution=0.0)
    assert decision.winner == 0
    assert decision.undecided == (1, 2, 3, 4, 5)
    pair = compare(scores[0], scores[1])
    assert pair.outcome == "undecided"
    assert pair.low < 0 < pair.high


def test_two_lists_of_scores_are_compared_as_a_sweep_of_two_values():
    dice = np.random.default_rng(6)
    baseline, better = dice.normal(0, 1, 8), dice.normal(4, 1, 8)
    assert compare(baseline, better).outcome == "better"
    assert compare(better, baseline).outcome == "worse"
    assert compare([0.5], [0.9]).outcome == "undecided"


@pytest.mark.slow
def test_the_winners_of_two_searches_are_compared_as_the_best_of_so_many_values():
    scores = np.random.default_rng(10).normal(size=(300, 15, 3))
    best = [[max(side, key=np.mean) for side in (one[:2], one[2:])] for one in scores]
    alone = [compare(*pair) for pair in best]
    compared = [compare(*pair, among=(2, 13)) for pair in best]
    assert np.mean([one.outcome == "better" for one in alone]) > 0.04  # the best of 13 was lucky
    assert np.mean([one.outcome == "undecided" for one in compared]) >= 0.97
    assert compared[0].low < alone[0].low
    turned = compare(*best[0][::-1], among=(13, 2))
    assert (turned.low, turned.high) == pytest.approx((-compared[0].high, -compared[0].low))


# The race


def test_a_race_gives_the_baseline_and_its_rivals_the_same_seeds_and_waits_for_what_is_missing():
    dice = np.random.default_rng(7)
    scores = dice.normal(size=(8, 10))
    scores[4] += 2.0
    scores[0, :3], scores[4, :3] = (0.0, 1.0, 0.5), (1.4, 2.6, 1.7)
    assert seeds_needed(scores[:, :3], RACE).max() == 4
    begun = np.where(np.arange(10) < 3, scores, np.nan)
    first = seeds_needed(begun, RACE)
    assert first[0] == first[4] == 4
    begun[0, 3] = scores[0, 3]
    assert seeds_needed(begun, RACE).tolist() == first.tolist()
    final = seeds_needed(scores, RACE)
    assert final.max() == final[0] <= 10
    assert final.min() == 3


def test_of_equal_contenders_the_first_get_further_seeds_on_every_processor():
    scores = np.tile([0.5, 0.501, 0.5025], (18, 1))
    scores[1:] = np.roll(scores[1:], 1, axis=1)  # seeds that are no pairs
    scores[[5, 6, 7, 13, 14, 15]] += 0.0022
    seeds = seeds_needed(scores, RACE).tolist()
    assert seeds == [4, *[3] * 4, 4, 4, *[3] * 11]


def test_a_race_goes_on_where_a_seed_that_may_have_collapsed_hides_a_clear_lead():
    first = [[-1.2, 0.9, -39.5], [5.0, -34.2, 3.4]]  # too few seeds to tell a collapse from noise
    assert not broken_seeds(np.array(first)).any()
    assert seeds_needed(np.array(first), RACE).tolist() == [4, 4]
    assert seeds_needed(np.array([[-1.2, 0.9, -0.5], [0.1, -34.2, 0.3]]), RACE).tolist() == [3, 3]
    # In whole steps, two equal seeds of three are no reason to leave out the others.
    steps = np.array([[3.0, 3.0, 5.0], [7.0, 0.0, 7.0], [4.0, 2.0, 5.0]])
    assert seeds_needed(steps, RACE, noise_floor=0.5).tolist() == [4, 4, 3]


def test_a_gain_beside_breaking_seeds_is_found_as_if_it_were_known_which_broke():
    truth = np.array([0.0, 5.0])
    planted = simulate("collapse 0.2", sweeps=SWEEPS, values=2, race=RACE, truth=truth, seed=7)
    assert np.mean(planted.winners == 1) >= 0.86 - 0.04
    flat = simulate("normal", sweeps=SWEEPS, values=8, race=RACE)
    assert flat.trainings.mean() <= 1.35


def test_seeds_that_change_nothing_are_no_more_than_three():
    race = Race(first=2, most=10)
    scores = np.repeat([[0.2], [0.5], [0.6], [0.60001]], 10, axis=1)
    assert seeds_needed(scores[:, :2], race).max() == 3  # two that agree may do so by chance
    assert seeds_needed(scores, race).max() == 3
    moved = scores + np.random.default_rng(3).normal(scale=0.05, size=scores.shape)
    assert seeds_needed(np.stack([scores, moved]), race).max(-1).tolist()[1] > 3


def test_a_difference_that_is_not_worth_it_starts_no_race():
    scores = np.random.default_rng(8).normal(size=(8, 10))
    race = Race(first=3, most=10, worth=50.0)
    assert seeds_needed(scores, race).tolist() == [3] * 8
    assert not Race(first=1, most=10).on


@pytest.mark.parametrize("load", [0.0, 0.7, 0.95, 0.98, 0.99, 0.995, 0.999])
@pytest.mark.parametrize("number", [2, 7, 16])
def test_the_level_of_one_comparison_among_many_is_that_of_the_integral_or_stricter(load, number):
    level, points = 0.0125, np.linspace(-9, 9, 20001)
    weights = np.exp(-(points**2) / 2) / np.exp(-(points**2) / 2).sum()
    root = np.sqrt(1 - load**2)

    def error(z):
        return 1 - special.ndtr((z + load * points) / root) ** number @ weights

    found = float(critical_p(np.full(number, load), level))
    exact = float(special.ndtr(-optimize.brentq(lambda z: error(z) - level, 0.5, 6)))
    assert found <= 1.01 * exact
    assert found >= (0.99 if load <= 0.995 else 0.75) * exact


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "seeds", "asked", "errs"),
    [(1.0, 5, 0.0275, 0.038), (1.0, 4, 0.0273, 0.038), (17.0, 5, 0.0447, 0.045)],
)
def test_the_asked_p_errs_less_than_its_level_also_by_unequal_seeds_and_a_noisy_baseline(
    own, seeds, asked, errs
):
    """The numbers of results/README.md, of 200 000 sweeps."""
    scores = np.random.default_rng(2).normal(size=(8000, 3, 5)) * [[own], [1.0], [1.0]]
    scores[:, 2, seeds:] = np.nan
    edge = advantage(statistics_of(scores), reference=0, level=0.05)
    assert np.median(edge.critical[:, 1]) == pytest.approx(asked, abs=2e-4)
    adopted = np.mean((edge.p <= edge.critical).any(1))
    assert adopted == pytest.approx(errs, abs=0.007)  # three standard errors
