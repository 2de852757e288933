"""From validation to test: what a gap is said to mean."""

import numpy as np

from search.contract.metrics import Metric
from search.results.summary.gap import gap_lines

ACCURACY = Metric(name="accuracy", direction="maximize")
ROWS = (800, 1000)


def _lines(answer_loss, baseline_loss, *, metric=ACCURACY, rows=ROWS, whole=1, tested=1):
    dice = np.random.default_rng(0)
    validation = {
        "the answer": list(0.9 + dice.normal(0, 0.003, 5)),
        "the baseline": list(0.8 + dice.normal(0, 0.003, 5)),
    }
    test = {
        who: [score - metric.sign * loss for score in validation[who]]
        for who, loss in zip(validation, (answer_loss, baseline_loss), strict=True)
    }
    noisy = {who: [tested * (score + dice.normal(0, 1e-4)) for score in test[who]] for who in test}
    validation = {who: [whole * score for score in validation[who]] for who in validation}
    return gap_lines(metric, validation=validation, test=noisy, rows=rows)


def test_an_answer_that_loses_more_than_the_baseline_has_fitted_the_validation_rows():
    figures, reading = _lines(0.05, 0.0)
    assert figures.startswith("validation to test: the answer 0.9")
    assert "0.05 worse" in figures
    assert reading.startswith("the answer gains 0.05 over the baseline on the test rows and 0.1 on")
    assert "R22" in reading
    for tested in (1, 100):  # a trainer that tells per cents, and its function too
        assert _lines(0.05, 0.0, whole=100, tested=tested) == [figures, reading]


def test_a_small_gap_is_what_drawing_the_rows_makes():
    _, reading = _lines(0.005, 0.005)
    assert reading.startswith("a gap below 0.0")
    assert "800 rows and 1000 rows" in reading


def test_a_large_gap_of_both_points_at_the_rows():
    _, reading = _lines(0.1, 0.1)
    assert "R3" in reading
    assert "another distribution" in reading


def test_of_a_loss_the_figures_are_told_in_its_own_direction():
    lines = _lines(0.05, 0.05, metric=Metric(name="log_loss", direction="minimize"))
    assert len(lines) == 1
    assert "0.05 worse" in lines[0]
