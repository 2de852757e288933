"""How much of a difference between values is seed noise: the numbers behind every decision (P5).

All functions take scores (higher is better) as an array [..., values, seeds]: NaN where a seed was
not trained, -inf where a training gave no result. Leading axes are independent sweeps, so that
`tests/benchmarks/decisions.py` calibrates the same code that decides.

Model: a value's scores are its mean plus noise of its own size; the same seed may move all values
together. Sources:

- own variances and Satterthwaite's degrees of freedom: Welch, Biometrika 34, 1947; with two
  seeds the smaller degrees (Mickey and Brown, Ann. Math. Stat. 37, 1966);
- one error rate for comparing many values with one, with unequal noise: Hasler and Hothorn,
  Biometrical Journal 50, 2008 (Dunnett's correlations, here by a normal copula);
- shrunken variances: Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, eq. 3, with one prior degree
  of freedom where a baseline may lose its place. Only candidates are shrunken: the reference is
  in every comparison, and its noise must be its own (simulated: a prior of 1 for the reference
  too keeps a noisy one too rarely);
- a value that other seeds have found better is compared at a level of its own, a part of the
  whole one, and pays for no other (Wiens, Pharm. Stat. 2, 2003);
- values that share seeds are compared as pairs, as far as `correlation` finds that they are.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special

from search.stages.correlation import mean_correlation, opposition
from search.stages.critical_p import bonferroni, critical_p
from search.stages.scores import ROUNDING, Bools, Counts, Floats, better_half, broken_seeds, places

FEW = 5  # seeds that show no skewness


@dataclass(frozen=True, kw_only=True)
class SeedStatistics:
    """Numbers per value [..., values], of the seeds that neither collapsed nor failed.

    `counts`: of these seeds; `broken`: of the others that were trained. `means`: NaN without a
    seed, as `lowest` and `highest`. `variances`: own, unbiased, at least the noise floor's; NaN
    below two seeds.
    `correlation` [...]: of two values' noise on the same seed, 0 or more. `opposition` [...,
    values, values]: that of a pair which seeds move against each other, else 0. `skews`: third
    moment over the second to the power 1.5; 0 below two seeds.
    """

    counts: Counts
    broken: Counts
    means: Floats
    lowest: Floats
    highest: Floats
    variances: Floats
    correlation: Floats
    opposition: Floats
    skews: Floats

    @property
    def trained(self) -> Counts:
        """Seeds that have ended, per value."""
        return self.counts + self.broken

    @property
    def broken_share(self) -> Floats:
        """Share of the trained seeds that collapsed or failed."""
        return self.broken / np.maximum(self.trained, 1)


@dataclass(frozen=True, kw_only=True)
class Advantage:
    """Every other value against a reference, [..., values]; the reference's own entry is neutral.

    `differences`: of means, value less reference. `errors`: their standard errors. `freedom`:
    degrees. `p`: one-sided, for this value alone; 1 where there are too few seeds to test.
    `loads`: roots of the reference's share of each variance; NaN where a comparison shares no
    level. `level`, `alone`: as `advantage` takes them.
    """

    differences: Floats
    errors: Floats
    freedom: Floats
    p: Floats
    loads: Floats
    level: float
    alone: int | None

    @cached_property
    def critical(self) -> Floats:
        """The p at and below which each is better: all that share a level err at it together."""
        return self._critical_of(self.loads)

    @cached_property
    def is_beyond_chance(self) -> Bools:
        """Whether p is at most `critical`, which is slow to compute: only where a p lies between
        Bonferroni's part of the level, below which none is, and the level, above which none is.
        """
        shared = ~np.isnan(self.loads)
        least = special.ndtr(-bonferroni(self.level, shared.sum(-1, keepdims=True)))
        better = self.p <= np.where(shared, least, self.level)
        open_still = (shared & ~better & (self.p <= self.level)).any(-1)
        better[open_still] = self.p[open_still] <= self._critical_of(self.loads[open_still])
        return better

    def _critical_of(self, loads: Floats) -> Floats:
        critical = np.repeat(critical_p(loads, self.level)[..., None], loads.shape[-1], axis=-1)
        if self.alone is not None:
            critical[..., self.alone] = self.level
        return critical


def statistics_of(scores: Floats, *, noise_floor: Floats | float = 0.0) -> SeedStatistics:
    """The numbers of every value. `noise_floor` [...]: the least standard deviation believed."""
    trained = ~np.isnan(scores)
    is_broken = trained & broken_seeds(scores, noise_floor=noise_floor)
    clean = trained & ~is_broken
    counts = clean.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(clean, scores, 0.0).sum(-1) / np.where(counts > 0, counts, np.nan)
        deviations = np.where(clean, scores - means[..., None], 0.0)
        variances = (deviations**2).sum(-1) / np.where(counts > 1, counts - 1, np.nan)
        units = deviations / np.sqrt((deviations**2).sum(-1) / counts)[..., None]
        skews = np.nan_to_num((units**3).sum(-1) / counts)
    least = np.asarray(noise_floor, dtype=float)[..., None] ** 2
    return SeedStatistics(
        counts=counts,
        broken=is_broken.sum(-1),
        means=means,
        lowest=np.fmin.reduce(np.where(clean, scores, np.nan), axis=-1),
        highest=np.fmax.reduce(np.where(clean, scores, np.nan), axis=-1),
        variances=np.maximum(variances, least),
        correlation=mean_correlation(deviations, clean),
        opposition=opposition(deviations, clean),
        skews=skews,
    )


def _shrunken(stats: SeedStatistics, *, own: int | None) -> tuple[Floats, Floats]:
    """Variances and their degrees of freedom, each with one degree from the better half's mean
    variance (Smyth 2004, eq. 3); the value at `own` keeps its own, and is not in that mean. Where
    all are shrunken, that mean weighs two degrees and adds one: noise is never quite equal, and
    three seeds of bounded noise are often too close together.
    """
    freedom = stats.counts - 1.0
    among = np.where(np.isnan(stats.variances), np.nan, stats.means)
    if own is not None:
        among[..., own] = np.nan
    half = better_half(among)
    # Values that tie with the last of them belong to it: which is first, rounding would decide.
    last = np.where(half, among, np.inf).min(-1, keepdims=True)
    half |= among >= last * (1 - ROUNDING * np.sign(last))
    number = half.sum(-1, keepdims=True)
    prior = np.where(half, stats.variances, 0.0).sum(-1, keepdims=True) / np.maximum(number, 1)
    shrinks = np.broadcast_to(number > 1, freedom.shape).copy()
    if own is not None:
        shrinks[..., own] = False
    with np.errstate(invalid="ignore"):
        weight = 1 if own is not None else 2
        shrunken = (weight * prior + freedom * stats.variances) / (freedom + weight)
        # Where all are shrunken, a noise that is larger than others' is believed as it is.
        shrinks &= (own is not None) | (shrunken >= stats.variances)
    variances = np.where(shrinks, shrunken, stats.variances)
    return variances, np.maximum(np.where(shrinks, freedom + 1, freedom), 1e-9)


def advantage(
    stats: SeedStatistics,
    *,
    reference: int,
    level: float,
    own_noise: bool = True,
    alone: int | None = None,
) -> Advantage:
    """Which values are better than a reference; a wrong one in at most `level` of sweeps.

    Args:
        stats: of the values.
        reference: the place of the one that all others are compared with.
        level: the error of all comparisons together.
        alone: the place of a value that has this level for itself; the others share one.
        own_noise: whether the reference's noise is its own alone, as it must be for a baseline
            that stays or goes; among many values that may each be called worse, the small ones
            are shrunken.
    """
    variances, freedom = _shrunken(stats, own=reference if own_noise else None)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = variances / stats.counts
        own = squares[..., reference : reference + 1]
        total = squares + own
        share = own / total  # of the reference; as a share, since squares of squares overflow
        degrees = 1 / ((1 - share) ** 2 / freedom + share**2 / freedom[..., reference, None])
        few = np.minimum(stats.counts, stats.counts[..., reference : reference + 1]) < 3
        least = np.minimum(freedom, freedom[..., reference : reference + 1])
        degrees = np.where(few, least, degrees)
        shared = np.maximum(stats.counts, stats.counts[..., reference : reference + 1])
        deviations = np.sqrt(variances)
        paired = deviations * deviations[..., reference, None] / shared
        opposed = stats.opposition[..., reference, :]
        correlation = np.where(opposed < 0, opposed, stats.correlation[..., None])
        errors = np.sqrt(np.maximum(total - 2 * correlation * paired, 0.0))
        differences = stats.means - stats.means[..., reference : reference + 1]
        t = np.where(errors > 0, differences / errors, np.sign(differences) * np.inf)
        p = special.stdtr(degrees, -t)
        shares = np.sqrt(np.where(total > 0, share, 0.5))
    testable = (stats.counts > 1) & (stats.counts[..., reference : reference + 1] > 1)
    testable[..., reference] = False
    # What was dropped after one seed was looked at too, so it counts among the comparisons.
    looked_at = stats.counts > 0
    looked_at[..., reference] = False
    p = np.where(testable & (differences != 0), np.fmin(p, 1.0), 1.0)
    if alone is not None:
        looked_at[..., alone] = False
    return Advantage(
        differences=differences,
        errors=errors,
        freedom=degrees,
        p=p,
        loads=np.where(looked_at, np.minimum(shares, 0.999), np.nan),
        level=level,
        alone=alone,
    )


def _near_the_best(stats: SeedStatistics) -> Bools:
    """The values of the contest, the best two at least: within three of their own standard errors
    of the best mean, so that a noisy value that fell low is among them.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.sqrt(stats.variances / stats.counts)
        tested = np.where(np.isnan(errors), np.nan, stats.means)
        top = np.fmax.reduce(tested, axis=-1, keepdims=True)
        near = tested + 3 * errors >= top
    return np.asarray((near | (places(tested) < 2)) & ~np.isnan(tested))


def pooled_deviation(stats: SeedStatistics) -> Floats:
    """Standard deviation between seeds among the values near the best [...]; NaN without any."""
    near = _near_the_best(stats)
    counts = near.sum(-1)
    total = np.where(near, stats.variances, 0.0).sum(-1)
    return np.asarray(np.sqrt(total / np.where(counts > 0, counts, np.nan)))


def _pooled_skew(stats: SeedStatistics) -> Floats:
    """Size of the skewness of the noise near the best [...], as far as it exceeds one standard
    error, the root of 6 / seeds; of the values with seeds enough to show any.
    """
    shown = _near_the_best(stats) & (stats.counts > FEW)
    mean = np.where(shown, stats.skews, 0.0).sum(-1) / np.maximum(shown.sum(-1), 1)
    seeds = np.where(shown, stats.counts, 0).sum(-1)
    excess = np.abs(mean) - np.sqrt(6 / np.maximum(seeds, 1))
    return np.asarray(np.maximum(excess, 0.0))


def half_widths(stats: SeedStatistics, *, chosen_among: Floats, level: Floats) -> Floats:
    """Half the width of each mean's interval: Student's, by the value's own noise, which is taken
    as at least the root mean square of itself and the noise near the best; wider by the first term
    for skew noise (Hall, The Bootstrap and Edgeworth Expansion, 1992, section 2.6).

    Args:
        stats: of the values.
        chosen_among: [..., values] how many values a mean was the best of. The winner of several
            was lucky in its mean and in its noise: its noise is at least that near the best, and
            its quantile at least the normal one of 0.975 ** (1 / values).
        level: [..., values] the share of intervals that may miss the true mean.
    """
    pooled = pooled_deviation(stats)[..., None] ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        least = np.where(chosen_among > 1, pooled, (stats.variances + pooled) / 2)
        variances = np.maximum(stats.variances, least)
        quantiles = special.stdtrit(np.maximum(stats.counts - 1, 1), 1 - level / 2)
        quantiles = np.maximum(quantiles, special.ndtri(0.975 ** (1 / chosen_among)))
        skew = _pooled_skew(stats)[..., None] / (6 * np.sqrt(stats.counts))
        quantiles += np.where(stats.counts > FEW, skew * (2 * quantiles**2 + 1), 0.0)
        return np.where(stats.counts > 1, quantiles * np.sqrt(variances / stats.counts), np.nan)
