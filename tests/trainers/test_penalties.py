"""What holds a training back: each does what its rule says, alone and in lanes."""

import copy

import numpy as np
import pytest
import torch
from test_layer_series import MLP, config_of, data_of, trained

from trainers.checkpoint import Unsaved
from trainers.penalties import Penalties, flooded, held, read_penalties


class Kept(Unsaved):
    """Keeps the last state."""

    def save(self, state, *, epoch):
        self.state = copy.deepcopy(state)


@pytest.fixture
def rows():
    dice = np.random.default_rng(0)
    x = dice.normal(size=(400, 6)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1).astype(np.int64)


def test_a_flooded_loss_turns_back_at_its_level():
    loss = torch.tensor([0.1, 0.5, 2.0], requires_grad=True)
    told = flooded(loss, 0.5)
    assert told.tolist() == pytest.approx([abs(value - 0.5) + 0.5 for value in (0.1, 0.5, 2.0)])
    assert torch.autograd.grad(told.sum(), loss)[0].tolist() == [-1, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [False, True])
def test_flooding_keeps_the_train_loss_around_its_level(rows, lanes):
    dry, wet = (
        trained(
            data_of(*rows),
            config_of(MLP, trainer={"epochs": 40, "flood": flood}),
            lanes=lanes,
            epochs=41,
        )[0][-1]
        for flood in (None, 0.3)
    )
    assert dry["train_loss"] < 0.1
    assert wet["train_loss"] == pytest.approx(0.3, abs=0.1)


def test_the_longest_units_are_brought_to_their_norm_and_the_others_left():
    weights = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    assert (weights * held(weights, 1.0)).norm(dim=1).tolist() == pytest.approx([1.0, 0.5, 0.0])
    torch.testing.assert_close(weights * held(weights, 1.0), torch.renorm(weights, 2, 0, 1.0))


@pytest.mark.parametrize("lanes", [False, True])
def test_no_unit_outgrows_the_maximum_norm(rows, lanes):
    longest = {}
    for limit in (None, 0.5):
        config = config_of(MLP, trainer={"max_norm": limit}, optimizer={"lr": 0.5})
        kept = Kept()
        trained(data_of(*rows), config, lanes=lanes, epochs=4, checkpoint=kept)
        longest[limit] = max(
            float(w.flatten(1).norm(dim=1).max())
            for w in kept.state["model"].values()
            if w.ndim > 1
        )
    assert longest[None] > 1
    assert longest[0.5] == pytest.approx(0.5, abs=1e-6)


def test_penalties_are_read_as_they_are_named():
    assert read_penalties({"l1": None, "epochs": 3}) == Penalties()
    assert read_penalties({"l1": 0.1, "flood": 0, "clip": 5, "max_norm": 2}) == Penalties(
        l1=0.1, flood=0.0, clip=5.0, max_norm=2.0
    )
