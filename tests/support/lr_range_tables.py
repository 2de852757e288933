"""Tables of at most 300 rows for range tests, of which no other collection makes use."""

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    make_blobs,
    make_circles,
    make_friedman2,
    make_friedman3,
    make_gaussian_quantiles,
    make_sparse_uncorrelated,
)

from trainers.data import DataSet


def _draw(dice):
    return int(dice.integers(1 << 30))


def _heavy_targets(dice):
    x = dice.normal(0, 1, (300, 7))
    return x, x @ np.linspace(-2, 2, 7) + dice.standard_t(3, 300)


def _product(dice):
    x = dice.uniform(-2, 2, (280, 4))
    return x, x[:, 0] * x[:, 1] + np.abs(x[:, 2]) + dice.normal(0, 0.2, 280)


def _checkerboard(dice):
    x = dice.uniform(0, 3, (300, 2))
    return x, np.floor(x).sum(axis=1).astype(int) % 2


def _bundled(load, rows):
    def table(dice):
        x, y = load(return_X_y=True)
        kept = dice.permutation(len(x))[:rows]
        return x[kept], y[kept]

    return table


def _topics(dice):
    """Three topics of words, in long rows of few counts."""
    y = dice.integers(0, 3, 270)
    rate = np.full((270, 45), 0.1)
    for topic in range(3):
        rate[y == topic, 6 * topic : 6 * topic + 6] += 0.35
    return dice.poisson(rate).astype(float), y


def _uneven(dice):
    """One row in six is of the second class."""
    y = (dice.random(300) < 1 / 6).astype(int)
    return dice.normal(0, 1, (300, 6)) + 1.2 * y[:, None], y


TABLES = {
    "friedman 2": lambda dice: make_friedman2(300, noise=50.0, random_state=_draw(dice)),
    "friedman 3": lambda dice: make_friedman3(300, noise=0.1, random_state=_draw(dice)),
    "four of ten": lambda dice: make_sparse_uncorrelated(300, random_state=_draw(dice)),
    "heavy targets": _heavy_targets,
    "a product": _product,
    "circles": lambda dice: make_circles(300, noise=0.1, factor=0.6, random_state=_draw(dice)),
    "blobs": lambda dice: make_blobs(300, 5, centers=5, cluster_std=3.0, random_state=_draw(dice))[:2],
    "shells": lambda dice: make_gaussian_quantiles(
        n_samples=300, n_features=4, n_classes=3, random_state=_draw(dice)
    ),
    "checkerboard": _checkerboard,
    "few digits": _bundled(load_digits, 300),
    "few biopsies": _bundled(load_breast_cancer, 250),
    "topics": _topics,
    "uneven": _uneven,
}  # fmt: skip
NUMBERS = {"friedman 2", "friedman 3", "four of ten", "heavy targets", "a product"}


def table(source, seed=0):
    """A table by name."""
    x, y = TABLES[source](np.random.default_rng(seed))
    is_number = source in NUMBERS
    y = np.asarray(y, dtype=np.float32)[:, None] if is_number else np.asarray(y, dtype=np.int64)
    return DataSet(x=np.asarray(x, dtype=np.float32), y=y)
