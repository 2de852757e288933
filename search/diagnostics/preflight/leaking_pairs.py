"""What two columns tell of the labels that neither tells alone: by their ratio, their product,
their difference, their sum, or the combination of their values.

Knows no checks.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from search.diagnostics.preflight.leaking_columns import by_tree
from search.diagnostics.preflight.reading import drawn_rows

COLUMNS, SIFTED = 60, 200  # columns that are paired; rows by which pairs are sifted first
NEARLY = 0.95  # share of the sifted rows that a pair must rank right, to be tried on all rows
BEST = 20  # pairs that are tried on all rows
VALUES, PER_CELL = 6, 15  # most values of a combined column; fewest rows per combination
VALLEY = 1.5  # times as far apart as farther rows: rows at a border that lies between two groups
BORDER = 0.1  # share of the rows on each side of a border that are looked at
LEAST = 8  # fewest rows on each side of a border
# The same two of a difference or a sum, along which any two clouds may lie apart.
SURE_VALLEY, SURE_LEAST = 1.2, 20
# Names of sums of two columns, and how often each is taken.
SUMS = {"difference": (1.0, -1.0), "sum": (1.0, 1.0)}
POWERS = {  # the same of logarithms
    "ratio": (1.0, -1.0),
    "product": (1.0, 1.0),
    "ratio to a square": (1.0, -2.0),
    "ratio of a square": (2.0, -1.0),
}
Array = NDArray[Any]
Pair = tuple[float, str, tuple[int, int]]
NONE: Pair = (0.0, "", (0, 0))


def by_ratio(raw: Array, y: Array, *, classification: bool, telling: float) -> Pair:
    """How much of the labels the ratio or the product of two columns explains, of those columns
    whose values have one sign; of classes also their difference or sum; and which pair it is.

    Classes may lie apart in any direction, and so in some ratio. What is looked for is a label that
    is computed: it changes where rows lie as dense as elsewhere.
    """
    flat, labels = _drawn(raw, y)
    if not np.ptp(labels):
        return NONE
    changes = flat.std(axis=0) > 0
    signs = (flat > 0).all(axis=0) | (flat < 0).all(axis=0)
    picked = np.flatnonzero(signs & changes)[:COLUMNS]
    logs = np.log(np.abs(flat[:, picked]))
    best = _best_pair(logs, picked, labels, POWERS, classification, telling)
    if classification:
        plain = np.flatnonzero(changes)[:COLUMNS]
        other = _best_pair(flat[:, plain], plain, labels, SUMS, classification, telling)
        best = max(best, other)
    return best


def _best_pair(
    columns: Array,
    picked: NDArray[np.intp],
    labels: Array,
    forms: Mapping[str, tuple[float, float]],
    classification: bool,
    telling: float,
) -> Pair:
    """The pair whose difference or sum explains most of the labels, and at least `telling`.

    `picked`: the columns' numbers; `forms`: how often each column of a pair is taken.
    """
    pairs = list(combinations(range(len(picked)), 2))
    if not pairs:
        return NONE
    one, two = np.array(pairs).T
    best = NONE
    for name, (first, second) in forms.items():
        some = columns[:SIFTED]
        sums = first * some[:, one] + second * some[:, two]
        likely = _alike(sums, labels[:SIFTED], classification)
        for at in np.argsort(-likely, kind="stable")[:BEST]:
            if likely[at] < NEARLY:
                break
            values = first * columns[:, one[at]] + second * columns[:, two[at]]
            score = float(_alike(values[:, None], labels, classification)[0])
            computed = not classification or _is_computed(values, labels, sure=name in SUMS)
            if score >= telling and computed and score > best[0]:
                best = score, name, (int(picked[one[at]]), int(picked[two[at]]))
    return best


def _alike(values: Array, labels: Array, classification: bool) -> Array:
    """Of every column, how surely its order is that of the labels: the absolute rank correlation;
    of two classes, the share of rows on the right side of the best border, above the most frequent
    class. Of more classes, which have several borders, 0.
    """
    order = np.argsort(values, axis=0, kind="stable")
    if not classification:
        ranks = np.empty(values.shape)
        np.put_along_axis(ranks, order, np.arange(len(values), dtype=float)[:, None], axis=0)
        own = rankdata(labels)
        own, ranks = own - own.mean(), ranks - ranks.mean(axis=0)
        spread = np.sqrt((own**2).sum() * (ranks**2).sum(axis=0))
        correlation: Array = np.abs(own @ ranks) / np.where(spread > 0, spread, np.inf)
        return correlation
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) != 2:
        return np.zeros(values.shape[1])
    ordered = codes.astype(float)[order]
    ones, rows = ordered.cumsum(axis=0), np.arange(1, len(values) + 1)[:, None]
    right = rows - ones + (ones[-1:] - ones)  # zeros up to here, ones behind
    most = max(codes.mean(), 1 - codes.mean())
    share = np.maximum(right, len(values) - right).max(axis=0) / len(values)
    above: Array = (share - most) / (1 - most)
    return above


def _is_computed(values: Array, labels: Array, *, sure: bool) -> bool:
    """Whether two classes meet where rows are as dense as elsewhere. Between groups that lie apart
    rows grow rarer towards the border, on either side of it.
    """
    valley, least = (SURE_VALLEY, SURE_LEAST) if sure else (VALLEY, LEAST)
    order = np.argsort(values, kind="stable")
    ordered, first = values[order], labels[order] == labels[order][0]
    border = int((np.cumsum(np.where(first, 1, -1))).argmax()) + 1
    few = int(BORDER * len(values))
    if few < least or border < 2 * few or border + 2 * few > len(values):
        return False
    sides = (ordered[:border][::-1], ordered[border:])
    return all(
        abs(side[few - 1] - side[0]) < valley * abs(side[2 * few - 1] - side[few - 1])
        for side in sides
    )


def by_combination(x: Array, y: Array) -> Pair:
    """How much of two classes the values of two columns tell together, each of which has few, and
    alone tells hardly any more than the most frequent class; and which pair it is.
    """
    flat, labels = _drawn(x, y)
    if len(np.unique(labels)) != 2:
        return NONE
    few = [at for at in range(flat.shape[1]) if 1 < len(np.unique(flat[:, at])) <= VALUES][:COLUMNS]
    codes = {at: np.unique(flat[:, at], return_inverse=True)[1] for at in few}
    second = labels == labels.max()
    most = max(second.mean(), 1 - second.mean())
    best = NONE
    for one, two in combinations(few, 2):
        cells = codes[one] * VALUES + codes[two]
        rows, ones = np.bincount(cells), np.bincount(cells, second)
        if len(labels) < PER_CELL * (rows > 0).sum():
            continue
        score = float((np.maximum(ones, rows - ones).sum() / len(labels) - most) / (1 - most))
        if score > best[0]:
            best = score, "combination", (one, two)
    return best


def of_the_rest(x: Array, y: Array, *, without: tuple[int, ...]) -> float:
    """How much of the labels the best other column tells: then the task is not that of these."""
    flat, labels = _drawn(x, y)
    others = [
        at for at in range(min(flat.shape[1], COLUMNS)) if at not in without and np.ptp(flat[:, at])
    ]
    return max((by_tree(flat[:, [at]], labels) for at in others), default=0.0)


def _drawn(x: Array, y: Array) -> tuple[Array, Array]:
    """Some rows, flat, and the first column of labels."""
    drawn = drawn_rows(len(x))
    flat = np.nan_to_num(x[drawn].reshape(len(drawn), -1).astype(np.float64))
    return flat, y.reshape(len(y), -1)[drawn, 0]
