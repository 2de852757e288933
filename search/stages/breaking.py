"""Whether one value breaks in more of its seeds than another beyond chance, or in fewer (P8)."""

import numpy as np
from scipy import special

from search.stages.noise import SeedStatistics
from search.stages.scores import Counts, Floats


def breaking(stats: SeedStatistics, *, reference: int) -> tuple[Floats, Floats]:
    """One-sided p of Fisher's exact test [..., values]: that a value breaks as often as the
    reference, against more often and against less often.
    """
    trained, broken = stats.trained, stats.broken
    if not broken.any() and trained.all():
        return np.ones(broken.shape), np.ones(broken.shape)
    drawn, own = trained[..., None], broken[..., None]
    every = drawn + drawn[..., reference : reference + 1, :]
    bad = own + own[..., reference : reference + 1, :]
    # Of all seeds together so many break; chance draws which of them are the value's.
    at = np.arange(trained.max() + 1)
    ways = _log_binomial(bad, at) + _log_binomial(every - bad, drawn - at)
    shares = np.exp(ways - _log_binomial(every, drawn))
    total = shares.sum(-1)
    return (shares * (at >= own)).sum(-1) / total, (shares * (at <= own)).sum(-1) / total


def _log_binomial(n: Counts, k: Counts) -> Floats:
    """Logarithm of the ways to choose k of n; -inf where k lies below 0 or above n."""
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))
