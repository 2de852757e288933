"""Rows as they come to a desk: with faults of tables, pictures, texts and series, and sound ones."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_friedman1

from trainers.data import DataSet

ROWS = 700


def _picked(load, dice):
    x, y = load(return_X_y=True)
    order = dice.permutation(len(x))[:ROWS]
    return np.asarray(x, np.float64)[order], y[order]


def _people(dice):
    """Height, weight, age and four readings, and who falls ill."""
    height, age = dice.normal(1.72, 0.1, ROWS), dice.uniform(18, 80, ROWS)
    weight = dice.normal(26, 4, ROWS) * height**2
    x = np.column_stack([height, weight, age, dice.normal(0, 1, (ROWS, 4))])
    risk = 0.05 * (age - 50) + 0.2 * (weight / height**2 - 26) + x[:, 3]
    return x, (risk + dice.normal(0, 1, ROWS) > 0.5).astype(int)


def people(fault="", seed=0):
    """A table of people, with a fault or a sound peculiarity."""
    dice = np.random.default_rng(seed)
    x, y = _people(dice)
    given = {}
    if fault == "obese":  # the label is a threshold of weight over height squared
        y = (x[:, 1] / x[:, 0] ** 2 > 27).astype(int)
    elif fault == "voted":  # the outputs of an older model, whose answer became the label
        votes = dice.dirichlet((1.0, 1.0, 1.0), ROWS)
        x, y = np.hstack([x, votes]), votes.argmax(1)
    elif fault == "older model":  # the same outputs, where the label came from a person
        score = 1 / (1 + np.exp(-(2.0 * y - 1 + dice.normal(0, 1.2, ROWS))))
        x = np.column_stack([x, score])
    elif fault == "centred by class":
        means = np.stack([x[y == label].mean(0) for label in (0, 1)])
        scale = np.stack([x[y == label].std(0) for label in (0, 1)])
        x = (x - means[y]) / scale[y]
    elif (
        fault == "interpolated"
    ):  # rows of the rarer class, made of two neighbours, before the split
        rare = np.flatnonzero(y == int(y.mean() < 0.5))
        z = (x - x.mean(0)) / x.std(0)
        one = dice.choice(rare, ROWS)
        far = ((z[one, None] - z[None, rare]) ** 2).sum(2)
        near = rare[np.argsort(far, 1)[np.arange(ROWS), dice.integers(1, 4, ROWS)]]
        share = dice.random((ROWS, 1))
        x = np.r_[x, x[one] + share * (x[near] - x[one])]
        y = np.r_[y, y[one]]
    elif fault == "decimal comma":  # 1.234 was read as 1234 where a number has three decimals
        lost = dice.random(ROWS) < 0.05
        x[lost, 3] = np.round(x[lost, 3], 3) * 1000
    elif fault == "other mix in validation":
        pool = np.flatnonzero(y == 1)
        given = {"val": np.sort(np.r_[pool[: len(pool) // 2], np.flatnonzero(y == 0)[:12]])}
    elif fault == "a mark in validation":
        rows = np.sort(dice.permutation(ROWS)[: ROWS // 4])
        x[rows[dice.random(len(rows)) < 0.3], 2] = -1
        given = {"val": rows}
    elif fault == "two units":  # kilograms and pounds, metres and inches
        x = np.column_stack([x, 2.2046 * x[:, 1], x[:, 0] / 0.0254])
    elif fault == "dates as numbers":
        year, month = dice.integers(2015, 2025, ROWS), dice.integers(1, 13, ROWS)
        x = np.column_stack([x, 10_000 * year + 100 * month + dice.integers(1, 29, ROWS)])
    elif fault == "shares":  # of a day, which sum to one
        x = np.hstack([x, dice.dirichlet((2.0, 2.0, 3.0, 1.0), ROWS)])
    return DataSet(x=x.astype(np.float32), y=y.astype(np.int64), given=given)


def numbers(fault="", seed=0):
    """A regression."""
    dice = np.random.default_rng(seed)
    x, y = make_friedman1(ROWS, 7, noise=1.0, random_state=int(dice.integers(1 << 30)))
    given = {}
    if fault == "start and end":  # hours of a job, whose length is to be predicted
        start = dice.uniform(0, 400, ROWS)
        x = np.column_stack([x, start, start + y])
    elif fault == "capped in validation":
        rows = np.sort(dice.permutation(ROWS)[: ROWS // 4])
        y[rows] = np.minimum(y[rows], np.median(y))
        given = {"val": rows}
    elif fault == "places":  # latitude and longitude, and what a place costs
        place = np.column_stack([48 + 0.1 * dice.random(ROWS), 11 + 0.2 * dice.random(ROWS)])
        x, y = np.hstack([x, place]), y + 30 * (place[:, 1] - 11)
    return DataSet(x=x.astype(np.float32), y=y.astype(np.float32)[:, None], given=given)


def series(fault="", seed=0):
    """The next value by six values before it; with `mean`, a rolling mean too."""
    dice = np.random.default_rng(seed)
    values = np.zeros(ROWS + 12)
    for at in range(2, len(values)):
        values[at] = 1.2 * values[at - 1] - 0.5 * values[at - 2] + dice.normal()
    at = np.arange(8, ROWS + 8)
    x = np.stack([values[at - back] for back in range(1, 7)], 1)
    if fault == "mean around it":  # centred, so that it holds the value itself
        x = np.column_stack([x[:, :2], (values[at - 1] + values[at] + values[at + 1]) / 3])
    elif fault == "mean that ends at it":
        x = np.column_stack(
            [x[:, 1:3], (values[at - 2] + values[at - 1] + values[at]) / 3, x[:, 0]]
        )
    elif fault == "mean before it":
        x = np.column_stack([x[:, :2], (values[at - 1] + values[at - 2] + values[at - 3]) / 3])
    y = values[at].reshape(-1, 1)
    return DataSet(x=x.astype(np.float32), y=y.astype(np.float32), time=at.astype(np.float64))


def pictures(fault="", seed=0):
    """Digits as pictures."""
    dice = np.random.default_rng(seed)
    x, y = _picked(load_digits, dice)
    given = {}
    if fault == "stamped":  # a scanner per kind of digit leaves a mark in the corner
        x[:, 0] = np.where(dice.random(len(y)) < 0.98, 16 * (y % 2), x[:, 0])
    elif fault == "upside down in validation":
        rows = np.sort(dice.permutation(len(x))[: len(x) // 4])
        x[rows] = x[rows].reshape(-1, 8, 8)[:, ::-1].reshape(-1, 64)
        given = {"val": rows}
    elif fault == "darker and shifted":  # augmented before the split
        moved = np.roll(x.reshape(-1, 8, 8), 1, axis=2).reshape(-1, 64)
        x, y = np.r_[x, 0.7 * moved], np.r_[y, y]
    return DataSet(x=x.astype(np.float32), y=y.astype(np.int64), given=given)


def tickets(fault="", seed=0):
    """Tokens of tickets, padded by 0, and whether they complain."""
    dice = np.random.default_rng(seed)
    y = dice.integers(0, 2, 900)
    lengths = dice.integers(4, 15, 900)
    if fault == "length tells":  # one team cuts what it forwards
        lengths = np.where(y == 1, dice.integers(10, 15, 900), dice.integers(4, 10, 900))
    elif fault == "complaints are longer":
        lengths = np.clip(lengths + 2 * y, 4, 14)
    told = dice.random((900, 14)) < 0.4
    x = np.where(
        told, 1 + 15 * y[:, None] + dice.integers(0, 15, (900, 14)), dice.integers(1, 60, (900, 14))
    )
    if fault == "signed":  # each team ends its tickets by a word of its own
        x[np.arange(900), lengths - 1] = 60 + y
    x[np.arange(14) >= lengths[:, None]] = 0
    return DataSet(x=x, y=y, lengths=lengths)


def table(source="wine", fault="", seed=0):
    """A known table."""
    dice = np.random.default_rng(seed)
    x, y = _picked({"wine": load_wine, "cancer": load_breast_cancer}[source], dice)
    given = {}
    if fault == "a class in validation alone":
        rest = np.flatnonzero(y != 2)
        given = {"val": np.sort(np.r_[np.flatnonzero(y == 2), dice.permutation(rest)[:20]])}
    elif fault == "mostly zero":  # sensors that rest
        x = np.where(dice.random(x.shape) < 0.6, 0.0, x)
    return DataSet(x=x.astype(np.float32), y=y.astype(np.int64), given=given)
