"""Verdicts: planted faults are named, sound trainings are left alone, and what does not matter does not change them."""

import math
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from planted_curves import FILE

from search.diagnostics.logs.doubts import without_other_scale
from search.diagnostics.verdicts.across_trials import Trained, across
from search.diagnostics.verdicts.advice import ADVICE, ALARMS, DROPOUT
from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.from_columns import curves_of
from search.diagnostics.verdicts.rules import RULES, SIDES, judge, unscaled
from search.diagnostics.verdicts.rules_generalisation import too_short
from search.diagnostics.verdicts.shape import Shape
from search.diagnostics.verdicts.trend import noise, trend
from search.results.summary.verdicts import advice

BAD_ON_TRAIN = (
    "nan",
    "exploding",
    "vanishing",
    "dead",
    "dead_units",
    "stuck",
    "lr_too_high",
    "lr_too_low",
    "too_short",
)


@cache
def planted():
    """(label, curves, whether it was put aside) by name."""
    found = {}
    for name, frame in pd.read_parquet(FILE).groupby("name", sort=False):
        columns = {column: frame[column].to_numpy() for column in frame}
        classes, constant = int(frame.classes.iloc[0]), float(frame.constant.iloc[0])
        found[name] = (
            frame.label.iloc[0],
            curves_of(columns, metric="metric", sign=1.0, classes=classes, constant=constant),
            bool(frame.aside.iloc[0]),
        )
    return found


def told(curves):
    return judge(curves).name if curves is not None else "nan"


@cache
def plainly_told():
    """What is said of each, by name."""
    return {name: told(curves) for name, (_, curves, _) in planted().items()}


def confusion(aside):
    """Label → what was said instead or rightly, with counts."""
    table = {}
    for name, (label, _, put_aside) in planted().items():
        if put_aside == aside:
            table.setdefault(label, Counter())[plainly_told()[name]] += 1
    return table


# The collection


def test_collection_holds_every_main_verdict_three_data_sets_and_three_kinds_of_model():
    frame = pd.read_parquet(FILE)
    assert set(frame.label) == {name for name, _ in RULES} | {"nan"}
    assert frame.name.nunique() >= 200
    assert {"digits", "mnist1d", "friedman"} <= set(frame.data)
    assert {"mlp", "cnn", "gru"} == set(frame.model)
    assert FILE.stat().st_size < 1.5e6


@pytest.mark.slow
def test_of_no_planted_training_is_validation_left_out_as_no_measure_beside_train():
    curves = [curves for _, curves, _ in planted().values() if curves is not None]
    trained = [
        replace(each, epochs=each.epochs[1:], train=each.train[1:], val=each.val[1:])
        for each in curves
    ]
    assert len(trained) > 500
    assert not [why for each in trained if (why := without_other_scale(each)[1])]


@pytest.mark.slow
@pytest.mark.parametrize("aside", [False, True])
def test_what_was_planted_is_named_in_nine_of_ten_of_each_kind_on_the_mean_and_seldom_given_up(
    aside,
):
    table = confusion(aside)
    recalls = {label: row[label] / row.total() for label, row in table.items()}
    assert np.mean(list(recalls.values())) >= 0.9, recalls
    others = sum((row for label, row in table.items() if label != "cannot_tell"), Counter())
    assert others["cannot_tell"] / others.total() <= 0.1


def test_sound_trainings_that_have_converged_raise_no_alarm():
    sound = sum((confusion(aside)["converged"] for aside in (False, True)), Counter())
    assert sum(sound[name] for name in ALARMS) / sound.total() <= 0.05, sound


# What does not matter


@pytest.mark.slow
@given(st.sampled_from(sorted(ADVICE)), st.floats(-6, 6))
@settings(max_examples=60)
def test_the_unit_of_a_loss_does_not_matter(label, power):
    """Of a regression, whose gradients have that unit too."""
    unit = 10.0**power
    for name, (planted_label, curves, _) in planted().items():
        if planted_label == label and name.startswith("friedman") and curves is not None:
            norms = None if curves.grad_norm is None else curves.grad_norm * unit
            other = replace(
                curves,
                train=curves.train * unit,
                stepped=None if curves.stepped is None else curves.stepped * unit,
                val=curves.val * unit,
                constant=curves.constant * unit,
                grad_norm=norms,
            )
            assert told(other) == told(curves), name


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_rounding_does_not_matter(seed):
    dice = np.random.default_rng(seed)
    for name, (_, curves, _) in planted().items():
        if curves is not None:
            jolt = [
                series * (1 + 1e-7 * dice.normal(size=len(series)))
                for series in (curves.train, curves.val)
            ]
            assert told(replace(curves, train=jolt[0], val=jolt[1])) == plainly_told()[name], name


def shapes():
    """Curves by formula: (verdict, train, val) as functions of the share of all epochs, over a loss of 2.3 at the start."""
    fall = lambda rate, floor: lambda t: floor + (2.3 - floor) * np.exp(-rate * t)  # noqa: E731
    return [
        ("converged", fall(12, 0.02), fall(12, 0.12)),
        ("underfitting", fall(12, 1.3), fall(12, 1.35)),
        ("still_learning", lambda t: 2.3 - 1.5 * t, lambda t: 2.3 - 1.4 * t),
        ("lr_too_low", lambda t: 2.3 - 0.5 * t, lambda t: 2.3 - 0.48 * t),
        ("overfitting", fall(6, 0.01), lambda t: fall(8, 0.6)(t) + 0.9 * t),
        ("dead", lambda t: 2.303 + 0 * t, lambda t: 2.304 + 0 * t),
        ("val_stalled", lambda t: fall(9, 1.0)(t) - 0.35 * t, fall(9, 1.0)),
        (
            "lr_too_high_late",
            lambda t: fall(20, 0.05)(np.minimum(t, 0.5)) + 1.5 * (t > 0.5),
            lambda t: fall(20, 0.1)(np.minimum(t, 0.5)) + 1.5 * (t > 0.5),
        ),
        ("stuck", lambda t: 7.0 + 0.1 * np.exp(-20 * t), lambda t: 7.1 + 0.1 * np.exp(-20 * t)),
        ("data_suspect", fall(8, 0.02), lambda t: 2.3 + 1.5 * t),
    ]


def drawn(train, val, *, epochs, every=1, seed=0, spread=0.002):
    """A formula's curves, with noise."""
    steps = np.arange(0, epochs + 1, every)
    dice = np.random.default_rng(seed)
    series = [
        shape(steps / epochs) + spread * dice.normal(size=len(steps)) for shape in (train, val)
    ]
    return Curves(
        epochs=steps.astype(float), train=series[0], val=series[1], classes=10, comparable=True
    )


@pytest.mark.parametrize(
    ("name", "train", "val"), [pytest.param(*shape, id=shape[0]) for shape in shapes()]
)
@given(seed=st.integers(0, 10**6), epochs=st.integers(24, 400), every=st.sampled_from([1, 2]))
@settings(max_examples=25)
def test_a_formula_with_noise_is_told_whatever_the_number_of_epochs_and_every_second_one_left_out(
    name, train, val, seed, epochs, every
):
    assert told(drawn(train, val, epochs=epochs, every=every, seed=seed)) == name


@pytest.mark.parametrize(
    ("name", "train", "val"),
    [
        pytest.param(*shape, id=shape[0])
        for shape in shapes()
        if shape[0] not in ("still_learning", "lr_too_low")
    ],
)
def test_more_epochs_of_the_same_trend_change_nothing(name, train, val):
    for extra in (1.0, 1.1, 1.3):
        steps = np.arange(0, int(60 * extra) + 1)
        curves = Curves(
            epochs=steps.astype(float), train=train(steps / 60), val=val(steps / 60), classes=10
        )
        assert told(curves) == name


@pytest.mark.slow
def test_half_of_the_planted_curves_epochs_say_what_all_say_in_nine_of_ten():
    same = []
    for label, curves, _ in planted().values():
        if (
            curves is None or len(curves.epochs) < 24 or label in ("unstable", "nan")
        ):  # a spike lives in one epoch
            continue
        half = {
            name: getattr(curves, name)[::2]
            for name in (
                "epochs",
                "train",
                "val",
                "metric",
                "lr",
                "grad_norm",
                "early_gradient",
                "dead_units",
            )
            if getattr(curves, name) is not None
        }
        same.append(told(replace(curves, **half)) == told(curves))
    assert np.mean(same) >= 0.9


# Too little to tell


@pytest.mark.parametrize("epochs", [1, 2])
def test_one_or_two_epochs_tell_nothing(epochs):
    assert (
        told(
            Curves(
                epochs=np.arange(1.0, epochs + 1),
                train=np.linspace(1, 0.9, epochs),
                val=np.linspace(1, 0.9, epochs),
            )
        )
        == "cannot_tell"
    )


def test_pure_noise_is_no_trend():
    dice = np.random.default_rng(0)
    directions = Counter(trend(dice.normal(size=30)).direction(0.0) for _ in range(1000))
    assert directions["up"] + directions["down"] <= 60  # five of a hundred, and what chance adds
    assert directions["flat"] == 0


def test_a_slope_of_half_the_noise_is_found_over_thirty_epochs():
    dice = np.random.default_rng(0)
    ramp = np.linspace(0, 3, 30)
    assert (
        np.mean([trend(ramp + dice.normal(size=30)).direction(0.5) == "up" for _ in range(200)])
        > 0.95
    )
    assert (
        np.mean([trend(-ramp + dice.normal(size=30)).direction(0.5) == "down" for _ in range(200)])
        > 0.95
    )


def test_noise_is_measured_beside_a_smooth_curve_and_spikes():
    dice = np.random.default_rng(0)
    series = np.exp(-np.linspace(0, 5, 400)) + 0.01 * dice.normal(size=400)
    series[::50] += 3
    assert noise(series) == pytest.approx(0.01, rel=0.15)


@pytest.mark.slow
@example(rows=[(2e-311, 1.0, 0.0)], classes=0, untrained=False, comparable=False)
@given(
    st.lists(
        st.tuples(
            *[st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf])] * 3
        ),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([0, 2, 10]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=400)
def test_whatever_the_numbers_there_is_a_verdict_with_words(rows, classes, untrained, comparable):
    train, val, metric = (np.array(series) for series in zip(*rows, strict=True))
    verdict = judge(
        Curves(
            epochs=np.arange(float(len(rows))),
            train=train,
            val=val,
            metric=metric,
            classes=classes,
            untrained=untrained,
            comparable=comparable,
        )
    )
    assert verdict.name in ADVICE
    assert verdict.why


def test_rare_classes_have_a_constant_prediction_of_their_own():
    still = 0.056 + 1e-4 * np.random.default_rng(0).normal(size=30)
    curves = Curves(
        epochs=np.arange(30.0),
        train=still,
        val=still,
        classes=2,
        constant=0.056,
        untrained=True,
        comparable=True,
    )
    assert told(curves) == "dead"


def test_numbers_that_were_not_told_are_gaps_and_not_the_end_of_a_loss():
    fall = 2.3 * np.exp(-np.arange(30) / 5)
    columns = {"epoch": np.arange(30), "train_loss": fall.copy(), "val_loss": fall.copy() + 0.01}
    columns["train_loss"][0] = columns["val_loss"][7] = math.nan
    whole = curves_of(columns, metric="", sign=1.0)
    assert len(whole.epochs) == 28
    columns["val_loss"][-1] = math.nan
    assert told(curves_of(columns, metric="", sign=1.0)) == "nan"
    assert told(curves_of(columns, metric="", sign=1.0, ended=False)) != "nan"


def test_a_comparable_loss_counts_only_where_it_was_told_all_along():
    fall = 2.3 * np.exp(-np.arange(30) / 5)
    columns = {
        "epoch": np.arange(30),
        "train_loss": fall,
        "val_loss": fall,
        "train_eval_loss": np.where(np.arange(30) < 10, np.nan, fall),
    }
    assert not curves_of(columns, metric="", sign=1.0).comparable
    assert curves_of({**columns, "train_eval_loss": fall}, metric="", sign=1.0).comparable


# Where the untrained model's epoch is not told


def logged(train, val, *, metric=None, classes=0, constant=None, spread=0.003):
    """Curves of thirty epochs as a log has them, from formulas of the share of the epochs."""
    share, dice = np.arange(30) / 30, np.random.default_rng(0)
    series = [f(share) * (1 + spread * dice.normal(size=30)) for f in (train, val)]
    return Curves(
        epochs=np.arange(1.0, 31.0),
        train=series[0],
        val=series[1],
        metric=None if metric is None else metric(share),
        classes=classes,
        constant=constant,
    )


def level(height, begin=0.0):
    """A loss that rests, after it has fallen by `begin`."""
    return lambda share: height + begin * np.exp(-9 * share)


@pytest.mark.parametrize(
    ("curves", "name"),
    [
        (logged(level(0.15), level(0.2), classes=10), "converged"),
        (logged(level(2.302), level(2.303), classes=10, spread=5e-4), "dead"),
        (logged(level(0.15), level(0.2)), "cannot_tell"),
        (logged(level(2.302), level(2.303), spread=5e-4), "cannot_tell"),
        (logged(level(2.302), level(2.303), metric=lambda t: 0.1 + 0 * t, spread=5e-4), "dead"),
        (logged(level(0.9), level(0.9), constant=0.9, spread=5e-4), "dead"),
        (logged(level(0.1), level(0.12), constant=0.9), "converged"),
    ],
)
def test_a_loss_that_never_moved_is_dead_only_where_a_constant_prediction_loses_as_much(
    curves, name
):
    assert told(curves) == name


def test_train_that_is_bad_and_falls_is_not_told_to_stop_where_validation_rests():
    bad = judge(logged(lambda t: 2.2 - 0.7 * t, level(2.1), classes=10))
    assert (bad.name, bad.why[:37]) == ("still_learning", "train still falls and is still bad, a")
    good = judge(logged(lambda t: 1.3 - 0.4 * t, level(1.3), classes=10))
    assert good.name == "val_stalled"


def test_train_up_and_validation_down_names_the_data_and_the_rate_beside():
    verdict = judge(logged(lambda t: 1 + 0.8 * t, lambda t: 1.8 - 0.8 * t, classes=10))
    assert (verdict.name, [side.name for side in verdict.sides]) == (
        "data_suspect",
        ["lr_too_high"],
    )
    assert told(logged(lambda t: 1 + t, lambda t: 1 + t, classes=10)) != "data_suspect"


@pytest.mark.parametrize(
    ("right", "name"),
    # A model that errs on 5 rows of 100, and is sure of it, loses more than one that guesses.
    [(0.95, "overconfident"), (0.6, "data_suspect"), (0.1, "data_suspect")],
)
def test_what_nearly_every_row_of_validation_shows_holds_there_however_high_its_loss(right, name):
    curves = logged(lambda t: 2.3 * np.exp(-8 * t), lambda t: 2.3 + 4 * t, classes=10)
    metric = right - (right - 0.1) * np.exp(-40 * curves.epochs / curves.epochs[-1])
    assert told(replace(curves, metric=metric)) == name


def test_a_metric_that_the_most_frequent_class_alone_brings_is_nothing_that_holds():
    seldom = logged(lambda t: 0.325 * np.exp(-8 * t), lambda t: 0.33 + t, classes=2, constant=0.325)
    metric = np.linspace(0.5, 0.9, len(seldom.epochs))
    assert told(replace(seldom, metric=metric)) == "data_suspect"


def test_a_blow_up_is_not_converged_however_far_it_has_come_down_again():
    blown = logged(level(2899, 235506), level(2950, 235506), classes=10)
    assert told(blown) == "lr_too_high"
    assert told(replace(blown, classes=0, constant=1.0)) == "lr_too_high"
    unknown = judge(replace(blown, classes=0))
    assert unknown.name == "cannot_tell"
    assert "of a log: --classes C, or --constant L" in unknown.why
    assert told(replace(blown, classes=0, constant=240_000.0)) == "converged"


def test_what_losses_alone_cannot_tell_apart_is_left_open_and_what_to_record_is_said():
    dead = logged(level(2.302), level(2.303), classes=10, spread=5e-4)
    verdict = judge(dead)
    assert (verdict.name, verdict.alike) == ("dead", ("vanishing", "dead_units", "lr_too_high"))
    assert "Record each layer's gradient" in verdict.why
    assert verdict.word == "nothing_learned"
    measured = judge(replace(dead, early_gradient=np.full(len(dead.train), 0.5)))
    assert (measured.name, measured.alike, measured.word) == ("dead", (), "dead")
    huge = logged(lambda t: 900 - 600 * t, lambda t: 950 - 600 * t, classes=10, spread=1e-3)
    assert (judge(huge).name, judge(huge).alike) == ("exploding", ("lr_too_high",))
    assert judge(huge).word == "blown_up"
    blown = judge(logged(level(2899, 235506), level(2950, 235506), classes=10))
    assert (blown.name, blown.alike) == ("lr_too_high", ("exploding",))
    assert blown.word == "blown_up"
    easier = judge(logged(lambda t: 1.6 - 0.4 * t, level(0.6), classes=10))
    assert (easier.name, easier.alike) == ("cannot_tell", ("data_suspect",))


def test_a_training_that_ends_as_a_constant_after_a_blow_up_or_after_learning_had_a_rate_too_high():
    lost = lambda t: np.where(t < 0.1, 1.9, 2.31)  # noqa: E731
    assert told(logged(lost, lost, classes=10, spread=5e-4)) == "lr_too_high"
    for rests in (2.31, 2.6):
        after_blow_up = logged(level(rests, 40), level(rests, 0.2), classes=10, spread=5e-4)
        assert told(after_blow_up) == "lr_too_high"
    assert told(logged(level(2.6, 0.5), level(2.6, 0.2), classes=10, spread=5e-4)) == "stuck"


def test_shaking_that_a_mean_over_batches_hides_shows_in_validation():
    dice = np.random.default_rng(0)
    wobbly = logged(level(1.2, 1), level(1.25, 1), classes=10, spread=2e-3)
    calm = replace(wobbly, comparable=False)
    assert told(calm) == "underfitting"
    shaken = replace(calm, val=calm.val + 0.15 * dice.normal(size=len(calm.val)))
    assert told(shaken) == "lr_drop_due"
    bad = logged(level(2.0, 0.2), level(2.05, 0.2), classes=10, spread=2e-3)
    shaken = replace(bad, comparable=False, val=bad.val + 0.2 * dice.normal(size=len(bad.val)))
    assert told(shaken) == "lr_too_high"


@pytest.mark.parametrize(
    ("spread", "name"), [(1e-3, "exploding"), (0.01, "exploding"), (0.3, "lr_too_high")]
)
def test_a_huge_loss_that_falls_in_every_epoch_began_so_and_one_that_shakes_has_too_high_a_rate(
    spread, name
):
    falls = lambda t: 900 * np.exp(-3 * t)  # noqa: E731
    assert told(logged(falls, falls, classes=10, spread=spread)) == name


@pytest.mark.parametrize(
    ("fall", "ends", "name"),
    [(0.08, 0.01, "underfitting"), (0.08, 1.0, "still_learning"), (0.9, 0.01, "still_learning")],
)
def test_what_falls_a_little_as_the_rate_goes_to_nothing_has_come_to_rest(fall, ends, name):
    curve = lambda t: 1.6 + 0.6 * np.exp(-20 * t) - fall * t  # noqa: E731
    rate = np.linspace(1, ends, 30)
    assert told(replace(logged(curve, curve, classes=10, spread=5e-4), lr=rate)) == name


def test_a_rate_that_is_higher_in_single_epochs_has_not_come_down_after_them():
    rate = np.ones(30)
    rate[[8, 19]] = 25.0
    plateau = level(1.2, 1)
    shaken = logged(plateau, plateau, classes=10, spread=0.06)
    assert told(replace(shaken, lr=rate)) == "lr_drop_due"
    assert told(replace(shaken, lr=np.linspace(1, 0.01, 30))) == "underfitting"


@pytest.mark.parametrize(("lost", "name"), [(0.0, "overconfident"), (0.1, "overfitting")])
def test_a_metric_that_loses_again_what_it_gained_is_no_sign_of_overconfidence(lost, name):
    metric = lambda t: 0.5 + 0.2 * np.minimum(4 * t, 1) - lost * t  # noqa: E731
    rises = logged(level(0.05, 2), lambda t: 1.0 + np.exp(-30 * t) + t, metric=metric, classes=10)
    assert told(rises) == name


@pytest.mark.parametrize(
    ("right", "name", "beside"),
    [(0.7, "overconfident", False), (0.35, "overfitting", True)],
)
def test_a_model_that_is_wrong_on_most_rows_of_validation_overfits_before_it_is_too_sure(
    right, name, beside
):
    metric = lambda t: right - 0.2 * (1 - np.minimum(4 * t, 1))  # noqa: E731
    rises = logged(level(0.05, 2), lambda t: 1.0 + np.exp(-30 * t) + t, metric=metric, classes=10)
    verdict = judge(rises)
    assert verdict.name == name
    assert ("overconfident" in [side.name for side in verdict.sides]) == beside


@pytest.mark.parametrize(("echo", "name"), [(0.23, "unstable"), (0.0, "underfitting")])
def test_validation_shows_shocks_that_a_mean_over_batches_hides_if_train_rises_with_it(echo, name):
    calm = logged(level(1.4, 0.8), level(1.45, 0.8), classes=10)
    train, val = calm.train.copy(), calm.val.copy()
    for epoch in (12, 20):
        train[epoch] += echo
        val[epoch] += 0.6
    assert told(replace(calm, train=train, val=val)) == name


def test_one_blow_up_that_both_losses_show_at_neighbouring_epochs_is_no_two_shocks():
    calm = logged(level(0.1, 2), level(0.2, 2), classes=10)
    train, val = calm.train.copy(), calm.val.copy()
    train[15:] = val[15:] = np.maximum(16 * np.exp(-np.arange(15) / 4), 3)
    train[15], val[15] = 8, 15
    assert told(replace(calm, train=train, val=val)) == "lr_too_high_late"


@pytest.mark.parametrize(
    ("shake", "name"), [(0.002, "val_stalled"), (0.05, "lr_drop_due"), (0.08, "lr_drop_due")]
)
def test_train_that_falls_by_less_than_the_model_shakes_is_due_for_a_lower_rate(shake, name):
    slow = logged(lambda t: 1.3 + np.exp(-9 * t) - 0.12 * t, level(1.4, 1), classes=10, spread=5e-4)
    shaken = slow.val + shake * (-1.0) ** np.arange(30)
    assert told(replace(slow, val=shaken)) == name


@pytest.mark.parametrize(("classes", "accuracy"), [(2, 0.95), (0, 0.95), (2, 0.6), (0, 0.6)])
def test_a_model_that_learned_most_in_its_first_epoch_has_no_rate_that_is_too_low(
    classes, accuracy
):
    creeps = lambda t: 0.14 - 0.015 * t  # noqa: E731
    curves = logged(creeps, lambda t: 0.2 - 0.02 * t, classes=classes, spread=5e-4)
    scored = replace(curves, metric=np.full(30, accuracy))
    learned = classes > 0 or accuracy > 0.9
    assert told(scored) == ("still_learning" if learned else "lr_too_low")


@pytest.mark.parametrize(("bend", "name"), [(0.0, "lr_too_low"), (0.8, "still_learning")])
def test_a_small_fall_that_levels_off_tells_of_no_rate_that_is_too_low(bend, name):
    falls = lambda t: 2.3 - 0.3 * (t + bend * t * (1 - t))  # noqa: E731
    assert told(logged(falls, lambda t: 0.1 + falls(t), spread=5e-4)) == name


@pytest.mark.parametrize(("accuracy", "name"), [(0.95, "converged"), (0.6, "lr_too_high")])
def test_shaking_is_no_rate_too_high_where_nearly_all_answers_are_right(accuracy, name):
    rests = logged(level(0.14), level(0.15), spread=1e-4)
    shaken = rests.val * (1 + 0.3 * np.random.default_rng(0).normal(size=30))
    assert (told(replace(rests, val=shaken, metric=np.full(30, accuracy))) == "lr_too_high") is (
        name == "lr_too_high"
    )


@pytest.mark.parametrize("fall", [0.0, 0.6])
def test_shaking_is_no_rate_too_high_where_the_loss_has_come_down_by_far_more(fall):
    curves = logged(lambda t: 1 - fall * t, lambda t: 1 - fall * t, spread=0.05)
    assert (told(curves) == "lr_too_high") == (not fall)


@pytest.mark.parametrize(("fall", "name"), [(0.0, "lr_drop_due"), (1.0, "underfitting")])
def test_validation_that_falls_by_more_than_it_shakes_asks_for_no_lower_rate(fall, name):
    rests = logged(level(1.2, 1), lambda t: 1.5 + fall * (0.5 - t), classes=10, spread=5e-4)
    shaken = rests.val + 0.03 * (-1.0) ** np.arange(30)
    assert told(replace(rests, val=shaken)) == name


def test_a_floor_below_which_a_loss_cannot_go_is_no_underfitting():
    assert told(logged(level(3.2, 4), level(3.3, 4), classes=50_000)) == "cannot_tell"
    smoothed = logged(
        level(0.52, 1.5), level(0.56, 1.5), classes=10, metric=lambda t: 0.98 - np.exp(-9 * t)
    )
    assert told(smoothed) == "converged"
    assert told(replace(smoothed, metric=None)) == "cannot_tell"
    assert told(replace(smoothed, metric=smoothed.metric - 0.2)) == "underfitting"
    rare = replace(smoothed, classes=2, constant=0.6, train=smoothed.train, metric=None)
    assert told(rare) != "converged"


@pytest.mark.parametrize(
    "train",
    [
        [1.2, 0.6, 0.4, 1.8, 0.3, 1.7, 0.25, 1.6],
        [0.9, 0.5, 0.3, 0.9, 0.25, 0.8, 0.2, 0.7],
        [0.5, 0.3, 0.9, 0.2, 0.8, 0.15, 0.6, 0.1],
    ],
)
def test_spikes_among_few_epochs_are_unstable_and_the_same_without_them_is_not(train):
    spiked = np.array(train)
    epochs = np.arange(1.0, 9.0)
    curves = Curves(epochs=epochs, train=spiked, val=spiked + 0.05, classes=10)
    assert told(curves) == "unstable"
    calm = np.minimum.accumulate(spiked) * np.linspace(1, 0.9, 8)
    assert told(replace(curves, train=calm, val=calm + 0.05)) in ("converged", "still_learning")


@pytest.mark.parametrize("classes", [0, 10])
def test_eight_good_epochs_are_seldom_overfitting(classes):
    names = Counter()
    for seed in range(60):
        dice, epochs = np.random.default_rng(seed), np.arange(1.0, 9.0)
        train = 0.02 + 2.2 * np.exp(-dice.uniform(0.4, 1.2) * epochs)
        val = train + dice.uniform(0.03, 0.1) * (1 - np.exp(-epochs / 2))
        series = [s * np.exp(0.05 * dice.normal(size=8)) for s in (train, val)]
        names[told(Curves(epochs=epochs, train=series[0], val=series[1], classes=classes))] += 1
    assert names["overfitting"] + names["overconfident"] <= 2, names


def test_verdicts_that_need_a_constant_predictions_loss_are_listed_where_it_is_not_known():
    bare = logged(level(0.1, 2), level(0.12, 2))
    assert "dead" in unscaled(bare)
    for known in ({"classes": 3}, {"constant": 0.5}, {"untrained": True}):
        assert unscaled(replace(bare, **known)) == ()


# Words


def test_every_verdict_has_its_advice_and_dropout_is_never_named_for_a_model_that_is_bad_on_train():
    assert set(ADVICE) == {name for name, _ in RULES} | {"nan"} | set(SIDES)
    for name, remedies in ADVICE.items():
        assert all(one.rule[0] in "RP" and one.says for one in remedies)
        assert name == "converged" or remedies
        if name in BAD_ON_TRAIN or name == "underfitting":
            assert not any(one.knob == DROPOUT and one.turn == "raise" for one in remedies), name


def test_a_verdict_says_why_in_the_losss_own_numbers():
    name, train, val = shapes()[4]
    verdict = judge(drawn(train, val, epochs=100, spread=0.0))
    assert verdict.name == name == "overfitting"
    assert "validation has risen from 1.02 to 1.45" in verdict.why
    assert [side.name for side in verdict.sides] == ["fewer_epochs"]


def test_losses_that_never_move_by_a_digit_are_no_vanishing_gradients_unless_they_are_rounded():
    def told(val):
        train = np.full(30, val[0]) + 1e-9 * np.arange(30)
        return judge(Curves(epochs=np.arange(1.0, 31), train=train, val=val, classes=10))

    rests = np.full(30, math.log(10))
    moved = rests + 1e-6 * np.sin(np.arange(30))
    frozen, alike = told(rests), ("vanishing", "dead_units", "lr_too_high")
    assert (frozen.name, frozen.alike) == ("dead", ("dead_units",))
    assert "not even the bias of the last layer moves" in frozen.why
    for other in (moved, np.round(rests, 3)):
        assert (told(other).name, told(other).alike) == ("dead", alike)
        assert "Record each layer's gradient" in told(other).why


def test_a_clip_that_cuts_every_step_is_told_beside_the_verdict_and_one_that_cuts_most_is_not():
    falls = logged(lambda t: 2.2 - 1.5 * t, lambda t: 2.2 - 1.4 * t, classes=10)
    count = len(falls.train)
    cut = replace(falls, clipped=np.r_[math.nan, np.ones(count - 1)], grad_norm=np.full(count, 0.1))
    told = {side.name: side.why for side in judge(cut).sides}
    steps = f"all steps in each of {count - 1} epochs had their gradient clipped"
    assert told["always_clipped"] == f"{steps}, to a norm of 0.1 at the end"
    for shares in (np.r_[np.ones(count - 1), 0.9], np.zeros(count), None):
        sides = judge(replace(falls, clipped=shares)).sides
        assert "always_clipped" not in [side.name for side in sides]
    for optimizer, lines in (("torch.optim.SGD", 1), ("torch.optim.AdamW", 0)):
        config = {"optimizer": {"_target_": optimizer}, "trainer": {"clip": 0.1}}
        assert len(advice("always_clipped", OmegaConf.create(config))) == lines


def test_a_rate_that_fell_while_losses_still_fall_is_told_and_usual_schedules_are_not():
    falls = logged(lambda t: 2.2 - 1.5 * t, lambda t: 2.2 - 1.4 * t, classes=10)
    at = np.arange(len(falls.train))
    end = at[-1]
    dropped = 0.3 * np.where(at < 2, 1.0, 0.01)
    shocks = 0.01 * np.where(at % 10 == 5, 30.0, 1.0)
    cosine, steps = 0.15 * (1 + np.cos(np.pi * at / end)), 0.3 * 0.1 ** (2 * at // end)
    one_cycle = 0.3 * np.minimum(at / (0.3 * end) + 0.04, 0.5 * (1 + np.cos(np.pi * at / end)))
    usual = (np.full(end + 1, 0.3), cosine, 0.3 * 0.98**at, 0.3 / np.sqrt(at + 1), steps, one_cycle)
    usual = (*usual, 0.3 * 0.9**at, shocks)
    for rates, is_early in ((dropped, True), *((each, False) for each in usual)):
        verdict = judge(replace(falls, lr=rates))
        assert verdict.name == "still_learning"
        sides = [side.name for side in verdict.sides]
        assert ("rate_fell_early" in sides) == is_early, rates


def test_epochs_are_named_by_their_numbers_where_not_all_were_evaluated():
    falls = logged(lambda t: 2.2 - 1.5 * t, lambda t: 2.2 - 1.4 * t, classes=10)
    every_tenth = replace(falls, epochs=10 * falls.epochs)
    (side,) = judge(every_tenth).sides
    assert side.why == "both losses still fall at epoch 300"
    (side,) = judge(replace(every_tenth, axis="step")).sides
    assert side.why.endswith("at step 300")
    slow = logged(lambda t: 2.2 - 0.25 * t, lambda t: 2.2 - 0.25 * t)
    for epochs, axis, after in (
        (slow.epochs - 1, "epoch", f"{len(slow.epochs)} epochs"),
        (5 * slow.epochs, "epoch", f"{5 * slow.epochs[-1]:.0f} epochs"),
        (100 * slow.epochs, "step", f"{100 * slow.epochs[-1]:.0f} steps"),
    ):
        assert f"after {after} train" in judge(replace(slow, epochs=epochs, axis=axis)).why
    flat = logged(lambda t: 1 + 0 * t, lambda t: 1 + 0 * t, spread=0.3)
    for axis, word in (("epoch", "epoch"), ("step", "record")):
        assert f"from {word} to {word}" in judge(replace(flat, axis=axis)).why
    (side,) = judge(replace(falls, epochs=falls.epochs / 40)).sides
    assert side.why.endswith("at epoch 0.75")


def test_a_loss_that_ends_says_when():
    train = np.array([2.3, 2.5, 9.0, math.nan, math.nan])
    verdict = judge(Curves(epochs=np.arange(5.0), train=train, val=np.ones(5)))
    assert (verdict.name, verdict.why) == ("nan", "the train loss is not finite from epoch 3 on")
    assert [(side.name, side.why) for side in verdict.sides] == [
        ("lr_too_high", "train had grown to 9 from 2.3 before")
    ]
    verdict = judge(
        Curves(epochs=np.arange(5.0), train=np.ones(5), val=np.array([1, math.inf, 1, 1, 1]))
    )
    assert (verdict.why, verdict.sides) == ("the validation loss is not finite at epoch 1", ())


def test_what_is_to_be_seen_beside_the_main_verdict_is_told_too():
    steps = np.arange(61) / 60
    train, val = 2.3 * np.exp(-8 * steps), 0.7 + 1.6 * np.exp(-8 * steps) + 2.0 * steps
    train[[25, 40, 50]] += 1.0
    verdict = judge(
        Curves(epochs=60 * steps, train=train, val=val, classes=10, untrained=True, comparable=True)
    )
    assert verdict.name == "overfitting"
    assert [side.name for side in verdict.sides] == ["unstable", "fewer_epochs"]
    assert verdict.sides[0].why == "train jumped 3 times and came back"


@pytest.mark.parametrize(
    ("rise", "name"), [(0.01, "converged"), (0.5, "unstable"), (None, "unstable")]
)
def test_an_evaluation_that_jumps_while_the_batches_losses_fall_on_is_no_shock(rise, name):
    steps = np.arange(61) / 60
    train = 2.3 * np.exp(-8 * steps)
    stepped = None if rise is None else train.copy()
    for epoch in (20, 28):
        train[epoch] += 0.3
        if stepped is not None:
            stepped[epoch + 1] += rise
    verdict = judge(
        Curves(
            epochs=60 * steps, train=train, stepped=stepped, val=train + 0.05, classes=10, untrained=True,
            comparable=True,
        )
    )  # fmt: skip
    assert verdict.name == name


# Across trials


def trials(values, *, score, level=lambda value, dice: 0.1, seeds=5, seed=0, best=30, lost=()):
    dice = np.random.default_rng(seed)
    return [
        Trained(
            value=value,
            score=None if value in lost else score(value, dice),
            level=level(value, dice),
            best_epoch=best,
            epochs=50,
            verdict="lr_too_high" if value in lost else "converged",
        )
        for value in values
        for _ in range(seeds)
    ]


def test_a_bigger_model_that_is_worse_on_train_too_is_an_optimisation_failure():
    made = trials(
        [2, 4, 8],
        score=lambda v, dice: -0.1 * (v == 8) + 0.01 * dice.normal(),
        level=lambda v, dice: 0.1 + 0.3 * (v == 8) + 0.02 * dice.normal(),
    )
    (found,) = across(made, knob="model.depth", role="size")
    assert found.rule == "R22a"
    assert "model.depth = 8 is worse" in found.says


def test_a_bigger_model_that_is_better_on_train_and_worse_on_validation_only_overfits():
    made = trials(
        [2, 4, 8],
        score=lambda v, dice: -0.1 * (v == 8) + 0.01 * dice.normal(),
        level=lambda v, dice: 0.4 / v + 0.02 * dice.normal(),
    )
    assert across(made, knob="model.depth", role="size") == []


@pytest.mark.slow
def test_models_that_do_not_differ_raise_no_finding():
    found = [
        across(
            trials(
                [2, 4, 8, 16],
                score=lambda v, dice: dice.normal(),
                level=lambda v, dice: dice.normal(),
                seed=seed,
            ),
            knob="model.width",
            role="size",
        )
        for seed in range(300)
    ]
    assert sum(map(bool, found)) <= 0.05 * 300


@pytest.mark.parametrize(
    ("verdict", "stopped", "cut"),
    [
        ("still_learning", 7, True),
        ("lr_too_low", 15, True),
        ("too_short", 4, False),
        ("still_learning", 0, False),
        ("converged", 15, False),
    ],
)
def test_patience_that_ends_a_third_of_the_trainings_while_they_learn_is_told(
    verdict, stopped, cut
):
    made = trials([0.01, 0.1, 1.0], score=lambda v, dice: dice.normal())
    made = [
        replace(each, verdict=verdict, stopped=number < stopped) for number, each in enumerate(made)
    ]
    says = [remark.says for remark in across(made) if remark.rule == "R33"]
    assert len(says) == cut
    assert all(f"ended {stopped} of 15 trainings while their losses" in words for words in says)


def test_a_cliff_beside_the_best_rate_asks_for_warm_up():
    made = trials(
        [0.01, 0.03, 0.1, 0.3],
        score=lambda v, dice: 0.9 + 0.1 * math.log10(v) + 0.002 * dice.normal(),
        lost=(0.3,),
    )
    (found,) = across(made, knob="optimizer.lr", role="rate")
    assert (found.name, found.rule) == ("unstable", "P11")
    assert "optimizer.lr = 0.1 is best and 0.3, 3 times as high, diverges" in found.says
    assert "(schedule=one_cycle) or clipping (trainer.clip=5)" in found.says
    (own,) = across(made, knob="optimizer.lr", role="rate", stock=False)
    assert "diverges: warm-up or clipping lets higher rates live" in own.says
    shaken = [
        replace(each, score=0.7 + 0.01 * (number % 3), verdict="lr_too_high")
        if each.value == 0.3
        else each
        for number, each in enumerate(made)
    ]
    (kept,) = [
        remark
        for remark in across(shaken, knob="optimizer.lr", role="rate")
        if remark.rule == "P11"
    ]
    assert "0.3, 3 times as high, shakes: warm-up" in kept.says


@pytest.mark.parametrize("refined", [(), (0.0681, 0.0825, 0.121, 0.147)])
def test_a_cliff_is_found_in_a_refined_sweep_as_in_a_coarse_one(refined):
    """Neighbours of a refined best are too close to it to be worse beyond chance."""
    grid = [0.001, 0.00215, 0.00464, 0.01, 0.0215, 0.0464, 0.1, 0.215, 0.464]
    found = [
        across(
            trials(
                sorted([*grid, *refined]),
                score=lambda v, dice: 0.9 + 0.05 * math.log10(v) + 0.01 * dice.normal(),
                lost=(0.215, 0.464),
                seed=seed,
            ),
            knob="optimizer.lr",
            role="rate",
        )
        for seed in range(50)
    ]
    assert sum(map(bool, found)) >= 40


@pytest.mark.parametrize(("drop", "least", "most"), [(0.0, 0, 5), (0.05, 98, 100)])
def test_a_rate_that_shakes_is_a_cliff_only_if_it_scores_less_than_the_best(drop, least, most):
    """The drop is of ten deviations between seeds, or none."""
    found = [
        across(
            [
                replace(each, verdict="lr_too_high") if each.value >= 0.1 else each
                for each in trials(
                    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3],
                    score=lambda v, dice: (
                        0.9
                        + 0.05 * min(math.log10(v), -1.0)
                        - drop * (v > 0.1)
                        + 0.005 * dice.normal()
                    ),
                    seed=seed,
                )
            ],
            knob="optimizer.lr",
            role="rate",
        )
        for seed in range(100)
    ]
    assert least <= sum(any(one.rule == "P11" for one in each) for each in found) <= most


def test_a_cliff_behind_a_plateau_asks_for_nothing():
    found = [
        across(
            trials(
                [0.01, 0.03, 0.1, 0.3, 0.11, 0.12],
                score=lambda v, dice: dice.normal(),
                lost=(0.3,),
                seed=seed,
            ),
            knob="optimizer.lr",
            role="rate",
        )
        for seed in range(300)
    ]
    assert sum(map(bool, found)) <= 0.05 * 300


@pytest.mark.parametrize(("best", "name"), [(3, ["fewer_epochs"]), (30, []), (48, ["more_epochs"])])
def test_best_epochs_that_are_always_early_or_late_ask_for_other_lengths(best, name):
    found = across(
        trials([1, 2, 3], score=lambda v, dice: dice.normal(), best=best), knob="model.dropout"
    )
    assert [one.name for one in found] == name


@pytest.mark.parametrize("verdict", ["dead", "stuck", "cannot_tell"])
@pytest.mark.parametrize("best", [1, 48])
def test_best_epochs_of_trainings_that_learned_nothing_ask_for_no_other_length(best, verdict):
    rows = trials([1, 2, 3], score=lambda v, dice: dice.normal(), best=best)
    assert not across([replace(row, verdict=verdict) for row in rows], knob="model.dropout")


@pytest.mark.parametrize(
    ("best", "verdict", "stopped", "name"),
    [
        (48, "converged", True, []),
        (48, "converged", False, ["more_epochs"]),
        (3, "converged", True, ["fewer_epochs"]),
        (3, "still_learning", True, ["cut_short"]),
    ],
)
def test_best_epochs_ask_for_no_other_length_where_patience_decided_them(
    best, verdict, stopped, name
):
    rows = trials([1, 2, 3], score=lambda v, dice: dice.normal(), best=best)
    rows = [replace(row, stopped=stopped, verdict=verdict) for row in rows]
    assert [one.name for one in across(rows, knob="model.dropout")] == name


def test_three_epochs_that_still_fall_far_are_too_short_and_three_that_rest_are_not():
    def said(train, val):
        return told(Curves(epochs=np.arange(1, 4), train=np.array(train), val=np.array(val), classes=10))  # fmt: skip

    assert said([0.25, 0.08, 0.055], [0.12, 0.085, 0.07]) == "too_short"
    assert said([0.25, 0.08, 0.079], [0.12, 0.085, 0.0845]) != "too_short"


def test_losses_told_every_third_epoch_are_no_training_of_a_third_of_its_epochs():
    train, val = np.array([0.9, 0.6, 0.4, 0.3]), np.array([0.9, 0.7, 0.5, 0.4])
    for step, words in ((1, "4 epochs"), (3, "4 of 12 epochs")):
        curves = Curves(epochs=step * np.arange(1, 5), train=train, val=val, classes=10)
        assert too_short(Shape(curves)).startswith(f"{words}, and")


def test_a_first_remedy_is_not_joined_to_one_before_it():
    joined = ("or ", "and ", "then ")
    every = [(name, one.knob) for name, remedies in ADVICE.items() for one in remedies]
    firsts = [line for name, knob in every for line in advice(name, turnable={knob})[:1]]
    assert "a lower learning rate, if they died while training (optimizer.lr: lower, R19)" in firsts
    assert not [first for first in firsts if first.startswith(joined)]


def test_more_epochs_are_not_advised_where_patience_ended_the_training():
    (line, *_) = advice("still_learning", out_of_patience=True)
    assert line == "train for longer; its patience had ended it (trainer.patience: raise, R27)"
    assert "(trainer.epochs: raise, R27)" in advice("still_learning")[0]


def _easier_at_random(rows, *, swapped, times=400):
    """How often validation is called far easier, of rows whose model knows each one's chances.

    `swapped`: share of train's labels that are wrong, and of none in validation; None: sound.
    """
    dice, count = np.random.default_rng(0), 0
    train_rows = 4 * rows
    for _ in range(times):
        if swapped is None:
            sure = 1 / (1 + np.exp(-dice.normal(0, 2.2, size=rows + train_rows)))
            right = dice.random(rows + train_rows) < sure
            losses = -np.where(right, np.log(sure), np.log(1 - sure))
        else:
            wrong = np.r_[np.zeros(rows, bool), dice.random(train_rows) < swapped]
            losses = -np.where(wrong, np.log(swapped), np.log(1 - swapped))
        val, train = losses[:rows].mean(), losses[rows:].mean()
        falls = np.exp(-np.arange(30) / 3)
        start = math.log(2)
        curves = Curves(
            epochs=np.arange(30.0),
            train=train + (start - train) * falls,
            val=val + (start - val) * falls,
            classes=2,
            constant=start,
            comparable=True,
            untrained=True,
            val_rows=rows,
        )
        count += "far easier" in judge(curves).why
    return count / times


@pytest.mark.parametrize("rows", [14, 28, 56, 140])
def test_few_sound_validation_rows_are_not_called_easier_by_chance(rows):
    assert _easier_at_random(rows, swapped=None) <= 0.02


@pytest.mark.parametrize(("rows", "swapped"), [(56, 0.2), (140, 0.2), (140, 0.33)])
def test_wrong_labels_in_train_alone_are_told_also_with_few_validation_rows(rows, swapped):
    assert _easier_at_random(rows, swapped=swapped, times=100) >= 0.9
