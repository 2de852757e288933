"""What is recorded of a stock training beside its losses, and which tensor is named where a loss ends."""

import math
from unittest.mock import patch

import numpy as np
import pytest
import torch
from kit import INLINE, search
from kit import trials as rows_of
from torch import nn

from trainers.api import Data, Part
from trainers.checkpoint import FolderCheckpoint, Unsaved
from trainers.layer_series import Activations, sample
from trainers.seat import Seat
from trainers.stock import Stock

MLP = {
    "_target_": "trainers.models.mlp.MLP",
    "inputs": 6,
    "outputs": 3,
    "width": 8,
    "depth": 2,
    "dropout": 0.0,
}


class Silent(nn.Module):
    """A ReLU layer whose units a row never wakes, but for one."""

    def __init__(self, *, asleep):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        with torch.no_grad():
            self.first.bias[:asleep] = -100.0

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


class Folded(nn.Module):
    """Takes every row as two, one after the other."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(3, 8), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(torch.relu(self.first(x.reshape(2 * len(x), 3))).reshape(len(x), 16))


class Divided(nn.Module):
    """A division by nothing in a layer of its own."""

    def __init__(self):
        super().__init__()
        self.layer, self.odd = nn.Linear(6, 3), Zero()

    def forward(self, x):
        return self.odd(self.layer(x))


class Zero(nn.Module):
    """Divides by zero."""

    def forward(self, x):
        return x / (x * 0)


@pytest.fixture
def rows():
    dice = np.random.default_rng(0)
    x = dice.normal(size=(400, 6)).astype(np.float32)
    y = x[:, :3].argmax(axis=1).astype(np.int64)
    return x, y


def data_of(x, y):
    return Data(
        train=Part(index=np.arange(300), x=x[:300], y=y[:300]),
        val=Part(index=np.arange(300, 400), x=x[300:], y=y[300:]),
    )


def config_of(model=MLP, **changes):
    trainer = {"epochs": 3, "batch_size": 32, "l1": 0.0, "clip": None, **changes.pop("trainer", {})}
    loss, optimizer = (
        {"_target_": "torch.nn.CrossEntropyLoss"},
        {"_target_": "torch.optim.SGD", "lr": 0.1},
    )
    return {
        "seed": 0,
        "model": model,
        "loss": loss,
        "optimizer": {**optimizer, **changes.pop("optimizer", {})},
        "schedule": None,
        "trainer": trainer,
        **changes,
    }


def trained(data, config, *, lanes, epochs=4, checkpoint=None):
    """Values of every epoch of one training, by itself or in a lane."""
    seats = Stock(data=data, device="cpu")
    if lanes:
        seats.fuse(seats.key(config).name)
    seats.admit(0, config=config, checkpoint=checkpoint or Unsaved())
    return [seats.step()[0].values for _ in range(epochs)], seats


@pytest.mark.parametrize("lanes", [False, True])
def test_the_loss_to_compare_is_that_of_rows_of_train_in_evaluation_mode(rows, lanes):
    config = config_of({**MLP, "dropout": 0.5}, optimizer={"lr": 0.0})
    (before, after, *_), _ = trained(data_of(*rows), config, lanes=lanes)
    assert before["train_eval_loss"] == pytest.approx(
        after["train_eval_loss"], rel=1e-6
    )  # no dropout in it, and nothing learned
    assert before["train_eval_loss"] != pytest.approx(after["train_loss"], rel=1e-3)
    assert len(sample(300, val=100)) == 64
    assert sample(100_000, val=20_000) == [index * 100_000 // 512 for index in range(512)]
    assert sample(10, val=5) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("lanes", [False, True])
def test_distance_and_norms_are_those_of_the_weights(rows, lanes):
    (_, *epochs), _ = trained(data_of(*rows), config_of(), lanes=lanes)
    assert [epoch["distance"] for epoch in epochs] == sorted(epoch["distance"] for epoch in epochs)
    assert 0 < epochs[0]["update_ratio"] < epochs[0]["distance"] < 1
    last = epochs[-1]["layers"]
    assert set(last["grad_norm"]) == {"layers.1", "layers.3", "layers.5"}
    biases_too = math.sqrt(sum(norm**2 for norm in last["grad_norm"].values()))
    assert biases_too <= epochs[-1]["grad_norm"] <= 2 * biases_too
    first, final = (
        last["grad_norm"][name] / math.sqrt(size)
        for name, size in (("layers.1", 48), ("layers.5", 24))
    )
    assert epochs[-1]["early_gradient"] == pytest.approx(first / final)


@pytest.mark.parametrize("lanes", [False, True])
def test_units_that_no_row_wakes_are_counted(rows, lanes):
    (before, *_), _ = trained(
        data_of(*rows),
        config_of({"_target_": "test_layer_series.Silent", "asleep": 6}),
        lanes=lanes,
    )
    assert before["dead_units"] == 0.75
    assert before["layers"]["dead_units"] == {"relu 1": 0.75}


@pytest.mark.parametrize("val", [100, 1200])
def test_the_sample_is_told_apart_from_the_validation_rows_that_it_shares_a_pass_with(rows, val):
    x, y = rows
    data = Data(
        train=Part(index=np.arange(300), x=x[:300], y=y[:300]),
        val=Part(
            index=np.arange(val), x=1e3 * np.resize(x[300:], (val, 6)), y=np.resize(y[300:], val)
        ),  # wakes every unit
    )
    config = config_of({"_target_": "test_layer_series.Silent", "asleep": 6})
    alone, company = (trained(data, config, lanes=lanes, epochs=1)[0][0] for lanes in (False, True))
    for name in ("train_eval_loss", "val_loss", "dead_units"):
        assert company[name] == pytest.approx(alone[name], rel=1e-5)
    assert company["dead_units"] == 0.75
    assert company["predictions"].shape == (val, 3)
    np.testing.assert_allclose(company["predictions"], alone["predictions"], rtol=1e-4, atol=1e-3)


def test_dead_units_are_those_of_the_sample_too_where_a_row_is_folded(rows):
    x, y = rows
    x = np.abs(x)
    x[300:] *= -1.0  # validation would sleep where train wakes
    config = config_of({"_target_": "test_layer_series.Folded"}, optimizer={"lr": 1e-6})
    alone, company = (
        trained(data_of(x, y), config, lanes=lanes, epochs=2)[0] for lanes in (False, True)
    )
    assert [epoch["dead_units"] for epoch in company] == [epoch["dead_units"] for epoch in alone]
    assert 0 < alone[0]["dead_units"] < 1


def test_a_squashed_unit_is_dead_where_it_hardly_moves():
    with Activations() as seen:
        torch.sigmoid(torch.tensor([[0.0, 50.0, 0.1], [1.0, 60.0, 0.1]]))
        nn.Tanh()(torch.tensor([[0.0, 1.0], [1.0, -1.0]]))
        torch.relu(torch.ones(3))  # no rows
    assert seen.names == ["sigmoid 1", "tanh 2"]
    assert [float(share) for share in seen.shares] == pytest.approx([2 / 3, 0.0])


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize(("clip", "share"), [(1e-6, 1.0), (1e6, 0.0), (None, None)])
def test_clipped_steps_are_counted(rows, lanes, clip, share):
    (_, after, *_), _ = trained(data_of(*rows), config_of(trainer={"clip": clip}), lanes=lanes)
    assert after.get("clipped") == share


def test_recording_changes_no_bit_of_a_training(rows):
    def weights(tmp):
        seat = Seat(
            config_of({**MLP, "dropout": 0.3}),
            sets=tmp,
            device=torch.device("cpu"),
            checkpoint=Unsaved(),
        )
        for _ in range(3):
            seat.next_epoch()
        return seat.model.state_dict()

    x, y = (torch.from_numpy(part) for part in rows)
    sets = (x[:300], y[:300]), (x[300:], y[300:])
    recorded = weights(sets)
    with (
        patch.object(Seat, "_observe", lambda self: {}),
        patch.object(Seat, "_watched_step", lambda self: self.step() or {}),
    ):
        bare = weights(sets)
    assert all(torch.equal(recorded[name], bare[name]) for name in bare)


# The first tensor that is not finite


@pytest.mark.parametrize("lanes", [False, True])
def test_inputs_that_are_no_numbers_are_named_first(rows, lanes):
    x, y = rows
    x[5, 2] = np.nan
    (_, after, *_), _ = trained(data_of(x, y), config_of(), lanes=lanes, epochs=2)
    assert math.isnan(after["train_loss"])
    assert after["remark"].startswith("the inputs of step ")
    assert after["remark"].endswith(" are not finite in epoch 1")


def test_a_backward_pass_that_ends_is_named_by_its_operation(rows):
    (_, after), _ = trained(
        data_of(*rows), config_of({"_target_": "odd.Rooted"}), lanes=False, epochs=2
    )
    assert (
        after["remark"]
        == "in the backward pass, Function 'MulBackward0' returned nan values in its 0th output. in epoch 1"
    )


def test_a_layer_that_divides_by_zero_is_named(rows):
    (_, after), _ = trained(
        data_of(*rows), config_of({"_target_": "test_layer_series.Divided"}), lanes=False, epochs=2
    )
    assert (
        after["remark"]
        == "the output of layer odd (Zero) is the first that is not finite, its inputs were finite, at step 1 in epoch 1"
    )


def test_weights_that_overflow_are_named_from_the_last_checkpoint_on(rows, tmp_path):
    config = config_of(optimizer={"lr": 1e18}, trainer={"epochs": 30})
    checkpoint = FolderCheckpoint(tmp_path)
    seats = Stock(data=data_of(*rows), device="cpu")
    seats.admit(0, config=config, checkpoint=checkpoint)
    for _ in range(30):
        (outcome,) = seats.step()
        if not math.isfinite(outcome.values["train_loss"]):
            break
        checkpoint.confirm(outcome.epoch, best_epoch=0)
        checkpoint.flush()
    assert "is the first that is not finite" in outcome.values["remark"]
    assert outcome.values["remark"].endswith(f"in epoch {outcome.epoch}")
    (again,) = seats.step()
    assert "remark" not in again.values  # said once


def test_the_reason_of_a_trial_in_a_search_names_the_tensor(tmp_path):
    words = [
        "smoke",
        "model={_target_: odd.Rooted}",
        "trainer.epochs=1",
        "data=csv",
        "data.path=rows.csv",
        "data.task=classification",
        "data.target=y",
    ]
    dice = np.random.default_rng(0)
    lines = [
        ",".join(f"{number:.3f}" for number in dice.normal(size=6)) + f",{index % 3}"
        for index in range(300)
    ]
    (tmp_path / "rows.csv").write_text("a,b,c,d,e,f,y\n" + "\n".join(lines))
    done = search(*words, *INLINE, "name=roots", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    reasons = rows_of(tmp_path / "results" / "roots").reason
    assert reasons.str.contains(
        "a loss is not finite at epoch 1; in the backward pass, Function 'MulBackward0' returned nan"
    ).all()


def test_a_replay_that_fails_or_takes_too_long_says_nothing(rows):
    x, y = rows
    x[5, 2] = np.nan
    with patch("trainers.replay.Seat", side_effect=MemoryError):
        (_, after, *_), _ = trained(data_of(x, y), config_of(), lanes=False, epochs=2)
    assert "remark" not in after
    (_, after, *_), _ = trained(
        data_of(x, y), config_of(trainer={"epoch_timeout": 1e-6}), lanes=False, epochs=2
    )
    assert "remark" not in after


class Masked(nn.Module):
    """Holds −inf in a mask on purpose, and divides by zero later."""

    def __init__(self):
        super().__init__()
        self.layer, self.mask, self.odd = nn.Linear(6, 3), Mask(), Zero()

    def forward(self, x):
        hidden = self.layer(x)
        return self.odd(hidden + torch.softmax(self.mask(hidden), dim=1))


class Mask(nn.Module):
    """−inf for all columns but the first."""

    def forward(self, x):
        return torch.where(torch.arange(x.shape[1]) > 0, -torch.inf, x)


def test_a_mask_is_not_blamed(rows):
    (_, after), _ = trained(
        data_of(*rows), config_of({"_target_": "test_layer_series.Masked"}), lanes=False, epochs=2
    )
    assert after["remark"].startswith("the output of layer odd (Zero)")


class Odd(nn.Module):
    """An empty parameter, a frozen one, a convolution with a channel that sleeps, a bounded activation that does not."""

    def __init__(self):
        super().__init__()
        self.empty = nn.Parameter(torch.zeros(0, 3))
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.conv, self.bound, self.last = (
            nn.Conv1d(1, 4, 3, padding=1),
            nn.Hardtanh(),
            nn.Linear(24, 3),
        )
        with torch.no_grad():
            self.conv.bias[0] = -100.0

    def forward(self, x):
        hidden = torch.relu(self.conv(self.frozen(x)[:, None])).flatten(1)
        return self.last(self.bound(hidden)) + self.empty.sum()


def test_odd_models_are_recorded_all_the_same(rows):
    (before, after, *_), _ = trained(
        data_of(*rows), config_of({"_target_": "test_layer_series.Odd"}), lanes=False
    )
    assert before["layers"]["dead_units"] == {"relu 1": 0.25}
    assert set(after["layers"]["distance"]) == {"conv", "last"}
    assert after["update_ratio"] > 0


class Reassigning(torch.optim.SGD):
    """Gives its parameters new storage at every step."""

    @torch.no_grad()
    def step(self, closure=None):
        for parameter in self.param_groups[0]["params"]:
            parameter.data = parameter.data - 0.1 * parameter.grad


def test_an_optimizer_that_gives_weights_new_storage_is_seen_to_move_them(rows):
    config = {**config_of(), "optimizer": {"_target_": "test_layer_series.Reassigning", "lr": 0.1}}
    (_, after, *_), _ = trained(data_of(*rows), config, lanes=False)
    assert 0.001 < after["update_ratio"] < 1
