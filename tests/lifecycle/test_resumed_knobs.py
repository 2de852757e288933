"""Each knob that changes the rows of a trial resumes to the same bits, alone and beside others."""

import copy

import numpy as np
import pytest

from trainers.api import Data, Epoch, Part
from trainers.callable import open_seats
from trainers.checkpoint import Unsaved

EPOCHS = 4
KNOBS = {
    "features": {"features": {"k_best": {"_target_": "trainers.features.KBest", "share": 0.5}}},
    "bins": {
        "features": {
            "bins": {
                "_target_": "sklearn.preprocessing.KBinsDiscretizer",
                **{"n_bins": 3, "encode": "onehot-dense", "strategy": "uniform"},
            }
        }
    },
    "balance": {"trainer": {"balance": 1.0}},
    "mixup": {"augment": {"_target_": "trainers.augment.Mixup", "strength": 0.4}},
    "teacher": {"distillation": {"teacher": "best", "temperature": 2.0, "weight": 0.5}},
    "parameters": {"model": {"parameters": 200}},
}


class Kept(Unsaved):
    """A checkpoint in memory: what was saved last."""

    def __init__(self, state=None, epoch=0):
        super().__init__()
        self.state, self.reached = state, epoch

    @property
    def epoch(self):
        return self.reached

    def load(self):
        return copy.deepcopy(self.state)

    def save(self, state, *, epoch):
        self.state, self.reached = copy.deepcopy(state), epoch


def _config(knob):
    changes = KNOBS[knob]
    model = {
        "_target_": "trainers.models.mlp.MLP",
        **{"inputs": 8, "outputs": 2, "width": 8, "depth": 1, "dropout": 0.2},
        **changes.get("model", {}),
    }
    trainer = {"epochs": EPOCHS, "batch_size": 16, **changes.get("trainer", {})}
    groups = {key: value for key, value in changes.items() if key not in ("model", "trainer")}
    return {
        "seed": 3,
        "model": model,
        "trainer": trainer,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": 0.01},
        **groups,
    }


def _data(start=0):
    dice = np.random.default_rng(start)
    x = dice.normal(size=(90, 8)).astype(np.float32)
    y = (x[:, 0] > 0.7).astype(np.int64)
    soft = dice.normal(size=(60, 2)).astype(np.float32)
    index = np.arange(90)
    return Data(
        train=Part(index=index[:60], x=x[:60], y=y[:60], soft=soft),
        val=Part(index=index[60:], x=x[60:], y=y[60:]),
    )


def _losses(knob, *, checkpoint, steps, beside=(), data=None):
    seats = open_seats("trainers.stock.Stock", data=data or _data(), device="cpu")
    for trial, other in enumerate(beside, start=1):
        seats.admit(trial, config=_config(other), checkpoint=Unsaved())
    seats.admit(0, config=_config(knob), checkpoint=checkpoint)
    losses = []
    for _ in range(steps):
        for outcome in seats.step():
            assert isinstance(outcome, Epoch), outcome
            if outcome.trial == 0:
                losses.append(outcome.values["val_loss"])
    return losses


@pytest.mark.parametrize("knob", KNOBS)
def test_a_trial_killed_in_the_middle_goes_on_with_the_same_bits(knob):
    straight = _losses(knob, checkpoint=Kept(), steps=EPOCHS + 1)
    half = Kept()
    first = _losses(knob, checkpoint=half, steps=3, beside=("mixup", "features"))
    rest = _losses(knob, checkpoint=Kept(half.state, half.epoch), steps=2)
    assert first + rest == straight
    assert len(set(straight)) == EPOCHS + 1


def test_each_fold_fits_its_own_rows():
    one, other = (
        _losses("bins", checkpoint=Kept(), steps=2, data=_data(start)) for start in (0, 1)
    )
    assert one != other
