"""One trial's epochs as numbers: outputs become the metric, folds become their mean, and what breaks the seam is named."""

import errno
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from search.contract.arrays import FoldData
from search.contract.metrics import Metric
from search.execution.link import encode
from search.execution.worker.epoch_message import _numbers
from search.execution.worker.failures import end_of
from search.execution.worker.trial_runner import TrialRunner
from trainers.api import Data, Part
from trainers.checkpoint import TrialCheckpoint

ACCURACY = Metric(name="accuracy", direction="maximize")


def _data(y):
    return Data(
        train=Part(index=np.arange(4)),
        val=Part(index=np.arange(4, 8), y=None if y is None else np.array(y)),
    )


def _step(tmp_path, *yields, metric=ACCURACY, y=(0, 1, 1, 1), data=None, units=None, folds=1):
    """The first message of a trainer that yields these, one per fold."""
    told = iter(yields)

    def train(config, data, device, checkpoint):
        yield next(told)

    import toys

    toys.here = train
    trainings = TrialRunner(
        "toys.here",
        folds=[FoldData(data=data or _data(y), units=units)] * folds,
        device="cpu",
        metric=metric,
    )
    trainings.admit(
        0, config={"seed": 0}, checkpoint=TrialCheckpoint(tmp_path, folds=folds, every=9)
    )
    (told,) = trainings.step()
    if told.error is not None:
        raise told.error
    return told.message


def test_outputs_become_the_metric_and_never_cross_the_wire(tmp_path):
    logits = np.array([[9.0, 0], [0, 9], [0, 9], [9, 0]])
    message = _step(
        tmp_path, {"predictions": logits, "train_loss": 1, "own": np.float32(2.5), "parameters": 7}
    )
    assert (message.value, message.source) == (0.75, "computed")
    assert message.values == {
        "train_loss": 1.0,
        "own": 2.5,
        "confidence": pytest.approx(0.9999, abs=1e-4),
    }
    assert message.layers == {
        "confidence": {f"{tenth / 10:g}": float(tenth == 9) for tenth in range(10)}
    }
    assert len(encode(message)) < 400


def test_outputs_of_train_rows_become_the_metric_on_train(tmp_path):
    parts = {
        "train": Part(index=np.arange(4), y=np.array([0, 0, 1, 1])),
        "val": _data((0,) * 4).val,
    }
    told = {"rows": [1, 3], "labels": np.array([0, 0])}
    values = {"labels": np.zeros(4, dtype=int), "train_outputs": told}
    message = _step(tmp_path, values, data=Data(**parts))
    assert (message.value, message.values["train_accuracy"]) == (1.0, 0.5)
    with pytest.raises(Exception, match="train_outputs must have one output per row, but got 2"):
        _step(tmp_path, {**values, "train_outputs": {**told, "rows": [1]}}, data=Data(**parts))
    with pytest.raises(Exception, match="train_outputs must hold rows and predictions or"):
        _step(tmp_path, {**values, "train_outputs": {"rows": [1]}}, data=Data(**parts))


def test_a_trainers_numbers_under_the_names_of_a_rows_keys_change_no_row(tmp_path):
    message = _step(tmp_path, {"accuracy": 0.5, "trial": 7, "fold": 2, "source": "mine", "run": 3})
    assert message.values == {"run": 3.0}
    assert (message.trial, message.source) == (0, "reported")
    assert message.remark.startswith("trial, fold, source of the trainer is left out, since")


@pytest.mark.parametrize("twin", ["val_accuracy", "eval/accuracy", "accuracy_val"])
def test_the_metric_of_validation_by_another_name_is_named(twin, tmp_path):
    message = _step(tmp_path, {"accuracy": 0.5, twin: 0.4})
    assert (message.value, message.values) == (0.5, {twin: 0.4})
    assert f"begin anew with metric.name={twin}" in message.remark
    for quiet in ({"accuracy": 0.5, "train_accuracy": 0.6}, {"labels": [0] * 4, twin: 0.4}):
        assert _step(tmp_path, quiet).remark == ""


def test_a_reported_metric_is_marked_and_outputs_win_over_it(tmp_path):
    assert _step(tmp_path, {"accuracy": 0.5}).source == "reported"
    message = _step(tmp_path, {"accuracy": 0.99, "labels": np.array([1, 0, 0, 0])})
    assert (message.value, message.source) == (0.0, "computed")
    assert "accuracy" not in message.values


def test_a_composite_metrics_parts_are_told_and_the_rest_is_left_to_who_knows_the_seconds(tmp_path):
    metric = Metric(
        name="mine", direction="maximize", formula="accuracy - log10(seconds) + parameters"
    )
    message = _step(tmp_path, {"labels": [0, 1, 1, 0], "parameters": 7}, metric=metric)
    assert (message.value, message.values) == (None, {"accuracy": 0.75, "parameters": 7.0})
    assert metric.combine({**message.values, "seconds": 100}) == 0.75 - 2 + 7
    assert np.isnan(metric.combine({**message.values, "seconds": 0}))


def test_regression_is_scored_in_the_targets_own_units(tmp_path):
    units = {"mean": [100.0], "scale": [10.0]}
    y = np.array([[0.0], [1.0], [-1.0], [0.0]])
    message = _step(
        tmp_path,
        {"predictions": y[:, 0] + 0.5},
        metric=Metric(name="mae", direction="minimize"),
        y=y,
        units=units,
    )
    assert message.value == pytest.approx(5.0)


def test_a_function_of_ones_own_is_the_metric(tmp_path):
    metric = Metric(name="mine", direction="maximize", target="toys.share_of_ones")
    assert _step(tmp_path, {"labels": [0, 1, 1, 1]}, metric=metric).value == 0.75


def test_folds_are_told_with_their_mean(tmp_path):
    message = _step(
        tmp_path,
        {"accuracy": 0.5, "train_loss": 1.0, "odd": 3},
        {"accuracy": 0.75, "train_loss": 2.0},
        folds=2,
    )
    assert (message.value, message.values) == (0.625, {"train_loss": 1.5})
    assert [fold.value for fold in message.folds] == [0.5, 0.75]
    with pytest.raises(
        Exception,
        match="folds are stepped together, but the trainer yielded the epochs 1, 3; yield each epoch",
    ):
        _step(tmp_path, {"accuracy": 0.5}, {"epoch": 3, "accuracy": 0.5}, folds=2)


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_whole_number_beyond_all_floats_is_infinite(number):
    expected = {"accuracy": math.inf if number > 0 else -math.inf}
    assert _numbers({"accuracy": number}, ACCURACY) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {},
            r"a yield must hold predictions or probabilities or labels or 'accuracy', but got nothing; add one of them$",
        ),
        (
            {"train_loss": 2.0, "loss": 1.0},
            r"but got train_loss, loss; add one of them, or say metric=reported metric\.name=loss ",
        ),
        (
            {"batch_count": 39, "train_acc": 0.9, "valid_loss": 0.3, "valid_acc": 0.8},
            r"or say metric=reported metric\.name=valid_acc metric\.direction=",
        ),
        (
            {"accuracy": "high"},
            r"what a trainer yields must be numbers, but got accuracy='high'; drop it",
        ),
        (
            {"labels": [1, 2]},
            r"labels must have one row per validation row \(4\), but got shape \(2,\)",
        ),
        (
            {"labels": np.zeros((4, 2))},
            r"labels must have shape \[rows\], but got \(4, 2\); mend what the trainer yields",
        ),
        (
            {"predictions": np.zeros((4, 2, 2))},
            r"predictions must have shape \[rows, classes\], but got \(4, 2, 2\)",
        ),
        (
            {"labels": [0] * 4, "probabilities": [[1]] * 4},
            r"yield one of predictions, probabilities, labels, but got",
        ),
    ],
)
def test_a_yield_that_breaks_the_seam_is_told_by_its_text(values, message, tmp_path):
    with pytest.raises(Exception, match=message):
        _step(tmp_path, values)


def test_outputs_without_labels_say_how_to_name_them(tmp_path):
    with pytest.raises(
        Exception,
        match=r"accuracy cannot be computed from probabilities without labels; name a file of them by data\.labels=…, or yield 'accuracy' itself",
    ):
        _step(tmp_path, {"probabilities": np.ones((4, 2)) / 2}, y=None)


def test_labels_in_a_column_are_not_compared_with_every_row(tmp_path):
    assert _step(tmp_path, {"labels": np.array([[0], [1], [1], [0]])}).value == 0.75


@pytest.mark.parametrize("loss", [1.0, float("nan")])
def test_a_metric_that_is_nan_has_diverged_and_is_no_fault(loss, tmp_path):
    assert np.isnan(_step(tmp_path, {"accuracy": float("nan"), "val_loss": loss}).value)


def test_a_machine_that_is_full_is_told_apart_from_an_error_of_the_trainer():
    try:
        torch.empty(2**48)
    except RuntimeError as error:
        end = end_of(error, trial=0, folder=Path())
    assert (end.end, end.reason.partition(": you tried")[0]) == (
        "out of memory",
        "RuntimeError: DefaultCPUAllocator: can't allocate memory",
    )
    full = OSError(errno.ENOMEM, "Cannot allocate memory")
    assert end_of(full, trial=0, folder=Path()).end == "out of memory"
    blas = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)")
    assert end_of(blas, trial=0, folder=Path()).end == "out of memory"
    other = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert end_of(other, trial=0, folder=Path()).end == "failed"


def test_a_gpu_that_is_full_is_told_without_its_other_processes():
    text = (
        "CUDA out of memory. Tried to allocate 116.42 GiB. GPU 0 has a total capacity of 79.18 GiB of "
        "which 68.90 GiB is free. Process 748 has 848.00 MiB memory in use. Including non-PyTorch "
        "memory, this process has 944.00 MiB memory in use."
    )
    end = end_of(torch.OutOfMemoryError(text), trial=0, folder=Path())
    assert end.reason == (
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 116.42 GiB. GPU 0 has a total "
        "capacity of 79.18 GiB of which 68.90 GiB is free. (not raised)"
    )
