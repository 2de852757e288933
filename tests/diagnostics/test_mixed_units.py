"""Some rows of a column in another unit are told from long tails and from groups of their own."""

import numpy as np
import pytest

from search.diagnostics.preflight import features
from search.diagnostics.preflight.mixed_units import mixed_units

UNITS = {
    "about 0": lambda dice: dice.normal(0, 1, 600),
    "about 5": lambda dice: dice.normal(5, 1, 600),
    "even": lambda dice: dice.uniform(1, 9, 600),
    "skewed": lambda dice: dice.gamma(3, 1, 600),
}
SOUND = {
    **UNITS,
    "log-normal": lambda dice: dice.lognormal(0, 2, 600),
    "Cauchy": lambda dice: dice.standard_cauchy(600),
    "Pareto": lambda dice: dice.pareto(1.0, 600),
    "two degrees of freedom": lambda dice: dice.standard_t(2, 600),
    "a noisier sensor": lambda dice: dice.normal(0, np.where(dice.random(600) < 0.1, 30.0, 1.0)),
    "counts": lambda dice: dice.poisson(3, 600),
    "mostly zero": lambda dice: np.where(dice.random(600) < 0.7, 0, dice.lognormal(3, 1, 600)),
}


@pytest.mark.parametrize("factor", [100, 1000])
@pytest.mark.parametrize("name", UNITS)
def test_rows_in_another_unit_are_told_with_its_factor(name, factor):
    right = 0
    for seed in range(20):
        dice = np.random.default_rng(seed)
        column = UNITS[name](dice)
        column = np.where(dice.random(600) < 0.08, factor * column, column)
        found = mixed_units(np.column_stack([dice.normal(size=600), column]))
        right += found is not None and found[:2] == (1, factor)
    assert right >= 15


@pytest.mark.parametrize("name", SOUND)
def test_long_tails_and_groups_are_no_other_unit(name):
    drawn = [SOUND[name](np.random.default_rng(seed)) for seed in range(60)]
    assert sum(mixed_units(column[:, None]) is not None for column in drawn) <= 2


def test_another_unit_is_a_warning_that_names_the_feature():
    dice = np.random.default_rng(0)
    x = dice.normal(3, 1, (400, 3))
    x[:30, 2] *= 1000
    told = features.extreme_values((x - x.mean(0)) / x.std(0), raw=x)
    assert (told.outcome, told.measured["factor"]) == ("warn", 1000)
    assert told.told.startswith("30 values of feature 2, over 1000, are spread as the others")
    whole = features.extreme_values(x[30:], raw=x[30:])
    assert whole.outcome == "pass"
