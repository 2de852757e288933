"""The stock trainer: real learning, exact resumption, seats that do not see each other, schedules as torch has them."""

import random

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from search.config.compose import compose_experiment
from search.contract.arrays import FoldData
from search.contract.contract import prepare
from search.contract.metrics import Metric
from search.execution.worker.trial_runner import TrialRunner
from trainers.api import Data, End, Epoch, Failure
from trainers.checkpoint import FolderCheckpoint, TrialCheckpoint
from trainers.models.cnn import CNN
from trainers.models.mlp import MLP
from trainers.schedules import Schedule, apply
from trainers.stock import Stock, predict


@pytest.fixture(scope="module")
def data():
    whole = prepare(_composed(), metric=Metric(name="accuracy", direction="maximize")).final
    return Data(train=whole.train, val=whole.val), whole


def _composed(*overrides):
    return compose_experiment(
        "lr_sweep", overrides=["trainer.epochs=5", *overrides], config_dir=None
    )


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


class Drawing(torch.nn.Module):
    """A user's model that draws from Python's generator and numpy's, at its start and in training."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.line, self.scale = torch.nn.Linear(inputs, outputs), 1 + np.random.rand()

    def forward(self, x):
        return self.line(x) * (self.scale + random.random() * self.training)


DRAWING = (
    *("model=own", "~model.width", f"+model._target_={__name__}.Drawing"),
    *("+model.inputs=${data.inputs}", "+model.outputs=${data.outputs}"),
)


def _numbers(epochs):
    return [
        {key: value for key, value in epoch.values.items() if key != "predictions"}
        for epoch in epochs
    ]


class TwoRates(torch.optim.SGD):
    """A user's optimizer, which moves the biases ten times as far, or all alike."""

    def __init__(self, params, lr, times):
        kinds = {True: [], False: []}
        for parameter in params:
            kinds[parameter.ndim > 1].append(parameter)
        super().__init__(
            [{"params": kinds[True]}, {"params": kinds[False], "lr": times * lr}], lr=lr
        )


@pytest.mark.parametrize(("times", "second"), [(10, [0.2, 0.2, 0.02]), (1, None)])
def test_the_rate_of_each_group_of_parameters_is_recorded(times, second, data, tmp_path):
    own = [f"optimizer._target_={__name__}.TwoRates", f"+optimizer.times={times}"]
    own += ["~optimizer.momentum", "~optimizer.weight_decay", "optimizer.lr=0.02"]
    words = [*own, "schedule=multi_step", "schedule.milestones=[1]"]
    epochs = _numbers(_train(data[0], tmp_path, trials=[(0, words)], stop_after=2)[0])
    assert [epoch["lr"] for epoch in epochs] == pytest.approx([0.02, 0.02, 0.002])
    rates = [epoch.get("lr_2") for epoch in epochs]
    assert rates == ([None] * 3 if second is None else pytest.approx(second))


def test_it_learns(data, tmp_path):
    epochs = _train(data[0], tmp_path)[0]
    right = [(epoch.values["predictions"].argmax(1) == data[0].val.y).mean() for epoch in epochs]
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2, 3, 4, 5]
    assert right[0] < 0.3
    assert right[-1] > 0.95
    assert epochs[0].values["train_loss"] == pytest.approx(np.log(10), abs=0.3)
    assert epochs[5].values["step"] == 5 * 32
    assert all(
        epoch.values["grad_norm"] > 0 and 1e-5 < epoch.values["update_ratio"] < 1
        for epoch in epochs[1:]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optimizer=adam", "model.dropout=0.3"),
        ("schedule=cosine",),
        ("schedule=plateau", "schedule.patience=1", "model=cnn2d", "model.width=4"),
        DRAWING,
    ],
)
def test_a_resumed_trial_goes_on_with_the_same_bits(data, tmp_path, overrides):
    whole = _train(data[0], tmp_path / "whole", trials=[(0, overrides)])[0]
    parts = [
        _train(data[0], tmp_path / "parts", trials=[(0, overrides)], stop_after=cut)[0]
        for cut in (1, 3, None)
    ]
    assert [[epoch.epoch for epoch in part] for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert _numbers(epoch for part in parts for epoch in part) == _numbers(whole)
    assert np.array_equal(parts[-1][-1].values["predictions"], whole[-1].values["predictions"])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_going_on_from_a_checkpoint_at_a_lower_rate_is_what_a_schedule_that_drops_there_does(
    data, tmp_path, optimizer
):
    """So the remedy of R26b is a schedule: the same bits, for the epochs before the drop again."""
    rate = [f"optimizer={optimizer}", "optimizer.lr=0.01"]
    drop = [*rate, "schedule=multi_step", "schedule.milestones=[3]"]
    whole = _train(data[0], tmp_path / "whole", trials=[(0, drop)])[0]
    first = _train(data[0], tmp_path / "parts", trials=[(0, rate)], stop_after=3)[0]
    lower = [(0, [rate[0], "optimizer.lr=0.001"])]
    second = _train(data[0], tmp_path / "parts", trials=lower)[0]
    assert [epoch.epoch for epoch in second] == [4, 5]
    assert np.array_equal(second[-1].values["predictions"], whole[-1].values["predictions"])
    assert [each["val_loss"] for each in _numbers([*first, *second])] == [
        each["val_loss"] for each in _numbers(whole)
    ]


@pytest.mark.slow
def test_a_trials_numbers_do_not_depend_on_who_sits_beside_it(data, tmp_path):
    trials = [
        (0, ("seed=1", "model.dropout=0.2")),
        (1, ("optimizer.lr=0.01",)),
        (2, ("model.width=32", "seed=4")),
        (3, DRAWING),
    ]
    together = _train(data[0], tmp_path / "together", trials=trials)
    for trial, overrides in trials:
        alone = _train(data[0], tmp_path / f"alone{trial}", trials=[(trial, overrides)])
        assert _numbers(alone[trial]) == _numbers(together[trial])


def test_a_seat_that_raises_does_not_disturb_the_others(data, tmp_path):
    seats = Stock(data=data[0], device="cpu")
    for trial in (0, 1):
        seats.admit(trial, config=_config(), checkpoint=FolderCheckpoint(tmp_path / str(trial)))
    seats._seats[0].model = None
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
    with pytest.raises(
        ValueError, match=r"predict: needs data\.test, but got None; open the test set first"
    ):
        predict(_config(), data[0], "cpu", tmp_path / "0" / "best.safetensors")


def test_rows_that_are_not_there_are_refused(tmp_path):
    from trainers.api import Part

    empty = Part(index=np.arange(3))
    with pytest.raises(
        ValueError, match="the stock trainer needs rows, but data=own gives row numbers only"
    ):
        Stock(data=Data(train=empty, val=empty), device="cpu")


SCHEDULERS = "torch.optim.lr_scheduler."


def _sgd(*rates):
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in rates or [0.1]
    ]
    return torch.optim.SGD(groups, momentum=0.9)


@pytest.mark.parametrize(
    ("name", "arguments", "interval"),
    [
        ("CosineAnnealingLR", {"T_max": 5}, "epoch"),
        ("ExponentialLR", {"gamma": 0.98}, "epoch"),
        ("StepLR", {"step_size": 2, "gamma": 0.3}, "epoch"),
        ("OneCycleLR", {"max_lr": 0.3, "total_steps": 15}, "step"),
        ("OneCycleLR", {"max_lr": 0.3, "total_steps": 15, "cycle_momentum": False}, "step"),
        ("CyclicLR", {"base_lr": 0.0, "max_lr": 0.1, "step_size_up": 4}, "step"),
    ],
)
@pytest.mark.parametrize("rates", [[0.1], [0.1, 0.01]])
def test_a_schedule_gives_each_group_of_parameters_what_torchs_scheduler_gives_in_a_loop(
    name, arguments, interval, rates
):
    given = {**arguments, "total_steps": None} if "total_steps" in arguments else arguments
    schedule = Schedule(
        {"_target_": SCHEDULERS + name, "interval": interval, **given},
        _sgd(*rates),
        epochs=5,
        steps=3,
    )
    optimizer, keys = _sgd(*rates), ("lr", "momentum")
    scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **arguments)
    for epoch in range(1, 6):
        for step in range(3 if interval == "step" else 1):
            row = schedule.at(epoch, step=step, watched=[])
            assert row == [{key: group[key] for key in keys} for group in optimizer.param_groups]
            optimizer.step()
            scheduler.step()
    apply(row, optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == [each["lr"] for each in row]


def test_exponential_decay_starts_from_the_first_rate_and_does_not_compound():
    schedule = Schedule(
        {"_target_": SCHEDULERS + "ExponentialLR", "gamma": 0.98}, _sgd(), epochs=21, steps=1
    )
    assert schedule.at(21, step=0, watched=[])[0]["lr"] == pytest.approx(0.1 * 0.98**20)


def test_a_plateaus_schedule_follows_the_losses_and_needs_no_state():
    config = {"_target_": SCHEDULERS + "ReduceLROnPlateau", "factor": 0.3, "patience": 1}
    optimizer, losses = _sgd(), [1.0, 0.9, 0.95, 0.92, 0.91, 0.5, 0.6, 0.6, 0.6]
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=1)
    schedule, rates = Schedule(config, _sgd(), epochs=20, steps=3), []
    for epoch in range(len(losses)):
        rates.append(optimizer.param_groups[0]["lr"])
        assert schedule.at(epoch + 1, step=0, watched=losses[:epoch])[0]["lr"] == rates[-1]
        scheduler.step(losses[epoch])
    assert len(set(rates)) == 3


def test_no_schedule_is_constant_and_one_that_cannot_be_is_refused():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    assert Schedule(None, optimizer, epochs=3, steps=2).at(3, step=1, watched=[])[0]["lr"] == 0.1
    with pytest.raises(
        ValueError,
        match=r"schedule\.interval: must be one of epoch, step, but got 'year'; choose one of them",
    ):
        Schedule({"_target_": "x", "interval": "year"}, optimizer, epochs=1, steps=1)
    with pytest.raises(
        TypeError,
        match=r"schedule\._target_: 'nowhere\.X' must be a scheduler that takes the keys of schedule",
    ):
        Schedule({"_target_": "nowhere.X"}, optimizer, epochs=1, steps=1)


def test_a_loss_of_the_shape_1_trains_as_a_scalar_does(data, tmp_path):
    own = ("loss._target_=odd.OneNumber", "~loss.label_smoothing")
    trials = ((0, ("loss.label_smoothing=0",)), (1, own))
    scalar, of_shape_1 = _train(data[0], tmp_path, trials=trials, stop_after=2).values()
    assert _numbers(scalar) == _numbers(of_shape_1)


@pytest.mark.parametrize(
    "overrides",
    [
        ("trainer.l1=0.001",),
        ("trainer.flood=3.0",),
        ("trainer.clip=0.1",),
        ("trainer.max_norm=0.1",),
        ("loss.label_smoothing=0.2",),
    ],
)
def test_penalties_change_the_training_but_not_how_its_loss_is_told(overrides, data, tmp_path):
    plain, other = (
        _numbers(_train(data[0], tmp_path, trials=((trial, words),), stop_after=1)[trial])
        for trial, words in ((0, ()), (1, overrides))
    )
    assert plain[0]["val_loss"] == other[0]["val_loss"]  # the untrained model
    assert plain[1]["val_loss"] != other[1]["val_loss"]


def test_activations_and_initial_weights_are_as_named():
    keys = {"inputs": 4, "outputs": 2, "width": 400, "depth": 1, "dropout": 0.0}
    spread = {}
    for init, activation in (
        ("follow", "relu"),
        ("follow", "tanh"),
        ("he_uniform", "tanh"),
        ("xavier_uniform", "relu"),
        ("zeros", "relu"),
    ):
        torch.manual_seed(0)
        model = MLP(**keys, init=init, activation=activation)
        spread[init, activation] = float(model.layers[1].weight.detach().std())
        assert float(model.layers[1].bias.detach().abs().sum()) == 0
    assert spread["follow", "relu"] == pytest.approx((2 / 4) ** 0.5, rel=0.05)
    assert (
        spread["follow", "tanh"]
        == spread["xavier_uniform", "relu"]
        == pytest.approx((2 / 404) ** 0.5, rel=0.05)
    )
    assert spread["he_uniform", "tanh"] == spread["follow", "relu"]
    assert spread["zeros", "relu"] == 0
    torch.manual_seed(0)
    default = MLP(**keys)
    torch.manual_seed(0)
    assert torch.equal(MLP(**keys, gain=2.0).layers[1].weight, 2 * default.layers[1].weight)
    for wrong, message in (
        ({"activation": "rilu"}, "model.activation: 'rilu' does not exist; there are: relu,"),
        ({"init": "he"}, "model.init: 'he' does not exist; there are: torch, follow,"),
    ):
        with pytest.raises(ValueError, match=message):
            MLP(**keys, **wrong)


@pytest.mark.parametrize(
    ("dimensions", "inputs", "channels"), [(1, 40, 1), (2, 64, 1), (2, 192, 3)]
)
def test_convolutions_take_rows_as_they_come(dimensions, inputs, channels):
    keys = {"outputs": 5, "width": 8, "depth": 3, "dropout": 0.1, "channels": channels}
    model = CNN(dimensions=dimensions, inputs=inputs, **keys)
    assert model(torch.randn(7, inputs)).shape == (7, 5)
    with pytest.raises(ValueError, match="inputs must be channels × a square, but got 63 inputs"):
        CNN(dimensions=2, inputs=63, **keys)
    with pytest.raises(ValueError, match=r"got 3072 inputs and 1 channels; say model.channels=3$"):
        CNN(dimensions=2, inputs=3072, **{**keys, "channels": 1})


WATCHING = ("schedule=plateau", "schedule.watch=metric", "schedule.patience=0", "trainer.epochs=6")
WATCHING += ("trainer.train_metric=true",)


def _rates(data, folder, *, fused, stop_after=None):
    """Accuracy, rate and accuracy on train of every epoch, as a worker trains."""
    metric = Metric(name="accuracy", direction="maximize")
    fold = FoldData(data=data, units=None)
    runner = TrialRunner("trainers.stock.Stock", folds=[fold], device="cpu", metric=metric)
    config = _config(*WATCHING)
    if fused:
        (seats,) = runner.fusable
        seats.fuse(seats.key(config).name)
    checkpoint = TrialCheckpoint(folder, folds=1, every=9)
    runner.admit(0, config=config, checkpoint=checkpoint)
    seen = []
    while True:
        (result,) = runner.step()
        if result.message is None:
            return seen
        epoch = result.message.epoch
        values = result.message.values
        seen.append((epoch, result.message.value, values["lr"], values["train_accuracy"]))
        checkpoint.confirm(epoch, best_epoch=epoch)
        if epoch == stop_after:
            checkpoint.flush()
            return seen
        checkpoint.hold()


@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True])
def test_a_plateau_can_watch_the_metric_alone_in_lanes_and_after_a_resumption(
    data, tmp_path, fused
):
    whole = _rates(data[0], tmp_path / "whole", fused=fused)
    best, rate = -1.0, 0.1
    for _, accuracy, used, on_train in whole[1:]:
        assert on_train > 0.9
        assert used == pytest.approx(rate, rel=1e-6)
        rate = rate if accuracy > best + 1e-4 else 0.3 * rate
        best = max(best, accuracy)
    assert rate < 0.1  # it has fallen, so there was something to see
    first = _rates(data[0], tmp_path / "parts", fused=fused, stop_after=3)
    rest = _rates(data[0], tmp_path / "parts", fused=fused)
    assert first + rest == whole


def test_an_equal_score_below_0_is_no_gain_and_only_a_plateau_watches_the_metric():
    config = {
        "_target_": SCHEDULERS + "ReduceLROnPlateau",
        "factor": 0.5,
        "patience": 0,
        "watch": "metric",
    }
    schedule = Schedule(config, _sgd(), epochs=5, steps=1)
    assert schedule.at(3, step=0, watched=[-0.9, -0.9])[0]["lr"] == pytest.approx(0.05)
    assert schedule.at(3, step=0, watched=[-0.9, -0.95])[0]["lr"] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="only a plateau schedule watches the metric"):
        Schedule({"watch": "metric"}, _sgd(), epochs=5, steps=1)
    with pytest.raises(ValueError, match="must be one of val_loss, metric, but got 'loss'"):
        Schedule({**config, "watch": "loss"}, _sgd(), epochs=5, steps=1)
