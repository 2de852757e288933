"""Set-ups for range tests that were written down before the rule was read again: other tables, optimizers with further
arguments, layers, losses, schedules, and loops of one's own (`lr_range_loops`).

Every third is put aside.
"""

import numpy as np
from lr_range_loops import FORMS
from sklearn.datasets import make_low_rank_matrix, make_s_curve, make_swiss_roll

from trainers.data import DataSet


def _draw(dice):
    return int(dice.integers(1 << 30))


def _pendulum(dice):
    swing, damping, pace, t = dice.uniform(0.5, 2, (4, 260))
    return np.stack([swing, damping, pace, t], 1), swing * np.exp(-damping * t / 2) * np.cos(3 * pace * t)  # fmt: skip


def _arm(dice):
    """Where an arm of two parts ends, by its angles: two numbers per row."""
    a, b = dice.uniform(-2, 2, (2, 280))
    y = np.stack([np.cos(a) + np.cos(a + b), np.sin(a) + np.sin(a + b)], 1)
    return np.stack([a, b], 1), y + dice.normal(0, 0.05, y.shape)


def _hours(dice):
    """Demand by the hour of a day and of a week, in thousands."""
    hour, day = dice.integers(0, 24, 300), dice.integers(0, 7, 300)
    turn = 2 * np.pi * hour / 24
    x = np.column_stack([np.sin(turn), np.cos(turn), np.eye(7)[day]])
    return x, 5000 + 2000 * np.sin(turn - 2) * (1 + (day > 4)) + dice.normal(0, 400, 300)


def _roll(make):
    def table(dice):
        return make(280, noise=0.1, random_state=_draw(dice))

    return table


def _correlated(dice):
    """Forty features of rank six."""
    x = 10 * make_low_rank_matrix(250, 40, effective_rank=6, random_state=_draw(dice))
    return x, x @ dice.normal(0, 1, 40) + dice.normal(0, 0.1, 250)


def _doses(dice):
    dose, half, top = dice.lognormal(0, 1, 270), dice.uniform(0.5, 3, 270), dice.uniform(1, 5, 270)
    return np.stack([dose, half, top], 1), top * dose / (half + dose) * dice.lognormal(0, 0.1, 270)


def _lags(dice):
    """The next value of a logistic map, by the eight before."""
    values = [dice.uniform(0.2, 0.8)]
    for _ in range(307):
        values.append(3.8 * values[-1] * (1 - values[-1]))
    rows = np.lib.stride_tricks.sliding_window_view(np.array(values), 9)
    return rows[:, :8] + dice.normal(0, 0.02, (300, 8)), rows[:, 8]


def _greatest(dice):
    x = dice.normal(0, 1, (300, 5))
    return x, x.max(axis=1)


def _wider(dice):
    """Noise that grows with the first feature."""
    x = dice.uniform(0, 1, (290, 6))
    return x, 4 * x[:, 0] - 2 * x[:, 1] + x[:, 0] * dice.normal(0, 1, 290)


def _claims(dice):
    """Counts of few events."""
    x = dice.normal(0, 1, (300, 5))
    return x, dice.poisson(np.exp(0.3 + x @ [0.5, -0.4, 0.3, 0, 0])).astype(float)


def _outliers(dice):
    x = dice.normal(0, 1, (240, 4))
    wrong = dice.random(240) < 0.05
    return x, np.sin(x[:, 0]) + 0.5 * x[:, 1] + 15 * wrong * dice.normal(0, 1, 240)


def _grades(dice):
    """Five classes in an order, by one hidden number."""
    x = dice.normal(0, 1, (300, 7))
    hidden = x @ np.linspace(1, -0.5, 7) + dice.logistic(0, 0.5, 300)
    return x, np.digitize(hidden, [-2, -0.7, 0.7, 2])


def _majority(dice):
    x = dice.integers(0, 2, (300, 9))
    return x.astype(float), (x.sum(axis=1) > 4).astype(int)


def _tones(dice):
    """24 steps of a sine, a square or a saw."""
    y, shift, pace = dice.integers(0, 3, 270), dice.random((270, 1)), dice.uniform(1.5, 3, (270, 1))
    turn = (shift + pace * np.arange(24) / 24) % 1
    waves = np.stack([np.sin(2 * np.pi * turn), np.sign(turn - 0.5), 2 * turn - 1])
    return waves[y, np.arange(270)] + dice.normal(0, 0.3, (270, 24)), y


def _corners(dice):
    x = dice.uniform(-1, 1, (300, 3))
    return x, (x[:, 0] > 0.2 * x[:, 2]) * 2 + (x[:, 1] > 0)


def _genes(dice):
    """120 rows of 200 features, of which eight tell."""
    x, y = dice.normal(0, 1, (120, 200)), dice.integers(0, 2, 120)
    x[:, :8] += 1.2 * y[:, None]
    return x, y


def _twenty(dice):
    y = np.repeat(np.arange(20), 15)
    return dice.normal(0, 1.5, (20, 10))[y] + dice.normal(0, 1, (300, 10)), y


def _monks(dice):
    """Six categories in 0/1 columns, the class by a rule, one label in twenty wrong."""
    parts = dice.integers(0, (3, 3, 2, 3, 4, 2), (300, 6))
    x = np.concatenate([np.eye(4)[parts[:, k]] for k in range(6)], axis=1)
    rule = (parts[:, 0] == parts[:, 1]) | (parts[:, 4] == 0)
    return x[:, x.std(axis=0) > 0], (rule ^ (dice.random(300) < 0.05)).astype(int)


def _seldom(dice):
    """80 columns, of which one in twenty is 1."""
    x = (dice.random((280, 80)) < 0.05).astype(float)
    return x, (x @ dice.normal(0, 2, 80) + dice.normal(0, 0.5, 280) > 0).astype(int)


def _bars(dice):
    """A bar in noise in a picture of 8 × 8: upright, level, or falling."""
    y, pictures = dice.integers(0, 3, 270), dice.normal(0, 0.5, (270, 8, 8))
    for picture, kind in zip(pictures, y, strict=True):
        place, along = dice.integers(2, 6), np.arange(8)
        picture[((along, place), (place, along), (along, (along + place) % 8))[kind]] += 1.5
    return pictures.reshape(270, 64), y


def _rises(dice):
    """Whether 16 steps end higher than they begin, in noise."""
    y = dice.integers(0, 2, 280)
    return np.linspace(-1, 1, 16) * (2 * y[:, None] - 1) + dice.normal(0, 1.2, (280, 16)), y


def _defects(dice):
    """One row in twelve, in a ball of its own."""
    y = (dice.random(300) < 1 / 12).astype(int)
    return dice.normal(0, 1, (300, 5)) * np.where(y, 0.4, 1)[:, None] + 1.5 * y[:, None], y


NUMBERS = {
    "pendulum": _pendulum, "arm": _arm, "hours": _hours, "s curve": _roll(make_s_curve), "roll": _roll(make_swiss_roll),
    "correlated": _correlated, "doses": _doses, "lags": _lags, "greatest": _greatest, "wider": _wider, "claims": _claims,
    "outliers": _outliers,
}  # fmt: skip
CLASSES = {
    "grades": _grades, "majority": _majority, "tones": _tones, "corners": _corners, "genes": _genes, "twenty": _twenty,
    "monks": _monks, "seldom": _seldom, "bars": _bars, "rises": _rises, "defects": _defects,
}  # fmt: skip
TABLES = NUMBERS | CLASSES
ADAM, SGD, RMS, PLAIN = "optimizer=adam", "optimizer=sgd", "optimizer=rmsprop", "optimizer=sgd_plain"  # fmt: skip
WAYS = {
    "adam, betas 0.5 0.9": [ADAM, "+optimizer.betas=[0.5,0.9]"],
    "adam, betas 0.9 0.9": [ADAM, "+optimizer.betas=[0.9,0.9]", "trainer.batch_size=10"],
    "adam, eps 0.01": [ADAM, "+optimizer.eps=0.01"],
    "rmsprop, alpha 0.9": [RMS, "optimizer.alpha=0.9", "model.depth=2"],
    "rmsprop, momentum, centred": [RMS, "optimizer.momentum=0.9", "+optimizer.centered=true"],
    "sgd, dampening 0.5": [SGD, "+optimizer.dampening=0.5"],
    "sgd, decay 0.05": [SGD, "optimizer.weight_decay=0.05"],
    "adagrad from 0.1, batches of 10": ["optimizer=adagrad", "+optimizer.initial_accumulator_value=0.1", "trainer.batch_size=10"],
    "adagrad, falling": ["optimizer=adagrad", "+optimizer.lr_decay=0.01"],
    "adadelta, rho 0.99": ["optimizer=adadelta", "optimizer.rho=0.99"],
    "nadam": ["optimizer=nadam", "model.depth=2"],
    "radam": ["optimizer=radam"],
    "adamax": [ADAM, "optimizer._target_=torch.optim.Adamax"],
    "adafactor": [ADAM, "optimizer._target_=torch.optim.Adafactor"],
    "averaged sgd": [PLAIN, "~optimizer.momentum", "optimizer._target_=torch.optim.ASGD"],
    "adabound to 0.01": ["optimizer=adabound", "optimizer.final_lr=0.01"],
    "momentum 0.5": [SGD, "optimizer.momentum=0.5"],
    "momentum 0.8, batches of 3": [SGD, "optimizer.momentum=0.8", "trainer.batch_size=3"],
    "3 selu layers": [SGD, "model.depth=3", "model.activation=selu", "model.width=48"],
    "mish, adamw": ["optimizer=adamw", "model.activation=mish", "model.init=he_normal"],
    "2 softplus layers, rmsprop": [RMS, "model.activation=softplus", "model.depth=2"],
    "maxout, nesterov": ["optimizer=nesterov", "model.activation=maxout"],
    "5 tanh layers, orthogonal": [ADAM, "model.depth=5", "model.activation=tanh", "model.init=orthogonal", "model.width=32"],
    "prelu, 16 wide": [SGD, "model.activation=prelu", "model.width=16"],
    "group norm, batches of 20": [ADAM, "model.norm=group", "model.depth=2", "trainer.batch_size=20"],
    "batch norm, 3 layers": [PLAIN, "model.norm=batch", "model.depth=3", "trainer.batch_size=50"],
    "residual, layer norm": ["optimizer=nesterov", "model.residual=true", "model.norm=layer", "model.depth=4", "model.width=40"],
    "0 ... 1, sgd": [SGD, "normalise=minmax"],
    "0 ... 1, adamw, 2 layers": ["optimizer=adamw", "normalise=minmax", "model.depth=2"],
    "cosine, adam": [ADAM, "schedule=cosine"],
    "one cycle": [SGD, "schedule=one_cycle"],
    "noise on inputs": [SGD, "augment=noise", "augment.strength=0.3"],
    "mixup, adamw": ["optimizer=adamw", "augment=mixup"],
    "max norm 2": ["optimizer=nesterov", "trainer.max_norm=2"],
    "l1 of 0.003": ["optimizer=nesterov", "trainer.l1=0.003"],
    "clipped to 1, 4 layers": [SGD, "trainer.clip=1", "model.depth=4"],
    "all rows, sgd": [SGD, "trainer.batch_size=512"],
    "half of the rows": [ADAM, "trainer.fraction=0.5"],
    "dropout, 3 layers": ["optimizer=adamw", "model.dropout=0.2", "model.depth=3"],
    "300 wide, plain": [PLAIN, "model.width=300", "trainer.batch_size=5"],
    "linear, adagrad": ["optimizer=adagrad", "model.depth=0"],
    "linear, rmsprop, batches of 100": [RMS, "model.depth=0", "trainer.batch_size=100"],
}  # fmt: skip
OF_NUMBERS = {
    "smooth absolute": [SGD, "loss._target_=torch.nn.SmoothL1Loss"],
    "huber of 3": [ADAM, "loss=huber", "loss.delta=3"],
    "as they came": [ADAM, "normalise.target=false", "model.depth=2"],
    "as they came, rmsprop": [RMS, "normalise=none"],
}
OF_CLASSES = {
    "margin": [SGD, "loss._target_=torch.nn.MultiMarginLoss", "~loss.label_smoothing"],
    "focal of 4": [ADAM, "loss=focal", "loss.gamma=4"],
    "smoothed, nesterov": ["optimizer=nesterov", "loss.label_smoothing=0.1"],
    "balanced": [SGD, "trainer.balance=1"],
}
SINGLE = [
    ("bars", "cnn2d", ["model=cnn2d", "model.width=6", SGD]),
    ("bars", "cnn2d, nadam", ["model=cnn2d", "model.width=6", "optimizer=nadam"]),
    ("bars", "lstm", ["model=lstm", "model.width=24", "model.features=8", ADAM]),
    ("tones", "cnn1d", ["model=cnn1d", "model.width=8", ADAM]),
    ("tones", "cnn1d, nesterov", ["model=cnn1d", "model.width=8", "optimizer=nesterov"]),
    ("tones", "gru of 4, rmsprop", ["model=gru", "model.width=20", "model.features=4", RMS]),
    ("rises", "rnn", ["model=rnn", "model.width=20", "model.features=2", SGD]),
    ("rises", "transformer", ["model=transformer", "model.width=16", "model.depth=1", "model.features=4", ADAM]),
    ("lags", "4 residual layers", ["model=mlp_residual", "model.depth=4", RMS]),
    ("greatest", "4 residual layers, adagrad", ["model=mlp_residual", "model.depth=4", "optimizer=adagrad"]),
]  # fmt: skip
EACH, LOOPS = 4, 2
POSITIVE = ("claims", "doses")


def set_ups():
    """A name, a table, words, and the seed of the table's rows."""
    dice = np.random.default_rng(2701)
    drawn = [(table, name, words) for table, name, words in SINGLE]
    for tables, more in ((NUMBERS, OF_NUMBERS), (CLASSES, OF_CLASSES)):
        ways = WAYS | more
        for table in tables:
            drawn += [(table, str(name), ways[name]) for name in dice.permutation(list(ways))[:EACH]]  # fmt: skip
    for form, (task, more) in FORMS.items():
        tables = dice.permutation(list({"numbers": NUMBERS, "classes": CLASSES}[task]))[:LOOPS]
        for table in POSITIVE if form == "poisson" else tables:
            drawn.append((str(table), f"own: {form}", [*OWN, f"+trainer.form='{form}'", *more]))
    for number, place in enumerate(dice.permutation(len(drawn))):
        table, name, words = drawn[place]
        yield name, table, words, 7 + number


OWN = ["trainer._target_=lr_range_loops.fit", "trainer.predict=null", "model=own"]


def looked_at():
    """Two of three."""
    return (each for number, each in enumerate(set_ups()) if number % 3 != 2)


def aside():
    """The third that is judged once."""
    return (each for number, each in enumerate(set_ups()) if number % 3 == 2)


def table(source, seed=0):
    """A table by name."""
    x, y = TABLES[source](np.random.default_rng(seed))
    y = np.asarray(y, dtype=np.float32 if source in NUMBERS else np.int64)
    y = y.reshape(len(y), -1) if source in NUMBERS else y
    return DataSet(x=np.asarray(x, dtype=np.float32), y=y)
