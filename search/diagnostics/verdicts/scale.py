"""What one training's losses are measured against, so that a verdict does not depend on their unit.

What a constant prediction loses, where that is known, else where the training began.
"""

import math
from dataclasses import dataclass

from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.trend import Array

SMALLEST = 1e-150  # a loss below it is none: other losses divided by it may be no number


@dataclass(frozen=True, kw_only=True)
class Scale:
    """`floor`: the lowest loss, where losses go below zero, else 0; `unit`: what counts as 1 above
    it.

    `chance`: what a constant prediction loses, None where that is not known; `anchored`: whether
    `unit` is that, or the loss of the untrained model.
    """

    floor: float
    chance: float | None
    anchored: bool
    unit: float


def scale_of(curves: Curves) -> Scale:
    """The scale of curves whose losses are finite."""
    floor = min(float(curves.train.min()), float(curves.val.min()), 0.0)
    chance = curves.constant or (math.log(curves.classes) if curves.classes > 1 else None)
    chance = chance if not floor else None
    return Scale(
        floor=floor,
        chance=chance,
        anchored=chance is not None or curves.untrained,
        unit=chance or _unit(_began(curves.train - floor, untrained=curves.untrained)),
    )


def _unit(began: float) -> float:
    """The loss at which a training began, by which others are divided; 1 in place of no loss."""
    return began if began > SMALLEST else 1.0


def _began(train: Array, *, untrained: bool) -> float:
    """Where a training began; a first epoch far above the second, in which training began, does not
    count in full.
    """
    if untrained or len(train) < 2:
        return float(train[0])
    return float(min(train[0], 3 * train[1])) or float(train.max())
