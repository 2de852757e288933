"""The worker: what a trainer yields, told as numbers; what it gets; and what it must not get."""

import numpy as np
import pytest
from kit import search, trials

from search.arrays import read_data, write_data
from search.wire import encode
from search.worker import Worker
from trainers.api import Data, Epoch, Part

DATA = Data(
    train=Part(index=np.arange(4), x=np.zeros((4, 2), dtype=np.float32), y=np.array([0, 1, 0, 1])),
    val=Part(index=np.arange(4, 8), x=np.ones((4, 2), dtype=np.float32), y=np.array([0, 1, 1, 1])),
)
CONFIG = {
    "data": {"_target_": "x", "path": "secret.csv"},
    "trainer": {"_target_": "toys.steady", "checkpoint_every": 1.0},
    "split": {"seed": 0},
    "placement": {"threads": 1},
    "optimizer": {"lr": 0.1, "twin": "${optimizer.lr}"},
    "seed": 0,
}


@pytest.fixture
def worker(tmp_path):
    write_data(tmp_path / "arrays", DATA)
    setup = {
        "config": CONFIG,
        "folder": str(tmp_path),
        "device": "cpu",
        "metric": {"name": "accuracy", "direction": "maximize"},
    }
    return Worker(None, setup=setup, redirect=False)


def _told(worker, **values):
    return worker._record(Epoch(trial=0, epoch=2, values=values), seconds=0.5)


def test_outputs_become_the_metric_and_never_cross_the_wire(worker):
    logits = np.array([[9.0, 0], [0, 9], [0, 9], [9, 0]])
    message = _told(worker, predictions=logits, train_loss=1, own=np.float32(2.5))
    assert (message["value"], message["source"]) == (0.75, "computed")
    assert message["values"] == {"train_loss": 1.0, "own": 2.5}
    assert len(encode(message)) < 300


def test_a_reported_metric_is_marked_and_outputs_win_over_it(worker):
    assert _told(worker, accuracy=0.5)["source"] == "reported"
    message = _told(worker, accuracy=0.99, labels=np.array([1, 0, 0, 0]))
    assert (message["value"], message["source"]) == (0.0, "computed")
    assert "accuracy" not in message["values"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"a yield must hold predictions or probabilities or labels or 'accuracy', but got nothing; add one of them"),
        ({"loss": 1.0}, r"must hold .* but got loss; add one of them"),
        ({"accuracy": "high"}, r"what a trainer yields must be numbers, but got accuracy='high'; drop it"),
        ({"accuracy": float("nan")}, r"the trainer yielded accuracy=nan at epoch 2; it must be a finite number"),
        ({"labels": [1, 2]}, r"labels must have one row per validation row \(4\), but got shape \(2,\)"),
        ({"predictions": np.zeros((4,))}, r"predictions must have shape \[rows, classes\], but got \(4,\)"),
        ({"labels": [0] * 4, "probabilities": [[1]] * 4}, r"yield one of predictions, probabilities, labels, but got"),
    ],
)
def test_a_yield_that_breaks_the_seam_is_told_by_its_text(values, message, worker):
    with pytest.raises(Exception, match=message):
        _told(worker, **values)


def test_a_metric_that_is_nan_because_the_loss_is_has_diverged_and_is_no_fault(worker):
    assert np.isnan(_told(worker, accuracy=float("nan"), val_loss=float("nan"))["value"])


def test_the_trainer_gets_its_trials_config_resolved_without_what_is_not_its_own(worker):
    config = worker._config({"knobs": {"optimizer.lr": 0.5}, "seed": 9})
    assert config == {"trainer": CONFIG["trainer"], "optimizer": {"lr": 0.5, "twin": 0.5}, "seed": 9}
    again = worker._config({"knobs": {}, "seed": 1})
    assert again["optimizer"] == {"lr": 0.1, "twin": 0.1}


def test_rows_are_mapped_and_one_worker_cannot_change_anothers(tmp_path):
    write_data(tmp_path, DATA)
    data = read_data(tmp_path)
    data.train.x[:] = 7
    assert (read_data(tmp_path).train.x == 0).all()
    assert data.test is None
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{part}.{key}.joblib" for part in ("train", "val") for key in ("index", "x", "y")
    )


@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ("empty", "TrialFailed: the trainer ended without a single epoch; yield once per epoch"),
        (
            "forgetful",
            "TrialFailed: a yield must hold predictions or probabilities or labels or 'accuracy', but got train_loss; add",
        ),
        ("nan", "TrialFailed: the trainer yielded accuracy=nan at epoch 1; it must be a finite number"),
        ("again", "ValueError: epochs must rise, but got epoch 1 after 1; yield each epoch once"),
        (
            "plain",
            "TypeError: the trainer must be a generator function that yields once per epoch, but calling it gave NoneType",
        ),
    ],
)
def test_a_trainer_that_breaks_the_seam_is_failed_with_its_reason_and_log(trainer, reason, tmp_path):
    done = search("own_trainer", f"trainer._target_=toys.{trainer}", "placement.slots=1", cwd=tmp_path)
    assert done.returncode == 1
    assert "the first 3 trials all failed alike, so the search stops: " + reason in done.stderr
    table = trials(tmp_path / "results" / "own_trainer").query("state == 'failed'")
    assert table.reason.str.startswith(reason).all()
    assert table.reason.str.endswith(tuple(f"; log: logs/{trial}.log" for trial in table.trial)).all()
    assert "Traceback" in (tmp_path / "results" / "own_trainer" / "logs" / "0.log").read_text()
