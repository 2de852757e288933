"""Targets are held against the labels of their rows, batches against all labels, losses against all rows, by what a training does."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight import learning, loop, losses, output
from search.storage.json_numbers import plain
from trainers.api import Data, Part
from trainers.probes import watched
from trainers.probes.evaluation import mixes_rows
from trainers.probes.labels_seen import between_batches, targets_against_labels
from trainers.probes.run import Run
from trainers.probes.scores import losses_again
from trainers.probes.seen import LossCall
from trainers.probes.shapes import viewed_from
from trainers.probes.subject import Subject
from trainers.probes.watch import Watch

ROWS = 240


def loop_of(config, data, device, checkpoint):
    """A loop over a table of three classes, with a habit or a fault."""
    torch.manual_seed(config["seed"])
    habit, size = config["trainer"]["habit"], config["trainer"]["batch_size"]
    x, y = torch.tensor(data.train.x), torch.tensor(data.train.y)
    vx, vy = torch.tensor(data.val.x), torch.tensor(data.val.y)
    net = nn.Sequential(nn.Linear(x.shape[1], 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    mode = "max" if habit == "waits for a higher loss" else "min"
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode)
    for _ in range(config["trainer"]["epochs"]):
        order = torch.randperm(len(x))
        if habit == "sorted":
            order = order[y[order].argsort(stable=True)]
        for number, rows in enumerate(order.split(size)):
            if habit == "one batch" and number:
                break
            targets = y[rows]
            if habit == "labels of others":
                targets = y[torch.randperm(len(x))[: len(rows)]]
            elif habit == "renamed":
                targets = (targets + 1) % 3
            elif habit == "yes or no":
                targets = (targets > 0).long()
            elif habit == "noise":
                targets = torch.where(torch.rand(len(rows)) < 0.2, (targets + 1) % 3, targets)
            out = net(x[rows])
            if habit == "softmax over rows":
                loss = -out.softmax(0)[torch.arange(len(rows)), targets].log().mean()
            elif habit == "finds its partner":
                loss = F.cross_entropy(out @ out.T, torch.arange(len(rows)))
            else:
                loss = F.cross_entropy(out, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            out = net(vx).roll(-1, 1) if habit == "renamed" else net(vx)
            each = 12 if habit == "last batch" else len(vy)
            asked = vy.roll(1) if habit == "a row late" else vy
            for part, aims in zip(out.split(each), asked.split(each), strict=True):
                told = F.cross_entropy(part, aims)
            if habit == "other rows":
                out = net(x[: len(vx)])
        plateau.step(told.item())
        yield {"train_loss": loss.item(), "val_loss": told.item(), "predictions": out.numpy()}


def _part(rows, seed):
    dice = np.random.default_rng(seed)
    y = dice.integers(0, 3, rows)
    x = dice.normal(0, 1, (rows, 6)) + 2 * np.eye(3, 6)[y]
    return Part(x=x.astype(np.float32), y=y, index=np.arange(rows))


def _seen(habit, tmp_path):
    trainer = {"_target_": f"{__name__}.loop_of", "batch_size": 16, "epochs": 3, "habit": habit}
    subject = Subject(
        config={"trainer": trainer, "seed": 0, "optimizer": {"lr": 0.01}}, device="cpu",
        data=Data(train=_part(ROWS, 0), val=_part(120, 1)), folder=tmp_path,
        task="classification", metric="accuracy",
    )  # fmt: skip
    return json.loads(json.dumps(plain(watched.watched(subject)), allow_nan=False))


def _checks(seen):
    made = (
        learning.labels_matter({}, seen=seen), loop.shuffling(seen, ordered=False), loop.batches(seen),
        losses.reported_losses(seen, heart={}), learning.learning_rate(seen, steps=100),
        output.output_layer(seen, classification=True, classes=3),
    )  # fmt: skip
    return {check.name: check.told for check in made if check.outcome in ("warn", "fail")}


@pytest.mark.parametrize(
    ("habit", "name", "told"),
    [("labels of others", "labels_matter", "follow the labels of their rows"), ("sorted", "shuffling", "lies between batches"),
     ("one batch", "batches", "one step, on 7%"), ("last batch", "reported_losses", "loss of the last batch"),
     ("a row late", "reported_losses", "evaluated rows follow their labels"),
     ("other rows", "reported_losses", "they are of other rows"), ("waits for a higher loss", "learning_rate", "waits for a loss to rise"),
     ("softmax over rows", "output_layer", "over the rows of a batch"), ("yes or no", "output_layer", "3 classes become 2 targets")],
)  # fmt: skip
def test_a_fault_of_a_loop_is_told_by_what_it_does_to_labels_and_losses(
    habit, name, told, tmp_path
):
    alarms = _checks(_seen(habit, tmp_path))
    assert told in alarms.get(name, "")


@pytest.mark.parametrize("habit", ["", "renamed", "noise", "finds its partner"])
def test_labels_of_another_name_with_some_noise_or_of_a_batch_itself_are_no_fault(habit, tmp_path):
    seen = _seen(habit, tmp_path)
    assert _checks(seen) == {}
    if habit == "finds its partner":
        assert seen["targets"] is None
    elif habit != "noise":
        assert seen["targets"]["follows"] == 1.0
        assert seen["targets"]["rows"] == 2 * ROWS


def _noted(keys, targets):
    return [(0, tuple(keys), np.asarray(targets, float))]


def test_of_several_losses_the_one_that_follows_the_labels_counts():
    dice = np.random.default_rng(0)
    y = dice.integers(0, 3, 200)
    labels = dict(enumerate(map(float, y)))
    other = [(1, tuple(range(200)), dice.integers(0, 2, 200).astype(float))]
    both = [*_noted(range(200), y), *other]
    assert targets_against_labels(both, labels, classes=True)["follows"] == 1.0
    assert abs(targets_against_labels(other, labels, classes=True)["follows"]) < 0.2
    assert targets_against_labels(_noted(range(500, 700), y), labels, classes=True) is None
    numbers = {at: float(value) for at, value in enumerate(dice.normal(0, 1, 200))}
    cubes = _noted(numbers, [value**3 for value in numbers.values()])
    assert targets_against_labels(cubes, numbers, classes=False)["follows"] == pytest.approx(1.0)


def test_random_batches_leave_no_more_of_the_labels_between_them_than_chance():
    shares = []
    for seed in range(200):
        dice = np.random.default_rng(seed)
        labels = dict(enumerate(dice.integers(0, 2 + seed % 9, 320).astype(float)))
        batches = np.split(dice.permutation(320), 320 // 16)
        shares.append(between_batches([tuple(b.tolist()) for b in batches], labels, classes=True))
    assert max(shares) < 0.1
    ordered = np.split(np.argsort(list(labels.values())), 20)
    assert between_batches([tuple(b.tolist()) for b in ordered], labels, classes=True) > 0.7


CALL = LossCall(
    name="cross_entropy", outputs=(16, 3), targets=(16,), probabilities=False,
    log_probabilities=False, within_unit=False, classes=True,
)  # fmt: skip


def test_a_loss_that_is_not_known_by_name_says_nothing_of_rows():
    told = [(epoch, {"predictions": np.zeros((30, 3)), "val_loss": 1.0}) for epoch in (1, 2)]
    other = replace(CALL, name="poisson_nll_loss")
    assert losses_again(Run(epochs=told), np.zeros(30, int), call=other) == []


def test_a_piece_of_a_model_that_takes_rows_for_steps_is_told_from_one_that_takes_steps_first():
    torch.manual_seed(0)
    x = torch.randn(20, 7, 4)
    for first, mixes in ((True, False), (False, True)):
        rnn = nn.GRU(4, 5, batch_first=first).eval()
        with torch.no_grad():
            assert mixes_rows(rnn, (x,), rnn(x), rows=20) is mixes
            steps_first = x.transpose(0, 1).contiguous()
            assert mixes_rows(rnn, (steps_first,), rnn(steps_first), rows=20) is False
    norm = nn.BatchNorm1d(7).eval()
    assert mixes_rows(norm, (x,), norm(x), rows=20) is False


def test_outputs_that_are_viewed_with_two_axes_swapped_are_told_from_transposed_ones():
    hidden = torch.randn(6, 12, 5, requires_grad=True) * 1
    assert viewed_from(hidden.reshape(6, 5, 12)) == (6, 12, 5)
    assert viewed_from(hidden.transpose(1, 2)) == ()
    assert viewed_from(hidden.reshape(6, 60)) == ()
    assert viewed_from((torch.randn(6, 60, requires_grad=True) * 1).view(6, 5, 12)) == ()
    seen = {**CALM, "loss": {"viewed": (6, 12, 5), "outputs": (6, 5, 12)}}
    assert output.output_layer(seen, classification=True, classes=5).outcome == "fail"


def test_a_plateau_of_a_metric_that_should_rise_is_told_and_one_of_another_number_is_not():
    seen = {
        **CALM,
        "ratios": [1e-3] * 4,
        "rates": [0.1] * 4,
        "losses": [1.0] * 4,
        "scores": [0.5, 0.6],
    }
    for mode, told, outcome in (
        ("min", 0.5, "fail"), ("max", 0.5, "pass"), ("max", 1.0, "fail"), ("min", 1.0, "pass"), ("max", 0.123, "pass"),
    ):  # fmt: skip
        check = learning.learning_rate({**seen, "plateaus": [(mode, told)]}, steps=100)
        assert check.outcome == outcome
    falling = learning.learning_rate({**seen, "plateaus": [("min", 0.5)]}, steps=100, higher=False)
    assert falling.outcome == "pass"


@pytest.mark.parametrize(("kind", "linear"), [(nn.Sigmoid, False), (nn.Identity, True)])
def test_a_deep_net_whose_outputs_hardly_change_is_not_called_linear(kind, linear):
    torch.manual_seed(0)
    x, y = torch.randn(64, 8), torch.randint(0, 3, (64,))
    layers = 16 if kind is nn.Sigmoid else 3
    deep = [nn.Sequential(nn.Linear(8, 8), kind()) for _ in range(layers)]
    net = nn.Sequential(*deep, nn.Linear(8, 3))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
    with Watch() as watch:
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            net.eval()(x)
    assert watch.seen.linear_layers == (layers + 1 if linear else 0)
