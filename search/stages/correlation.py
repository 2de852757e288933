"""How far the same seed moves two values alike, or against each other (P5).

Arrays as in `noise`: deviations from each value's mean [..., values, seeds], 0 where a seed is not
clean. What moves alike is a property of all values, told by the mean of all pairs; what moves a
value against another is one of this pair: its difference has the larger error of Welch's and of
the pairs'. Three seeds tell none of a single pair (Fisher's z has seeds less 3 degrees).
"""

import numpy as np

from search.stages.scores import Bools, Floats

PAIRS = 4  # seeds that show whether two values move against each other


def mean_correlation(deviations: Floats, clean: Bools) -> Floats:
    """Lower limit of the mean correlation of two values' noise on the seeds that all have.

    On Fisher's z; 0 where it is negative. The mean over all pairs of values has a standard error
    of about the root of 2 / (values (values - 1) (seeds - 1)) where seeds do not matter.
    """
    trained = clean.sum(-1)
    # A value of one seed, which was dropped after it, tells no correlation and hides none.
    several = np.where(trained > 1, trained, trained.max(-1, keepdims=True))
    seeds = several.min(-1)[..., None]
    common = np.arange(clean.shape[-1]) < seeds
    usable = (clean | ~common[..., None, :]).all(-1)
    kept = np.where(common[..., None, :] & usable[..., None], deviations, 0.0)
    mean = kept.sum(-1, keepdims=True) / np.maximum(seeds, 1)[..., None]
    centred = np.where(common[..., None, :] & usable[..., None], kept - mean, 0.0)
    norms = np.sqrt((centred**2).sum(-1))
    units = centred / np.where(norms > 0, norms, 1.0)[..., None]
    values = (norms > 0).sum(-1)
    pairs = np.maximum(values * (values - 1), 1)
    average = ((units.sum(-2) ** 2).sum(-1) - values) / pairs
    freedom = seeds[..., 0] - 1 - 2 / np.maximum(values - 1, 1)
    error = np.sqrt(2 / (pairs * np.maximum(freedom, 1e-9)))
    limit = np.tanh(np.arctanh(np.clip(average, -0.99, 0.99)) - 1.645 * error)
    enough = (values > 1) & (seeds[..., 0] > 2)
    return np.where(enough, np.maximum(limit, 0.0), 0.0)


def opposition(deviations: Floats, clean: Bools) -> Floats:
    """Correlation of every pair of values on the seeds that both have, as far as it is negative; 0
    below `PAIRS` seeds. `deviations` are 0 where a seed is not clean.
    """
    if clean.shape[-1] < PAIRS:
        return np.zeros((*clean.shape[:-1], clean.shape[-2]))
    there = clean.astype(float)
    seeds = np.maximum(there @ there.swapaxes(-1, -2), 1)
    sums = deviations @ there.swapaxes(-1, -2)  # [i, j]: of i's, on the seeds of j too
    squares = deviations**2 @ there.swapaxes(-1, -2) - sums**2 / seeds
    products = deviations @ deviations.swapaxes(-1, -2) - sums * sums.swapaxes(-1, -2) / seeds
    norms = np.sqrt(np.maximum(squares, 0.0))
    norms = norms * norms.swapaxes(-1, -2)
    correlations = products / np.where(norms > 0, norms, np.inf)
    return np.where(seeds >= PAIRS, np.clip(correlations, -1.0, 0.0), 0.0)
