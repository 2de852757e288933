"""At which p several comparisons with one value err together with a given level.

Dunnett's correlations with unequal noise, by a normal copula: see `noise` for the sources.
"""

import numpy as np
from scipy import special

from search.stages.scores import Counts, Floats

_NODES = np.linspace(-6, 6, 96)
_WEIGHTS = np.exp(-(_NODES**2) / 2)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
# Load up to which so many even nodes are exact to 0.4 %; as many of Gauss and Hermite's, which lie
# far apart in the middle, are to 11 %. A larger one, of a baseline whose variance is 99 times a
# rival's or more, is taken for it: the p asked is then smaller than it need be.
_STEEPEST = 0.995
_TINY = 1e-30  # a share of normal noise that is as good as none


def critical_p(shares: Floats, level: float) -> Floats:
    """The p of one comparison at which all comparisons together err with `level`.

    1 - E_Z prod_i Phi((z + l_i Z) / sqrt(1 - l_i^2)) = level, with l_i^2 the reference's share
    of the variance of difference i (Dunnett 1955; Hasler and Hothorn 2008). Newton's method on the
    logarithm of the error, from above: it is concave there, so each step errs to the safe side.
    """
    shared = ~np.isnan(shares)
    number = shared.sum(-1)
    if (number < 2).all():
        return np.full(number.shape, level)
    low, high = -special.ndtri(level), bonferroni(level, number)
    # The reference, and what was never looked at, are in no comparison.
    used = shared.reshape(-1, shared.shape[-1]).any(0)
    there = shared[..., used, None]
    loads = np.where(there, np.minimum(shares[..., used, None], _STEEPEST), 0.0)
    roots = np.sqrt(1 - loads**2)
    z = high
    for _ in range(4):
        at = (z[..., None, None] + loads * _NODES) / roots
        each = np.where(there, np.maximum(special.ndtr(at), _TINY), 1.0)
        within = each.prod(-2)
        hazards = np.where(there, np.exp(-(at**2) / 2) / (roots * each), 0.0).sum(-2)
        error = 1 - within @ _WEIGHTS
        slope = (hazards * within) @ _WEIGHTS / np.sqrt(2 * np.pi)
        z = np.clip(z + np.log(error / level) * error / slope, low, high)
    return np.asarray(special.ndtr(-z))


def bonferroni(level: float, number: Counts) -> Floats:
    """The deviate whose p, for each of so many comparisons, is an equal part of the level."""
    return np.asarray(-special.ndtri(level / np.maximum(number, 1)))
