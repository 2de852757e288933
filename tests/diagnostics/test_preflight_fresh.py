"""Losses that are negated as a sum, softmaxes over steps, several classes in one softmax, counts that a column tells: each beside its sound twin."""

import numpy as np
import pytest
import torch
from test_preflight import CALM
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from search.diagnostics.preflight.first_loss import first_loss
from search.diagnostics.preflight.output import output_layer
from search.diagnostics.preflight.target_leakage import telltale_feature
from trainers.probes.watch import Watch

STEPS = 7


def _call(loss_of):
    """What is seen of a loss of outputs [n, steps, 4]."""
    torch.manual_seed(0)
    out = torch.randn(16, STEPS, 4, requires_grad=True)
    with Watch() as watch:
        loss_of(out * 1)
    return {**CALM, "loss": vars(watch.seen.loss)}


@pytest.mark.parametrize(
    ("loss_of", "told"),
    [
        (lambda out, y: F.cross_entropy(out.softmax(1).transpose(1, 2), y), "over another axis"),
        (lambda out, y: F.cross_entropy(out.softmax(2).transpose(1, 2), y), "applied twice"),
        (lambda out, y: F.cross_entropy(out.transpose(1, 2), y), ""),
        (lambda out, y: F.cross_entropy(out.softmax(1).transpose(1, 2) * 9, y), ""),
    ],
)
def test_a_softmax_over_any_axis_before_cross_entropy_is_told(loss_of, told):
    y = torch.randint(0, 4, (16, STEPS))
    check = output_layer(_call(lambda out: loss_of(out, y)), classification=True, classes=0)
    assert check.outcome == ("fail" if told else "pass")
    assert told in check.told


@pytest.mark.parametrize(
    ("labels", "outcome"),
    [
        ([1.0, 1, 0, 1], "fail"),
        ([0.0, 1, 0, 0], "pass"),
        ([0.5, 0.5, 0, 0], "pass"),
        ([0.0] * 4, "pass"),
    ],
)
def test_several_whole_classes_of_a_row_in_one_softmax_are_told_and_shares_of_it_are_not(
    labels, outcome
):
    targets = torch.tensor([[0.0, 0, 0, 1]] * 8 + [labels] * 8)
    seen = _call(lambda out: F.cross_entropy(out[:, 0], targets))
    check = output_layer(seen, classification=True, classes=4)
    assert check.outcome == outcome
    assert ("50% of the rows" in check.told) == (outcome == "fail")


@pytest.mark.parametrize(
    ("sign", "train", "val", "outcome"),
    [
        (-1, [-1.5, -3.0], [1.6, 3.1], "fail"),
        (-1, [-1.5, -3.0], [1.6, 0.9], "pass"),  # a reward beside, and validation gets better
        (-1, [1.5, 1.0], [1.6, 1.7], "pass"),
        (1, [1.5, 1.0], [1.6, 3.1], "pass"),
    ],
)
def test_a_sum_of_losses_that_is_negated_is_told_by_both_its_losses(sign, train, val, outcome):
    seen = _call(lambda out: F.binary_cross_entropy_with_logits(out, (out > 0).float()))
    loss = sign * 2.1 * seen["loss"]["value"]  # such as a Dice loss beside it
    check = first_loss(
        {**seen, "losses": [loss], "train_loss": train, "val_loss": val}, entropy=None, classes=0
    )
    assert check.outcome == outcome
    assert ("val_loss rises from 1.6" in check.told) == (outcome == "fail")


@pytest.mark.parametrize("noise", [0.01, 1.0])
def test_a_column_that_orders_counts_as_they_are_is_told_though_many_are_equal(noise):
    dice = np.random.default_rng(0)
    x = dice.normal(0, 1, (800, 4))
    y = dice.poisson(np.exp(0.4 * x[:, 0] + 0.5))
    column = np.sqrt(y + 0.375) + dice.normal(0, noise, 800)
    check = telltale_feature(np.column_stack([x, column]), y.astype(float), classification=False)
    assert check.outcome == ("warn" if noise < 0.1 else "pass")


def test_a_cause_of_targets_of_which_most_are_zero_is_no_leak():
    dice = np.random.default_rng(0)
    x = dice.normal(0, 1, (800, 4))
    y = np.maximum(0, np.round(2.5 * x[:, 0] - 4 + dice.normal(0, 0.1, 800)))
    assert (y == 0).mean() > 0.8
    assert telltale_feature(x, y, classification=False).outcome == "pass"
