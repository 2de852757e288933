"""What plain models read of labels in inputs, held out: trees, and single features.

Knows no checks.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

ROWS, FEATURES = 1500, 500  # drawn at random, that plain models see
COLUMNS = 4  # outputs that are tried one by one
CODED = 0.8  # of the labels that a feature of a value per class tells, from which it may be a copy
CLUSTERED = 0.1  # of the gap between classes: the spread of what gives them away
Shown = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What trees predict for some rows that they have not seen. They are fitted when first asked,
    and once for all checks.
    """

    x: Shown
    y: Shown
    classification: bool

    @classmethod
    def of(cls, x: Shown, y: Shown, *, classification: bool) -> "Reading":
        """Of some rows and features, drawn at random."""
        x, y = some_rows(x, y)
        return cls(x=x, y=y, classification=classification)

    @cached_property
    def chances(self) -> tuple[Shown, Shown]:
        """Of each class [n, classes], and the classes."""
        return _held_out(self.x, self.y)

    @cached_property
    def numbers(self) -> tuple[Shown, ...]:
        """Of the first columns of the targets [n] each."""
        return tuple(_held_out_numbers(self.x, numbers) for numbers in self.columns)

    @property
    def columns(self) -> Shown:
        """The first columns of the targets [columns, n]."""
        columns: Shown = self.y.reshape(len(self.y), -1).T[:COLUMNS].astype(np.float64)
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


def each_alone(x: Shown, y: Shown, classification: bool) -> dict[int, float]:
    """How much of the labels every single feature explains that changes at all."""
    drawn = np.random.default_rng(0).permutation(len(x))[:ROWS]
    flat, labels = (
        x[drawn].reshape(len(drawn), -1).astype(np.float64),
        y.reshape(len(y), -1)[drawn, 0],
    )
    varied = [index for index in range(min(flat.shape[1], FEATURES)) if np.ptp(flat[:, index]) > 0]
    return {index: _alone(flat[:, index], labels, classification) for index in varied}


def label_code(x: Shown, y: Shown, scores: Mapping[int, float]) -> int | None:
    """The feature that has one value per class and tells most labels by it; None where none does.

    Args:
        scores: of `each_alone`.
    """
    best = max(scores, key=scores.__getitem__, default=None)
    if best is None or scores[best] < CODED:
        return None
    flat = x.reshape(len(x), -1)[:, best]
    return best if len(np.unique(flat)) == len(np.unique(y)) else None


def by_indicators(x: Shown, y: Shown) -> float:
    """How much of the labels the columns of two values explain, by a tree of a leaf per class."""
    drawn = np.random.default_rng(0).permutation(len(x))[:ROWS]
    flat = np.nan_to_num(x[drawn].reshape(len(drawn), -1).astype(np.float64))
    low, high = flat.min(axis=0), flat.max(axis=0)
    two = (low < high) & ((flat == low) | (flat == high)).all(axis=0)
    return _by_tree(flat[:, two], y[drawn]) if two.sum() > 1 else 0.0


def by_column_per_class(x: Shown, y: Shown) -> float:
    """How surely every class is told from the rest by a column of its own: of the classes, the
    least area under the curve. 0 for two classes, which any one column would tell.
    """
    flat, labels = _as_numbers(x, y)
    classes = np.unique(labels)
    if len(classes) < 3:
        return 0.0
    ranks = rankdata(flat, axis=0)
    own = np.stack([labels == one for one in classes]).astype(float)
    count = own.sum(axis=1, keepdims=True)
    above = own @ ranks - count * (count + 1) / 2
    areas = above / (count * (len(labels) - count))
    best = areas.argmax(axis=1)
    return float(areas.max(axis=1).min()) if len(set(best.tolist())) == len(classes) else 0.0


def by_sum_of_two(x: Shown, y: Shown, classification: bool) -> tuple[float, tuple[int, int]]:
    """How much of the labels the sum of two columns explains that no single one does, and which
    two.

    The two that weigh most in a linear fit, weighted as there.
    """
    flat, labels = _as_numbers(x, y)
    numbers, spread = labels.astype(np.float64), flat.std(axis=0)
    varied = np.flatnonzero(spread > 0)
    if len(varied) < 3 or len(flat) < 3 * len(varied) or not np.ptp(numbers):
        return 0.0, (0, 0)
    unit = (flat[:, varied] - flat[:, varied].mean(axis=0)) / spread[varied]
    weights = np.linalg.lstsq(unit, numbers - numbers.mean(), rcond=1e-6)[0]
    one, other = np.argsort(-np.abs(weights))[:2]
    total = unit[:, one] * weights[one] + unit[:, other] * weights[other]
    pair = int(varied[one]), int(varied[other])
    if not np.ptp(total) or (classification and not _in_clusters(total, labels)):
        return 0.0, pair
    return _alone(total, labels, classification), pair


def _in_clusters(numbers: Shown, labels: Shown) -> bool:
    """Whether numbers have a value per class, nearly: separate classes alone spread far more."""
    groups = [numbers[labels == one] for one in np.unique(labels)]
    means = np.sort([group.mean() for group in groups])
    return bool(max(group.std() for group in groups) < CLUSTERED * np.diff(means).min())


def _as_numbers(x: Shown, y: Shown) -> tuple[Shown, Shown]:
    """Some rows, their first columns flat, and the first column of labels."""
    drawn = np.random.default_rng(0).permutation(len(x))[:ROWS]
    flat = np.nan_to_num(x[drawn].reshape(len(drawn), -1)[:, :FEATURES].astype(np.float64))
    return flat, y.reshape(len(y), -1)[drawn, 0]


def some_rows(x: Shown, y: Shown) -> tuple[Shown, Shown]:
    """Some rows and features, flat, drawn at random."""
    rows = np.random.default_rng(0).permutation(len(x))[:ROWS]
    flat = np.nan_to_num(x[rows].reshape(len(rows), -1))
    return some_features(flat, FEATURES), y[rows]


def some_features(flat: Shown, most: int) -> Shown:
    """At most so many columns, drawn at random: of all sets the same, however many rows they
    have.
    """
    if flat.shape[1] <= most:
        return flat
    return flat[:, np.random.default_rng(1).permutation(flat.shape[1])[:most]]


def _held_out(x: Shown, y: Shown) -> tuple[Shown, Shown]:
    """Chances of each class [n, classes] for rows that the model has not seen, and the classes."""
    least = int(np.unique(y, return_counts=True)[1].min())
    folds: Any = (
        StratifiedKFold(5, shuffle=True, random_state=0)
        if least >= 5
        else KFold(5, shuffle=True, random_state=0)
    )
    known = np.unique(y)
    y = np.searchsorted(known, y)
    trees = ExtraTreesClassifier(100, min_samples_leaf=2, random_state=0)
    chances = np.zeros((len(y), len(known)))
    for seen, held in folds.split(x, y):
        trees.fit(x[seen], y[seen])
        chances[np.ix_(held, trees.classes_)] = trees.predict_proba(x[held])
    return chances, known


def _held_out_numbers(x: Shown, numbers: Shown) -> Shown:
    """Predictions of numbers [n] for rows that the model has not seen."""
    trees = ExtraTreesRegressor(100, min_samples_leaf=2, random_state=0)
    predicted: Shown = cross_val_predict(
        trees, x, numbers, cv=KFold(5, shuffle=True, random_state=0)
    )
    return predicted


def _read_numbers(guess: Shown, numbers: Shown) -> tuple[float, float]:
    """The same of one column of numbers."""
    score = 1 - float(
        ((guess - numbers) ** 2).sum() / (((numbers - numbers.mean()) ** 2).sum() or 1.0)
    )
    varied = np.ptp(guess) > 0 and np.ptp(numbers) > 0
    correlation = float(np.corrcoef(guess, numbers)[0, 1]) if varied else 0.0
    return score, float(
        np.arctanh(min(correlation, 1 - 1e-9)) * math.sqrt(max(len(numbers) - 3, 1))
    )


def _alone(feature: Shown, labels: Shown, classification: bool) -> float:
    """Share of correct rows by a tree of a leaf per class, above the most frequent; or the absolute
    rank correlation.
    """
    if not classification:
        return abs(float(spearmanr(feature, labels).statistic))
    return _by_tree(feature[:, None], labels)


def _by_tree(x: Shown, labels: Shown) -> float:
    """Share of correct rows by a tree of a leaf per class, above the most frequent class."""
    counts = np.unique(labels, return_counts=True)[1]
    most = counts.max() / len(labels)
    if most == 1:
        return 0.0
    tree = DecisionTreeClassifier(max_leaf_nodes=len(counts), random_state=0).fit(x, labels)
    return float((tree.score(x, labels) - most) / (1 - most))
