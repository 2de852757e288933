"""Which value wins, or that the seeds cannot tell (R28, P5). Pure: numbers in, a decision out.

The baseline stays unless a value is better beyond chance in the mean of the seeds that trained,
tested with each value's own noise and one error rate for all comparisons (`noise` gives the
sources). A seed that collapsed or gave no result is an outcome of its own: it is counted and
compared as a share, and makes no value better by itself. `racing` says where more seeds decide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.config.knobs import is_number
from search.stages.comparison import Comparison, comparisons
from search.stages.further_seeds import seeds_needed
from search.stages.group import Group, scores_of
from search.stages.noise import SeedStatistics, advantage, pooled_deviation, statistics_of
from search.stages.racing import LEVEL, STABLE, Race, interval_widths, is_better, worth_of
from search.stages.scores import ROUNDING, Bools, Counts, Floats, are_identical, least_deviation

Standing = Literal["best", "tie", "worse", "dropped", "unstable", "unusable"]
NO_RACE = Race(first=1, most=1)
ONE_ERROR = 0.16  # how often chance alone puts a mean one standard error ahead


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Which group wins. The tuples are in the order of the groups, the baseline first.

    `winner`, `best` (of means): None where no value is usable. `better`: groups that might be
    adopted rather than the baseline. `half_widths`: of each mean's own 95 % interval, wider for a
    winner that was chosen for its mean; NaN below two seeds.
    `untested`: one seed per value, or seeds that change nothing (`identical`): the best value was
    taken without a test. `spread`: standard deviation between seeds among the values near the
    best. `worth`: a gain above it would be worth further seeds. `confidence`: of the intervals of
    differences. `own_level`: whether value 1 was compared at a level of its own. `race`: its rules.
    `noise_floor`: the least standard deviation between seeds that is believed.
    """

    winner: int | None
    standings: tuple[Standing, ...]
    adopted: bool = False
    best: int | None = None
    better: tuple[int, ...] = ()
    untested: bool = False
    identical: bool = False
    half_widths: tuple[float, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    spread: float = math.nan
    worth: float = math.nan
    confidence: float = NO_RACE.confidence
    own_level: bool = False
    race: Race = NO_RACE
    noise_floor: float = 0.0

    @property
    def word(self) -> Literal["none", "adopt", "keep"]:
        """The decision as decisions.jsonl holds it."""
        if self.winner is None:
            return "none"
        return "adopt" if self.adopted else "keep"

    @property
    def tied(self) -> tuple[int, ...]:
        """Groups that do not differ from the best one beyond chance."""
        return tuple(index for index, each in enumerate(self.standings) if each == "tie")

    @property
    def tie(self) -> bool:
        """Whether several values may be the best."""
        return not self.untested and len(self.tied) > 1

    @property
    def undecided(self) -> tuple[int, ...]:
        """Groups that may be better than a baseline that stays, by more than is worth knowing."""
        if self.winner != 0 or self.untested:
            return ()
        return tuple(
            index
            for index, each in enumerate(self.comparisons)
            if index
            and self.standings[index] != "dropped"
            and (math.isnan(each.high) or each.high > self.worth)
        )

    @property
    def ahead(self) -> int | None:
        """Of the undecided groups the best that lies above the baseline by more than one standard
        error of their difference, and does not break more often; None without one.
        """
        share = self.comparisons[0].broken_share if self.undecided else 0.0
        ahead = [
            index
            for index in self.undecided
            if (each := self.comparisons[index]).difference > 0 and each.p < ONE_ERROR
            if each.broken_share <= share + STABLE
        ]
        return max(ahead, key=lambda index: self.comparisons[index].difference, default=None)


def decide(
    groups: Sequence[Group],
    *,
    resolution: float,
    costs: Sequence[float] | None = None,
    race: Race = NO_RACE,
) -> Decision:
    """Which group wins; the first is the baseline.

    Args:
        groups: the values, each with its seeds; the same seeds in the same order.
        resolution: share that one predicted row is of all; it counts where the scores are shares.
        costs: of each group; the cheapest value that is better than the baseline, and within one
            standard error of the best one, wins (Breiman et al. 1984, section 3.4.3).
        race: the one that has ended, if there was any: each of its looks may err less.

    Returns:
        The decision. A value that breaks in a larger share of seeds than the baseline, by more
        than `racing.STABLE`, is not adopted.
    """
    scores = scores_of(groups)
    noise_floor = least_deviation(scores, share=resolution)
    stats = statistics_of(scores, noise_floor=noise_floor)
    usable = stats.counts > 0
    if not usable.any():
        return Decision(winner=None, standings=tuple("unusable" for _ in groups))
    lead = advantage(stats, reference=0, level=race.level, alone=race.alone)
    dropped = _dropped(stats, race)
    best = _best(groups, stats, dropped)
    identical = bool(are_identical(scores, perfect=groups[0].perfect))
    untested = identical or int(stats.counts.max()) < 2
    better = np.flatnonzero(is_better(stats, lead, fewest=race.fewest, sound=race.sound) & ~dropped)
    winner, compared = 0, comparisons(stats, lead)
    if untested or not usable[0]:
        winner = 0 if usable[0] and stats.means[0] >= stats.means[best] else best
        better = np.flatnonzero(stats.means == stats.means[best])
    elif len(better):
        winner = _middle_of_best(groups, stats.means, better)
    if winner and costs is not None and not untested:
        winner = _cheapest(stats, [winner, *map(int, better)], costs)
    return Decision(
        winner=winner,
        standings=_standings(stats, best=best, winner=winner, untested=untested, race=race),
        adopted=winner != 0,
        best=best,
        better=tuple(map(int, better)),
        untested=untested,
        identical=identical,
        half_widths=tuple(map(float, interval_widths(stats, winners=np.array(winner), race=race))),
        comparisons=tuple(each.without_test for each in compared) if identical else compared,
        spread=float(pooled_deviation(stats)),
        worth=float(worth_of(stats, noise_floor=noise_floor)) if race.worth is None else race.worth,
        confidence=race.confidence,
        own_level=race.own_level,
        race=race,
        noise_floor=noise_floor,
    )


def best_group(groups: Sequence[Group], *, resolution: float) -> int | None:
    """The best mean, to look beside it for better values; None where no group is usable."""
    scores = scores_of(groups)
    stats = statistics_of(scores, noise_floor=least_deviation(scores, share=resolution))
    return _best(groups, stats, _dropped(stats, NO_RACE)) if stats.counts.any() else None


def seeds_of_each(groups: Sequence[Group], race: Race, *, resolution: float) -> list[int]:
    """How many seeds each group needs in a race, by its scores; `resolution`: as in `decide`."""
    scores = scores_of(groups)
    floor = least_deviation(scores[:, : race.first], share=resolution)  # the same in every round
    return [int(count) for count in seeds_needed(scores, race, noise_floor=floor)]


def level_of_each(values: int) -> float:
    """The level at which each of so many values may be called worse, so that of all together an
    equal one is in at most `LEVEL` of sweeps.

    Their comparisons hang together: they err as about the root of 2 x `values` independent ones do
    (simulated, for 2 to 17 values).
    """
    return LEVEL / float(np.sqrt(2 * values))


def _dropped(stats: SeedStatistics, race: Race) -> Bools:
    """Values whose first seeds were not in the better half. They have fewer than the others, and a
    mean of other seeds: however high, it is none to win by.
    """
    dropped = stats.trained < race.first
    dropped[0] = False
    return dropped


def _best(groups: Sequence[Group], stats: SeedStatistics, dropped: Bools) -> int:
    """The best mean among the values that do not break more often than the steadiest."""
    usable = (stats.counts > 0) & ~dropped
    if not usable.any():
        usable = stats.counts > 0
    usable &= (stats.counts > 1) | (stats.counts[usable] <= 1).all()
    share = stats.broken_share
    steady = usable & (share <= share[usable].min() + STABLE + 1e-9)
    return _middle_of_best(groups, stats.means, np.flatnonzero(steady))


def _middle_of_best(groups: Sequence[Group], means: Floats, places: Counts) -> int:
    """The place with the highest mean. Of numbers with one and the same mean, as where several are
    perfect, the middle one: the lowest would be an edge that the scores do not show (P2).
    """
    top = [int(place) for place in places if means[place] >= means[places].max() - ROUNDING]
    values = {place: groups[place].candidate for place in top}
    numbers = {place: float(value) for place, value in values.items() if is_number(value)}
    if 0 in top or len(numbers) < len(top):
        return int(places[means[places].argmax()])
    return sorted(top, key=lambda place: numbers[place])[(len(top) - 1) // 2]


def _cheapest(stats: SeedStatistics, better: Sequence[int], costs: Sequence[float]) -> int:
    """The cheapest of these better values that lies within one standard error of the best."""
    best = better[0]
    variance, seeds = stats.variances[best], stats.counts[best]
    error = math.sqrt(variance / seeds) if seeds > 1 else 0.0
    near = [index for index in better if stats.means[best] - stats.means[index] <= error]
    return min(near, key=lambda index: (costs[index], -stats.means[index]))


def _standings(
    stats: SeedStatistics, *, best: int, winner: int, untested: bool, race: Race
) -> tuple[Standing, ...]:
    """What is said of every value."""
    means, dropped = stats.means, _dropped(stats, race)

    def standing(index: int) -> Standing:
        if not stats.counts[index]:
            return "unusable"
        if stats.broken[index]:
            return "unstable"
        if dropped[index]:
            return "dropped"
        if untested or index == best:
            return "worse" if means[index] < means[best] else "tie"
        return "worse" if _is_worse(stats, index, winner=winner, rivals=~dropped) else "tie"

    standings = [standing(index) for index in range(len(stats.counts))]
    if standings[best] == "tie" and standings.count("tie") == 1:
        standings[best] = "best"
    return tuple(standings)


def _is_worse(stats: SeedStatistics, index: int, *, winner: int, rivals: Bools) -> bool:
    """Whether one of the rivals is better beyond chance; of all values together an equal one is
    called worse in at most 5 % of sweeps. The baseline is worse if another value was adopted; if it
    stays, no value with a better mean than its own is called worse.
    """
    if index == 0:
        return winner != 0
    if not winner and stats.means[index] >= stats.means[0]:
        return False
    level = level_of_each(len(stats.counts))
    lead = advantage(stats, reference=index, level=level, own_noise=False)
    return bool((is_better(stats, lead, reference=index) & rivals).any())
