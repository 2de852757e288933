"""Metrics against scikit-learn, formulas, and outputs of a wrong kind."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from refusals import raises
from sklearn import metrics as sk

from search.contract.metric_formula import evaluate, names_of
from search.contract.metric_functions import CLASSIFICATION, REGRESSION
from search.contract.metrics import (
    METRICS,
    Metric,
    constant_score,
    output_of,
    read_metric,
    scores,
    tasks_of,
)
from search.contract.tasks import ERRORS
from trainers.probes.questions import UP_TO_ONE

ACCURACY, MSE = (
    Metric(name="accuracy", direction="maximize"),
    Metric(name="mse", direction="minimize"),
)
KNOWN = frozenset((*METRICS, "seconds", "parameters"))


def test_a_mean_in_words_has_the_metrics_own_sign_and_says_where_there_is_none():
    assert [MSE.words(score) for score in (-0.25, 0.0, -math.inf)] == ["0.25", "0", "no result"]
    assert ACCURACY.words(0.90909) == "0.9091"


def _score(name, *, average="macro", **given):
    return scores(Metric(name=name, direction="maximize", average=average), **given)[name]


def _softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 6), st.booleans())
def test_metrics_of_classes_are_scikit_learns(seed, rows, classes, rough):
    dice = np.random.default_rng(seed)
    targets, logits = dice.integers(0, classes, rows), dice.normal(size=(rows, classes)) * 3
    if rough:  # ties
        logits = np.round(logits)
    told, shares = logits.argmax(1), _softmax(logits)
    given_logits = {"targets": targets, "kind": "predictions", "output": logits}
    assert _score("accuracy", **given_logits) == sk.accuracy_score(targets, told)
    seen = np.isin(told, targets)
    found = [np.mean(told[targets == label] == label) for label in np.unique(targets)]
    assert _score("balanced_accuracy", **given_logits) == pytest.approx(np.mean(found))
    if seen.all() and len(found) > 1:
        assert _score("balanced_accuracy", **given_logits) == pytest.approx(
            sk.balanced_accuracy_score(targets, told)
        )
    for average in ("macro", "micro"):
        for name, theirs in (
            ("precision", sk.precision_score),
            ("recall", sk.recall_score),
            ("f1", sk.f1_score),
        ):
            expected = theirs(targets, told, average=average, zero_division=0)
            assert _score(name, average=average, **given_logits) == pytest.approx(expected), name
    for kind, output in (("predictions", logits), ("probabilities", shares)):
        both = {"targets": targets, "kind": kind, "output": output}
        assert _score("log_loss", **both) == pytest.approx(
            sk.log_loss(targets, shares, labels=np.arange(classes))
        )
        truth = np.eye(classes)[targets]
        whole = np.square(shares - truth).sum(axis=1).mean()
        assert _score("brier", **both) == pytest.approx(whole / 2 if classes == 2 else whole)
    assert _score("accuracy", targets=targets, kind="labels", output=told) == sk.accuracy_score(
        targets, told
    )


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(2, 4))
def test_the_area_under_the_roc_curve_is_scikit_learns(seed, rows, classes):
    dice = np.random.default_rng(seed)
    targets, shares = (
        dice.integers(0, classes, rows),
        _softmax(np.round(dice.normal(size=(rows, classes)))),
    )
    assume(len(np.unique(targets)) == classes)
    expected = sk.roc_auc_score(
        targets, shares[:, 1] if classes == 2 else shares, multi_class="ovr"
    )
    assert _score("roc_auc", targets=targets, kind="probabilities", output=shares) == pytest.approx(
        expected
    )
    if classes == 2:
        assert _score(
            "brier", targets=targets, kind="probabilities", output=shares
        ) == pytest.approx(sk.brier_score_loss(targets, shares[:, 1]))


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 3))
def test_metrics_of_numbers_are_scikit_learns(seed, rows, outputs):
    dice = np.random.default_rng(seed)
    targets, told = dice.normal(size=(rows, outputs)), dice.normal(size=(rows, outputs))
    both = {"targets": targets, "kind": "predictions", "output": told}
    for name, theirs in (
        ("mse", sk.mean_squared_error),
        ("mae", sk.mean_absolute_error),
        ("r2", sk.r2_score),
    ):
        assert _score(name, **both) == pytest.approx(theirs(targets, told)), name


def test_one_column_of_two_classes_is_the_second_one():
    targets, logits = np.array([0, 1, 1, 0]), np.array([-1.0, 2.0, -0.5, 0.3])
    for output in (logits, logits[:, None]):
        assert _score("accuracy", targets=targets, kind="predictions", output=output) == 0.5
        assert _score(
            "roc_auc", targets=targets, kind="predictions", output=output
        ) == sk.roc_auc_score(targets, logits)
    shares = 1 / (1 + np.exp(-logits))
    assert _score(
        "log_loss", targets=targets, kind="probabilities", output=shares
    ) == pytest.approx(sk.log_loss(targets, shares))


def test_outputs_that_are_not_finite_score_nan():
    assert math.isnan(
        _score(
            "accuracy",
            targets=np.array([0, 1]),
            kind="predictions",
            output=np.array([[1.0, np.nan], [0.0, 1.0]]),
        )
    )


def test_a_constant_prediction_is_the_floor():
    train, val = np.array([0, 1, 1, 2]), np.array([1, 1, 0, 2])
    assert constant_score(ACCURACY, task="classification", train=train, val=val) == 0.5
    assert (
        constant_score(
            MSE, task="regression", train=np.array([[1.0], [3.0]]), val=np.array([[2.0], [4.0]])
        )
        == 2.0
    )
    assert (
        constant_score(
            Metric(name="mine", direction="maximize"), task="classification", train=train, val=val
        )
        is None
    )
    loss = constant_score(
        Metric(name="log_loss", direction="minimize"), task="classification", train=train, val=val
    )
    assert loss == pytest.approx(-np.mean(np.log([0.5, 0.5, 0.25, 0.25])))
    assert (
        constant_score(
            Metric(name="roc_auc", direction="maximize"),
            task="classification",
            train=train,
            val=val,
        )
        == 0.5
    )


@pytest.mark.parametrize(
    ("name", "kind", "output", "message"),
    [
        ("accuracy", "predictions", np.zeros((3, 2)), r"^predictions .*\(2\).*\(3, 2\)"),
        ("log_loss", "labels", np.zeros(2), r"^labels .*\(logits\)"),
        ("roc_auc", "predictions", np.zeros((2, 2, 2)), r"^predictions .*\[rows, classes\].*\(2, 2, 2\)"),
        ("mine", "labels", np.zeros(2), r"'mine'.*'mine'"),
        ("accuracy", "labels", np.array(["cat", "dog"]), r"^labels must be numbers.*'cat'"),
        ("f1", "labels", np.array(["0", 1], dtype=object), r"^labels must be numbers.*'0'"),
    ],
)  # fmt: skip
def test_outputs_of_a_wrong_shape_or_kind_are_refused(name, kind, output, message):
    with pytest.raises(ValueError, match=message):
        _score(name, targets=np.array([0, 1]), kind=kind, output=output)
    with pytest.raises(ValueError, match=r"\[2, 1\].*\(2, 3\)"):
        _score("mse", targets=np.zeros((2, 1)), kind="predictions", output=np.zeros((2, 3)))
    for name in ("accuracy", "log_loss"):  # numbers of classes under the name of logits
        with pytest.raises(ValueError, match=r"^predictions .*labels.*\(3,\)"):
            _score(name, targets=np.arange(3), kind="predictions", output=np.arange(3))


def test_one_kind_of_output_is_taken_and_two_are_refused():
    assert output_of({"train_loss": 1.0}) is None
    kind, array = output_of({"labels": [1, 2]})
    assert (kind, array.tolist()) == ("labels", [1, 2])
    half = torch.tensor([[0.5, 2.0]], dtype=torch.bfloat16, requires_grad=True)
    assert output_of({"predictions": half})[1].tolist() == [[0.5, 2.0]]
    with pytest.raises(
        ValueError,
        match="predictions, probabilities, labels,",
    ):
        output_of({"labels": [1], "predictions": [[1]]})


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"name": "acuracy", "direction": "maximize"}, ("unknown-metric", "'acuracy'", "'accuracy'")),
        ({"name": "seconds", "direction": "minimize"}, ("metric-name-is-taken", "metric.name", "'seconds'")),
        ({"name": "f1", "direction": "maximize", "formula": "f1 + 1"}, ("metric-name-is-taken", "'f1'")),
        ({"name": "x", "direction": "maximize", "formula": "accuracy +"}, ("not-a-formula", "metric.formula")),
        ({"name": "x", "direction": "maximize", "formula": "accurcy + 1"}, ("formula-of-unknown-name", "metric.formula", "'accurcy'", "'accuracy'")),
        ({"name": "x", "direction": "maximize", "formula": "open(accuracy)"}, ("formula-of-unknown-function", "metric.formula", "'open'")),
        ({"name": "x", "direction": "maximize", "formula": "accuracy.real"}, ("formula-not-arithmetic", "metric.formula", "accuracy.real")),
        ({"name": "x", "direction": "maximize", "formula": "accuracy if 1 else 0"}, ("formula-not-arithmetic",)),
        ({"name": "x", "direction": "maximize", "formula": "min(accuracy)"}, ("formula-wrong-arguments", "metric.formula")),
        ({"name": "x", "direction": "maximize", "formula": "abs(accuracy, 1)"}, ("formula-wrong-arguments", "metric.formula")),
        ({"name": "x", "direction": "maximize", "formula": "1 / seconds"}, ("formula-needs-metric", "metric.formula")),
    ],
)  # fmt: skip
def test_a_metric_that_cannot_be_is_refused(node, message):
    with raises(*message):
        read_metric(node, reported=False)


def test_a_trainers_own_number_may_bear_any_name():
    assert (
        read_metric({"name": "acuracy", "direction": "maximize"}, reported=True).name == "acuracy"
    )
    assert tasks_of(read_metric({"name": "acuracy", "direction": "maximize"}, reported=True)) == (
        "classification",
        "regression",
        "step_regression",
        "tagging",
        "transduction",
    )
    assert tasks_of(Metric(name="x", direction="maximize", formula="accuracy - seconds")) == (
        "classification",
        "tagging",
    )
    assert tasks_of(Metric(name="x", direction="maximize", formula="accuracy - mse")) == ()


@given(st.floats(0.1, 10), st.floats(-5, 5), st.floats(0.1, 5))
def test_a_formula_is_what_python_makes_of_it(seconds, accuracy, mse):
    text = "-(accuracy - 0.5) * max(mse, 2) / sqrt(seconds) + min(1, exp(accuracy)) ** 2 + abs(log10(seconds)) + log2(8) + log(mse)"
    expected = (
        -(accuracy - 0.5) * max(mse, 2) / math.sqrt(seconds) + min(1, math.exp(accuracy)) ** 2 + abs(math.log10(seconds)) + 3 + math.log(mse)
    )  # fmt: skip
    assert set(names_of(text, allowed=KNOWN)) == {"accuracy", "mse", "seconds"}
    assert evaluate(text, {"accuracy": accuracy, "mse": mse, "seconds": seconds}) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(
    "text",
    [
        "1 / (accuracy - accuracy)",
        "log(0 * accuracy)",
        "(0 - accuracy) ** 0.5",
        "exp(1e9 * accuracy)",
        "max(0, (accuracy - 2) ** 0.5)",
    ],
)
def test_a_formula_without_a_value_is_nan(text):
    assert math.isnan(evaluate(text, {"accuracy": 0.5}))


@pytest.mark.parametrize("text", ["accuracy - max(0, mse)", "min(accuracy, mse)"])
def test_a_formula_without_one_of_its_parts_is_nan(text):
    metric = Metric(name="mine", direction="maximize", formula=text)
    assert math.isnan(metric.combine({"accuracy": 0.5}))
    assert math.isnan(metric.combine({"accuracy": 0.5, "mse": math.nan}))


def test_better_and_worst_follow_the_direction():
    assert ACCURACY.better(2, 1)
    assert MSE.better(1, 2)
    assert not ACCURACY.better(1, 1)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "log_loss", "brier", "f1"])
@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 2), (40, 3)])
def test_probabilities_outside_0_to_1_are_refused_and_those_inside_are_not(name, shape):
    dice = np.random.default_rng(0)
    targets = np.arange(40) % (shape[1] if len(shape) > 1 and shape[1] > 1 else 2)
    metric = Metric(name=name, direction="maximize")
    inside = np.clip(dice.random(shape), 0.0, 1.0)
    inside.reshape(40, -1)[:2, 0] = 0.0, 1.0
    for output in (inside, (inside + 1e-6).astype(np.float32)):
        assert name in scores(metric, targets=targets, kind="probabilities", output=output)
    for wrong in (-0.2, 1.7, -30.0):
        output = inside.copy()
        output[7] = wrong
        with pytest.raises(
            ValueError,
            match=rf"^probabilities .* 0 .* 1.* {wrong:g}",
        ):
            scores(metric, targets=targets, kind="probabilities", output=output)
    assert scores(metric, targets=targets, kind="predictions", output=inside * 9 - 4)


def test_the_preflight_knows_each_metric_that_is_1_at_best_where_a_trainer_reports_it():
    assert sorted(UP_TO_ONE) == sorted({*CLASSIFICATION, *REGRESSION} - {*ERRORS})
