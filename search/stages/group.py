"""What is compared: one value's scores over its seeds, and which of these seeds collapsed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from search.config.knobs import Value
from search.stages.scores import Floats, broken_seeds, step_of

LARGEST = 1e150  # beyond it the square of a score is no number: such a training has diverged


@dataclass(frozen=True, kw_only=True)
class Group:
    """One value of the knob: its seeds' scores, higher being better, in the order of the seeds.

    None where a seed gave no result. `collapsed`: places of seeds that fell far below the others.
    `perfect`: scores that nothing can better, empty where nothing tells.
    """

    value: Value
    scores: tuple[float | None, ...]
    collapsed: frozenset[int] = frozenset()
    perfect: tuple[float, ...] = ()

    @cached_property
    def clean(self) -> tuple[float, ...]:
        """The scores of the seeds that neither collapsed nor failed."""
        return tuple(
            score
            for place, score in enumerate(self.scores)
            if score is not None and abs(score) < LARGEST and place not in self.collapsed
        )

    @cached_property
    def mean(self) -> float:
        """Mean over the clean seeds; −inf where there are none."""
        return float(np.mean(self.clean)) if self.clean else -math.inf


def mark_collapsed(groups: Sequence[Group], *, resolution: float) -> tuple[Group, ...]:
    """The groups with their collapsed seeds marked, as `decide` sees them."""
    scores = scores_of(groups)
    broken = broken_seeds(scores, resolution=step_of(scores, share=resolution) / 2)
    return tuple(
        replace(group, collapsed=frozenset(np.flatnonzero(row & np.isfinite(line)).tolist()))
        for group, row, line in zip(groups, broken, scores, strict=True)
    )


def scores_of(groups: Sequence[Group]) -> Floats:
    """The scores as an array of values and seeds: −inf without a result or beyond `LARGEST`, NaN
    where not trained.
    """
    seeds = max((len(group.scores) for group in groups), default=0)
    array = np.full((len(groups), max(seeds, 1)), np.nan)
    for row, group in zip(array, groups, strict=True):
        row[: len(group.scores)] = [
            -math.inf if score is None or not abs(score) < LARGEST else score
            for score in group.scores
        ]
    return array
