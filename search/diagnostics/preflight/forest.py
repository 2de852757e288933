"""Forests of extremely randomised trees, of which plain models are made.

Trees and predictions are those of scikit-learn's `ExtraTreesClassifier` and `ExtraTreesRegressor`,
to the bit. With few rows these spend most of their time on the checks, copies and parameters of
each single tree. Here rows are checked once per forest, which takes half of the time.

Knows no checks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.tree import ExtraTreeClassifier, ExtraTreeRegressor
from sklearn.utils import check_array

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Fitted trees. Of numbers, predictions have one column.

    `classes`: in order; none of numbers. `left_out`: for each row, the mean prediction of the trees
    that did not draw it; 0 where every tree did.
    """

    trees: list[Any]
    classes: Array | None
    left_out: Array

    def mean(self, x: Array) -> Array:
        """The probability of each class, or the number, of each row [rows, columns]."""
        x = check_array(x, dtype=np.float32)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            total: Array = sum(_of_tree(tree, x) for tree in self.trees)  # type: ignore[assignment]
        return total / len(self.trees)

    def predict(self, x: Array) -> Array:
        """The likeliest class, or the number, of each row."""
        mean = self.mean(x)
        return mean[:, 0] if self.classes is None else self.classes[mean.argmax(axis=1)]


def grow(
    x: Array, y: Array, *, trees: int, leaf: int, classification: bool, weights: Array | None = None
) -> Forest:
    """A forest of so many trees, with at least so many rows in a leaf.

    `weights`: of the rows, in all trees; None: each tree draws its rows with replacement.
    """
    x, rows = check_array(x, dtype=np.float32), len(x)
    classes, targets = np.unique(y, return_inverse=True) if classification else (None, y)
    targets = targets.reshape(rows, 1)
    kind = ExtraTreeClassifier if classification else ExtraTreeRegressor
    columns = 1 if classes is None else len(classes)
    grown, left_out, times = [], np.zeros((rows, columns)), np.zeros(rows)
    seeds, dice = np.random.RandomState(0), np.random.RandomState(0)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for _ in range(trees):
            seed = seeds.randint(np.iinfo(np.int32).max)
            drawn = weights
            if drawn is None:
                dice.seed(seed)
                drawn = np.bincount(dice.randint(0, rows, rows, dtype=np.int32), minlength=rows)
            dice.seed(seed)
            tree = kind(min_samples_leaf=leaf, random_state=dice)
            grown.append(tree.fit(x, targets, drawn, check_input=False))
            if weights is None and len(others := np.flatnonzero(drawn == 0)):
                left_out[others] += _of_tree(tree, x[others])
                times[others] += 1
    return Forest(trees=grown, classes=classes, left_out=left_out / np.maximum(times, 1)[:, None])


def _of_tree(tree: Any, x: Array) -> Array:
    """What one tree predicts [rows, columns]."""
    if isinstance(tree, ExtraTreeRegressor):
        return np.asarray(tree.predict(x, check_input=False))[:, None]
    return np.asarray(tree.predict_proba(x, check_input=False))
