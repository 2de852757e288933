"""What more rows would bring: a planted curve is foretold, and where rows do not matter it says so."""

import numpy as np
import pytest

from search.contract.metrics import Metric
from search.diagnostics.verdicts.across_trials import Trained
from search.diagnostics.verdicts.more_rows import foretell, more_rows

SHARES = np.repeat([0.1, 0.25, 0.5, 0.75, 1.0], 3)
ACCURACY = Metric(name="accuracy", direction="maximize")
SQUARED = Metric(name="mse", direction="minimize")


def _errors(dice, *, power):
    """Errors of 15 trainings: 0.04 at all rows, times a log-normal noise of 5 %."""
    return 0.04 * SHARES**power * np.exp(0.05 * dice.normal(size=len(SHARES)))


def _trials(scores):
    common = {"level": None, "best_epoch": None, "epochs": 10, "verdict": ""}
    return [
        Trained(value=share, score=score, **common)
        for share, score in zip(SHARES, scores, strict=False)
    ]


def test_the_interval_holds_the_planted_error_of_twice_the_rows_as_often_as_it_says():
    dice = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        twice = foretell(SHARES, _errors(dice, power=-0.7), share=2.0)
        held += twice.low <= 0.04 * 2.0**-0.7 <= twice.high
    assert 0.93 <= held / 1000 <= 0.97


def test_rows_that_change_nothing_are_called_help_as_seldom_as_chance_and_a_planted_help_always():
    dice = np.random.default_rng(1)
    falls = {
        power: np.mean(
            [foretell(SHARES, _errors(dice, power=power), share=2.0).is_falling for _ in range(500)]
        )
        for power in (0.0, -0.1)
    }
    assert falls[0.0] <= 0.05
    assert falls[-0.1] > 0.95


def test_what_twice_the_rows_bring_is_said_in_the_metric_s_own_units():
    errors = _errors(np.random.default_rng(2), power=-0.7)
    said = more_rows(_trials(1 - errors), metric=ACCURACY)
    assert said.rule == "R55"
    assert said.says == (
        "twice as many rows would bring accuracy to about 0.9753 (95 % interval 0.9737 to "
        "0.9768), if its error goes on falling as rows to the power of -0.70, as it does up to 100 % of them"
    )
    assert (
        "bring mse to about 0.0247 (95 % interval 0.02317 to"
        in more_rows(_trials(-errors), metric=SQUARED).says
    )
    flat = more_rows(_trials(-_errors(np.random.default_rng(3), power=0.0)), metric=SQUARED)
    assert flat.says == (
        "between 10 and 100 % of the rows, mse does not get better beyond chance: no sign that "
        "more rows would help"
    )


@pytest.mark.parametrize("score", [1.0, np.inf, np.nan])
def test_nothing_is_foretold_of_a_perfect_score_or_none(score):
    scores = 1 - _errors(np.random.default_rng(4), power=-0.7)
    scores[-1] = score
    assert more_rows(_trials(scores), metric=ACCURACY) is None
    few = [trial for trial in _trials(scores[:-1]) if trial.value < 0.3] if score == 1.0 else []
    assert more_rows(few, metric=ACCURACY) is None
