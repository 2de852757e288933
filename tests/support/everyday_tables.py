"""Tables with everyday faults of columns, rows and labels, and sound ones that look like them."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_friedman1

from trainers.data import DataSet

LOADED = {"wine": load_wine, "cancer": load_breast_cancer, "digits": load_digits, "iris": load_iris}
ROWS = 600


def _rows(source, dice):
    """Features and labels of a source, in a random order."""
    if source == "friedman":
        return make_friedman1(ROWS, 8, noise=1.0, random_state=int(dice.integers(1 << 30)))
    if source == "churn":  # who leaves: three useful columns, three useless ones
        x = dice.normal(0, 1, (ROWS, 6))
        return x, (x[:, 0] + x[:, 1] - x[:, 2] + dice.normal(0, 0.7, ROWS) > 0.8).astype(int)
    if source == "machines":  # three kinds of machine by eight sensors
        y = dice.integers(0, 3, ROWS)
        return dice.normal(0, 1, (3, 8))[y] * 1.6 + dice.normal(0, 1, (ROWS, 8)), y
    x, y = LOADED[source](return_X_y=True)
    order = dice.permutation(len(x))[:ROWS]
    return np.asarray(x, np.float64)[order], y[order]


def _beside(x, column):
    return np.column_stack([x, column])


# Columns: (x, y, dice) -> features


def _ids_by_site(x, y, dice):
    """A clinic per diagnosis gives out numbers of its own range; one in thirty was moved."""
    site = np.where(dice.random(len(y)) < 1 / 30, dice.permutation(y), y)
    return _beside(x, 20_000 + 4_000 * site + dice.permutation(4_000)[: len(y)])


def _random_ids(x, y, dice):
    return _beside(x, 20_000 + dice.permutation(4_000)[: len(y)])


def _hashed_target(x, y, dice):
    """A hash of the label and one of eight salts: each code belongs to one label."""
    code = (y * 8 + dice.integers(0, 8, len(y))).astype(np.uint64)
    return _beside(x, (code * np.uint64(2_654_435_761)) % np.uint64(9_973))


def _hashed_customer(x, y, dice):
    code = dice.integers(0, 40, len(y)).astype(np.uint64)
    return _beside(x, (code * np.uint64(2_654_435_761)) % np.uint64(9_973))


def _logged_later(x, y, dice):
    """Days from an arbitrary start; the rows of each label were written in weeks of their own."""
    week = 2 * dice.integers(0, 10, len(y)) + (y % 2)
    return _beside(x, 7 * week + dice.integers(0, 5, len(y)))


def _logged_any_time(x, y, dice):
    return _beside(x, 7 * dice.integers(0, 20, len(y)) + dice.integers(0, 5, len(y)))


def _missing_by_label(x, y, dice):
    """A reading that was taken of the healthy alone: its gaps tell."""
    lacks = dice.random(len(y)) < np.where(y == 1, 0.97, 0.02)
    return _beside(x, np.where(lacks, np.nan, 5.0 + dice.normal(0, 1, len(y))))


def _missing_anywhere(x, y, dice):
    return _beside(x, np.where(dice.random(len(y)) < 0.4, np.nan, 5.0 + dice.normal(0, 1, len(y))))


def _encoded_with_itself(x, y, dice):
    """The mean target of a shop with two or three visits, the row's own among them."""
    shop = dice.integers(0, len(y) // 3, len(y))
    return _beside(x, (np.bincount(shop, y) / np.maximum(np.bincount(shop), 1))[shop])


def _encoded_without(x, y, dice):
    shop = dice.integers(0, 30, len(y))
    sums, counts = np.bincount(shop, y), np.bincount(shop)
    return _beside(x, (sums[shop] - y) / np.maximum(counts[shop] - 1, 1))


def _ratio_of_two(x, y, dice):
    """Price and area, where the price per area is to be predicted."""
    area = dice.uniform(40, 200, len(y))
    return np.column_stack([x, area, area * (y - y.min() + 1.0)])


def _word_of_label(x, y, dice):
    """Counts of words of a ticket, in whose text the agent wrote the outcome, once or more."""
    words = dice.poisson(0.3, (len(y), 12)).astype(float)
    words[:, 7] = (y == 1) * dice.integers(1, 4, len(y)) * (dice.random(len(y)) < 0.98)
    return np.hstack([x, words])


def _words(x, y, dice):
    words = dice.poisson(0.3 + 0.2 * (y == 1)[:, None], (len(y), 12)).astype(float)
    return np.hstack([x, words])


def _bill_by_parts(x, y, dice):
    """Three parts of the target, whose sum it is."""
    parts = dice.dirichlet((2.0, 2.0, 2.0), len(y))
    return np.hstack([x, parts * y[:, None]])


COLUMNS = {
    "ids by site": _ids_by_site,
    "random ids": _random_ids,
    "hashed target": _hashed_target,
    "hashed customer": _hashed_customer,
    "logged later": _logged_later,
    "logged any time": _logged_any_time,
    "missing by label": _missing_by_label,
    "missing anywhere": _missing_anywhere,
    "encoded with itself": _encoded_with_itself,
    "encoded without": _encoded_without,
    "ratio of two": _ratio_of_two,
    "word of label": _word_of_label,
    "words": _words,
    "bill by parts": _bill_by_parts,
}


# Rows: (x, y, dice) -> more rows


def _mirrored(x, y, dice):
    """Pictures and their mirror images, before the split."""
    return np.r_[x, x.reshape(-1, 8, 8)[:, :, ::-1].reshape(len(x), 64)], np.r_[y, y]


def _brighter(x, y, dice):
    return np.r_[x, np.clip(x * 1.25, 0, 16)], np.r_[y, y]


def _columns_rolled(x, y, dice):
    """The sensors of a machine read once more, from another one on."""
    return np.r_[x, np.roll(x, 3, axis=1)], np.r_[y, y]


def _jittered(x, y, dice):
    """Five noisy versions of a fifth of the rows, to balance the classes."""
    few = dice.permutation(len(x))[: len(x) // 5]
    more = np.repeat(few, 5)
    return np.r_[x, x[more] + 0.02 * x.std(0) * dice.normal(0, 1, x[more].shape)], np.r_[y, y[more]]


def _imputed_twice(x, y, dice):
    """The same rows from two exports, one of which lacks a third of the values."""
    gaps = dice.random(x.shape) < 0.33
    return np.r_[x, np.where(gaps, x.mean(0), x)], np.r_[y, y]


COPIES = {
    "mirrored": _mirrored,
    "brighter": _brighter,
    "columns rolled": _columns_rolled,
    "jittered": _jittered,
    "imputed twice": _imputed_twice,
}


# Labels: (y, dice) -> labels


def _one_class_strays(y, dice):
    """A third of one class was sorted into the next."""
    stray = (y == 0) & (dice.random(len(y)) < 0.35)
    return np.where(stray, 1, y)


def _second_annotator(y, dice):
    """A quarter of the rows was numbered from one on."""
    return np.where(dice.random(len(y)) < 0.25, (y + 1) % (y.max() + 1), y)


def _constant_range(y, dice):
    """An interrupted export wrote the first label for a quarter of the file."""
    y = y.copy()
    y[len(y) // 3 : len(y) // 3 + len(y) // 4] = y[0]
    return y


def _wrong_join(y, dice):
    """Joined by a key that is not unique: two fifths of the rows got another row's label."""
    y, lost = y.copy(), dice.permutation(len(y))[: 2 * len(y) // 5]
    y[lost] = y[dice.permutation(lost)]
    return y


def _pounds(y, dice):
    """A fifth of the weights in pounds, the others in kilograms."""
    return np.where(dice.random(len(y)) < 0.2, 2.205 * y, y)


def _marked_missing(y, dice):
    return np.where(dice.random(len(y)) < 0.04, -999.0, y)


LABELS = {
    "one class strays": _one_class_strays,
    "second annotator": _second_annotator,
    "constant range": _constant_range,
    "wrong join": _wrong_join,
    "pounds": _pounds,
    "marked missing": _marked_missing,
}


def _validation(fault, x, y, rows, dice):
    """Spoils the rows of validation."""
    if fault == "numbered apart":  # a label encoder fitted on each set
        names = dice.permutation(int(y.max()) + 1)
        names = np.roll(names, 1) if (names == np.arange(len(names))).all() else names
        y[rows] = names[y[rows]]
    elif fault == "in logarithms":
        y[rows] = np.log(y[rows] - y.min() + 1)
    elif fault == "sign flipped":
        y[rows] = -y[rows]
    elif fault == "columns in another order":
        x[rows] = np.roll(x[rows], 1, axis=1)
    elif fault == "a sensor died":
        x[rows, 0] = np.median(x[:, 0])


def table(source, fault="", seed=0):
    """Rows of a source with a fault, or with a sound peculiarity, by its name."""
    dice = np.random.default_rng(seed)
    x, y = _rows(source, dice)
    given = {}
    if fault.startswith("validation: "):
        x, y = x.copy(), y.copy()
        given = {"val": np.sort(dice.permutation(len(x))[: len(x) // 4])}
        _validation(fault.removeprefix("validation: "), x, y, given["val"], dice)
    elif fault in COLUMNS:
        x = COLUMNS[fault](x, y, dice)
    elif fault in COPIES:
        x, y = COPIES[fault](x, y, dice)
    elif fault in LABELS:
        y = LABELS[fault](y, dice)
    numbers = source == "friedman"
    return DataSet(
        x=x.astype(np.float32),
        y=y.astype(np.float32)[:, None] if numbers else y.astype(np.int64),
        given=given,
    )
