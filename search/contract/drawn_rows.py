"""Rows drawn by chance: those of scikit-learn's `train_test_split`, whose import takes a second."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def drawn_rows(count: int, *, taken: int, seed: int, labels: NDArray[np.generic] | None) -> Numbers:
    """The numbers of the rows that are taken out of `count`; of each label in proportion."""
    dice = np.random.RandomState(seed)
    if labels is None:
        return dice.permutation(count)[:taken]
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    left = _in_proportion(sizes, count - taken, dice)
    out = _in_proportion(sizes - left, taken, dice)
    members = np.split(np.argsort(classes, kind="stable"), np.cumsum(sizes)[:-1])
    drawn = [
        rows[dice.permutation(len(rows))[stay : stay + go]]
        for rows, stay, go in zip(members, left, out, strict=True)
    ]
    return np.concatenate(drawn)


def _in_proportion(sizes: Numbers, total: int, dice: np.random.RandomState) -> Numbers:
    """How many of each class make `total`: rounded down, then the largest remainders get one more,
    equal ones by chance.
    """
    exact = sizes / sizes.sum() * total
    whole = np.floor(exact)
    remainders, missing = exact - whole, int(total - whole.sum())
    for most in np.unique(remainders)[::-1]:
        if missing == 0:
            break
        (equal,) = np.where(remainders == most)
        lucky = dice.choice(equal, size=min(len(equal), missing), replace=False)
        whole[lucky] += 1
        missing -= len(lucky)
    counts: Numbers = whole.astype(np.int64)
    return counts
