"""Best epoch, patience, divergence."""

import math

import pytest
from drawn import plan_of
from hypothesis import given
from hypothesis import strategies as st

from search.contract.metrics import Metric
from search.execution.early_stopping import EarlyStopping
from search.execution.running_trial import fresh_early_stopping

UP, DOWN = Metric(name="accuracy", direction="maximize"), Metric(name="mse", direction="minimize")


def _feed(early_stopping, values, losses=None):
    losses = losses or [1.0] * len(values)
    return [
        early_stopping.see(epoch, value=value, losses=(loss, None))
        for epoch, (value, loss) in enumerate(zip(values, losses, strict=True))
    ]


def test_patience_counts_epochs_without_a_better_value_and_the_first_of_equals_is_best():
    early_stopping = EarlyStopping(metric=UP, patience=3)
    assert _feed(early_stopping, [0.1, 0.5, 0.6, 0.6, 0.6, 0.6]) == [
        "go",
        "go",
        "go",
        "go",
        "go",
        "stop",
    ]
    assert (early_stopping.best_epoch, early_stopping.value) == (2, 0.6)
    assert early_stopping.reason == "stopped early: no better accuracy for 3 epochs"


def test_the_untrained_model_is_never_the_best():
    early_stopping = EarlyStopping(metric=UP, patience=None)
    _feed(early_stopping, [0.9, 0.2])
    assert (early_stopping.best_epoch, early_stopping.value) == (1, 0.2)


def test_smaller_is_better_where_the_metric_says_so():
    early_stopping = EarlyStopping(metric=DOWN, patience=1)
    assert _feed(early_stopping, [9.0, 3.0, 2.0, 2.5]) == ["go", "go", "go", "stop"]
    assert early_stopping.value == 2.0


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_has_diverged(loss):
    early_stopping = EarlyStopping(metric=UP, patience=None)
    assert _feed(early_stopping, [0.1, 0.2], [1.0, loss])[-1] == "diverged"
    assert early_stopping.reason == "diverged: a loss is not finite at epoch 1"


def test_ten_times_the_untrained_loss_has_diverged_and_less_has_not():
    assert _feed(EarlyStopping(metric=UP, patience=None), [0.1, 0.2], [2.0, 20.0])[-1] == "go"
    early_stopping = EarlyStopping(metric=UP, patience=None)
    assert _feed(early_stopping, [0.1, 0.2], [2.0, 20.1])[-1] == "diverged"
    assert early_stopping.reason == "diverged: loss 20.1 at epoch 1 is above 10 × 2 before training"


def test_a_metric_that_is_not_finite_has_diverged():
    early_stopping = EarlyStopping(metric=UP, patience=None)
    assert early_stopping.see(1, value=math.nan, losses=(None, None)) == "diverged"
    assert early_stopping.reason == "diverged: accuracy is not finite at epoch 1"


@pytest.mark.parametrize("metric", [UP, DOWN])
@pytest.mark.parametrize("value", [1e308, -1e308, 2e150])
def test_a_metric_whose_variance_no_number_holds_has_diverged(metric, value):
    early_stopping = EarlyStopping(metric=metric, patience=None)
    assert _feed(early_stopping, [0.1, value])[-1] == "diverged"
    assert early_stopping.reason == f"diverged: {metric.name} is {value:.3g} at epoch 1"
    assert _feed(EarlyStopping(metric=metric, patience=None), [0.1, -1e150, 5e-324])[-1] == "go"


def test_a_measurement_stops_after_its_last_epoch():
    early_stopping = EarlyStopping(metric=UP, patience=None, last_epoch=1)
    assert _feed(early_stopping, [0.1, 0.2]) == ["go", "stop"]


def test_the_last_epoch_can_count_and_patience_still_waits_for_a_better_metric():
    early_stopping = EarlyStopping(metric=UP, patience=2, score_last=True)
    assert _feed(early_stopping, [0.1, 0.5, 0.9, 0.7, 0.6]) == ["go"] * 4 + ["stop"]
    assert (early_stopping.best_epoch, early_stopping.value) == (4, 0.6)
    assert early_stopping.reason == "stopped early: no better accuracy for 2 epochs"


@pytest.mark.parametrize(("first", "later"), [(-3.0, -2.0), (0.0, 5.0), (-1.0, 40.0)])
def test_a_loss_that_may_be_negative_has_no_scale_by_which_it_diverges(first, later):
    early_stopping = EarlyStopping(metric=UP, patience=None)
    assert _feed(early_stopping, [0.1, 0.2], losses=[first, later]) == ["go", "go"]


def test_patience_can_wait_for_a_lower_validation_loss_while_the_best_epoch_stays_the_metrics():
    plan = plan_of("lr_sweep", "trainer.patience=2", "trainer.stop_on=val_loss")
    early_stopping = fresh_early_stopping(UP, plan.limits)
    epochs = [(0.1, 2.0), (0.5, 1.0), (0.6, 0.9), (0.7, 1.0), (0.8, 1.1)]
    told = [
        early_stopping.see(epoch, value=value, losses=(0.5, loss))
        for epoch, (value, loss) in enumerate(epochs)
    ]
    assert told == ["go", "go", "go", "go", "stop"]
    assert early_stopping.reason == "stopped early: no lower val_loss for 2 epochs"
    assert early_stopping.best_epoch == 4


def _feed_validation(early_stopping, values, losses):
    return [
        early_stopping.see(epoch, value=value, losses=(None, loss))
        for epoch, (value, loss) in enumerate(zip(values, losses, strict=True), 1)
    ]


FALLING = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
LATE = [0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.5]  # as an intersection over union that learns


@pytest.mark.parametrize(
    ("values", "losses", "ended"),
    [
        (LATE, FALLING, None),
        ([0.004, *LATE[1:]], FALLING, None),  # an untrained net hits a pixel or two
        ([0.625] * 5 + [0.7, 0.8], FALLING, None),  # the commonest class
        (LATE, [1.0] * 7, 3),  # nothing is learned
        (LATE, [None] * 7, 3),
        ([0.0] * 7, [1.0, 0.9, 0.8, 0.9, 0.9, 0.9, 0.9], 5),
        ([0.3, *LATE[1:]], FALLING, 3),  # what had learned has collapsed
        ([0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6], FALLING, 4),
        ([1.0] * 7, FALLING, 3),  # nothing is left to learn
    ],
)
def test_patience_waits_for_the_loss_only_while_the_metric_has_never_moved(values, losses, ended):
    early_stopping = EarlyStopping(metric=UP, patience=2)
    told = _feed_validation(early_stopping, values[:ended], losses[:ended])
    assert [each == "stop" for each in told] == [False] * (len(told) - 1) + [ended is not None]
    assert early_stopping.best_epoch == values.index(max(values[:ended])) + 1


SLOW = [1.964, 1.962, 1.958, 1.957, 1.955, 1.953, 1.95]  # a graph network's first epochs


@pytest.mark.parametrize(
    ("losses", "ended"),
    [
        (SLOW, None),
        ([-each for each in reversed(SLOW)], None),  # a negative log-likelihood of densities
        ([loss - 1.7 for loss in SLOW], None),
        ([2.5, *SLOW[1:]], 4),  # it has fallen by a fifth: what comes now is the end
        ([1.964, 1.95, *[1.96] * 5], 4),
        ([None] * 7, 4),
    ],
)
def test_a_lucky_first_epoch_ends_no_training_whose_loss_has_hardly_begun_to_fall(losses, ended):
    early_stopping = EarlyStopping(metric=UP, patience=2)
    told = _feed_validation(early_stopping, [0.157, 0.22, 0.18, 0.15, 0.15, 0.15, 0.15], losses)
    assert (told.index("stop") + 1 if "stop" in told else None) == ended


@pytest.mark.parametrize(
    ("train", "ended"),
    [
        (SLOW, None),  # validation has not followed yet
        ([1.964, 1.7, 1.5, 1.3, 1.2, 1.1, 1.0], 4),  # it overfits
        ([1.964] * 7, 4),
    ],
)
def test_while_both_losses_have_hardly_fallen_a_lower_train_loss_goes_on_too(train, ended):
    early_stopping = EarlyStopping(metric=UP, patience=2)
    values, rising = [0.157, 0.16, 0.15, 0.15, 0.14, 0.14, 0.14], [1.94, 1.938, *[1.95] * 5]
    told = [
        early_stopping.see(epoch, value=value, losses=losses)
        for epoch, (value, *losses) in enumerate(zip(values, train, rising, strict=True), 1)
    ]
    assert (told.index("stop") + 1 if "stop" in told else None) == ended


def test_a_trainer_without_a_validation_loss_is_stopped_by_the_metric_and_told_so():
    early_stopping = EarlyStopping(metric=UP, patience=2, on_loss=True)
    assert _feed(early_stopping, [0.1, 0.5, 0.5, 0.5])[-1] == "stop"
    assert early_stopping.reason == "stopped early: no better accuracy for 2 epochs"


@given(
    values=st.lists(st.tuples(st.floats(0, 1), st.none() | st.floats(0, 2)), min_size=1),
    patience=st.none() | st.integers(1, 5),
    last_epoch=st.none() | st.integers(1, 20),
    on_loss=st.booleans(),
)
def test_nothing_but_divergence_stops_a_trial_before_its_next_decision(
    values, patience, last_epoch, on_loss
):
    stopping = EarlyStopping(metric=UP, patience=patience, last_epoch=last_epoch, on_loss=on_loss)
    for epoch, (value, loss) in enumerate(values):
        decisive = stopping.next_decision
        if stopping.see(epoch, value=value, losses=(1.0, loss)) == "stop":
            assert decisive is not None
            assert epoch >= decisive
            return
