"""A number that stands for a missing target is told from targets that really are 0."""

import numpy as np
import pytest

from search.diagnostics.preflight import labels
from search.diagnostics.preflight.target_marks import unread_mark


def rows(seed, kind, *, count=400):
    """Inputs [n, 5], and targets [n] that they tell: around 0, far from it, or skewed."""
    dice = np.random.default_rng(seed)
    x = dice.normal(0, 1, (count, 5))
    line = x @ [1.0, -2.0, 0.5, 0.0, 1.5] + dice.normal(0, 0.5, count)
    y = {"around 0": line, "far": 40 + 3 * line, "skewed": np.exp(0.5 * line)}[kind]
    return dice, x, y, line


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["around 0", "far", "skewed"])
def test_a_mark_in_place_of_targets_is_told_by_inputs_that_say_nothing_of_it(kind):
    mark = -1.0 if kind == "skewed" else 0.0
    found = 0
    for seed in range(3):
        dice, x, y, _ = rows(seed, kind)
        missing = dice.random(len(y)) < 0.12
        told = unread_mark(x, np.where(missing, mark, y))
        found += told is not None and told[:2] == (mark, missing.sum())
    assert found >= 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tells when", "follows the amount", "capped", "rounded", "nothing to read"])  # fmt: skip
def test_numbers_that_recur_for_a_reason_are_no_mark(kind):
    alarms = 0
    for seed in range(5):
        dice, x, y, line = rows(seed, "skewed")
        if kind == "tells when":  # who buys at all is told by other inputs than how much
            y = np.where(dice.random(len(y)) < 1 / (1 + np.exp(1 - 2 * x[:, 3])), 0.0, y)
        elif kind == "follows the amount":
            y = np.where(dice.random(len(y)) < 1 / (1 + np.exp(2 + line)), 0.0, y)
        elif kind == "capped":
            y = np.minimum(y, np.quantile(y, 0.85))
        elif kind == "rounded":
            y = np.round(y, 1)
        else:
            y = np.where(dice.random(len(y)) < 0.2, -1.0, dice.permutation(y))
        alarms += unread_mark(x, y) is not None
    assert alarms == 0


@pytest.mark.slow
def test_a_mark_among_targets_is_a_warning_that_names_it():
    dice, x, y, _ = rows(1, "far")
    y = np.where(dice.random(len(y)) < 0.15, 0.0, y)[:, None]
    scaled = (y - y.mean()) / y.std()
    told = labels.targets(scaled, raw=y, x=x)
    assert (told.outcome, told.measured["value"]) == ("warn", 0.0)
    often = int((y == 0).sum())
    assert f"{often} of 400 targets are 0, hardly any other number recurs" in told.told
    assert labels.targets(scaled, raw=y).outcome == "pass"
