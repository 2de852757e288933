"""Labels that hide in means, ratios, combinations, words and lengths are told, and their honest twins are left alone."""

import numpy as np
import pytest

from search.diagnostics.preflight.labels import targets
from search.diagnostics.preflight.leaking_pairs import by_ratio
from search.diagnostics.preflight.near_rows import repeated
from search.diagnostics.preflight.target_encoding import means_of_classes, means_of_numbers
from search.diagnostics.preflight.target_leakage import TELLTALE, telltale_feature, telltale_word

ROWS = 600


def _groups(y, size, dice):
    group = dice.integers(0, len(y) // size, len(y))
    return group, np.bincount(group, y), np.maximum(np.bincount(group), 1)


def _encoded(y, size, dice, *, own):
    """The mean label of a row's group: of all rows, or of the others."""
    group, sums, counts = _groups(y, size, dice)
    if own:
        return (sums / counts)[group]
    return (sums[group] - y) / np.maximum(counts[group] - 1, 1)


def _part(dice):
    return dice.permutation(ROWS)[: ROWS * 6 // 10]


@pytest.mark.parametrize("numbers", [True, False])
def test_means_of_the_label_are_told_where_the_row_itself_is_among_them(numbers):
    told = {True: 0, False: 0}
    for seed in range(10):
        dice = np.random.default_rng(seed)
        y = dice.normal(0, 1, ROWS).astype(np.float32) if numbers else dice.integers(0, 2, ROWS)
        for own in (True, False):
            column = _encoded(y, 3, dice, own=own).astype(np.float32)
            rows = _part(dice)
            raw = np.column_stack([dice.normal(0, 1, ROWS), column])[rows]
            found = means_of_numbers(raw, y[rows]) if numbers else means_of_classes(raw, y[rows])
            told[own] += found is not None and found[0] == 1
    assert told[True] >= 9
    assert told[False] == 0


def test_shares_of_a_years_own_visits_that_foretell_the_label_are_no_means_of_it():
    for seed in range(20):
        dice = np.random.default_rng(seed)
        trait = dice.normal(0, 2, ROWS)
        chance = 1 / (1 + np.exp(-trait))
        visits = dice.integers(1, 6, ROWS)
        share = dice.binomial(visits, chance) / visits
        y = (dice.random(ROWS) < chance).astype(int)
        assert means_of_classes(share[:, None].astype(np.float32), y) is None


def test_a_column_of_own_means_is_a_telltale_with_its_remedy():
    dice = np.random.default_rng(1)
    y = dice.normal(0, 1, (ROWS, 1)).astype(np.float32)
    x = np.column_stack([dice.normal(0, 1, (ROWS, 2)), _encoded(y[:, 0], 3, dice, own=True)])
    check = telltale_feature(x, y / 3, raw=x, targets=y, classification=False)
    assert check.outcome == "warn"
    assert "feature 2 is the mean target of just the rows that share its value" in check.told
    assert "of other rows alone" in check.remedy


def _quantities(dice, rows=ROWS):
    return np.exp(0.4 * dice.normal(0, 1, (rows, 5)))


@pytest.mark.parametrize(("name", "sign"), [("ratio", -1.0), ("product", 1.0)])
def test_a_number_or_a_class_that_two_columns_make_is_told(name, sign):
    dice = np.random.default_rng(2)
    x = _quantities(dice)
    made = x[:, 1] * x[:, 3] ** sign
    number = telltale_feature(x, made, raw=x, targets=made, classification=False)
    assert (number.outcome, f"by their {name}" in number.told) == ("warn", True)
    label = (made > np.quantile(made, 0.4)).astype(int)
    known = telltale_feature(x, label, raw=x, classification=True)
    assert (known.outcome, f"1, 3 together, by their {name}" in known.told) == ("warn", True)
    noisy = made * np.exp(0.1 * dice.normal(0, 1, ROWS))
    unsure = (noisy > np.quantile(noisy, 0.4)).astype(int)
    assert telltale_feature(x, noisy, raw=x, targets=noisy, classification=False).outcome == "pass"
    assert telltale_feature(x, unsure, raw=x, classification=True).outcome == "pass"


@pytest.mark.slow
def test_classes_that_lie_apart_are_no_ratio_of_two_columns():
    for seed in range(40):
        dice = np.random.default_rng(seed)
        y = dice.integers(0, 2, 200)
        means = dice.normal(0, 1, (2, 12)) * (1 + seed % 4)
        x = np.exp(0.2 * (means[y] + dice.normal(0, 1, (200, 12))))
        told = telltale_feature(x, y, raw=x, classification=True).told
        assert not any(kind in told for kind in ("ratio", "product", "combination"))
    for seed in range(40):
        dice = np.random.default_rng(seed)
        x, y = _quantities(dice, 300), dice.integers(0, 2, 300)
        assert by_ratio(x, y, classification=True, telling=TELLTALE)[1] == ""


def test_two_columns_that_name_the_label_together_are_told_where_other_columns_know_it_too():
    dice = np.random.default_rng(4)
    y = dice.integers(0, 2, ROWS)
    one = dice.integers(0, 2, ROWS)
    honest = y + dice.normal(0, 0.6, ROWS)
    leaks = np.column_stack([dice.normal(0, 1, ROWS), honest, one, one ^ y])
    check = telltale_feature(leaks, y, classification=True)
    assert (check.outcome, "2, 3 together, by their combination" in check.told) == ("warn", True)
    puzzle = np.column_stack([dice.normal(0, 1, (ROWS, 2)), one, one ^ y])
    assert telltale_feature(puzzle, y, classification=True).outcome == "pass"
    answers = dice.integers(0, 5, (ROWS, 8)).astype(float)
    assert telltale_feature(np.column_stack([honest, answers]), y, classification=True).outcome == "pass"  # fmt: skip


@pytest.mark.slow
def test_the_answer_of_another_model_is_told_by_its_outputs_and_a_persons_answer_is_not():
    for seed in range(10):
        dice = np.random.default_rng(seed)
        votes = dice.dirichlet((1.0, 1.0, 1.0), ROWS)
        x = np.column_stack([dice.normal(0, 1, (ROWS, 3)), votes])
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        told = telltale_feature(z, votes.argmax(axis=1), raw=x, classification=True)
        assert (told.outcome, "a column per class" in told.told) == ("warn", True)
        person = np.array([dice.choice(3, p=vote) for vote in votes])
        assert telltale_feature(z, person, raw=x, classification=True).outcome == "pass"


@pytest.mark.parametrize("classes", [2, 4])
def test_a_word_that_stands_in_all_texts_of_a_class_alone_is_told(classes):
    dice = np.random.default_rng(5)
    y, lengths = dice.integers(0, classes, ROWS), dice.integers(3, 10, ROWS)
    x = dice.integers(1, 50, (ROWS, 10))
    tone = np.where(dice.random(x.shape) < 0.5, 50 + 5 * y[:, None] + dice.integers(0, 5, x.shape), x)  # fmt: skip
    tone[np.arange(10) >= lengths[:, None]] = 0
    assert telltale_word(tone, y, lengths=lengths) is None
    signed = tone.copy()
    signed[np.arange(ROWS), (dice.random(ROWS) * lengths).astype(int)] = 90 + y
    check = telltale_word(signed, y, lengths=lengths)
    assert check is not None
    assert "in no others" in check.told
    assert f"token {90 if classes == 4 else 9}" in check.told
    in_padding = tone.copy()
    in_padding[lengths < 10, 9] = 90 + y[lengths < 10]  # where no model that heeds lengths looks
    assert telltale_word(in_padding, y, lengths=lengths) is None


def test_lengths_that_tell_the_class_are_told_and_lengths_that_lean_are_not():
    dice = np.random.default_rng(6)
    y = dice.integers(0, 2, ROWS)
    x = dice.integers(1, 50, (ROWS, 20))
    check = telltale_word(x, y, lengths=np.where(y == 1, 12, 4) + dice.integers(0, 8, ROWS))
    assert check is not None
    assert "the lengths of the sequences tell 100.0%" in check.told
    assert telltale_word(x, y, lengths=4 + 3 * y + dice.integers(0, 8, ROWS)) is None


def test_a_brighter_copy_of_a_row_is_told_and_rows_of_one_direction_are_not():
    dice = np.random.default_rng(7)
    x = dice.uniform(0, 1, (400, 12))
    like = np.random.default_rng(8).permuted(x[:240], axis=0)
    sets = {"train": x[:240], "val": np.concatenate([x[240:], 1.3 * x[:30]])}
    assert "times a factor" in repeated(sets, like=like)
    assert repeated({"train": x[:240], "val": x[240:]}, like=like) == ""
    kinds = dice.uniform(0, 1, (5, 12))[dice.integers(0, 5, 400)]
    alike = dice.uniform(0.5, 2, (400, 1)) * (kinds + 0.1 * dice.normal(0, 1, (400, 12)))
    like = np.random.default_rng(9).permuted(alike[:240], axis=0)
    assert repeated({"train": alike[:240], "val": alike[240:]}, like=like) == ""


def test_a_mark_among_the_targets_is_told_and_zeros_and_far_values_are_not():
    dice = np.random.default_rng(10)
    y = 14 + 5 * dice.normal(0, 1, (300, 1))
    marked = np.where(dice.random((300, 1)) < 0.03, -999.0, y)
    check = targets(marked / marked.std(), raw=marked)
    assert (check.outcome, "targets are -999," in check.told) == ("warn", True)
    none = np.where(dice.random((300, 1)) < 0.03, 0.0, 1000 + y)
    assert targets((none - none.mean()) / none.std(), raw=none).outcome in ("pass", "note")
    heavy = dice.standard_cauchy((300, 1))
    assert targets(heavy / heavy.std(), raw=heavy).outcome in ("pass", "note")
