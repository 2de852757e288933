"""What the knobs do: each effect that the guide names, with and without it, over seeds.

`python tests/benchmarks/effects.py [NAME …]` prints one row per effect: both means, and the mean
difference with its 95 % interval between paired seeds.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.datasets import load_digits
from torch import nn

from search.contract.metrics import Metric, scores
from search.diagnostics.verdicts.more_rows import foretell
from trainers.api import END, Config, Data, Part
from trainers.build import Sets, on_device
from trainers.checkpoint import Unsaved
from trainers.data.toys import unaligned
from trainers.features import with_features
from trainers.seat import Seat

SEEDS = 5
ADAM = {"_target_": "torch.optim.Adam", "lr": 0.003}
SGD = {"_target_": "torch.optim.SGD", "lr": 0.05, "momentum": 0.9}
SLOW = {**SGD, "lr": 0.01}
MODELS = "trainers.models"
MLP = {
    "_target_": f"{MODELS}.mlp.MLP",
    **{"inputs": 64, "outputs": 10, "width": 128, "depth": 1, "dropout": 0.0},
}
IMAGE = {"dimensions": 2, "channels": 1}
Measure = Callable[[Config, Sets], float]
Pair = tuple[Measure, dict[str, Any], dict[str, Any], Callable[[], Sets]]


def digits(*, rows: int = 1200, wrong: float = 0.0) -> Sets:
    """Digits: `rows` for training and 500 for validation; a share of all labels is wrong."""
    x, y = (torch.tensor(each) for each in load_digits(return_X_y=True))
    dice = torch.Generator().manual_seed(0)
    order = torch.randperm(len(x), generator=dice)
    x, y = x[order].float() / 16, y[order]
    lies = torch.rand(len(x), generator=dice) < wrong
    y[lies] = torch.randint(0, 10, (int(lies.sum()),), generator=dice)
    return (x[:rows], y[:rows]), (x[-500:], y[-500:])


def marked(*, steps: int = 60) -> Sets:
    """A number and a mark per step; the class is the sign of the one number that is marked."""
    dice = torch.Generator().manual_seed(2)
    numbers = torch.randn(800, steps, generator=dice)
    place = torch.randint(0, steps // 4, (800,), generator=dice)
    x = torch.stack([numbers, nn.functional.one_hot(place, steps).float()], dim=2).flatten(1)
    y = (numbers[torch.arange(800), place] > 0).long()
    return (x[:500], y[:500]), (x[500:], y[500:])


def rare() -> Sets:
    """Two classes that overlap, one of them with 5 % of the rows."""
    dice = torch.Generator().manual_seed(3)
    y = (torch.rand(1600, generator=dice) < 0.05).long()
    x = torch.randn(1600, 64, generator=dice)
    x[:, :3] += 1.2 * y[:, None]
    return (x[:800], y[:800]), (x[800:], y[800:])


def useless() -> Sets:
    """Four features that tell two classes apart, and two hundred that do not."""
    dice = torch.Generator().manual_seed(5)
    y = (torch.rand(900, generator=dice) < 0.5).long()
    x = torch.randn(900, 204, generator=dice)
    x[:, :4] += 0.8 * y[:, None]
    return (x[:300], y[:300]), (x[300:], y[300:])


def unaligned_rows() -> Sets:
    """Labels, each held for some steps, some struck out: a sequence to read, with its lengths."""
    data = unaligned(rows=600, longest=5, seed=0)
    assert data.lengths is not None
    assert data.target_lengths is not None
    is_label = np.arange(data.y.shape[1]) < data.target_lengths[:, None]
    y = np.where(is_label, data.y + 1, END)
    rows = tuple(torch.from_numpy(each) for each in (data.x, y, data.lengths))
    return tuple(each[:480] for each in rows), tuple(each[480:] for each in rows)


def scaled_sums() -> Sets:
    """Long sequences whose target is large: the gradient explodes at a large rate."""
    dice = torch.Generator().manual_seed(3)
    x = torch.randn(384, 40, generator=dice)
    y = 100 * x[:, :20].sum(dim=1, keepdim=True)
    return (x[:256], y[:256]), (x[256:], y[256:])


def epochs_of(
    config: Config, sets: Sets, *, soft: torch.Tensor | None = None
) -> Iterator[dict[str, Any]]:
    """The trained epochs of one training. `soft`: a teacher's outputs for the train rows."""
    device = torch.device("cpu")
    if config.get("features"):
        parts = [Part(index=np.arange(len(x)), x=x.numpy(), y=y.numpy()) for x, y in sets]
        config, data = with_features(config, Data(train=parts[0], val=parts[1]))
        sets = on_device(data.train, device), on_device(data.val, device)
    seat = Seat(config, sets=sets, device=device, checkpoint=Unsaved(), soft=soft)
    seat.next_epoch()
    while (values := seat.next_epoch()) is not None:
        yield dict(values)


def last(config: Config, sets: Sets, **more: Any) -> dict[str, Any]:
    """The last epoch."""
    *_, values = epochs_of(config, sets, **more)
    return values


def gap(config: Config, sets: Sets) -> float:
    """How far validation's loss lies above train's, both without penalties."""
    values = last(config, sets)
    return float(values["val_loss"] - values["train_eval_loss"])


def train_loss(config: Config, sets: Sets) -> float:
    """The mean loss of the last epoch's batches."""
    return float(last(config, sets)["train_loss"])


def lowest(config: Config, sets: Sets) -> float:
    """The lowest validation loss of any epoch."""
    return min(float(values["val_loss"]) for values in epochs_of(config, sets))


def unexplained(config: Config, sets: Sets) -> float:
    """Validation's loss in the end over the variance of its targets; 10 where it diverged."""
    share = float(last(config, sets)["val_loss"]) / float(sets[1][1].var())
    return min(share, 10.0) if np.isfinite(share) else 10.0


def accuracy(config: Config, sets: Sets, **more: Any) -> float:
    """The share of validation rows told right in the end."""
    right = last(config, sets, **more)["predictions"].argmax(1) == sets[1][1].numpy()
    return float(right.mean())


def recall(config: Config, sets: Sets) -> float:
    """The share of the last class's validation rows that are found."""
    found = last(config, sets)["predictions"].argmax(1)[sets[1][1].numpy() == 1] == 1
    return float(found.mean())


def label_errors(config: Config, sets: Sets) -> float:
    """Label errors per label on validation in the end, by edit distance."""
    labels = last(config, sets)["labels"]
    metric = Metric(name="edit_distance", direction="minimize")
    return scores(metric, targets=sets[1][1].numpy(), kind="labels", output=labels)[metric.name]


def foretold(config: Config, sets: Sets) -> float:
    """Accuracy on all rows; with `foretell`, what its learning curve on 10 to 50 % says of them."""
    if not config["trainer"].pop("foretell", False):
        return accuracy(config, sets)
    shares = [0.1, 0.2, 0.3, 0.4, 0.5]
    errors = [
        1 - accuracy({**config, "trainer": {**config["trainer"], "fraction": share}}, sets)
        for share in shares
    ]
    forecast = foretell(shares, errors, share=1.0)
    assert forecast is not None
    return 1 - forecast.error


def student(config: Config, sets: Sets) -> float:
    """Accuracy of a student; with `taught`, of one that learns a wider model's outputs alone."""
    if not config["trainer"].pop("taught", False):
        return accuracy(config, sets)
    teacher = made(config["seed"], epochs=8, model={"width": 256, "dropout": 0.5})
    train, val = sets
    outputs = torch.from_numpy(last(teacher, (train, train))["predictions"])
    taught = {**config, "distillation": {"teacher": "-", "temperature": 2.0, "weight": 1.0}}
    return accuracy(taught, (train, val), soft=outputs)


def noisy() -> Sets:
    """Few rows, a fifth of all labels wrong: a model can learn them by heart."""
    return digits(rows=300, wrong=0.2)


def wrong_labels() -> Sets:
    """600 rows, 30 % of train's labels wrong and none of validation's."""
    (x, y), _ = digits(rows=600, wrong=0.3)
    return (x, y), digits(rows=600)[1]


def made(seed: int, *, epochs: int = 40, **changes: Any) -> Config:
    """A config; `changes` of model are merged, other groups are replaced."""
    own = changes.pop("model", {})
    model = (
        {"depth": 1, "dropout": 0.0, "outputs": 10, **own} if "_target_" in own else {**MLP, **own}
    )
    trainer = {"epochs": epochs, "batch_size": 32, **changes.pop("trainer", {})}
    usual = {"loss": {"_target_": "torch.nn.CrossEntropyLoss"}, "optimizer": ADAM}
    return {"seed": seed, "trainer": trainer, "model": model, **usual, **changes}


def deep(**model: Any) -> dict[str, Any]:
    """Changes for a deep MLP that trains a few epochs."""
    return {"model": {"width": 32, **model}, "epochs": 4}


def recurrent(pool: str) -> dict[str, Any]:
    """Changes for a recurrent network over `marked`."""
    settings = {
        "features": 2,
        "width": 16,
        "cell": "rnn",
        "pool": pool,
        "inputs": 120,
        "outputs": 2,
    }
    rate = {"_target_": "torch.optim.Adam", "lr": 0.01}
    return {
        "model": {"_target_": f"{MODELS}.recurrent.Recurrent", **settings}, "optimizer": rate,
        "epochs": 15,
    }  # fmt: skip


def augmented(name: str, strength: float, **settings: Any) -> dict[str, Any]:
    """Changes that augment train rows."""
    return {"augment": {"_target_": f"trainers.augment.{name}", "strength": strength, **settings}}


ONE_CYCLE = {
    "_target_": "torch.optim.lr_scheduler.OneCycleLR",
    **{"max_lr": 0.2, "total_steps": None, "interval": "step", "cycle_momentum": False},
}
K_BEST = {"k_best": {"_target_": "trainers.features.KBest", "share": 0.05, "k": None}}
CTC = {
    "model": {
        "_target_": f"{MODELS}.recurrent.Recurrent",
        **{"inputs": 19, "outputs": 5, "features": 1, "vocabulary": 8, "embedding": 16},
        **{"width": 32, "task": "transduction"},
    },
    "loss": {"_target_": "trainers.sequence_losses.CTC"},
    "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
    "trainer": {"clip": 5.0},
}
STUDENT = {"model": {"width": 32}, "optimizer": {**ADAM, "lr": 0.01}, "epochs": 60}
LSTM = {
    "model": {
        "_target_": f"{MODELS}.recurrent.Recurrent",
        **{"inputs": 40, "outputs": 1, "features": 1, "width": 16, "cell": "lstm"},
        **{"init": "orthogonal", "gain": 1.0},
    },
    "loss": {"_target_": "torch.nn.MSELoss"},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.5, "momentum": 0.9},
    "epochs": 10,
}
EFFECTS: dict[str, Pair] = {
    "dropout 0.5: gap of a model that overfits": (gap, {}, {"model": {"dropout": 0.5}}, noisy),
    "L2 0.03: the same gap": (
        gap, {}, {"optimizer": {**ADAM, "weight_decay": 0.03}}, noisy),
    "shift by a tenth: the same gap": (gap, {}, augmented("Shift", 0.13, **IMAGE), noisy),
    "mixup 1: the same gap": (gap, {}, augmented("Mixup", 1.0), noisy),
    "flooding 0.3: train loss in the end": (train_loss, {}, {"trainer": {"flood": 0.3}}, digits),
    "He for zeros: accuracy of 10 ReLU layers": (
        accuracy, deep(depth=10, init="zeros"), deep(depth=10, init="he_uniform"), digits),
    "He for Xavier: accuracy of 20 ReLU layers": (
        accuracy, {**deep(depth=20, init="xavier_uniform"), "optimizer": SLOW},
        {**deep(depth=20, init="he_uniform"), "optimizer": SLOW}, digits),
    "Xavier for He: accuracy of 20 tanh layers": (
        accuracy, {**deep(depth=20, init="he_uniform", activation="tanh"), "optimizer": SLOW},
        {**deep(depth=20, init="xavier_uniform", activation="tanh"), "optimizer": SLOW}, digits),
    "residual blocks: accuracy of 20 layers": (
        accuracy, deep(depth=20), deep(depth=20, residual=True), digits),
    "batch norm: accuracy of 6 sigmoid layers": (
        accuracy, deep(depth=6, activation="sigmoid"),
        deep(depth=6, activation="sigmoid", norm="batch"), digits),
    "maxout for ReLU: accuracy of 2 layers": (
        accuracy, deep(depth=2), deep(depth=2, activation="maxout"), digits),
    "PReLU for ReLU: accuracy of 2 layers": (
        accuracy, deep(depth=2), deep(depth=2, activation="prelu"), digits),
    "attention for the last state: accuracy of an RNN": (
        accuracy, recurrent("last"), recurrent("attention"), marked),
    "one-cycle for constant: accuracy after 5 epochs": (
        accuracy, {"optimizer": {**SGD, "lr": 0.2}, "epochs": 5},
        {"optimizer": {**SGD, "lr": 0.2}, "schedule": ONE_CYCLE, "epochs": 5}, digits),
    "SWATS for Adam: accuracy after 15 epochs": (
        accuracy, {"epochs": 15},
        {"optimizer": {"_target_": "trainers.optimizers.SWATS", "lr": 0.003, "tolerance": 1e-3},
         "epochs": 15}, digits),
    "balance 1: recall of a class of 5 %": (
        recall, {"model": {"outputs": 2}, "epochs": 10},
        {"model": {"outputs": 2}, "epochs": 10, "trainer": {"balance": 1.0}}, rare),
    "the best 5 % of features, 200 of 204 useless: lowest validation loss": (
        lowest, {"model": {"inputs": 204, "outputs": 2}, "epochs": 15},
        {"model": {"inputs": 204, "outputs": 2}, "epochs": 15, "features": K_BEST}, useless),
    "clipping 5 at a rate of 0.5: an LSTM's loss over the variance": (
        unexplained, LSTM, {**LSTM, "trainer": {"clip": 5.0}}, scaled_sums),
    "half of the rows: accuracy": (accuracy, {}, {"trainer": {"fraction": 0.5}}, digits),
    "all rows, and what 10 to 50 % of them foretell: accuracy": (
        foretold, {}, {"trainer": {"foretell": True}}, digits),
    "crop to 80 % of each length: the same gap": (gap, {}, augmented("Crop", 0.2, **IMAGE), noisy),
    "zoom by up to 1.2: the same gap": (gap, {}, augmented("Zoom", 0.2, **IMAGE), noisy),
    "CTC, 15 epochs for 1: label errors per label of an unaligned toy": (
        label_errors, {**CTC, "epochs": 1}, {**CTC, "epochs": 15}, unaligned_rows),
    "a teacher, 30 % of the labels wrong: accuracy of the student": (
        student, STUDENT, {**STUDENT, "trainer": {"taught": True}}, wrong_labels),
}  # fmt: skip


def main(names: list[str]) -> None:
    """Prints the rows whose names hold one of the words, or all."""
    torch.set_num_threads(1)
    print("| effect | without | with | difference, 95 % interval |\n| --- | --- | --- | --- |")
    for name, (measure, without, added, rows) in EFFECTS.items():
        if names and not any(word in name for word in names):
            continue
        sets = rows()
        pairs = np.array(
            [
                [measure(made(seed, **each), sets) for each in (without, added)]
                for seed in range(SEEDS)
            ]
        )
        gains = pairs[:, 1] - pairs[:, 0]
        half = stats.t.ppf(0.975, SEEDS - 1) * gains.std(ddof=1) / np.sqrt(SEEDS)
        before, after = pairs.mean(axis=0)
        print(
            f"| {name} | {before:.3g} | {after:.3g} | "
            f"{gains.mean():+.3g}, {gains.mean() - half:+.3g} to {gains.mean() + half:+.3g} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
