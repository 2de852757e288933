"""A number that stands for a missing target is told from numbers that recur for a reason."""

import numpy as np
import pytest

from search.diagnostics.preflight import labels

MARKS = {
    "-999": lambda y, some: np.where(some, -999.0, y),
    "-1 of what is never negative": lambda y, some: np.where(some, -1.0, y),
    "0": lambda y, some: np.where(some, 0.0, y),  # may be meant
    "capped": lambda y, some: np.minimum(y, np.quantile(y, 0.85)),
    "rounded": lambda y, some: np.round(y, 1) - 1,
    "one loss": lambda y, some: np.where(np.arange(len(y)) == 7, -1.0, y),
}


@pytest.mark.parametrize("kind", MARKS)
def test_a_mark_among_targets_is_a_warning_that_names_it(kind):
    dice = np.random.default_rng(0)
    for seed in range(20):
        some = dice.random(400) < 0.12
        y = MARKS[kind](dice.lognormal(0, 0.8 + 0.01 * seed, 400), some)[:, None]
        told = labels.targets((y - y.mean()) / y.std(), raw=y)
        marked = f"{some.sum()} targets are {kind.partition(' ')[0]}, apart from all others"
        assert (marked in told.told, told.outcome == "warn") == (kind.startswith("-"),) * 2
