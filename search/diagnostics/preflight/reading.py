"""What plain models read of labels in inputs, held out.

Knows no checks.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

ROWS, FEATURES = 1500, 500  # drawn at random, that plain models see
COLUMNS = 4  # outputs that are tried one by one
TREES = 200  # a row is left out by 74 of them
FOREST: dict[str, Any] = {
    "min_samples_leaf": 2,
    "bootstrap": True,
    "oob_score": True,
    "random_state": 0,
}
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What trees predict for some rows that they have not seen. They are fitted when first asked,
    and once for all checks.

    Each tree draws its rows with replacement, and a row is predicted by those trees that left it
    out (Breiman, Out-of-bag estimation, 1996): one forest does the work of one per fold.
    """

    x: Array
    y: Array
    classification: bool
    trees: int = TREES

    @classmethod
    def of(cls, x: Array, y: Array, *, classification: bool) -> "Reading":
        """A reading of some rows and features, drawn at random."""
        x, y = some_rows(x, y)
        return cls(x=x, y=y, classification=classification)

    @cached_property
    def chances(self) -> tuple[Array, Array]:
        """The probability of each class [n, classes], and the classes."""
        return self.forest.oob_decision_function_, self.forest.classes_

    @cached_property
    def numbers(self) -> tuple[Array, ...]:
        """What is read of the first columns of the targets, [n] each."""
        others = [
            ExtraTreesRegressor(self.trees, **FOREST).fit(self.x, numbers)
            for numbers in self.columns[1:]
        ]
        return tuple(forest.oob_prediction_ for forest in (self.forest, *others))

    @cached_property
    def forest(self) -> Any:
        """The trees of the classes, or of the targets' first column."""
        if self.classification:
            return ExtraTreesClassifier(self.trees, **FOREST).fit(self.x, self.y)
        return ExtraTreesRegressor(self.trees, **FOREST).fit(self.x, self.columns[0])

    @property
    def columns(self) -> Array:
        """The first columns of the targets [columns, n]."""
        columns: Array = self.y.reshape(len(self.y), -1).T[:COLUMNS].astype(np.float64)
        return columns

    @property
    def highest(self) -> float:
        """The score of predictions that are all right."""
        if not self.classification or not len(self.y):
            return 1.0
        return 1 - float(np.unique(self.y, return_counts=True)[1].max() / len(self.y))


def readable(reading: Reading) -> tuple[float, float]:
    """How much of the labels a plain model reads, held out, above a constant; and how sure that is,
    in standard deviations.
    """
    if len(reading.y) < 20:
        return 0.0, 0.0
    if reading.classification:
        chances, classes = reading.chances
        labels = np.searchsorted(classes, reading.y)
        frequencies = np.bincount(labels) / len(labels)
        blend = 0.9 * chances + 0.1 * frequencies
        gain = np.log(blend[np.arange(len(labels)), labels]) - np.log(frequencies[labels])
        score = float((chances.argmax(axis=1) == labels).mean() - frequencies.max())
        return score, float(gain.mean() / (gain.std(ddof=1) / math.sqrt(len(gain)) or 1.0))
    columns = zip(reading.numbers, reading.columns, strict=True)
    return max((_read_numbers(*column) for column in columns), key=lambda read: read[1])


def as_sure(reading: Reading, x: Array) -> float:
    """How sure trees are of other rows, over how sure they are of held-out rows of their own: near
    1 where both are of one kind, far less where these are nearer to each other, as frames of films.

    Of classes: how far the highest chance is above the share of the most frequent class; of
    numbers: how far predictions are spread.
    """
    if reading.classification:
        often = float(np.unique(reading.y, return_counts=True)[1].max() / len(reading.y))
        own = float(reading.chances[0].max(axis=1).mean()) - often
        other = float(reading.forest.predict_proba(x).max(axis=1).mean()) - often
    else:
        own, other = float(reading.numbers[0].std()), float(reading.forest.predict(x).std())
    return other / own if own > 0 else 0.0


def drawn_rows(count: int) -> NDArray[np.intp]:
    """Which rows plain models see, of so many: the same ones in every check."""
    return np.random.default_rng(0).permutation(count)[:ROWS]


def some_rows(x: Array, y: Array) -> tuple[Array, Array]:
    """Some rows and features, flat, drawn at random."""
    rows = drawn_rows(len(x))
    flat = np.nan_to_num(x[rows].reshape(len(rows), -1))
    return some_features(flat, FEATURES), y[rows]


def some_features(flat: Array, most: int) -> Array:
    """At most so many columns, drawn at random: of all sets the same, however many rows they
    have.
    """
    if flat.shape[1] <= most:
        return flat
    return flat[:, np.random.default_rng(1).permutation(flat.shape[1])[:most]]


def _read_numbers(guess: Array, numbers: Array) -> tuple[float, float]:
    """How well one column of numbers is read."""
    score = 1 - float(
        ((guess - numbers) ** 2).sum() / (((numbers - numbers.mean()) ** 2).sum() or 1.0)
    )
    varied = np.ptp(guess) > 0 and np.ptp(numbers) > 0
    correlation = float(np.corrcoef(guess, numbers)[0, 1]) if varied else 0.0
    return score, float(
        np.arctanh(min(correlation, 1 - 1e-9)) * math.sqrt(max(len(numbers) - 3, 1))
    )
