"""Rows are nobody's to change: what one trial does to them, no other trial, metric or probe sees."""

import copy
import json
from dataclasses import fields

import numpy as np
import pytest
from company import config_of
from safetensors.torch import save_file

from search.contract.arrays import FoldData, read_folds, write_folds
from search.contract.metrics import Metric, scores
from trainers.api import Data, End, Epoch, Part
from trainers.build import made
from trainers.callable import CallableSeats, open_seats
from trainers.checkpoint import Unsaved
from trainers.ensemble import member_outputs
from trainers.ensemble import predict as average_of
from trainers.probes.run import train
from trainers.rows import own_rows
from trainers.stock import Stock, predict

DICE = np.random.default_rng(0)


def _part(rows, start=0):
    x = DICE.standard_normal((rows, 64)).astype(np.float32)
    return Part(index=np.arange(start, start + rows), x=x, y=np.arange(rows) % 10)


DATA = Data(train=_part(70), val=_part(30, 70), test=_part(20, 100))


def _arrays(data):
    parts = [getattr(data, field.name) for field in fields(data)]
    return [array for part in parts if part is not None for array in (part.index, part.x, part.y)]


@pytest.fixture(params=["mapped", "in memory"])
def data(request, tmp_path):
    """The rows as a worker has them; checked to be as they were when the test is over."""
    write_folds(tmp_path / "arrays", [FoldData(data=DATA)], stamp="a")
    rows = (
        read_folds(tmp_path / "arrays")[0].data
        if request.param == "mapped"
        else copy.deepcopy(DATA)
    )
    before = [array.copy() for array in _arrays(rows)]
    yield rows
    for array, first in zip(_arrays(rows), before, strict=True):
        np.testing.assert_array_equal(array, first)


def _stock(**keys):
    config = config_of("trainer.epochs=2", model="Scaling")
    return {**config, **keys}


@pytest.mark.parametrize("loss", ["torch.nn.CrossEntropyLoss", "odd.Greedy"])
def test_a_model_that_scales_its_inputs_in_place_gives_every_trial_the_same_rows(data, loss):
    seats = Stock(data=data, device="cpu")
    config = _stock(loss={"_target_": loss})
    for trial in range(3):
        seats.admit(trial, config=config, checkpoint=Unsaved())
    losses = [[outcome.values["val_loss"] for outcome in seats.step()] for _ in range(3)]
    assert losses[0][0] == losses[0][1] == losses[0][2]
    assert losses[2][0] == losses[2][1] == losses[2][2]


def test_lanes_and_their_fallback_leave_the_rows_as_they_are(data):
    seats, config = Stock(data=data, device="cpu"), _stock()
    assert seats.measure(config, trials=1000).cause  # in-place changes of shared rows: no lanes
    seats.fuse(seats.key(config).name)
    for trial in range(2):
        seats.admit(trial, config=config, checkpoint=Unsaved())
    for _ in range(3):
        seats.step()


def test_probes_and_predictions_leave_the_rows_as_they_are(data, tmp_path):
    run = train(_stock(), data=data, device="cpu", folder=tmp_path)
    assert (run.error, run.trained) == ("", 2)
    save_file(made(_stock(), "model").state_dict(), tmp_path / "weights.safetensors")
    whole = Data(train=data.train, val=data.val, test=DATA.test)
    before = DATA.test.x.copy()
    first = predict(_stock(), whole, "cpu", tmp_path / "weights.safetensors")
    again = predict(_stock(), whole, "cpu", tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(first["predictions"], again["predictions"])
    np.testing.assert_array_equal(DATA.test.x, before)


def _vandal(config, data, device, checkpoint):
    """Yields what it sees, then overwrites everything that it was given."""
    yield {
        "rows": float(data.train.x.sum() + data.val.y.sum() + data.train.index.sum()),
        "epochs": config["trainer"]["epochs"],
    }
    for part in (data.train, data.val):
        np.random.default_rng(0).shuffle(part.index)
        part.x[:] *= 2.0
        part.y[:] = 0
    config["trainer"].clear()


class Vandals(CallableSeats):
    """Seats of a user's own."""

    def __init__(self, *, data, device):
        data.val.y[:] = 0
        super().__init__(_vandal, data=data, device=device)


@pytest.mark.parametrize("path", ["test_own_rows._vandal", "test_own_rows.Vandals"])
def test_a_trainer_that_overwrites_its_rows_and_config_changes_no_other_trial(data, path):
    seats, config = open_seats(path, data=data, device="cpu"), {"seed": 0, "trainer": {"epochs": 3}}
    seen = []
    for trial in range(3):
        seats.admit(trial, config=config, checkpoint=Unsaved())
        (outcome,) = seats.step()
        assert isinstance(outcome, Epoch)
        seen.append(outcome.values)
        assert seats.step() == [End(trial=trial)]
        seats.release(trial)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0]["epochs"] == 3


def vandal(config, data, device, weights):
    """Predicts, then overwrites everything that it was given."""
    values = {"predictions": data.test.x[:, :10].copy()}
    data.test.x[:] = 0
    config["data"].clear()
    return values


def test_a_function_that_predicts_and_overwrites_its_rows_changes_no_other_member(data, tmp_path):
    config = _stock()
    config["trainer"]["predict"] = "test_own_rows.vandal"
    save_file(made(config, "model").state_dict(), tmp_path / "0.safetensors")
    members = [{"config": config, "weights": "0.safetensors"}] * 2
    (tmp_path / "ensemble.json").write_text(json.dumps({"members": members}))
    whole = Data(train=data.train, val=data.val, test=data.val)
    alone = member_outputs(config, whole, "cpu", tmp_path / "0.safetensors")
    average = average_of(config, whole, "cpu", tmp_path / "ensemble.json")["probabilities"]
    np.testing.assert_allclose(average, alone)
    assert np.ptp(alone) > 0


def greedy(targets, outputs):
    """A metric that changes its arguments."""
    targets.sort()
    outputs *= 0
    return float(targets[0])


def test_a_metric_of_ones_own_changes_neither_targets_nor_outputs(data):
    metric = Metric(name="mine", direction="maximize", target="test_own_rows.greedy")
    output = np.eye(10)[data.val.y] * 0.5
    before = output.copy()
    for kind in ("predictions", "probabilities"):
        scores(metric, targets=data.val.y, kind=kind, output=output)
    np.testing.assert_array_equal(output, before)


def test_rows_of_ones_own_can_be_written_and_cost_no_copy_of_a_mapped_file(tmp_path):
    write_folds(tmp_path / "arrays", [FoldData(data=DATA)], stamp="a")
    mapped = read_folds(tmp_path / "arrays")[0].data
    own = own_rows(mapped)
    own.train.x[:] = 7.0
    assert isinstance(own.train.x, np.memmap)
    np.testing.assert_array_equal(mapped.train.x, DATA.train.x)
    np.testing.assert_array_equal(own_rows(mapped).train.x, DATA.train.x)
    assert own_rows(mapped).test is None


@pytest.mark.parametrize("name", ["train.x.npy", "train.y.npy", "val.x.npy", "units.json"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(
            path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])  # one bit
        ),
        lambda path: (path.parent / "train.lengths.npy").write_bytes(b"of another search"),
    ],
)
def test_damaged_rows_are_written_again_before_anyone_trains_on_them(tmp_path, name, damage):
    folds = [FoldData(data=DATA, units={"mean": [0.0], "scale": [2.0]})]
    write_folds(tmp_path / "arrays", folds, stamp="a")
    written = {path.name: path.read_bytes() for path in (tmp_path / "arrays/fold-0").iterdir()}
    damage(tmp_path / "arrays" / "fold-0" / name)
    write_folds(tmp_path / "arrays", folds, stamp="a")
    again = {path.name: path.read_bytes() for path in (tmp_path / "arrays/fold-0").iterdir()}
    assert again == written
