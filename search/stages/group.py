"""What is compared: one value's scores over its seeds, and which of these seeds collapsed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from search.config.knobs import Value, written
from search.stages.scores import Floats, broken_seeds, least_deviation

LARGEST = 1e150  # beyond it the square of a score is no number: such a training has diverged


@dataclass(frozen=True)
class Leader:
    """A configuration that leads a joint search, named by its first trial."""

    trial: int

    def __str__(self) -> str:
        return f"trial {self.trial}"


@dataclass(frozen=True)
class Configuration:
    """A configuration of a confirmation, named by its place in the list; the first has 0."""

    place: int

    def __str__(self) -> str:
        return f"configuration {self.place}"


Candidate = Value | Leader | Configuration  # the first: a value of a sweep's knob


@dataclass(frozen=True, kw_only=True)
class Group:
    """A candidate with its seeds' scores, higher being better, in the order of the seeds.

    None where a seed gave no result. `collapsed`: places of seeds that fell far below the others.
    `perfect`: scores that nothing can better, empty where nothing tells. `curves`: as
    `TrialRecord.curve`, in the same order.
    """

    candidate: Candidate
    scores: tuple[float | None, ...]
    collapsed: frozenset[int] = frozenset()
    perfect: tuple[float, ...] = ()
    curves: tuple[str, ...] = ()

    @property
    def value(self) -> Value:
        """The value of a sweep's knob."""
        if isinstance(self.candidate, Leader | Configuration):
            raise TypeError(f"{self.candidate} is no value of a knob")
        return self.candidate

    @property
    def trial(self) -> int:
        """The first trial of a joint search's leader."""
        if not isinstance(self.candidate, Leader):
            raise TypeError(f"{self.candidate} leads no joint search")
        return self.candidate.trial

    @property
    def words(self) -> str:
        """The candidate in words: `0.1`, or `trial 3`."""
        return written(self.candidate)

    @property
    def name(self) -> Value:
        """The candidate as files hold it: a value, a trial's number, or a place."""
        if isinstance(self.candidate, Leader):
            return self.candidate.trial
        return self.candidate.place if isinstance(self.candidate, Configuration) else self.value

    @cached_property
    def broken(self) -> frozenset[int]:
        """The places of the seeds that collapsed or failed."""
        lost = {
            place
            for place, score in enumerate(self.scores)
            if score is None or not abs(score) < LARGEST
        }
        return self.collapsed | lost

    @cached_property
    def clean(self) -> tuple[float, ...]:
        """The scores of the seeds that neither collapsed nor failed."""
        places = enumerate(self.scores)
        return tuple(
            score for place, score in places if score is not None and place not in self.broken
        )

    @cached_property
    def mean(self) -> float:
        """Mean over the clean seeds; −inf where there are none."""
        return float(np.mean(self.clean)) if self.clean else -math.inf


def mark_collapsed(groups: Sequence[Group], *, resolution: float) -> tuple[Group, ...]:
    """The groups with their collapsed seeds marked, as `decide` sees them."""
    scores = scores_of(groups)
    broken = broken_seeds(scores, noise_floor=least_deviation(scores, share=resolution))
    return tuple(
        replace(group, collapsed=frozenset(np.flatnonzero(row & np.isfinite(line)).tolist()))
        for group, row, line in zip(groups, broken, scores, strict=True)
    )


def scores_of(groups: Sequence[Group]) -> Floats:
    """Scores by value and seed: −inf without a result or beyond `LARGEST`, NaN if not trained."""
    seeds = max((len(group.scores) for group in groups), default=0)
    array = np.full((len(groups), max(seeds, 1)), np.nan)
    for row, group in zip(array, groups, strict=True):
        row[: len(group.scores)] = [
            -math.inf if score is None or not abs(score) < LARGEST else score
            for score in group.scores
        ]
    return array


def change_nothing(groups: Sequence[Group]) -> bool:
    """Whether all values have the same scores, seed by seed: a knob that nothing reads, or whose
    effect is smaller than the metric's steps. False below two pairs of equal scores.
    """
    pairs = [
        (one, other)
        for group in groups[1:]
        for one, other in zip(groups[0].scores, group.scores, strict=False)
        if one is not None and other is not None
    ]
    compared = all(any(score is not None for score in group.scores) for group in groups)
    return compared and len(pairs) > 1 and all(one == other for one, other in pairs)


def losses_differ(groups: Sequence[Group]) -> bool:
    """Whether all curves are known, and some value's differ from another's: what moves no score has
    moved these.
    """
    return all(group.curves and all(group.curves) for group in groups) and not train_alike(groups)


def train_alike(groups: Sequence[Group]) -> bool:
    """Whether all values trained alike to the last digit, seed by seed: no training reads the knob,
    or none reaches what it sets. False where equal curves would not show that.
    """
    pairs = [
        (one, other)
        for group in groups[1:]
        for one, other in zip(groups[0].curves, group.curves, strict=False)
    ]
    compared = bool(pairs) and all(group.curves for group in groups)
    return compared and all(one and one == other for one, other in pairs)
