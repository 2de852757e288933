"""The rules of a race, and which values may be adopted after it (P5).

A race ends when a value is better than the baseline, when no value is a contender any more, or at
the most seeds allowed (`further_seeds`). Every look errs in at most `LOOK` of sweeps; all looks
together stay below 5 % (simulated: `tests/benchmarks/decisions.py`), because what is ahead by luck
falls back and drops out. Arrays as in `noise`.
"""

from dataclasses import dataclass

import numpy as np

from search.stages.breaking import breaking
from search.stages.noise import (
    Advantage,
    SeedStatistics,
    advantage,
    half_widths,
    pooled_deviation,
    statistics_of,
)
from search.stages.scores import BREAK, GAP, ROUNDING, Bools, Counts, Floats

LEVEL = 0.05  # most sweeps without any gain in which a value is adopted, as a share
LOOK = 0.0125  # the same of one look of a race, where further seeds may follow
HIDDEN = 2.0  # standard errors of a lead that collapsed seeds may hide
CONTENDERS = 2  # most at a time: each costs a training per seed
FEWEST = 3  # seeds of both sides without which a race adopts nothing: two tell no noise
MOST = 0.5  # share of seeds above which a baseline that breaks may go for breaking alone
STABLE = 0.1  # share of seeds by which an adopted value may break more often than the baseline
OWN = 0.75  # of a look's level: an incumbent of earlier seeds has it alone, its rivals share it
CLEAR = 5  # seeds of both sides that lie clear: chance parts so many in 1 of 32, whatever the noise
WORTH = 1 / 3  # of the noise between seeds: what a gain must exceed to be worth further seeds


@dataclass(frozen=True, kw_only=True)
class Race:
    """`first`: seeds that every value gets; `most`: seeds that no value exceeds; `worth`: a gain,
    in the metric's units, that is worth further seeds, None: as `worth_of` says; `halved`: seeds
    after which only the better half goes on to `first`, 0: every value does; `own_level`: whether
    value 1, which other seeds have found better, is compared at a level of its own.
    """

    first: int
    most: int
    worth: float | None = None
    halved: int = 0
    own_level: bool = False

    @property
    def on(self) -> bool:
        """Whether further seeds may follow; with one seed per value nothing is tested."""
        return 1 < self.first < self.most

    @property
    def level(self) -> float:
        """The share of sweeps in which one look errs: without a race there is one look only. With
        an own level it is that of each of the two families.
        """
        return (LOOK if self.on else LEVEL) * (OWN if self.own_level else 1)

    @property
    def alone(self) -> int | None:
        """The place of the value that has that level for itself, if any has."""
        return 1 if self.own_level else None

    @property
    def confidence(self) -> float:
        """The confidence of a difference's interval. Each of its ends errs as a decision may:
        together in 10 % of sweeps after one look, below 5 % where looks err less (simulated).
        """
        return 1 - LEVEL if self.on else 1 - 2 * LEVEL

    @property
    def fewest(self) -> int:
        """Seeds without which nothing is adopted: where more may follow, two are too few."""
        return FEWEST if self.on else 2

    @property
    def sound(self) -> float:
        """The p of Fisher's test at and below which a value is adopted for breaking less often."""
        return LOOK if self.on else LEVEL / 2

    @property
    def further(self) -> int:
        """Trainings that the race may add, as a rule: two contenders at once, and the baseline."""
        return (CONTENDERS + 1) * (self.most - self.first) if self.on else 0


def goes_on(scores: Floats, *, seeds: int, ties: bool) -> Bools:
    """The values that get more than their first seeds: the baseline, and the better half of the
    others by the mean of these seeds (successive halving: Karnin, Koren and Somekh, ICML 2013).

    Args:
        scores: [..., values, seeds], the baseline first.
        seeds: that every value has had.
        ties: whether all go on that tie with the last of that half, else the first of them.
    """
    means = scores[..., 1:, :seeds].mean(-1)
    half = -(-means.shape[-1] // 2)
    order = np.argsort(-means, axis=-1, kind="stable")
    stays = np.argsort(order, axis=-1) < half
    if ties and half:
        stays |= means >= np.take_along_axis(means, order[..., half - 1, None], -1)
    baseline = np.ones((*means.shape[:-1], 1), dtype=bool)
    return np.concatenate([baseline, stays & np.isfinite(means)], axis=-1)


def is_better(
    stats: SeedStatistics,
    lead: Advantage,
    *,
    reference: int = 0,
    fewest: int = 2,
    sound: float = 0.0,
) -> Bools:
    """Values to adopt rather than a reference: better beyond chance in the mean of the seeds that
    did not break, and not breaking more often; sounder than one that breaks mostly; or clear of it.

    Args:
        stats: of the values.
        lead: of all of them over the one at the place `reference`.
        fewest: seeds of both sides without which their means are not compared.
        sound: as `Race.sound`.
    """
    excess = stats.broken_share - stats.broken_share[..., reference : reference + 1]
    known = stats.counts[..., reference : reference + 1] >= fewest
    better = known & lead.is_beyond_chance
    better |= _is_sounder(stats, lead, reference, known=known, sound=sound)
    trained = np.minimum(stats.counts, stats.trained[..., reference : reference + 1])
    better |= lies_clear(stats, reference=reference) & (trained >= CLEAR) & (sound > 0)
    return (stats.counts >= fewest) & better & (excess <= STABLE + 1e-9)


def lies_clear(stats: SeedStatistics, *, reference: int) -> Bools:
    """Values whose worst seed lies above a reference's best by more than `GAP` of their own ranges:
    one that explodes has noise of decades, beside which means show no gain.
    """
    width = np.fmax(stats.highest - stats.lowest, np.sqrt(stats.variances))
    with np.errstate(invalid="ignore"):
        gap = stats.lowest - stats.highest[..., reference : reference + 1]
        return np.asarray((gap > GAP * width) & (stats.counts > 1) & (stats.broken == 0))


def _is_sounder(
    stats: SeedStatistics, lead: Advantage, reference: int, *, known: Bools, sound: float
) -> Bools:
    """Values to adopt rather than a reference that breaks in most of its seeds: those that break
    less often beyond chance and are no worse in the mean, and those far above the few seeds of it
    that are left, which are too few to be tested unless `known`.
    """
    often = stats.broken_share[..., reference : reference + 1] > MOST
    if not often.any() or not sound:
        return np.zeros(stats.counts.shape, dtype=bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = pooled_deviation(stats)[..., None]
        own, others = stats.counts, stats.counts[..., reference : reference + 1]
        error = spread * np.sqrt(1 / own + 1 / others)
        lost = ~known & (lead.differences > BREAK * spread)
        steadier = breaking(stats, reference=reference)[1] <= sound + ROUNDING
        return np.asarray(often & (lost | (steadier & (lead.differences >= -HIDDEN * error))))


def still_open(scores: Floats, race: Race, *, noise_floor: float) -> Bools:
    """The values whose comparison with the baseline a first look leaves open, and the baseline with
    them: none once one of them is better, else those that are not behind it in the mean.

    Args:
        scores: [..., values, seeds], the baseline first.
        race: its rules; the look errs as one of its looks.
        noise_floor: least standard deviation between seeds that is believed.
    """
    stats = statistics_of(scores, noise_floor=noise_floor)
    lead = advantage(stats, reference=0, level=race.level, alone=race.alone)
    better = is_better(stats, lead, fewest=race.fewest, sound=race.sound)
    breaks = stats.broken_share[..., :1]  # where the baseline mostly does, equal means are open
    steadier = (breaks > MOST) & (breaks - stats.broken_share > STABLE + 1e-9)
    on = (~(lead.differences <= 0) | steadier) & ~better.any(-1, keepdims=True)
    on[..., 0] = on[..., 1:].any(-1)
    return on


def interval_widths(stats: SeedStatistics, *, winners: Counts, race: Race) -> Floats:
    """Half the width of each mean's 95 % interval [..., values], at the end of a race.

    A race stops because of what the means are, so each look may miss as rarely as it may err:
    repeated confidence intervals (Jennison and Turnbull, J. R. Stat. Soc. B 51, 1989). An adopted
    value was chosen for its mean. If it is adopted in a share P of sweeps, its interval misses in
    a share of at most half of its level over P of these: at half of 5 %, below 7 % from P = 0.2 on.

    Args:
        stats: of the values, the baseline first.
        winners: [...] places of the winners; 0 where the baseline stays.
        race: the race that has ended, if there was any.
    """
    places = np.arange(stats.counts.shape[-1])
    adopted = (places == np.asarray(winners)[..., None]) & (places > 0)
    usable = (stats.counts > 0).sum(-1, keepdims=True)
    level = np.where(adopted, LEVEL / 2, LEVEL)
    level = np.where(stats.trained > race.first, np.minimum(level, race.level), level)
    return half_widths(stats, chosen_among=np.where(adopted, usable, 1.0), level=level)


def worth_of(stats: SeedStatistics, *, noise_floor: Floats | float) -> Floats:
    """A gain worth further seeds: a third of the noise near the best, `noise_floor` at least."""
    return np.fmax(WORTH * pooled_deviation(stats), noise_floor)
