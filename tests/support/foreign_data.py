"""Small data sets as strangers bring them: sound ones, usual and unusual, and faults that can be planted in any of them."""

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_friedman1,
    make_moons,
)

from trainers.data import DataSet

# Sound tables: (dice) -> inputs and labels


def _bundled(load, rows=600):
    def table(dice):
        x, y = load(return_X_y=True)
        order = dice.permutation(len(x))[:rows]
        return x[order].astype(np.float64), y[order]

    return table


def _clouds(rows, classes, apart=1.5, features=10):
    def table(dice):
        return make_classification(
            rows, features, n_informative=6, n_redundant=1, n_classes=classes, flip_y=0.0,
            n_clusters_per_class=1, class_sep=apart, random_state=int(dice.integers(1 << 30)),
        )  # fmt: skip

    return table


def _friedman(dice):
    return make_friedman1(500, 8, noise=1.0, random_state=int(dice.integers(1 << 30)))


def _steps(dice):
    x = dice.uniform(-1, 1, (450, 6))
    return x, np.floor(3 * x[:, 0]) + np.sign(x[:, 1]) + dice.normal(0, 0.3, 450)


def _linear(dice):
    x = dice.normal(0, 1, (400, 8))
    return x, x @ np.arange(1.0, 9.0) + dice.normal(0, 3, 400)


def _moons(dice):
    x, y = make_moons(400, noise=0.15, random_state=int(dice.integers(1 << 30)))
    return np.hstack([x, dice.normal(0, 1, (400, 3))]), y


def _spectra(dice):
    y = dice.integers(0, 3, 300)
    centres, grid = np.array([30.0, 45.0, 60.0]), np.arange(90)
    x = np.exp(-(((grid - centres[y][:, None] - dice.normal(0, 3, (300, 1))) / 6) ** 2))
    return x + dice.normal(0, 0.15, x.shape), y


TABLES = {
    "wine": _bundled(load_wine), "cancer": _bundled(load_breast_cancer), "digits": _bundled(load_digits), "iris": _bundled(load_iris),
    "clouds": _clouds(500, 4), "few clouds": _clouds(200, 2, 2.0), "far clouds": _clouds(400, 3, 4.0), "moons": _moons, "spectra": _spectra,
    "diabetes": _bundled(load_diabetes), "friedman": _friedman, "steps": _steps, "linear": _linear,
}  # fmt: skip

# Sound and unusual


def _one_hot(dice):
    """Categories as columns of 0 and 1, whose combinations repeat in all sets."""
    answers = dice.integers(0, 4, (600, 4))
    chance = 1 / (1 + np.exp(-(answers.sum(1) - 6.0)))
    return np.eye(4)[answers].reshape(600, -1), (dice.random(600) < chance).astype(int)


def _mixed(dice):
    """Categories beside one continuous column: rows are near each other by chance."""
    answers, size = dice.integers(0, 3, (600, 3)), dice.normal(0, 1, 600)
    return np.column_stack([answers, size]), (answers.sum(1) + 2 * size > 3).astype(int)


def _zero_inflated(dice):
    x = dice.normal(0, 1, (600, 6))
    amount = np.exp(0.8 * x[:, 0] + 0.3 * dice.normal(0, 1, 600))
    return x, amount * (x[:, 1] + 0.5 * dice.normal(0, 1, 600) > 0.6)


def _counts(dice):
    x = dice.normal(0, 1, (600, 6))
    return x, dice.poisson(np.exp(0.5 + 0.6 * x[:, 0] - 0.4 * x[:, 1])).astype(float)


def _log_normal(dice):
    x = dice.normal(0, 1, (600, 6))
    return x, np.exp(x[:, 0] + 0.8 * x[:, 1] + 0.3 * dice.normal(0, 1, 600))


def _skewed_features(dice):
    x = np.exp(dice.normal(0, 1.2, (500, 6)))
    return x, (np.log(x[:, 0]) + np.log(x[:, 1]) + dice.normal(0, 0.4, 500) > 0).astype(int)


def _survey(dice):
    """Labels by a die: hard, and not wrong."""
    x = dice.normal(0, 1, (600, 5))
    return x, (dice.random(600) < 1 / (1 + np.exp(-1.5 * x[:, 0] - x[:, 1]))).astype(int)


def _overlapping(dice):
    """Two of four classes overlap."""
    y = dice.integers(0, 4, 600)
    centres = np.array([[0, 0, 0, 0], [1.2, 0, 0, 0], [4, 4, 0, 0], [0, 4, 4, 0]])
    return centres[y] + dice.normal(0, 1, (600, 4)), y


def _words(dice):
    """Bags of words: nearly all zeros."""
    y = dice.integers(0, 2, 500)
    rate = np.full((500, 60), 0.05)
    rate[:, :8] += 0.3 * y[:, None]
    rate[:, 8:16] += 0.3 * (1 - y[:, None])
    return dice.poisson(rate).astype(float), y


def _rare(dice):
    y = (dice.random(3000) < 0.02).astype(int)
    return dice.normal(0, 1, (3000, 6)) + 2.5 * y[:, None], y


def _tiny(dice):
    y = np.arange(48) % 2
    return dice.normal(0, 1, (48, 4)) + 2.0 * y[:, None], y


def _ratings(dice):
    x = dice.normal(0, 1, (600, 6))
    return x, np.clip(np.round(50 + 15 * x[:, 0] + 8 * x[:, 1] + dice.normal(0, 5, 600)), 0, 100)


def _sines(dice):
    """A smooth curve without noise in its inputs, where neighbours are near."""
    x = dice.uniform(-3, 3, (500, 2))
    return x, np.sin(x[:, 0]) * np.cos(x[:, 1]) + dice.normal(0, 0.05, 500)


def _noisy_columns(dice):
    x, y = _clouds(400, 2, 2.0)(dice)
    return np.hstack([x, dice.normal(0, 1, (400, 40))]), y


def _strong_column(dice):
    x, y = _clouds(500, 2, 1.0)(dice)
    x[:, 3] = 2.0 * y + dice.normal(0, 0.6, 500)
    return x, y


def _minutes(dice):
    """Unix seconds beside small numbers."""
    x = dice.normal(0, 1, (500, 5))
    seconds = 1.7e9 + dice.uniform(0, 3e7, 500)
    return np.column_stack([seconds, x]), (x[:, 0] + x[:, 1] > 0).astype(int)


def _duplicated_columns(dice):
    x, y = _clouds(400, 3, 2.0)(dice)
    return np.hstack([x, x[:, :3] * 2.54]), y


def _heavy_features(dice):
    x = dice.standard_t(2.5, (600, 6))
    return x, (x[:, 0] + x[:, 1] + dice.normal(0, 0.5, 600) > 0).astype(int)


def _parity(dice):
    x = dice.integers(0, 2, (600, 10)).astype(float)
    return x, (x[:, 0] != x[:, 1]).astype(int)


UNUSUAL = {
    "one-hot": _one_hot, "mixed": _mixed, "skewed features": _skewed_features, "survey": _survey, "overlapping": _overlapping,
    "bags of words": _words, "rare": _rare, "tiny": _tiny, "noisy columns": _noisy_columns, "strong column": _strong_column,
    "unix seconds": _minutes, "duplicated columns": _duplicated_columns, "heavy features": _heavy_features, "parity": _parity,
    "zero-inflated": _zero_inflated, "counts": _counts, "log-normal": _log_normal, "ratings": _ratings, "sines": _sines,
}  # fmt: skip
NUMBERS = {
    "diabetes", "friedman", "steps", "linear", "zero-inflated", "counts", "log-normal", "ratings", "sines",
    "seasonal numbers", "trend",
}  # fmt: skip

# Faults


def _near(x, y, dice, share, noise):
    """More rows that are nearly those that are there."""
    copied = dice.permutation(len(x))[: int(share * len(x))]
    near = x[copied] + noise * x.std(0) * dice.normal(0, 1, (len(copied), x.shape[1]))
    return np.vstack([x, near]), np.concatenate([y, y[copied]])


def _patients(x, y, dice):
    rows = dice.permutation(len(x))[: len(x) // 4].repeat(4)
    return x[rows] + 0.02 * x.std(0) * dice.normal(0, 1, (len(rows), x.shape[1])), y[rows]


def _sum_of_two(x, y, dice):
    part = dice.normal(y.mean(), 2 * y.std() + 1, len(y))
    return np.column_stack([x, part, y - part]), y


def _numbered(x, y, dice):
    order = np.argsort(y, kind="stable")
    return np.column_stack([x[order], np.arange(len(y))]), y[order]


def _with_noise(x, y, dice, share):
    wrong, y = dice.random(len(y)) < share, np.array(y)
    y[wrong] = (y[wrong] + dice.integers(1, y.max() + 1, wrong.sum())) % (y.max() + 1)
    return x, y


def _half(x, y, dice):
    y = np.array(y)
    y[(y == 1) & (dice.random(len(y)) < 0.5)] = 0
    return x, y


def _again(x, y, dice):
    again = dice.permutation(len(x))[: len(x) // 5]
    return 1e-8 * np.vstack([x, x[again]]), np.concatenate([y, y[again]])


def _rarest(x, y, dice):
    rest, few = np.flatnonzero(y != 1), np.flatnonzero(y == 1)
    rows = np.concatenate([dice.choice(rest, 2400), dice.choice(few, 12)])
    x = x[rows] + 0.3 * x.std(0) * dice.normal(0, 1, (len(rows), x.shape[1]))
    return x, (y[rows] == 1).astype(int)


FAULTS = {
    "spread": lambda x, y, dice: (np.hstack([x, np.eye(int(y.max()) + 1)[y]]), y),
    "spread, noisy": lambda x, y, dice: (np.hstack([x, np.eye(int(y.max()) + 1)[y] + dice.normal(0, 0.1, (len(y), int(y.max()) + 1))]), y),
    "noisy target": lambda x, y, dice: (np.column_stack([x, y + 0.03 * y.std() * dice.normal(0, 1, len(y))]), y),
    "sum of two": _sum_of_two,
    "near copies": lambda x, y, dice: _near(x, y, dice, 0.25, 0.01),
    "augmented": lambda x, y, dice: _near(*_near(x, y, dice, 1.0, 0.03), dice, 0.5, 0.03),
    "patients": _patients,
    "numbered": _numbered,
    "small copies": _again,
    "noise": lambda x, y, dice: _with_noise(x, y, dice, 0.3),
    "half a class": _half,
    "rarest": _rarest,
    "large targets": lambda x, y, dice: (x, (y - y.mean()) / y.std() * 1e5),
}  # fmt: skip


def _swapped(x, y, val, dice):
    y[val] = np.where(y[val] == 0, 1, np.where(y[val] == 1, 0, y[val]))


def _other_units(x, y, val, dice):
    y[val] = 1.8 * y[val] + 32


def _thousands(x, y, val, dice):
    y[val] = y[val] / 1000


def _shuffled(x, y, val, dice):
    y[val] = y[dice.permutation(val)]


def _late(x, y, val, dice):
    y[val] = np.roll(y[val], 1)


def _inches(x, y, val, dice):
    x[val] = x[val] / 2.54


IN_VALIDATION = {"swapped": _swapped, "units": _other_units, "thousands": _thousands, "shuffled": _shuffled, "late": _late, "inches": _inches}  # fmt: skip


def table(source, fault="", seed=0):
    """A table by name, with a fault or without; of a fault in validation the sets are given."""
    dice = np.random.default_rng(seed)
    x, y = (TABLES | UNUSUAL)[source](dice)
    x, given = np.array(x, dtype=np.float64), {}
    y = np.array(y, dtype=np.float64 if source in NUMBERS else np.int64)
    if fault in IN_VALIDATION or fault == "given":
        val = dice.permutation(len(x))[: len(x) // 4]
        given = {"val": np.sort(val)}
        if fault != "given":
            IN_VALIDATION[fault](x, y, given["val"], dice)
    elif fault:
        x, y = FAULTS[fault](x, y, dice)
    if fault != "numbered":
        places = np.arange(len(x)) if given else dice.permutation(len(x))
        x, y = x[places], y[places]
    y = y.astype(np.float32)[:, None] if source in NUMBERS else y.astype(np.int64)
    return DataSet(
        x=x.astype(np.float32 if source != "unix seconds" else np.float64), y=y, given=given
    )


def over_time(kind, seed=0):
    """Rows in the order of time: a season, which no set sees whole, or a slow trend."""
    dice = np.random.default_rng(seed)
    time = np.arange(800.0)
    x = dice.normal(0, 1, (800, 5))
    season = np.sin(2 * np.pi * time / 100)
    if kind == "trend":
        x[:, 4] = time / 400 + dice.normal(0, 1, 800)
        y = x[:, 0] + 0.5 * x[:, 4] + dice.normal(0, 0.3, 800)
    else:
        x[:, 4] = season + 0.3 * x[:, 4]
        y = x[:, 0] + season + dice.normal(0, 0.3, 800)
    labels = (y > 0).astype(np.int64) if kind == "season" else y.astype(np.float32)[:, None]
    return DataSet(x=x.astype(np.float32), y=labels, time=time)
