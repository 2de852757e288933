"""Which value of a swept knob, or that it cannot be told (R28, P5). Pure: numbers in, a decision out.

Values are compared with the best one (Hsu's multiple comparisons with the best, 1984, by Dunnett's one-sided critical value,
JASA 50, 1955). What lies nearer to the best than chance reaches is a tie, and in a tie the baseline stays.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
from scipy import optimize, stats

from search.config.knobs import Value

EarlyStopping = Literal["best", "tie", "worse", "unstable", "unusable"]
COLLAPSE = 6.0  # a seed that lies so many pooled standard deviations below its value's median has collapsed


@dataclass(frozen=True, kw_only=True)
class Group:
    """One value of the knob: its seeds' scores (higher is better; None where a seed has none), in the order of the seeds."""

    value: Value
    scores: tuple[float | None, ...]

    @cached_property
    def clean(self) -> tuple[float, ...]:
        """The scores there are."""
        return tuple(score for score in self.scores if score is not None)

    @cached_property
    def mean(self) -> float:
        """Mean over the clean seeds; −inf where there are none."""
        return float(np.mean(self.clean)) if self.clean else -math.inf


@dataclass(frozen=True, kw_only=True)
class Decision:
    """`winner` and `best` (of means) index the groups, None where no value is usable; `standings` in their order; `margin`: a
    tie's greatest distance;
    `spread`: the pooled standard deviation between seeds, with its degrees of `freedom`.
    """

    winner: int | None
    standings: tuple[EarlyStopping, ...]
    adopted: bool = False
    best: int | None = None
    tie: bool = False
    margin: float = math.nan
    spread: float = math.nan
    freedom: int = 0

    def interval(self, repeats: int) -> float:
        """Half width of a mean's 95 % interval, from the pooled spread; NaN where one seed per value tells no spread."""
        return (
            float(stats.t.ppf(0.975, self.freedom)) * self.spread / math.sqrt(repeats)
            if self.freedom
            else math.nan
        )


def decide(
    groups: Sequence[Group], *, resolution: float, costs: Sequence[float] | None = None
) -> Decision:
    """Which group wins; the first is the baseline. `resolution`: half a validation row, the least standard deviation believed.

    In a tie the baseline stays, else the best mean wins (P5); where there are `costs`, the cheapest value within one standard
    error of it (Breiman et al. 1984, section 3.4.3): a whole tie is too wide for that, and would give up what is really there.
    A value with a missing or collapsed seed ranks below all whole ones.
    """
    whole = [
        index
        for index, group in enumerate(groups)
        if group.clean and len(group.clean) == len(group.scores)
    ]
    collapsed = {index for index in whole if _collapsed(groups, index, whole, resolution)}
    stable = [index for index in whole if index not in collapsed]
    standings: list[EarlyStopping] = [
        "unusable" if index not in whole else "unstable" for index in range(len(groups))
    ]
    ranked = (
        stable or sorted(collapsed) or [index for index, group in enumerate(groups) if group.clean]
    )
    if not ranked:
        return Decision(winner=None, standings=tuple(standings))
    best = max(ranked, key=lambda index: groups[index].mean)
    spread, freedom = _pooled(groups, _better_half(groups, ranked), resolution)
    repeats = min(len(groups[index].clean) for index in ranked)
    margin = (
        dunnett(len(ranked) - 1, freedom) * spread * math.sqrt(2 / repeats)
        if len(ranked) > 1 and freedom
        else 0.0
    )
    for index in stable:
        is_near = groups[best].mean - groups[index].mean <= margin
        standings[index] = "tie" if is_near else "worse"
    ties = [index for index in stable if standings[index] == "tie"]
    if best in stable and len(ties) <= 1:
        standings[best] = "best"
    winner = 0 if 0 in ties else best
    if 0 not in ties and best in ties and costs is not None:
        near = [
            index
            for index in ties
            if groups[best].mean - groups[index].mean <= spread / math.sqrt(repeats)
        ]
        winner = min(near, key=lambda index: (costs[index], -groups[index].mean))
    return Decision(
        winner=winner,
        standings=tuple(standings),
        adopted=winner != 0,
        best=best,
        tie=len(ties) > 1,
        margin=margin,
        spread=spread,
        freedom=freedom,
    )


@lru_cache(maxsize=256)
def dunnett(comparisons: int, freedom: int, level: float = 0.95) -> float:
    """One-sided critical value for comparing `comparisons` means with one of equal size, `freedom` degrees of freedom.

    P(max over i of (Z_i − Z_0) / (√2 S) ≤ d) = level, with S² a mean of chi-squares (Dunnett 1955, eq. 2, ρ = 1/2).
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    quantiles = (np.arange(400) + 0.5) / 400
    spreads = np.sqrt(stats.chi2.ppf(quantiles, freedom) / freedom)

    def missing(critical: float) -> float:
        within = (
            stats.norm.cdf(nodes[:, None] + math.sqrt(2) * critical * spreads[None, :])
            ** comparisons
        )
        return float(weights @ within.mean(axis=1)) - level

    return float(optimize.brentq(missing, 0.0, 100.0))


def _better_half(groups: Sequence[Group], among: Sequence[int]) -> list[int]:
    """The better half by mean: bad values are often wild ones, and their noise is not that of the contest."""
    ordered = sorted(among, key=lambda index: groups[index].mean, reverse=True)
    return ordered[: max(1, (len(ordered) + 1) // 2)]


def _pooled(groups: Sequence[Group], among: Sequence[int], resolution: float) -> tuple[float, int]:
    """Root mean square of the deviations from each value's mean, and its degrees of freedom."""
    freedom = sum(len(groups[index].clean) - 1 for index in among)
    squares = sum(
        sum((score - groups[index].mean) ** 2 for score in groups[index].clean) for index in among
    )
    return max(math.sqrt(squares / freedom) if freedom else 0.0, resolution), freedom


def _collapsed(
    groups: Sequence[Group], index: int, whole: Sequence[int], resolution: float
) -> bool:
    """Whether one seed lies far below its value's median, measured by the other values' noise.

    A seed that still does better than a good other value, the median of their better half, has not: it is a wide distribution.
    """
    scores = groups[index].clean
    others = [other for other in whole if other != index]
    if len(scores) < 3 or len(others) < 2:
        return False
    good = _better_half(groups, others)
    spread, _ = _pooled(groups, good, resolution)
    far = float(np.median(scores)) - min(scores) > COLLAPSE * spread
    return far and min(scores) < float(np.median([groups[other].mean for other in good]))
