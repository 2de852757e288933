"""From validation to test: how much is lost, and what that may mean (R3, R22). Numbers in, words
out; never reopens the tuning.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from search.config.counted import count
from search.contract.metrics import Metric
from search.results.summary.formatting import two_digits

CHANCE = 0.05  # how often the answer may seem to lose more than the baseline by luck
ROWS = 2.0  # standard errors of the rows drawn that a gap may be without meaning anything
SHARES = ("accuracy", "balanced_accuracy")  # metrics whose error follows from the number of rows


def gap_lines(
    metric: Metric,
    *,
    validation: Mapping[str, Sequence[float]],
    test: Mapping[str, Sequence[float]],
    rows: tuple[int, int],
) -> list[str]:
    """The gap of each, and its reading.

    Args:
        validation: scores of the same trainings, by whose they are: the answer's first.
        test: likewise, training by training.
        rows: of validation and of test.
    """
    # Per cents are the trainer's, or those of what it predicts by; ours are shares.
    validation, test = _shares(metric, validation), _shares(metric, test)
    losses = {
        who: metric.sign * (np.asarray(validation[who]) - np.asarray(test[who]))
        for who in test
        if len(validation.get(who, ())) == len(test[who])
    }
    if not losses:
        return []
    parts = [_part(who, validation[who], loss, metric) for who, loss in losses.items()]
    return [f"validation to test: {'; '.join(parts)}", *_reading(metric, losses, test, rows)]


def _shares(metric: Metric, scores: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    unit = metric.unit(value for values in scores.values() for value in values)
    return {who: [value / unit for value in values] for who, values in scores.items()}


def _part(who: str, validation: Sequence[float], loss: "np.ndarray", metric: Metric) -> str:
    mean, lost = float(np.mean(validation)), float(loss.mean())
    word = "worse" if lost > 0 else "better"
    return f"{who} {mean:.4g} to {mean - metric.sign * lost:.4g}, {two_digits(abs(lost))} {word}"


def _reading(
    metric: Metric,
    losses: "Mapping[str, np.ndarray]",
    test: Mapping[str, Sequence[float]],
    rows: tuple[int, int],
) -> list[str]:
    """What a gap may mean: tuning fitted validation, test rows differ, or nothing."""
    answer, *others = losses.values()
    if others and min(len(answer), len(others[0])) > 1 and answer.mean() > others[0].mean():
        from scipy.stats import ttest_ind  # takes a second

        spread = answer.std() + others[0].std()
        p = ttest_ind(answer, others[0], equal_var=False).pvalue / 2 if spread > 0 else 0.0
        if p < CHANCE:
            ours, theirs = (float(np.mean(test[who])) for who in list(losses)[:2])
            gained = metric.sign * (ours - theirs)
            claimed = gained + float(answer.mean() - others[0].mean())
            return [
                f"the answer gains {two_digits(gained)} over the baseline on the test rows and "
                f"{two_digits(claimed)} on validation, beyond the chance of seeds: part of the "
                "gain holds for the validation rows only, unless these are the kinder ones by "
                "chance (R22); choose nothing by these scores"
            ]
    if metric.name not in SHARES:
        return []
    (first, *_), score = losses.values(), float(np.mean(next(iter(test.values()))))
    error = math.sqrt(score * (1 - score) * sum(1 / number for number in rows))
    if abs(float(first.mean())) <= ROWS * error:
        drawn = f"{count(rows[0], 'row')} and {count(rows[1], 'row')}"
        return [f"a gap below {ROWS * error:.2g} is what drawing {drawn} makes by itself"]
    return [
        "more than drawing the rows makes by itself: test rows may be harder, or from another "
        "distribution (R3: the preflight's same_distribution); choose nothing by these scores"
    ]
