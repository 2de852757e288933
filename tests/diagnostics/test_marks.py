"""A number that stands for a missing feature is told from numbers that are meant, and features are called by their names."""

import numpy as np
import pytest

from search.diagnostics.preflight.features import extreme_values
from search.diagnostics.preflight.marks import mark_among_values
from search.diagnostics.preflight.target_leakage import telltale_feature

ROWS = 600
COLUMNS = {
    "ages": lambda dice: dice.integers(18, 90, ROWS).astype(float),
    "amounts": lambda dice: dice.lognormal(3, 0.7, ROWS),
    "counts": lambda dice: dice.poisson(60, ROWS).astype(float),
    "readings": lambda dice: dice.normal(0, 1, ROWS),
}


@pytest.mark.parametrize(
    ("kind", "mark"),
    [("ages", -1), ("ages", 999), ("ages", -9), ("amounts", -999), ("amounts", -1e6), ("counts", -1), ("counts", 999), ("readings", -99), ("readings", 9999)],
)  # fmt: skip
def test_a_mark_for_a_missing_feature_is_told_with_its_value_and_rows(kind, mark):
    for seed in range(10):
        dice = np.random.default_rng(seed)
        missing = dice.random(ROWS) < 0.05
        column = np.where(missing, mark, COLUMNS[kind](dice))
        x = np.column_stack([dice.normal(0, 1, ROWS), column])
        assert mark_among_values(x) == (1, mark, missing.sum())


SOUND = {
    "mostly zero": lambda dice: np.where(dice.random(ROWS) < 0.4, 0.0, dice.gamma(3, 20, ROWS)),
    "capped": lambda dice: np.minimum(dice.lognormal(3, 0.7, ROWS), 40.0),
    "standardised zeros": lambda dice: _standardised(np.where(dice.random(ROWS) < 0.3, 0.0, dice.gamma(3, 20, ROWS))),
    "percent": lambda dice: np.minimum(dice.normal(90, 10, ROWS).round(), 99.0),
    "debts": lambda dice: dice.normal(50, 60, ROWS).round(),
    "changes": lambda dice: np.maximum(dice.normal(3, 2, ROWS).round(), -1.0),
    "long tail": lambda dice: dice.pareto(1.0, ROWS),
    "logarithms": lambda dice: np.log10(dice.poisson(20, ROWS) * (dice.random(ROWS) < 0.9) + 0.1),
    "codes": lambda dice: dice.choice([10, 20, 30, 990], ROWS).astype(float),
}  # fmt: skip


def _standardised(x):
    return (x - x.mean()) / x.std()


@pytest.mark.parametrize("kind", SOUND)
def test_numbers_that_are_meant_are_no_mark(kind):
    for seed in range(10):
        dice = np.random.default_rng(seed)
        assert mark_among_values(SOUND[kind](dice)[:, None]) is None


def test_a_mark_is_a_warning_by_the_features_name_and_says_how_a_table_reads_it():
    dice = np.random.default_rng(0)
    raw = np.column_stack([dice.normal(0, 1, ROWS), COLUMNS["ages"](dice)])
    raw[:40, 1] = -1
    check = extreme_values((raw - raw.mean(0)) / raw.std(0), raw=raw, names=("fee", "age"))
    assert check.outcome == "warn"
    assert "feature 1 (age) is -1 in 40 rows" in check.told
    assert "data.na_values" in check.remedy
    assert "feature 1 is -1" in extreme_values(raw, raw=raw).told  # of no names


@pytest.mark.slow
def test_features_that_give_the_label_away_are_called_by_their_names():
    dice = np.random.default_rng(0)
    y = dice.integers(0, 2, ROWS)
    x = np.column_stack([dice.normal(0, 1, (ROWS, 2)), y + dice.normal(0, 1e-3, ROWS)])
    check = telltale_feature(x, y, classification=True, names=("fee", "age", "churned"))
    assert "2 (churned)" in check.told
    parted = dice.gamma(3, 40, ROWS)
    x[:, 0] += 0.7 * y  # an honest feature
    x[:, 1] = parted
    x[:, 2] = parted + np.where(y == 1, -1, 1) * dice.uniform(0.5, 30, ROWS)
    check = telltale_feature(x, y, classification=True, names=("fee", "due", "paid"))
    assert check.outcome == "warn"
    assert "1 (due), 2 (paid) together, by their difference" in check.told
    x[:, 0] = dice.normal(0, 1, ROWS)  # nothing else tells the label: a task that somebody drew
    assert telltale_feature(x, y, classification=True).outcome == "pass"


def test_columns_that_add_up_to_the_target_are_told_though_each_follows_it_alone():
    dice = np.random.default_rng(0)
    wave = np.cumsum(dice.normal(0, 1, ROWS))  # any sum of neighbours follows it
    before = wave + dice.normal(0, 0.5 * wave.std(), ROWS)
    x = np.column_stack([dice.normal(0, 1, (ROWS, 2)), wave + before, before])
    names = ("heat", "rain", "total", "before")
    check = telltale_feature(x, wave, classification=False, targets=wave, names=names)
    assert "2 (total), 3 (before), each times a number, add up to the target" in check.told
    noisy = wave + dice.normal(0, 0.05, ROWS)
    assert telltale_feature(x[:, :3], noisy, classification=False, targets=noisy).outcome != "fail"
