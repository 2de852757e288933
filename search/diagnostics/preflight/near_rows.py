"""Do rows of two sets nearly repeat each other: one patient twice, or a row augmented before the
split (R3)?

Pure functions of arrays; never trains.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson
from sklearn.neighbors import NearestNeighbors

from search.diagnostics.preflight.reading import some_features

ROWS, FEATURES = 1500, 200  # of each set, drawn at random, that are compared
TENTH, TWENTIETH = 10, 20  # the neighbours that say how far apart rows lie here
NEAR = 0.2  # of the distance to the tenth neighbour: nearer is a copy, not a neighbour
BY_CHANCE = 4.0  # times what chance brings: more is no coincidence
RARELY = 1e-3  # how often twice what chance brings may give so many copies
LEAST = 3  # copies that are no single coincidence
Shown = NDArray[Any]


def near_copies(sets: Mapping[str, Shown], *, like: Shown) -> dict[str, float]:
    """Of each held-out set, the share of rows that nearly stand in train; 0 where that may be
    chance.

    The nearest of n rows in d dimensions is as near as that with a known probability; d is taken
    from the distances to the tenth and the twentieth neighbour.

    Args:
        sets: rows by set, `train` among them.
        like: rows of train with their features drawn independently: how near rows are by chance
            where features have few values.
    """
    train = _flat(sets["train"])
    scale = np.where((spread := np.nanstd(train, axis=0)) > 0, spread, 1.0)
    shares = {}
    for name, rows in sets.items():
        if name == "train" or len(train) <= TWENTIETH + 1 or not len(rows):
            continue
        share, expected = _share_of_copies(train / scale, _flat(rows) / scale)
        by_chance, _ = _share_of_copies(train / scale, _flat(like) / scale)
        usual = max(expected, by_chance)
        copies = round(share * min(len(rows), ROWS))
        often = 2 * usual * min(len(rows), ROWS)
        sure = copies >= LEAST and poisson.sf(copies - 1, often) < RARELY
        shares[name] = share if share > BY_CHANCE * usual and sure else 0.0
    return shares


def _share_of_copies(train: Shown, rows: Shown) -> tuple[float, float]:
    """Share of rows with a near copy in train, that is no exact one; and what is to be expected."""
    finder = NearestNeighbors(n_neighbors=TWENTIETH).fit(train)
    distances = finder.kneighbors(rows)[0]
    distances = distances[distances[:, 0] > 0]  # exact copies are another check's
    distances = distances[distances[:, TENTH - 1] > 0]
    if len(distances) < TWENTIETH:
        return 0.0, 1.0
    nearest, tenth, twentieth = distances[:, 0], distances[:, TENTH - 1], distances[:, -1]
    growth = math.log(float(np.median(twentieth / tenth)))
    dimensions = math.log(TWENTIETH / TENTH) / growth if growth > 0 else math.inf
    expected = 1 - (1 - NEAR**dimensions) ** (TENTH - 1)
    return float((nearest < NEAR * tenth).mean()), expected


def _flat(rows: Shown) -> Shown:
    """Some rows and features, without gaps."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(rows))[:ROWS])
    flat = np.nan_to_num(rows[drawn].reshape(len(drawn), -1).astype(np.float64))
    return some_features(flat, FEATURES)
