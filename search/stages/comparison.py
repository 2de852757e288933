"""How one value compares with another on the same seeds (P5). Pure: numbers in, intervals out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import special

from search.stages.breaking import breaking
from search.stages.group import Group, scores_of
from search.stages.noise import Advantage, SeedStatistics, advantage, statistics_of
from search.stages.racing import LEVEL
from search.stages.scores import are_identical, least_deviation


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A value against the baseline.

    `difference` of means over the seeds that trained, with its interval from `low` to `high`, of
    the decision's `confidence` for all comparisons together; each end holds with 95 %. NaN where
    too few seeds tell the noise. `p`: one-sided, of this comparison alone; at and below
    `critical_p` the value is better, others being compared too.
    `broken` of `trained` seeds collapsed or gave no result. `p_breaks`, `p_steadier`: of Fisher's
    exact test, one-sided, that breaking more, or less, often than the baseline is chance.
    """

    difference: float
    low: float
    high: float
    p: float
    critical_p: float
    broken: int
    trained: int
    p_breaks: float
    p_steadier: float

    @property
    def without_test(self) -> "Comparison":
        """The difference alone: where seeds change nothing, no noise is there to test it by."""
        none = math.nan
        return replace(self, low=none, high=none, p=none, critical_p=none)

    @property
    def broken_share(self) -> float:
        """Share of the trained seeds that collapsed or failed."""
        return self.broken / max(self.trained, 1)

    @property
    def outcome(self) -> Literal["better", "worse", "undecided"]:
        """What the interval says of the means."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "undecided"


def compare(
    baseline: Sequence[float | None],
    candidate: Sequence[float | None],
    *,
    resolution: float = 0.0,
    among: tuple[int, int] = (1, 1),
) -> Comparison:
    """Two lists of scores on the same seeds, by the test of `decide`. Either may be the better one,
    so each end of the interval errs in 2.5 %: it is a 95 % interval.

    The best of several values was lucky, which makes the other side look worse than it is: that
    end's error is shared among them (Bonferroni).

    Args:
        baseline: scores, higher being better; None where a seed gave no result.
        candidate: likewise, seed by seed.
        resolution: as `decide` takes it.
        among: how many values each was chosen from for its mean, the baseline first.

    Returns:
        The candidate against the baseline; `p` is that of the two lists alone.
    """
    groups = [
        Group(candidate=index, scores=tuple(scores))
        for index, scores in enumerate((baseline, candidate))
    ]
    scores = scores_of(groups)
    stats = statistics_of(scores, noise_floor=least_deviation(scores, share=resolution))
    upper, lower = (
        comparisons(stats, advantage(stats, reference=0, level=LEVEL / 2 / values))[1]
        for values in among
    )
    compared = replace(lower, high=upper.high)
    return compared.without_test if are_identical(scores, perfect=()) else compared


def chance_apart(first: Sequence[float], later: Sequence[float], *, resolution: float) -> float:
    """How often chance parts the means of one configuration's scores so far: Student's test on both
    sides, with one noise for all of them, as none has been chosen; 1 where too few tell it.

    `resolution`: as `decide` takes it.
    """
    parts = [np.asarray(scores, dtype=float) for scores in (first, later)]
    freedom = sum(map(len, parts)) - 2
    if freedom < 1 or not all(map(len, parts)):
        return 1.0
    squares = sum(float(((scores - scores.mean()) ** 2).sum()) for scores in parts)
    least = least_deviation(np.concatenate(parts), share=resolution)
    error = max(math.sqrt(squares / freedom), least) * math.sqrt(sum(1 / len(s) for s in parts))
    difference = abs(float(parts[0].mean() - parts[1].mean()))
    if not error:
        return float(difference == 0)
    return float(2 * special.stdtr(freedom, -difference / error))


def comparisons(stats: SeedStatistics, lead: Advantage) -> tuple[Comparison, ...]:
    """Every group against the first one; `lead`: of all of them over it, by `noise.advantage`."""
    breaks, steadier = breaking(stats, reference=0)
    compared = []
    for index in range(len(stats.counts)):
        width = math.nan
        if index and min(stats.counts[0], stats.counts[index]) > 1:
            quantile = float(special.stdtrit(lead.freedom[index], 1 - lead.critical[index]))
            width = quantile * float(lead.errors[index])
        difference = float(lead.differences[index])
        compared.append(
            Comparison(
                difference=difference,
                low=difference - width,
                high=difference + width,
                p=float(lead.p[index]),
                critical_p=float(lead.critical[index]),
                broken=int(stats.broken[index]),
                trained=int(stats.trained[index]),
                p_breaks=float(breaks[index]),
                p_steadier=float(steadier[index]),
            )
        )
    return tuple(compared)
