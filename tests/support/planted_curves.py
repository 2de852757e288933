"""Learning curves of trainings in which something was planted: `python tests/support/planted_curves.py` trains them all anew.

What was planted is the label; it was written down before any rule of a verdict was tuned. The curves of the last seed, a third of
all, were trained with strengths, rows and weights of their own and put aside until the rules stood. The result lies beside this
file.
"""

import itertools
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_breast_cancer, load_digits, make_friedman1
from torch import nn, optim

from search.contract.metric_functions import confidence
from search.contract.metrics import Metric, output_of, scores
from trainers.api import Data, Epoch, Part
from trainers.checkpoint import Unsaved
from trainers.stock import Stock

FILE = Path(__file__).with_suffix(".parquet")
SEEDS, ASIDE = (0, 1, 3), (3,)
HERE = "planted_curves"
COLUMNS = (
    "train_loss", "train_eval_loss", "val_loss", "metric", "lr", "grad_norm", "early_gradient", "dead_units", "confidence",
)  # fmt: skip


# Data


@dataclass(frozen=True)
class Rows:
    """x [n, features] float32, y [n] of classes or numbers."""

    x: np.ndarray
    y: np.ndarray

    def __getitem__(self, index: Any) -> "Rows":
        return Rows(self.x[index], self.y[index])


@cache
def rows_of(name: str) -> Rows:
    """All rows of a data set, in an order of their own."""
    if name == "digits":
        x, y = load_digits(return_X_y=True)
    elif name == "cancer":
        x, y = load_breast_cancer(return_X_y=True)
    elif name == "mnist1d":
        from mnist1d.data import get_dataset_args, make_dataset

        made = make_dataset(get_dataset_args())
        x, y = made["x"], made["y"]
    else:
        x, y = make_friedman1(n_samples=2000, n_features=16, noise=1.0, random_state=0)
    order = np.random.default_rng(0).permutation(len(x))
    return Rows(x[order].astype(np.float32), y[order])


def sets(name: str, *, seed: int, train: int, val: int) -> tuple[Rows, Rows]:
    """Rows to train on and to validate on, standardised by the former."""
    whole = rows_of(name)
    order = np.random.default_rng(seed).permutation(len(whole.x))
    first, second = whole[order[:train]], whole[order[train : train + val]]
    mean, spread = first.x.mean(axis=0), first.x.std(axis=0)
    spread[spread < 0.1] = 1.0  # hardly ever anything else than 0 there
    units = (first.y.mean(), first.y.std()) if name == "friedman" else (0, 1)
    return tuple(  # type: ignore[return-value]
        Rows(
            ((part.x - mean) / spread).astype(np.float32),
            (part.y - units[0]) / units[1] if name == "friedman" else part.y,
        )
        for part in (first, second)
    )


SIZES = {
    "digits": (1000, 300),
    "mnist1d": (2000, 500),
    "friedman": (1200, 400),
    "cancer": (350, 150),
}
FEATURES = {"digits": (64, 10), "mnist1d": (40, 10), "friedman": (16, 1), "cancer": (30, 2)}


# Models and schedules that the shipped ones cannot give


class Recurrent(nn.Module):
    """A GRU, or a plain recurrent net, over the row cut in pieces of 8 (of 5, 4, 10: what divides it)."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        width: int,
        kind: str = "gru",
        gain: float = 1.0,
        depth: int = 1,
    ) -> None:
        super().__init__()
        self._piece = {64: 8, 40: 5, 16: 4, 30: 10}[inputs]
        net = nn.GRU if kind == "gru" else nn.RNN
        extra = {} if kind == "gru" else {"nonlinearity": kind}
        self.net = net(self._piece, width, batch_first=True, num_layers=depth, **extra)
        self.head = nn.Linear(width, outputs)
        for name, weight in self.net.named_parameters():
            if name.startswith("weight_hh"):
                weight.data.mul_(gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.net(x.reshape(len(x), -1, self._piece))
        return self.head(states[:, -1])


class Broken(nn.Module):
    """A multilayer perceptron with one thing wrong with it."""

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        width: int,
        depth: int,
        fault: str,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        made = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}[activation]
        sizes = [inputs, *[width] * depth]
        layers = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), made())]
        self.body, self.head = nn.Sequential(*layers), nn.Linear(sizes[-1], outputs)
        self.fault = fault
        linear = [layer for layer in self.body if isinstance(layer, nn.Linear)]
        with torch.no_grad():
            if fault == "zeros":
                for layer in [*linear, self.head]:
                    layer.weight.zero_()
                    layer.bias.zero_()
            if fault == "dead":
                for layer in linear[-2:]:
                    layer.bias.fill_(-50.0)
            if fault == "loud":
                for layer in linear:
                    layer.weight.mul_(6.0)
            if fault == "saturated":
                for layer in linear:
                    layer.weight.mul_(200.0)
                self.head.weight.mul_(8.0)
            if fault == "frozen":
                self.head.weight.mul_(30.0)
                for parameter in self.parameters():
                    parameter.requires_grad_(False)
                self.head.bias.requires_grad_(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.body(x)
        if self.fault == "cut":
            features = features.detach() * 0
        if self.fault == "root":
            features = features + torch.sqrt(features * 0)  # its slope at 0 is infinite
        return self.head(features)


class Jumps(optim.lr_scheduler.LRScheduler):
    """The rate times `factor` in some epochs: those of `at`; where `stay`, from the first of them on."""

    def __init__(
        self, optimizer: optim.Optimizer, *, factor: float, at: list[int], stay: bool = False
    ) -> None:
        self._factor, self._at, self._stay = factor, at, stay
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        epoch = self.last_epoch + 1
        up = epoch >= self._at[0] if self._stay else epoch in self._at
        return [base * (self._factor if up else 1.0) for base in self.base_lrs]


# Plants


@dataclass(frozen=True)
class Plant:
    """One training. `label`: what was planted; `prepare`: what was done to its rows."""

    label: str
    data: str
    name: str
    model: dict[str, Any]
    optimizer: dict[str, Any]
    epochs: int
    batch: int = 32
    schedule: dict[str, Any] | None = None
    clip: float | None = None
    train: int | None = None
    val: int | None = None
    prepare: Callable[[Rows, Rows, np.random.Generator], tuple[Rows, Rows]] | None = None
    cut: Callable[[pd.DataFrame], int] | None = None


def mlp(width: int = 64, depth: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "_target_": "trainers.models.mlp.MLP",
        "width": width,
        "depth": depth,
        "dropout": 0.0,
        **more,
    }


def cnn(data: str, width: int = 16, depth: int = 2, **more: Any) -> dict[str, Any]:
    dimensions = 2 if data == "digits" else 1
    return {
        "_target_": "trainers.models.cnn.CNN",
        "dimensions": dimensions,
        "width": width,
        "depth": depth,
        "dropout": 0.0,
        **more,
    }


def gru(width: int = 32, **more: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.Recurrent", "width": width, **more}


def broken(fault: str, *, width: int = 64, depth: int = 2, **more: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.Broken", "width": width, "depth": depth, "fault": fault, **more}


def sgd(lr: float, momentum: float = 0.9, **more: Any) -> dict[str, Any]:
    return {"_target_": "torch.optim.SGD", "lr": lr, "momentum": momentum, **more}


def adam(lr: float, **more: Any) -> dict[str, Any]:
    return {"_target_": "torch.optim.Adam", "lr": lr, **more}


COSINE = {
    "_target_": "torch.optim.lr_scheduler.CosineAnnealingLR",
    "T_max": None,
    "interval": "epoch",
}
RATES = {"mlp": 1e-3, "cnn": 5e-3, "gru": 5e-3}  # of Adam, at which each model does well
ALL = [
    (data, kind)
    for data in ("digits", "mnist1d", "friedman")
    for kind in ("mlp", "cnn", "gru")
    if (data, kind) != ("friedman", "cnn")
]


def model_of(kind: str, data: str, **more: Any) -> dict[str, Any]:
    return mlp(**more) if kind == "mlp" else cnn(data, **more) if kind == "cnn" else gru(**more)


def jumps(factor: float, at: list[int], *, stay: bool = False) -> dict[str, Any]:
    return {
        "_target_": f"{HERE}.Jumps",
        "factor": factor,
        "at": at,
        "stay": stay,
        "interval": "epoch",
    }


def bad_row(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """One number of train is missing."""
    x = train.x.copy()
    x[dice.integers(len(x)), 3] = np.nan
    return Rows(x, train.y), val


def shuffled(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """The labels of train belong to other rows."""
    return Rows(train.x, dice.permutation(train.y)), val


def other_columns(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """Validation's columns stand in another order."""
    return train, Rows(val.x[:, dice.permutation(val.x.shape[1])], val.y)


def wrong_in_train(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """A third of train's labels are wrong, none of validation's."""
    y = train.y.copy()
    some = dice.random(len(y)) < 0.35
    y[some] = dice.permutation(y[some])
    return Rows(train.x, y), val


def wrong_in_val(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """A seventh of validation's labels are wrong: being sure of them costs ever more, while the other rows get better."""
    y = val.y.copy()
    some = dice.random(len(y)) < 0.15
    y[some] = dice.integers(0, y.max() + 1, size=some.sum())
    return train, Rows(val.x, y)


def noisy(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """A good part of what is to be learned is chance, in train and in validation alike."""
    made = []
    for rows in (train, val):
        y = rows.y.copy()
        some = dice.random(len(y)) < 0.3
        if y.dtype.kind == "f":
            y = y + dice.normal(size=len(y))
        else:
            y[some] = dice.integers(0, y.max() + 1, size=some.sum())
        made.append(Rows(rows.x, y))
    return made[0], made[1]


def weak(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """All features but one are gone, and that one says little."""
    column = 20 if train.x.shape[1] > 20 else 3
    keep = np.zeros(train.x.shape[1], dtype=np.float32)
    keep[column] = 1.0
    return Rows(train.x * keep, train.y), Rows(val.x * keep, val.y)


def no_inputs(train: Rows, val: Rows, dice: np.random.Generator) -> tuple[Rows, Rows]:
    """All features are zero."""
    return Rows(train.x * 0, train.y), Rows(val.x * 0, val.y)


def at_best(share: float) -> Callable[[pd.DataFrame], int]:
    """Ends at a share of the epoch at which validation is best."""
    return lambda frame: max(int(share * int(frame.loc[frame.val_loss.idxmin(), "epoch"])), 10)


def plants(seed: int) -> Iterator[Plant]:
    """Every training of a seed; strengths vary with it."""
    dice = np.random.default_rng(1000 + seed)

    def about(value: float, spread: float = 1.6) -> float:
        return float(value * spread ** dice.uniform(-1, 1))

    for data, kind in ALL:
        regression = data == "friedman"
        rate = RATES[kind]
        plant = partial(Plant, data=data, name=kind, model=model_of(kind, data))
        # Sound ones
        sound = {"label": "converged", "epochs": 40, "schedule": COSINE}
        if data == "digits":
            yield plant(**sound, optimizer=adam(about(rate)))
            yield plant(**sound, optimizer=sgd(about({"mlp": 0.05, "cnn": 0.1, "gru": 0.2}[kind])))
            yield plant(**sound, optimizer=adam(about(rate), weight_decay=about(3e-4)), batch=64)
        if regression and kind == "mlp":
            yield plant(**sound, model=mlp(16, 1), optimizer=adam(about(3e-3), weight_decay=1e-3))
        slow = {"mlp": 0.04, "cnn": 0.06, "gru": 0.08}[kind] * (
            2 if data == "mnist1d" and kind != "mlp" else 1
        )
        yield plant(
            "still_learning",
            optimizer=adam(about(rate * slow * (3 if data == "mnist1d" else 2), 1.2)),
            epochs=int(dice.integers(16, 30)),
        )
        yield plant("too_short", optimizer=adam(about(rate * 0.3)), epochs=int(dice.integers(3, 5)))
        yield plant("cannot_tell", optimizer=adam(about(rate)), epochs=int(dice.integers(1, 3)))
        # Rates
        yield plant(
            "lr_too_low",
            optimizer=sgd(
                about({"mlp": 6e-5, "cnn": 1e-4, "gru": 2e-4}[kind] * (0.5 if regression else 1))
            ),
            epochs=int(dice.integers(25, 50)),
        )
        yield plant(
            "lr_too_high",
            optimizer=adam(about({"mlp": 0.4, "cnn": 2.0, "gru": 1.0}[kind])),
            epochs=int(dice.integers(20, 40)),
        )
        if kind == "mlp":
            yield plant(
                "lr_too_high",
                optimizer=sgd(about(1.2, 1.2), 0.0)
                if not regression
                else sgd(about(0.9, 1.2), 0.0),
                epochs=30,
                batch=16,
            )
        late = int(dice.integers(22, 28))
        yield plant(
            "lr_too_high_late",
            optimizer=adam(about(rate)),
            schedule=jumps({"mlp": 200, "cnn": 150, "gru": 100}[kind], [late], stay=True),
            epochs=40,
        )
        at = sorted(set(dice.choice(np.arange(8, 38), size=4, replace=False).tolist()))
        yield plant(
            "unstable",
            optimizer=adam(about(rate)),
            schedule=jumps({"mlp": 25, "cnn": 30, "gru": 20}[kind], at),
            epochs=42,
        )
        if data == "mnist1d" or (regression and kind != "gru"):
            limited = {"mlp": mlp(24, 2), "cnn": cnn(data, width=8), "gru": gru(16)}[kind]
            yield plant(
                "lr_drop_due",
                model=limited,
                optimizer=adam(about({"mlp": 0.02, "cnn": 0.1, "gru": 0.04}[kind], 1.3)),
                epochs=40,
                batch=8,
                train=None if regression else 3000,
            )
        # Too little model, too much
        small = {
            "mlp": mlp(2, 1, activation="tanh"),
            "cnn": cnn(data, width=2, depth=1),
            "gru": gru(1),
        }[kind]
        yield plant(
            "underfitting", model=small, optimizer=adam(about(2e-2)), epochs=90, schedule=COSINE
        )
        if kind == "mlp":
            yield plant(
                "underfitting",
                optimizer=adam(about(2e-3), weight_decay=about(0.3 if regression else 0.1)),
                epochs=40,
                schedule=COSINE,
            )
        few = {"digits": 300, "mnist1d": 1500, "friedman": 120}[data]
        wide = {"mlp": mlp(256, 2), "cnn": cnn(data, width=32, depth=2), "gru": gru(64)}[kind]
        yield plant(
            "overfitting",
            model=wide,
            optimizer=adam(about(rate)),
            epochs=int(dice.integers(80, 130)),
            train=few,
            batch=16,
            prepare=noisy,
        )
        calm = {"mlp": mlp(48, 2), "cnn": cnn(data, width=24, depth=2), "gru": gru(32)}[kind]
        yield plant(
            "val_stalled",
            model=calm,
            optimizer=adam(about(rate * 0.8, 1.2)),
            epochs=80,
            prepare=noisy,
            cut=at_best(1.6),
        )
        if data == "digits":
            yield plant(
                "overconfident", optimizer=adam(about(rate * 0.3)), epochs=60, prepare=wrong_in_val
            )
            yield plant(
                "overconfident",
                optimizer=sgd(about({"mlp": 3e-2, "cnn": 5e-2, "gru": 1e-1}[kind])),
                epochs=80,
                prepare=wrong_in_val,
            )
        # Data
        if kind == "mlp":
            yield plant(
                "data_suspect",
                model=wide,
                optimizer=adam(about(rate)),
                epochs=50,
                train=600,
                prepare=shuffled,
            )
        yield plant("data_suspect", optimizer=adam(about(rate)), epochs=30, prepare=other_columns)
        if data == "digits":
            yield plant(
                "data_suspect", optimizer=adam(about(rate * 0.4)), epochs=25, prepare=wrong_in_train
            )
        if kind != "cnn":
            yield plant(
                "underfitting",
                optimizer=adam(about(rate * 3)),
                epochs=40,
                schedule=COSINE,
                prepare=weak,
            )
        yield plant("nan", optimizer=adam(about(rate)), epochs=10, prepare=bad_row)
        if kind != "cnn":
            yield plant(
                "dead",
                optimizer=adam(about(rate)),
                epochs=int(dice.integers(20, 50)),
                prepare=no_inputs,
            )
        yield plant("dead", optimizer=sgd(1e-13), epochs=int(dice.integers(20, 50)))
        if kind == "mlp":
            yield plant("nan", model=broken("root"), optimizer=sgd(about(0.05)), epochs=12)
            yield plant("dead_units", model=broken("zeros"), optimizer=sgd(about(0.05)), epochs=30)
            yield plant("dead", model=broken("cut"), optimizer=adam(about(1e-3)), epochs=30)
            yield plant("dead_units", model=broken("dead"), optimizer=adam(about(1e-3)), epochs=30)
            yield plant(
                "dead_units",
                model=broken("dead", depth=4, width=32),
                optimizer=sgd(about(0.02)),
                epochs=30,
            )
            for activation, other in (("relu", "tanh"), ("tanh", "sigmoid")):
                yield plant(
                    "stuck",
                    model=broken("frozen", activation=activation),
                    optimizer=sgd(about(4e-3 if regression else 2e-2)),
                    epochs=int(dice.integers(40, 60)),
                )
                yield plant(
                    "stuck",
                    model=broken("saturated", activation=other),
                    optimizer=sgd(about(1e-9), 0.0),
                    epochs=int(dice.integers(20, 50)),
                )
            yield plant(
                "vanishing",
                model=broken("", depth=10, activation="sigmoid"),
                optimizer=sgd(about(0.01)),
                epochs=30,
            )
            yield plant(
                "vanishing",
                model=broken("", depth=14, activation="sigmoid", width=32),
                optimizer=adam(about(1e-4)),
                epochs=30,
            )
            yield plant(
                "exploding",
                model=broken("loud", depth=8),
                optimizer=sgd(about(1e-13 if regression else 1e-7), 0.0),
                epochs=25,
            )
            yield plant(
                "exploding", model=broken("loud", depth=12), optimizer=adam(about(1e-4)), epochs=25
            )
        if kind == "gru" and not regression:
            yield plant(
                "exploding",
                model=gru(64, kind="relu", gain=about(9.0, 1.2)),
                optimizer=sgd(about(1e-6), 0.0),
                epochs=25,
            )
    for kind in ("mlp", "gru"):
        plant = partial(Plant, data="cancer", name=kind, model=model_of(kind, "cancer", width=8))
        yield plant("still_learning", optimizer=adam(about(4e-4, 1.2)), epochs=25)
        yield plant("overfitting", optimizer=adam(about(1e-2)), epochs=120, train=40, batch=8)
        yield plant("lr_too_low", optimizer=sgd(about(1e-4)), epochs=30)


# Training


def curves(plant: Plant, *, seed: int) -> tuple[pd.DataFrame, float]:
    """One row per epoch, the untrained model's first; and what a constant prediction loses on train."""
    inputs, outputs = FEATURES[plant.data]
    sizes = SIZES[plant.data]
    train, val = sets(
        plant.data, seed=seed, train=plant.train or sizes[0], val=plant.val or sizes[1]
    )
    if plant.prepare is not None:
        train, val = plant.prepare(train, val, np.random.default_rng(seed))
    regression = plant.data == "friedman"
    schedule = None if plant.schedule is None else {**plant.schedule}
    if schedule and "T_max" in schedule:
        schedule["T_max"] = plant.epochs
    config = {
        "seed": seed,
        "model": {**plant.model, "inputs": inputs, "outputs": outputs},
        "loss": {"_target_": "torch.nn.MSELoss" if regression else "torch.nn.CrossEntropyLoss"},
        "optimizer": plant.optimizer,
        "schedule": schedule,
        "trainer": {
            "epochs": plant.epochs,
            "batch_size": plant.batch,
            "l1": 0.0,
            "clip": plant.clip,
        },
    }
    parts = [
        Part(
            index=np.arange(len(rows.x)),
            x=rows.x,
            y=rows.y.astype(np.float32)[:, None] if regression else rows.y.astype(np.int64),
        )
        for rows in (train, val)
    ]
    metric = Metric(name="r2" if regression else "accuracy", direction="maximize")
    seats, records = Stock(data=Data(train=parts[0], val=parts[1]), device="cpu"), []
    seats.admit(0, config=config, checkpoint=Unsaved())
    while isinstance(outcome := seats.step()[0], Epoch):
        kind, array = output_of(outcome.values)
        record = {name: float(outcome.values.get(name, math.nan)) for name in COLUMNS}
        told = confidence(parts[1].y, kind=kind, output=array)
        record["metric"] = scores(metric, targets=parts[1].y, kind=kind, output=array)[metric.name]
        record["confidence"] = told[0] if told else math.nan
        records.append({"epoch": outcome.epoch, **record})
    if not isinstance(outcome, Epoch) and hasattr(outcome, "error"):
        raise outcome.error
    frame = pd.DataFrame(records)
    shares = np.bincount(train.y.astype(int) - min(0, int(train.y.min()))) / len(train.y)
    constant = (
        float(np.var(train.y))
        if regression
        else float(-sum(share * math.log(share) for share in shares if share))
    )
    return (frame if plant.cut is None else frame[frame.epoch <= plant.cut(frame)]), constant


def one(job: tuple[int, int]) -> pd.DataFrame:
    """A plant by seed and number, with its name and label."""
    seed, number = job
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    plant = list(plants(seed))[number]
    name = f"{plant.data} {plant.name} {plant.label} {number} {seed}"
    frame, constant = curves(plant, seed=seed)
    classes = 0 if plant.data == "friedman" else FEATURES[plant.data][1]
    return frame.assign(
        name=name,
        label=plant.label,
        data=plant.data,
        model=plant.name,
        classes=classes,
        constant=constant,
        aside=seed in ASIDE,
    )


def main(workers: int) -> None:
    """Trains all of them."""
    jobs = [(seed, number) for seed in SEEDS for number in range(len(list(plants(seed))))]
    with ProcessPoolExecutor(workers) as pool:
        frames = list(pool.map(one, jobs, chunksize=4))
    frame = pd.concat(frames, ignore_index=True)
    frame[list(COLUMNS)] = frame[list(COLUMNS)].map(lambda number: np.float32(f"{number:.4g}"))
    frame.to_parquet(FILE, index=False, compression="zstd", compression_level=19)
    print(frame.groupby("label").name.nunique().to_string(), frame.name.nunique())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
