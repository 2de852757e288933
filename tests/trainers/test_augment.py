"""Augmentation changes train rows only, as it says, the same for the same seed; shares of train nest."""

import numpy as np
import pytest
import torch

from trainers import augment
from trainers.build import share_of_train
from trainers.checkpoint import Unsaved
from trainers.seat import Seat

IMAGES = {"dimensions": 2}
ALL = {
    "Noise": {},
    "Mask": {},
    "Scale": {},
    "Haze": {},
    "Shift": IMAGES,
    "Cutout": IMAGES,
    "Flip": IMAGES,
    "Rotate": {},
    "Crop": IMAGES,
    "Zoom": IMAGES,
}


def _made(name, strength, **settings):
    config = {"_target_": f"trainers.augment.{name}", "strength": strength, **settings}
    return augment.read_augmentation({"augment": config})


@pytest.fixture
def x():
    return torch.rand(32, 64, generator=torch.Generator().manual_seed(0)) + 0.5


@pytest.mark.parametrize("name", ALL)
def test_strength_0_changes_nothing_more_changes_most_rows_and_the_given_rows_stay(name, x):
    before = x.clone()
    torch.manual_seed(0)
    assert torch.allclose(_made(name, 0, **ALL[name])(x), x, atol=1e-6)
    changed = _made(name, 0.5 if name != "Rotate" else 45, **ALL[name])(x)
    assert changed.shape == x.shape
    assert changed.dtype == x.dtype
    assert float((changed != x).flatten(1).any(dim=1).float().mean()) > 0.3
    assert torch.equal(x, before)
    torch.manual_seed(1)
    one = _made(name, 0.5, **ALL[name])(x)
    torch.manual_seed(1)
    assert torch.equal(one, _made(name, 0.5, **ALL[name])(x))


def test_each_way_does_what_it_says(x):
    torch.manual_seed(0)
    noisy = _made("Noise", 0.3)(torch.zeros(2000, 4))
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.05)
    assert float((_made("Mask", 0.2)(x) == 0).float().mean()) == pytest.approx(0.2, abs=0.03)
    ratios = _made("Scale", 0.4)(x) / x
    assert torch.allclose(ratios, ratios[:, :1].expand_as(ratios))
    assert float((ratios - 1).abs().max()) <= 0.4 + 1e-5
    hazy = _made("Haze", 0.5)(x)
    assert bool((hazy >= x - 1e-6).all())
    assert torch.allclose(hazy.amax(1), x.amax(1))
    assert float((_made("Cutout", 0.5, **IMAGES)(x) == 0).float().mean()) == pytest.approx(0.25)
    image = torch.arange(64.0).view(1, 1, 8, 8)
    assert torch.equal(_made("Flip", 1, **IMAGES)(image), image.flip(-1))
    point = torch.zeros(1, 1, 8, 8)
    point[0, 0, 4, 4] = 1
    moved = torch.cat([_made("Shift", 0.25, **IMAGES)(point) for _ in range(200)])
    assert torch.equal(moved.flatten(1).sum(1), torch.ones(200))  # two places at most: never lost
    rows, columns = moved[:, 0].nonzero()[:, 1], moved[:, 0].nonzero()[:, 2]
    assert set(rows.tolist()) == set(columns.tolist()) == {2, 3, 4, 5, 6}
    sequence = torch.ones(50, 40)
    assert set(_made("Shift", 0.1, dimensions=1)(sequence).sum(1).tolist()) <= {
        36.0,
        37.0,
        38.0,
        39.0,
        40.0,
    }
    ramp = torch.linspace(0, 1, 40).repeat(200, 1)
    windows = _made("Crop", 0.5, dimensions=1)(ramp)[:, 2:-2]  # linear between its points
    slopes = windows.diff(dim=1) * 39
    assert torch.allclose(slopes, slopes[:, :1].expand_as(slopes), atol=1e-3)
    assert 0.49 < float(slopes.min()) < 0.55
    assert 0.95 < float(slopes.max()) < 1.01
    middle = torch.zeros(1, 1, 16, 16)
    middle[..., 4:12, 4:12] = 1
    sizes = _made("Zoom", 1.0, **IMAGES)(middle.repeat(400, 1, 1, 1)).sum(dim=(1, 2, 3)) / 64
    assert 0.25 <= float(sizes.min()) < 0.3  # half of each side
    assert 3.3 < float(sizes.max()) <= 4.01
    assert float((sizes > 1).float().mean()) == pytest.approx(0.5, abs=0.1)
    turned = _made("Rotate", 90)(point.repeat(100, 1, 1, 1))
    assert float(turned.sum(dim=(1, 2, 3)).mean()) > 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"_target_": "trainers.augment.Noise", "strength": -1}, "strength must be at least 0"),
        ({"_target_": "trainers.augment.Mask", "strength": 2}, "strength must be between 0 and 1"),
        ({"_target_": "trainers.augment.Nothing"}, "augment._target_: 'trainers.augment.Nothing'"),
        ({"_target_": "trainers.augment.Noise", "power": 1}, "unexpected keyword argument 'power'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(settings, message):
    with pytest.raises(TypeError, match=message):
        augment.read_augmentation({"augment": settings})


def test_rows_that_are_no_square_are_refused():
    with pytest.raises(ValueError, match="rows must be channels × a square, but got 60 inputs"):
        _made("Shift", 0.1, **IMAGES)(torch.zeros(2, 60))


def _config(**changes):
    trainer = {"epochs": 3, "batch_size": 16, **changes.pop("trainer", {})}
    model = {
        "_target_": "trainers.models.mlp.MLP",
        **{"inputs": 64, "outputs": 2, "width": 8, "depth": 1, "dropout": 0.0},
    }
    return {
        "seed": 0,
        "trainer": trainer,
        "model": model,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
        **changes,
    }


def _sets():
    dice = torch.Generator().manual_seed(3)
    x = torch.randn(120, 64, generator=dice)
    y = (x[:, 0] > 0).long()
    return (x[:80], y[:80]), (x[80:], y[80:])


def _losses(config):
    seat = Seat(config, sets=_sets(), device=torch.device("cpu"), checkpoint=Unsaved())
    return [seat.next_epoch() for _ in range(4)]


def test_validation_never_sees_an_augmentation_that_wipes_out_every_train_row():
    wiped = _losses(_config(augment={"_target_": "trainers.augment.Mask", "strength": 1.0}))
    plain = _losses(_config())
    assert wiped[0]["val_loss"] == plain[0]["val_loss"]  # the untrained model, the same rows
    assert np.array_equal(wiped[0]["predictions"], plain[0]["predictions"])
    assert np.ptp(wiped[3]["predictions"], axis=0).max() > 0.1  # other rows, other answers
    assert wiped[3]["val_loss"] > plain[3]["val_loss"]  # nothing could be learned


def test_shares_of_train_are_nested_drawn_by_the_seed_and_leave_validation_alone():
    sets = _sets()
    half, quarter = (
        share_of_train(_config(trainer={"fraction": share}), sets) for share in (0.5, 0.25)
    )
    assert (len(half[0][0]), len(quarter[0][0])) == (40, 20)
    rows = {tuple(row) for row in half[0][0].tolist()}
    assert {tuple(row) for row in quarter[0][0].tolist()} <= rows
    assert half[1] is sets[1]
    other = share_of_train({**_config(trainer={"fraction": 0.5}), "seed": 1}, sets)
    assert {tuple(row) for row in other[0][0].tolist()} != rows
    assert _losses(_config(trainer={"fraction": 0.25}))[1]["step"] == 2
