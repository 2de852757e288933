"""Metrics against scikit-learn, and outputs of a wrong kind."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, mean_squared_error

from search.errors import UsageError
from search.metrics import Metric, constant_score, output_of, read_metric, score

ACCURACY, MSE = Metric(name="accuracy", direction="maximize"), Metric(name="mse", direction="minimize")


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 6))
def test_accuracy_and_squared_error_are_scikit_learns(seed, rows, classes):
    dice = np.random.default_rng(seed)
    targets, logits = dice.integers(0, classes, rows), dice.normal(size=(rows, classes))
    assert score(ACCURACY, targets=targets, kind="predictions", output=logits) == accuracy_score(targets, logits.argmax(1))
    assert score(ACCURACY, targets=targets, kind="labels", output=logits.argmax(1)) == accuracy_score(targets, logits.argmax(1))
    numbers = dice.normal(size=(rows, 2))
    assert score(MSE, targets=numbers, kind="predictions", output=numbers + 1) == pytest.approx(
        mean_squared_error(numbers, numbers + 1)
    )


def test_outputs_that_are_not_finite_score_nan():
    assert math.isnan(
        score(ACCURACY, targets=np.array([0, 1]), kind="predictions", output=np.array([[1.0, np.nan], [0.0, 1.0]]))
    )


def test_a_constant_prediction_is_the_floor():
    train, val = np.array([0, 1, 1, 2]), np.array([1, 1, 0, 2])
    assert constant_score(ACCURACY, task="classification", train=train, val=val) == 0.5
    assert constant_score(MSE, task="regression", train=np.array([[1.0], [3.0]]), val=np.array([[2.0], [4.0]])) == 2.0
    assert constant_score(Metric(name="mine", direction="maximize"), task="classification", train=train, val=val) is None


@pytest.mark.parametrize(
    ("kind", "output", "message"),
    [
        ("predictions", np.zeros((3, 2)), r"predictions must have one row per validation row \(2\), but got shape \(3, 2\)"),
        (
            "predictions",
            np.zeros(2),
            r"predictions must have shape \[rows, classes\], but got \(2,\); yield a column per class",
        ),
    ],
)
def test_outputs_of_a_wrong_shape_are_refused(kind, output, message):
    with pytest.raises(ValueError, match=message):
        score(ACCURACY, targets=np.array([0, 1]), kind=kind, output=output)
    with pytest.raises(ValueError, match=r"must have shape \(2, 1\), but got \(2, 3\); yield a number per target"):
        score(MSE, targets=np.zeros((2, 1)), kind=kind, output=np.zeros((2, 3)))


def test_one_kind_of_output_is_taken_and_two_are_refused():
    assert output_of({"train_loss": 1.0}) is None
    kind, array = output_of({"labels": [1, 2]})
    assert (kind, array.tolist()) == ("labels", [1, 2])
    with pytest.raises(ValueError, match="yield one of predictions, probabilities, labels, but got predictions and labels"):
        output_of({"labels": [1], "predictions": [[1]]})


def test_names_and_directions_are_checked():
    with pytest.raises(
        UsageError, match=r"metric 'acuracy' does not exist; did you mean 'accuracy'\? there are: accuracy, mse"
    ):
        read_metric({"name": "acuracy", "direction": "maximize"}, reported=False)
    assert read_metric({"name": "acuracy", "direction": "maximize"}, reported=True).name == "acuracy"
    with pytest.raises(UsageError, match=r"metric\.direction: must be maximize or minimize, but got 'up'; choose one"):
        read_metric({"name": "accuracy", "direction": "up"}, reported=False)
    with pytest.raises(ValueError, match=r"metric 'mine' cannot be computed from labels; yield 'mine' itself"):
        score(Metric(name="mine", direction="maximize"), targets=np.zeros(1), kind="labels", output=np.zeros(1))


def test_better_and_worst_follow_the_direction():
    assert ACCURACY.better(2, 1)
    assert MSE.better(1, 2)
    assert not ACCURACY.better(1, 1)
    assert (ACCURACY.worst, MSE.worst) == (-math.inf, math.inf)
