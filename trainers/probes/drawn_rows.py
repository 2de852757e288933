"""Whether the weights by which rows are drawn turn against the classes, or are of other rows. Never
judges.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

FEWEST = 64  # rows that can tell
MOST_CLASSES = 100
OWN = 0.9  # share of a class's rows that bear its usual weight, where weights are of classes


def weights_by_class(drawn: Sequence[float], targets: Sequence[float]) -> dict[str, Any] | None:
    """Of rows that were drawn by as many different weights as there are classes: the weight of each
    class, how often it comes among all rows, and the least share of a class that bears its usual
    weight. None where they are others.

    Args:
        drawn: weights of the rows, in the order in which they were drawn.
        targets: of the losses, in the order in which they were asked for.
    """
    rows = min(len(drawn), len(targets))
    weights, labels = np.asarray(drawn[:rows]), np.asarray(targets[:rows])
    kinds, classes = np.unique(weights), np.unique(labels)
    if rows < FEWEST or not 1 < len(kinds) == len(classes) <= MOST_CLASSES or kinds[0] <= 0:
        return None
    table = np.array([[np.sum((labels == y) & (weights == w)) for w in kinds] for y in classes])
    usual = kinds[table.argmax(axis=1)]
    rows_of = (table / kinds).sum(axis=1)  # a row is drawn as often as it weighs
    by_weight = (table / kinds).sum(axis=0)
    return {
        "weights": usual.tolist(),
        "rows": (rows_of / rows_of.sum()).tolist(),
        "own": float((table.max(axis=1) / table.sum(axis=1)).min()),
        "groups": (by_weight / by_weight.sum()).tolist(),
    }
