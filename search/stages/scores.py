"""Scores of values and their seeds as arrays: which seeds broke, and in which steps scores come.

Arrays are [..., values, seeds], higher being better: NaN where a seed was not trained, -inf where
a training gave no result. Leading axes are independent sweeps.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]

BREAK = 15.0  # a seed so many robust deviations below the others of its value has collapsed
GAP = 5.0  # so many times the others' range below them, a seed lies apart
MANY = 5  # from so many seeds on, those that lie apart are left out of the noise
NEARLY = 1e-9  # a log-loss of 0 is clipped this far above 0
IDENTICAL = 4  # repeats in all, beyond the first seed of each value, that must not differ at all
ONCE = 1e-4  # how often the robust deviation itself may be that much too small by chance
ROUNDING = 1e-12  # by which means of the same scores may differ


def broken_seeds(scores: Floats, *, noise_floor: Floats | float = 0.0) -> Bools:
    """Seeds without a result, and those that collapsed: far below the other seeds of their value,
    and far below what good values reach. No seed above all of the baseline's, the first value.

    Far is more than fifteen robust standard deviations (more where few seeds tell it), and five
    times the range of the value's other seeds, so that a value with wide noise has not collapsed.
    Good values may have hardly any noise, as at the best score of all: it is far, too, only if the
    other seeds lie nearer to these values than the seed to them.
    """
    finite = np.isfinite(scores)
    ordered = np.sort(np.where(finite, scores, np.nan), axis=-1)  # NaN comes last
    counts = finite.sum(-1)
    typical, scale, freedom = _good_values(ordered, counts)
    scale = np.maximum(scale, np.asarray(noise_floor, dtype=float))
    far = np.maximum(BREAK, special.stdtrit(np.maximum(freedom, 1), 1 - ONCE)) * scale
    least, highest = far[..., None], typical - far[..., None]
    limit = _apart(ordered, counts, least=least, highest=highest, good=highest)
    limit = np.fmin(limit, np.fmax.reduce(ordered[..., :1, :], axis=-1))
    return np.asarray(~finite | (scores <= limit[..., None]))


def lying_apart(scores: Floats, *, noise_floor: Floats | float = 0.0) -> Bools:
    """Seeds far below the others of their value, by `GAP` ranges of these, whatever the noise of
    other values: where seeds are few, they may have collapsed although `broken_seeds` cannot tell.
    Of two seeds nothing tells which lies apart. `noise_floor`: of each sweep, the least range.
    """
    ordered = np.sort(np.where(np.isfinite(scores), scores, np.nan), axis=-1)
    counts = (~np.isnan(ordered)).sum(-1)
    least = GAP * np.asarray(noise_floor, dtype=float)[..., None]  # equal seeds are no range
    limit = _apart(ordered, counts, least=least, highest=np.inf)
    several = (counts > 2)[..., None]
    return np.asarray(several & np.isfinite(scores) & (scores <= limit[..., None]))


def are_identical(scores: Floats, *, perfect: Sequence[float] = ()) -> Bools:
    """Whether seeds change nothing [...]: no value's scores differ, over several seeds and values.

    `perfect` scores count as no evidence: seeds that differ reach them too.
    """
    finite = np.isfinite(scores)
    bound = np.isclose(scores[..., None], np.array(perfect), rtol=0, atol=NEARLY).any(-1)
    repeats = np.maximum((finite & ~bound).sum(-1) - 1, 0).sum(-1)
    high = np.where(finite, scores, -np.inf).max(-1)
    low = np.where(finite, scores, np.inf).min(-1)
    return np.asarray((repeats >= IDENTICAL) & ((high == low) | ~finite.any(-1)).all(-1))


def _apart(
    ordered: Floats,
    counts: Counts,
    *,
    least: Floats | float,
    highest: Floats | float,
    good: Floats | float = -np.inf,
) -> Floats:
    """The score at and below which seeds of a value lie apart from its others [..., values].

    By more than `least`, by more than `GAP` ranges of the others, and by more than these lie below
    what is `good`, below `highest`; -inf if none. More than half of the seeds do only where they
    are as close together and all others reach what is good: else the value is that low, or its
    noise that wide, and a seed or two were lucky.
    """
    last = np.fmax.reduce(ordered, axis=-1)
    limit = np.full(counts.shape, -np.inf)
    with np.errstate(invalid="ignore"):
        for below in range(1, ordered.shape[-1]):
            upper, lower = ordered[..., below], ordered[..., below - 1]
            most, rest = 2 * below > counts, last - upper
            rest = np.where(most, np.maximum(rest, lower - ordered[..., 0]), rest)
            gap = np.maximum(np.maximum(least, good - upper), GAP * rest)
            splits = (upper - lower > gap) & (lower < highest) & (~most | (upper >= good))
            limit = np.where(splits, lower, limit)
    return limit


def _good_values(ordered: Floats, counts: Counts) -> tuple[Floats, Floats, Floats]:
    """Of the better half of the values: a score that most of them reach, a robust standard
    deviation of their seeds, and its degrees of freedom.
    """
    apart = _apart(ordered, counts, least=0.0, highest=np.inf)
    apart = np.where(counts >= MANY, apart, -np.inf)
    kept = np.sort(np.where(ordered > apart[..., None], ordered, np.nan), axis=-1)
    with np.errstate(invalid="ignore"):
        medians = _nanmedian(kept)
        spreads = _nanmedian(np.sort(np.abs(kept - medians[..., None]), axis=-1))
    half = better_half(medians)
    typical = _reached_by_others(medians, half)
    number = (~np.isnan(kept)).sum(-1)
    usable = half & (number > 1)
    # The median absolute deviation of few normal seeds is about half of their deviation.
    scale = 2.1 * np.where(usable, spreads, 0.0).sum(-1) / np.maximum(usable.sum(-1), 1)
    freedom = np.where(usable, number - 1, 0).sum(-1)
    return typical, scale, freedom.astype(float)


def _reached_by_others(medians: Floats, half: Bools) -> Floats:
    """What most values of the better half reach [..., values]: what a value itself scores must
    not count, so each is held against the others.
    """
    known = (~np.isnan(medians)).sum(-1, keepdims=True)
    falling = -np.sort(-medians, axis=-1)
    ranks = places(medians)
    place = (half.sum(-1, keepdims=True) - 1) // 2
    place = np.minimum(np.where(ranks <= place, place + 1, place), np.maximum(known - 1, 0))
    return np.fmax(np.take_along_axis(falling, place, -1), -np.inf)


def _nanmedian(ordered: Floats) -> Floats:
    """Median over the last axis, sorted with NaN last; NaN where nothing is there."""
    counts = (~np.isnan(ordered)).sum(-1)
    low = np.maximum((counts - 1) // 2, 0)[..., None]
    high = np.minimum(counts // 2, ordered.shape[-1] - 1)[..., None]
    middle = np.take_along_axis(ordered, low, -1) + np.take_along_axis(ordered, high, -1)
    return np.asarray(middle[..., 0] / 2)


def places(values: Floats) -> Counts:
    """The place of each value, 0 for the largest; NaN last. Equal ones stay in their order: numpy's
    usual sort leaves that to the processor, and another machine would train other seeds.
    """
    order = np.argsort(-values, axis=-1, kind="stable")
    return np.argsort(order, axis=-1)


def better_half(means: Floats) -> Bools:
    """The values above the median, at least two of them: bad values are often wild ones."""
    known = (~np.isnan(means)).sum(-1)[..., None]
    return np.asarray((places(means) < np.maximum((known + 1) // 2, 2)) & ~np.isnan(means))


def least_deviation(scores: Floats, *, share: float) -> float:
    """The least standard deviation between seeds that is believed: half a step of the scores.

    `share`: as `step_of` takes it.
    """
    return step_of(scores, share=share) / 2


def step_of(scores: Floats, *, share: float) -> float:
    """The step in which scores come: that of their own grid; 0 where they have none.

    `share`: what one predicted row is of all, such as 1/252; it counts where every score is a
    multiple of it, as shares of the rows are (in percent too).
    """
    finite = scores[np.isfinite(scores)]
    size = float(np.abs(finite).max(initial=0.0)) or 1.0
    values = np.unique(np.round(finite / size, 12)) * size
    unit = share if len(values) and np.abs(values).max() <= 1 else 100 * share
    if unit > 0 and len(values) and _are_multiples(values, unit):
        return unit
    if len(values) < 2:
        return 0.0
    steps = np.diff(values)
    step = float(steps.min())
    if len(values) < 4:  # too few to tell a grid: scores that repeat are taken to lie on one
        return step if np.isfinite(scores).sum() > len(values) else 0.0
    while not _are_multiples(steps, step):
        rest = float(np.max(np.abs(steps - step * np.round(steps / step))))
        if rest < 1e-3 * float(steps.sum()):
            return 0.0  # so fine that it does not matter
        step = rest
    return step


def _are_multiples(values: Floats, unit: float) -> bool:
    """Whether all values are; what is far below one unit, and not 0, is no multiple of it."""
    ratios = values / unit
    nearest = np.round(ratios)
    return bool(np.all((np.abs(ratios - nearest) < 1e-3) & ((nearest != 0) | (values == 0))))
