"""Rows drawn by class, mixtures of rows, and an optimizer of another package."""

import numpy as np
import pytest
import torch

from trainers import augment
from trainers.build import chances, drawn_rows
from trainers.checkpoint import Unsaved
from trainers.seat import Seat
from trainers.stock import Stock


def _config(*, epochs=20, **changes):
    model = {
        "_target_": "trainers.models.mlp.MLP",
        **{"inputs": 5, "outputs": 2, "width": 16, "depth": 1, "dropout": 0.0},
    }
    return {
        "seed": 0,
        "trainer": {"epochs": epochs, "batch_size": 32, **changes.pop("trainer", {})},
        "model": model,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "optimizer": changes.pop("optimizer", {"_target_": "torch.optim.SGD", "lr": 0.1}),
        **changes,
    }


def _sets(*, share=0.05, count=1200):
    dice = torch.Generator().manual_seed(3)
    y = (torch.rand(count, generator=dice) < share).long()
    x = torch.randn(count, 5, generator=dice) + 1.5 * y[:, None] * torch.eye(5)[0]
    half = count // 2
    return (x[:half], y[:half]), (x[half:], y[half:])


def _trained(config, sets):
    """The last epoch's values."""
    seat = Seat(config, sets=sets, device=torch.device("cpu"), checkpoint=Unsaved())
    values = [seat.next_epoch() for _ in range(config["trainer"]["epochs"] + 1)]
    return values[-1]


def test_a_balance_of_1_draws_every_class_as_often_and_finds_more_of_a_rare_class():
    targets = torch.tensor([0] * 900 + [1] * 100)
    torch.manual_seed(0)
    even = targets[drawn_rows(chances({"trainer": {"balance": 1.0}}, targets), 20000)]
    assert float(even.float().mean()) == pytest.approx(0.5, abs=0.02)
    between = targets[drawn_rows(chances({"trainer": {"balance": 0.5}}, targets), 20000)]
    assert float(between.float().mean()) == pytest.approx(0.25, abs=0.02)  # 1 : √9
    assert sorted(drawn_rows(None, 50).tolist()) == list(range(50))
    sets = _sets()

    def recall(**trainer):
        answers = _trained(_config(trainer=trainer), sets)["predictions"].argmax(1)
        return float((answers[sets[1][1] == 1] == 1).mean())

    assert recall(balance=1.0) > recall() + 0.3


def test_numbers_and_labels_per_step_have_no_balance():
    with pytest.raises(ValueError, match="needs one class per row, but the targets are numbers"):
        chances({"trainer": {"balance": 1.0}}, torch.zeros(3, 1))
    with pytest.raises(ValueError, match="the targets are labels per step"):
        chances({"trainer": {"balance": 1.0}}, torch.zeros(3, 4, dtype=torch.long))


def test_mixup_mixes_rows_and_their_targets_by_the_same_share():
    torch.manual_seed(1)
    mix = augment.Mixup(strength=1.0)
    x = torch.eye(6)
    mixed = mix(x)
    assert torch.allclose(mixed.sum(1), torch.ones(6))
    # the loss of a linear "model" whose outputs are the inputs: squared error against the mixture
    targets = torch.arange(6.0)[:, None]
    loss = mix.loss(lambda outputs, told: (told * outputs[:, :1]).mean(), torch.ones(6, 1), targets)
    assert float(loss) == pytest.approx(float(targets.mean()))
    share = float(mixed.max(dim=1).values.min())
    assert 0.5 <= share <= 1
    assert torch.equal(augment.Mixup(strength=0)(x), x)


@pytest.mark.slow
def test_mixup_keeps_a_model_from_learning_wrong_labels_by_heart():
    dice = torch.Generator().manual_seed(4)
    x = torch.randn(1000, 5, generator=dice)
    y = (x[:, 0] > 0).long()
    told = torch.where(torch.rand(1000, generator=dice) < 0.3, 1 - y, y)
    sets = (x[:200], told[:200]), (x[200:], y[200:])
    adam = {"_target_": "torch.optim.Adam", "lr": 0.02}

    def val_loss(**changes):
        return _trained(_config(epochs=60, optimizer=adam, **changes), sets)["val_loss"]

    mixed = val_loss(augment={"_target_": "trainers.augment.Mixup", "strength": 1.0})
    assert mixed < val_loss() - 0.1


def test_what_draws_or_mixes_its_own_rows_trains_alone_and_says_why():
    data = Stock.__new__(Stock)
    data._device, data.sets, data._rows = torch.device("cpu"), _sets(), 600
    assert data.key(_config(trainer={"balance": 1.0})).cause == "its rows are drawn by class"
    mixup = {"_target_": "trainers.augment.Mixup", "strength": 0.2}
    assert data.key(_config(augment=mixup)).cause == "its rows are augmented"


def test_an_optimizer_of_another_package_trains_by_its_import_path():
    pytest.importorskip("pytorch_optimizer")
    sets = _sets(share=0.5)
    lion = {"_target_": "pytorch_optimizer.Lion", "lr": 0.003, "weight_decay": 0.0}
    values = _trained(_config(optimizer=lion), sets)
    assert float((values["predictions"].argmax(1) == np.asarray(sets[1][1])).mean()) > 0.7
