"""Set-ups drawn by a dice for range tests: other tables, other ways to train, more momentum."""

import numpy as np
from sklearn.datasets import load_digits, load_wine, make_classification, make_hastie_10_2

from trainers.data import DataSet


def _draw(dice):
    return int(dice.integers(1 << 30))


def _waves_of_two(dice):
    x = dice.uniform(-3, 3, (260, 3))
    return x, np.sin(2 * x[:, 0]) + np.cos(x[:, 1]) * x[:, 2] + dice.normal(0, 0.2, 260)


def _hinges(dice):
    x = dice.normal(0, 1, (300, 8))
    return x, np.maximum(x[:, :4], 0) @ [1.0, -2.0, 1.5, 0.5] + dice.normal(0, 0.3, 300)


def _form(dice):
    """A quadratic form of five numbers."""
    x = dice.normal(0, 1, (300, 5))
    return x, np.einsum("ni,ij,nj->n", x, dice.normal(0, 1, (5, 5)), x) + dice.normal(0, 1, 300)


def _prices(dice):
    """Logarithms of prices, by size, age and four quarters."""
    size, age, quarter = (
        dice.lognormal(4, 0.4, 280),
        dice.uniform(0, 60, 280),
        dice.integers(0, 4, 280),
    )
    y = 0.8 * np.log(size) - 0.01 * age + 0.3 * quarter + dice.normal(0, 0.15, 280)
    return np.column_stack([size, age, np.eye(4)[quarter]]), y


def _rare_peaks(dice):
    x = dice.uniform(-1, 1, (300, 2))
    return x, 3 * np.exp(-20 * ((x - 0.3) ** 2).sum(axis=1)) + dice.normal(0, 0.1, 300)


def _spirals(dice):
    angle, y = dice.uniform(0.5, 2, 300) * np.pi, np.repeat([0, 1], 150)
    turn = angle + np.pi * y
    x = np.column_stack([angle * np.cos(turn), angle * np.sin(turn)])
    return x + dice.normal(0, 0.3, x.shape), y


def _three_bits(dice):
    x = dice.integers(0, 2, (300, 6)).astype(float)
    return x + dice.normal(0, 0.2, x.shape), (x[:, :3].sum(axis=1) % 2).astype(int)


def _pair_of_digits(dice):
    x, y = load_digits(return_X_y=True)
    kept = dice.permutation(np.flatnonzero((y == 3) | (y == 8)))[:260]
    return x[kept], (y[kept] == 8).astype(int)


def _wines(dice):
    x, y = load_wine(return_X_y=True)
    return x + dice.normal(0, 0.5, x.shape) * x.std(axis=0), y


def _two_per_class(dice):
    return make_classification(
        300, 12, n_informative=5, n_classes=4, flip_y=0.1, random_state=_draw(dice)
    )


def _sum_of_squares(dice):
    x, y = make_hastie_10_2(300, random_state=_draw(dice))
    return x, (y > 0).astype(int)


TABLES = {
    "waves of two": _waves_of_two,
    "hinges": _hinges,
    "a form": _form,
    "prices": _prices,
    "rare peaks": _rare_peaks,
    "spirals": _spirals,
    "three bits": _three_bits,
    "three or eight": _pair_of_digits,
    "noisy wines": _wines,
    "two per class": _two_per_class,
    "sum of squares": _sum_of_squares,
}  # fmt: skip
NUMBERS = {"waves of two", "hinges", "a form", "prices", "rare peaks"}
WAYS = {
    "momentum 0.97": ["optimizer.momentum=0.97"],
    "nesterov, batches of 4": ["optimizer=nesterov", "trainer.batch_size=4"],
    "nesterov, batches of 8, 2 layers": ["optimizer=nesterov", "trainer.batch_size=8", "model.depth=2"],
    "plain SGD, batches of 16": ["optimizer=sgd_plain", "trainer.batch_size=16"],
    "adam, gelu, 2 layers": ["optimizer=adam", "model.activation=gelu", "model.depth=2"],
    "adam, 4 layers of 16": ["optimizer=adam", "model.depth=4", "model.width=16"],
    "adamw, batches of 8": ["optimizer=adamw", "trainer.batch_size=8"],
    "rmsprop, 2 tanh layers": ["optimizer=rmsprop", "model.activation=tanh", "model.depth=2"],
    "sgd, 4 layers": ["model.depth=4"],
    "sgd, batch norm, batches of 64": ["model.norm=batch", "trainer.batch_size=64"],
    "amsgrad, width of 200": ["optimizer=amsgrad", "model.width=200"],
    "linear, momentum": ["model.depth=0"],
}  # fmt: skip
EACH = 4  # ways on each table


def set_ups():
    """A name, a table, words, and the seed of the table's rows."""
    dice = np.random.default_rng(20261127)
    for table in TABLES:
        for way in dice.permutation(list(WAYS))[:EACH]:
            yield str(way), table, WAYS[way], 3


def memories():
    """The same, of trainings that remember more than ten steps."""
    dice = np.random.default_rng(1127)
    names = dice.permutation([*TABLES, *TABLES])
    for number, table in enumerate(names[:18]):
        momentum = (0.95, 0.98, 0.99)[number % 3]
        more = ["optimizer=nesterov"] if number % 2 else []
        yield (
            f"momentum {momentum}",
            str(table),
            [*more, f"optimizer.momentum={momentum}"],
            5 + number,
        )


def table(source, seed=0):
    """A table by name."""
    x, y = TABLES[source](np.random.default_rng(seed))
    is_number = source in NUMBERS
    y = np.asarray(y, dtype=np.float32)[:, None] if is_number else np.asarray(y, dtype=np.int64)
    return DataSet(x=np.asarray(x, dtype=np.float32), y=y)
