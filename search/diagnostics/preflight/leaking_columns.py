"""What single columns, or a few together, tell of the labels: whether one gives them away.

Knows no checks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr
from sklearn import config_context
from sklearn.tree import DecisionTreeClassifier

from search.diagnostics.preflight.reading import FEATURES, drawn_rows

CODED = 0.8  # of the labels that a feature tells which measures nothing, that are no chance
CLUSTERED = 0.1  # greatest spread of a class's values, as a share of the gap between two classes
FEWEST = 10  # fewest rows of a class: fewer lie in runs by chance
DIGIT = 1e-9  # share of a target's variance that rounding may leave of a sum
MOST = 4  # columns whose sum is tried
WHOLE = 0.006  # times their number: by how much shares of two digits miss a sum of 1
Array = NDArray[Any]


def each_alone(x: Array, y: Array, classification: bool) -> dict[int, float]:
    """How much of the labels every single feature explains that changes at all."""
    drawn = drawn_rows(len(x))
    flat = x[drawn].reshape(len(drawn), -1).astype(np.float64)
    labels = y.reshape(len(y), -1)[drawn, 0]
    varied = [index for index in range(min(flat.shape[1], FEATURES)) if np.ptp(flat[:, index]) > 0]
    return {index: _alone(flat[:, index], labels, classification) for index in varied}


def label_code(raw: Array, y: Array) -> tuple[int, str, float] | None:
    """The feature that names most labels although it measures nothing: its number, what shows that,
    and the share of labels; None where none names many.

    It has one value per class, another whole number in every row, as identifiers do, or its gaps
    tell.

    Args:
        raw: features as they came, with their gaps.
    """
    drawn = drawn_rows(len(raw))
    flat, labels = raw[drawn].reshape(len(drawn), -1).astype(np.float64), y[drawn]
    best: tuple[int, str, float] | None = None
    for index in range(min(flat.shape[1], FEATURES)):
        column = flat[:, index]
        what = _measures_nothing(column, classes=len(np.unique(labels)))
        if not what:
            continue
        gaps = np.isnan(column).astype(float)
        score = by_tree((gaps if gaps.any() else column)[:, None], labels)
        if score >= CODED and (best is None or score > best[2]):
            best = index, what, score
    return best


def _measures_nothing(column: Array, *, classes: int) -> str:
    """What shows that a column names rather than measures; empty if nothing does."""
    if np.isnan(column).any():
        return "by its gaps alone"
    values = len(np.unique(column))
    if values == classes:
        return "which has a value per class"
    if values == len(column) and (column == column.round()).all():
        return "another whole number in every row, as an identifier is"
    return ""


def by_neighbours(x: Array, y: Array) -> dict[int, float]:
    """Of every feature, how surely the labels next to a row in its order are the row's own: the
    least of all classes. Codes and times that each belong to one label lie in runs.
    """
    flat, labels = _as_numbers(x, y)
    classes, often = np.unique(labels, return_counts=True)
    if len(classes) > len(flat) / 20 or often.min() < FEWEST:
        return {}
    dice = np.random.default_rng(0).permutation(len(flat))
    ordered = labels[dice][np.argsort(flat[dice], axis=0, kind="stable")]
    around = np.pad(ordered.astype(float), ((2, 2), (0, 0)), constant_values=np.nan)
    alike = sum(around[2 + step : len(around) - 2 + step] == ordered for step in (-2, -1, 1, 2))
    own = np.stack([((alike >= 2) & (ordered == one)).sum(axis=0) for one in classes])
    least = (own / often[:, None]).min(axis=0)
    varied = np.flatnonzero(flat.min(axis=0) < flat.max(axis=0)).tolist()
    return {index: float(least[index]) for index in varied}


def by_indicators(x: Array, y: Array) -> float:
    """How much of the labels the columns of two values explain, by a tree of a leaf per class."""
    drawn = drawn_rows(len(x))
    flat = np.nan_to_num(x[drawn].reshape(len(drawn), -1).astype(np.float64))
    low, high = flat.min(axis=0), flat.max(axis=0)
    two = (low < high) & ((flat == low) | (flat == high)).all(axis=0)
    return by_tree(flat[:, two], y[drawn]) if two.sum() > 1 else 0.0


def by_column_per_class(x: Array, y: Array) -> float:
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


def by_greatest(raw: Array, y: Array) -> float:
    """How much of the labels, above the most frequent class, is the place of the greatest of one
    share per class: the probabilities of a model whose answer they are. 0 for two classes.

    Other columns, such as signals of sensors, may name the class by the greatest of them rightly.
    """
    flat, labels = _as_numbers(raw, y)
    classes, codes = np.unique(labels, return_inverse=True)
    if not 2 < len(classes) <= flat.shape[1]:
        return 0.0
    means = np.stack([flat[codes == one].mean(axis=0) for one in range(len(classes))])
    spread = np.where(flat.std(axis=0) > 0, flat.std(axis=0), np.inf)
    best = ((means - flat.mean(axis=0)) / spread).argmax(axis=1)
    shares = flat[:, best]
    apart = np.abs(shares.sum(axis=1) - 1).max()
    if len(set(best.tolist())) < len(classes) or shares.min() < 0 or apart > WHOLE * len(best):
        return 0.0
    right, most = (shares.argmax(axis=1) == codes).mean(), np.bincount(codes).max()
    return float((right - most / len(codes)) / (1 - most / len(codes)))


def by_sum_of_few(x: Array, y: Array, classification: bool) -> tuple[float, tuple[int, ...]]:
    """How much of the labels the sum of two, three or four columns explains that no single one
    does, and which.

    Those that weigh most in a linear fit, weighted as there. 2 of numbers that are such a sum to
    the digit, whatever the columns tell alone.
    """
    flat, labels = _as_numbers(x, y)
    numbers, spread = labels.astype(np.float64), flat.std(axis=0)
    varied = np.flatnonzero(spread > 0)
    if len(varied) < 3 or len(flat) < 3 * len(varied) or not np.ptp(numbers):
        return 0.0, (0,)
    unit = (flat[:, varied] - flat[:, varied].mean(axis=0)) / spread[varied]
    weights = np.linalg.lstsq(unit, numbers - numbers.mean(), rcond=1e-6)[0]
    heaviest = np.argsort(-np.abs(weights))
    best: tuple[float, tuple[int, ...]] = (0.0, (0,))
    for count in range(2, min(MOST, len(varied) - 1) + 1):
        few = heaviest[:count]
        total = unit[:, few] @ weights[few]
        if np.ptp(total) and (not classification or _in_clusters(total, labels)):
            score = _alone(total, labels, classification)
            left = numbers - numbers.mean() - total
            if not classification and (left**2).mean() < DIGIT * numbers.var():
                return 2.0, tuple(map(int, varied[few]))
            if score > best[0]:
                best = score, tuple(map(int, varied[few]))
    return best


def _in_clusters(numbers: Array, labels: Array) -> bool:
    """Whether numbers have a value per class, nearly: separate classes alone spread far more."""
    groups = [numbers[labels == one] for one in np.unique(labels)]
    means = np.sort([group.mean() for group in groups])
    return bool(max(group.std() for group in groups) < CLUSTERED * np.diff(means).min())


def _as_numbers(x: Array, y: Array) -> tuple[Array, Array]:
    """Some rows, their first columns flat, and the first column of labels."""
    drawn = drawn_rows(len(x))
    flat = np.nan_to_num(x[drawn].reshape(len(drawn), -1)[:, :FEATURES].astype(np.float64))
    return flat, y.reshape(len(y), -1)[drawn, 0]


def _alone(feature: Array, labels: Array, classification: bool) -> float:
    """Share of correct rows by a tree of a leaf per class, above the most frequent; or the absolute
    rank correlation.
    """
    if not classification:  # of equal targets, as counts are, no order can be told; most are not
        most = min(float(rankdata(labels).std() / rankdata(feature).std()), 1.0)
        return abs(float(spearmanr(feature, labels).statistic)) / (most if most > 0.9 else 1.0)
    return by_tree(feature[:, None], labels)


def by_tree(x: Array, labels: Array) -> float:
    """Share of correct rows by a tree of a leaf per class, above the most frequent class."""
    counts = np.unique(labels, return_counts=True)[1]
    most = counts.max() / len(labels)
    if most == 1:
        return 0.0
    with config_context(skip_parameter_validation=True):  # half of the time of so small a tree
        tree = DecisionTreeClassifier(max_leaf_nodes=len(counts), random_state=0).fit(x, labels)
        right = tree.predict(x) == labels
    return float((right.mean() - most) / (1 - most))
