"""The stock trainer: real learning, exact resumption, seats that do not see each other, schedules as torch has them."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from search.compose import compose_experiment
from search.contract import prepare
from search.metrics import Metric
from trainers.api import Data, End, Epoch, Failure
from trainers.checkpoint import FolderCheckpoint
from trainers.schedules import apply, schedule_table
from trainers.stock import Stock, predict


@pytest.fixture(scope="module")
def data():
    whole = prepare(_composed(), metric=Metric(name="accuracy", direction="maximize")).final
    return Data(train=whole.train, val=whole.val), whole


def _composed(*overrides):
    return compose_experiment("lr_sweep", overrides=["trainer.epochs=5", *overrides], config_dir=None)


def _config(*overrides):
    return OmegaConf.to_container(_composed(*overrides), resolve=True)


def _train(data, folder, *, stop_after=None, trials=((0, ()),), every=0.0):
    """All epochs of some trials: trial → list of its outcomes."""
    seats, checkpoints = Stock(data=data, device="cpu"), {}
    for trial, overrides in trials:
        checkpoints[trial] = FolderCheckpoint(folder / str(trial))
        seats.admit(trial, config=_config(*overrides), checkpoint=checkpoints[trial])
    seen = {trial: [] for trial, _ in trials}
    while seen:
        for outcome in seats.step():
            if isinstance(outcome, Failure):
                raise outcome.error
            if isinstance(outcome, Epoch):
                seen[outcome.trial].append(outcome)
                checkpoints[outcome.trial].confirm(outcome.epoch, best_epoch=outcome.epoch)
            if isinstance(outcome, End) or outcome.epoch == stop_after:
                checkpoints[outcome.trial].flush()
                seats.release(outcome.trial)
        if not seats._seats:
            return seen
    return seen


def _numbers(epochs):
    return [{key: value for key, value in epoch.values.items() if key != "predictions"} for epoch in epochs]


def test_it_learns(data, tmp_path):
    epochs = _train(data[0], tmp_path)[0]
    right = [(epoch.values["predictions"].argmax(1) == data[0].val.y).mean() for epoch in epochs]
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2, 3, 4, 5]
    assert right[0] < 0.3
    assert right[-1] > 0.95
    assert epochs[0].values["train_loss"] == pytest.approx(np.log(10), abs=0.3)
    assert epochs[5].values["step"] == 5 * 32
    assert all(epoch.values["grad_norm"] > 0 and 1e-5 < epoch.values["update_ratio"] < 1 for epoch in epochs[1:])


@pytest.mark.parametrize("stop_after", [1, 3])
@pytest.mark.parametrize("overrides", [(), ("optimizer=adam", "model.dropout=0.3"), ("schedule=cosine",)])
def test_a_resumed_trial_goes_on_with_the_same_bits(data, tmp_path, stop_after, overrides):
    whole = _train(data[0], tmp_path / "whole", trials=[(0, overrides)])[0]
    first = _train(data[0], tmp_path / "parts", trials=[(0, overrides)], stop_after=stop_after)[0]
    second = _train(data[0], tmp_path / "parts", trials=[(0, overrides)])[0]
    assert [epoch.epoch for epoch in second] == list(range(stop_after + 1, 6))
    assert _numbers([*first, *second]) == _numbers(whole)
    assert np.array_equal(second[-1].values["predictions"], whole[-1].values["predictions"])


def test_a_trials_numbers_do_not_depend_on_who_sits_beside_it(data, tmp_path):
    trials = [(0, ("seed=1", "model.dropout=0.2")), (1, ("optimizer.lr=0.01",)), (2, ("model.width=32", "seed=4"))]
    together = _train(data[0], tmp_path / "together", trials=trials)
    for trial, overrides in trials:
        alone = _train(data[0], tmp_path / f"alone{trial}", trials=[(trial, overrides)])
        assert _numbers(alone[trial]) == _numbers(together[trial])


def test_a_seat_that_raises_does_not_disturb_the_others(data, tmp_path):
    seats = Stock(data=data[0], device="cpu")
    for trial in (0, 1):
        seats.admit(trial, config=_config(), checkpoint=FolderCheckpoint(tmp_path / str(trial)))
    seats._seats[0]._loss = None
    outcomes = seats.step()
    assert [type(outcome) for outcome in outcomes] == [Failure, Epoch]


def test_kept_weights_predict_as_the_best_epoch_did(data, tmp_path):
    seats, checkpoint = Stock(data=data[0], device="cpu"), FolderCheckpoint(tmp_path / "0")
    seats.admit(0, config=_config(), checkpoint=checkpoint)
    for _ in range(3):
        (epoch,) = seats.step()
        checkpoint.confirm(epoch.epoch, best_epoch=epoch.epoch)
    checkpoint.finish()
    swapped = Data(train=data[0].train, val=data[0].val, test=data[0].val)
    again = predict(_config(), swapped, "cpu", tmp_path / "0" / "best.safetensors")
    assert np.array_equal(again["predictions"], epoch.values["predictions"])
    with pytest.raises(ValueError, match=r"predict: needs data\.test, but got None; open the test set first"):
        predict(_config(), data[0], "cpu", tmp_path / "0" / "best.safetensors")


def test_rows_that_are_not_there_are_refused(tmp_path):
    from trainers.api import Part

    empty = Part(index=np.arange(3))
    with pytest.raises(ValueError, match="the stock trainer needs rows, but data=own gives row numbers only"):
        Stock(data=Data(train=empty, val=empty), device="cpu")


@pytest.mark.parametrize(
    ("config", "per"),
    [
        ({"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 5, "interval": "epoch"}, "epoch"),
        ({"_target_": "torch.optim.lr_scheduler.ExponentialLR", "gamma": 0.98, "interval": "epoch"}, "epoch"),
        ({"_target_": "torch.optim.lr_scheduler.OneCycleLR", "max_lr": 0.3, "total_steps": 15, "interval": "step"}, "step"),
    ],
)
def test_the_table_of_a_schedule_is_what_torchs_scheduler_does_in_a_loop(config, per):
    def fresh():
        return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1, momentum=0.9)

    table = schedule_table(config, fresh(), epochs=5, steps=3)
    optimizer = fresh()
    arguments = {key: value for key, value in config.items() if key not in ("_target_", "interval")}
    scheduler = getattr(torch.optim.lr_scheduler, config["_target_"].rpartition(".")[2])(optimizer, **arguments)
    wanted = []
    for _ in range(5 if per == "epoch" else 15):
        wanted.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        scheduler.step()
    assert [(row["lr"], row["momentum"]) for row in table] == wanted
    other = fresh()
    apply(table[-1], other)
    assert other.param_groups[0]["lr"] == wanted[-1][0]


def test_no_schedule_is_constant_and_an_unknown_interval_is_refused():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    assert {row["lr"] for row in schedule_table(None, optimizer, epochs=3, steps=2)} == {0.1}
    with pytest.raises(ValueError, match=r"schedule\.interval: must be one of epoch, step, but got 'year'; choose one of them"):
        schedule_table({"_target_": "x", "interval": "year"}, optimizer, epochs=1, steps=1)
