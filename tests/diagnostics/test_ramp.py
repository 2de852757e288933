"""The range test: what is read from a ramp, and the usual failures of other finders, each drawn and each withstood."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import search
from omegaconf import OmegaConf
from refusals import check_told, raises

from search.diagnostics.lr_range import WIDTH, Range, read_range
from search.lifecycle.range_test import ramp_rates, walked_config
from search.results.figures.lr_range import write_figure
from search.results.transfer import compose_from
from trainers.probes.subject import is_lost

RATES = np.geomspace(1e-7, 10, 160)
QUICK = ["lr_range.seeds=3", "lr_range.steps=120", "rehearse=false"]


def _curve(best=0.1, *, start=2.3, floor=0.3, noise=0.05, width=1.2, seed=0, rates=RATES):
    """Flat, then falling over `width` decades to its least at `best`, then rising steeply until it is lost."""
    place = np.log10(rates / best)
    fall = 1 / (1 + np.exp(-6 / width * (place + width / 2)))
    loss = start - (start - floor) * fall + np.where(place > 0, (start - floor) * place**2 * 20, 0)
    loss = loss + noise * np.random.default_rng(seed).normal(size=len(rates))
    lost = np.flatnonzero(loss > 20 * start)
    return loss[: lost[0] + 1 if len(lost) else None].tolist()


def _read(**settings):
    return read_range(RATES, [_curve(seed=seed, **settings) for seed in range(5)])


@pytest.mark.slow
@given(best=st.floats(1e-4, 1.0), noise=st.floats(0, 0.15), width=st.floats(0.8, 2.5))
@settings(max_examples=60)
def test_the_range_holds_the_fall_is_two_decades_wide_and_scales_with_the_curve(best, noise, width):
    found = _read(best=best, noise=noise, width=width)
    assert found.because == ""
    assert found.low < best / 3 < found.high
    assert found.high / found.low == pytest.approx(WIDTH)
    assert all(best / 300 < rate < best * 5 for rate in found.suggestions.values())


@pytest.mark.slow
@given(factor=st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_another_unit_of_the_loss_changes_nothing(factor):
    curves = [_curve(seed=seed) for seed in range(5)]
    scaled = [[factor * loss for loss in curve] for curve in curves]
    one, two = read_range(RATES, curves), read_range(RATES, scaled)
    assert (one.low, one.high) == (two.low, two.high)


@pytest.mark.parametrize(("shelf", "end"), [(0.35, 3.0), (0.7, 0.3)])
def test_the_range_ends_where_half_of_the_fall_is_lost_again(shelf, end):
    """A curve that loses a share of its fall from 0.3 on, and the rest from 3 on."""
    fall = 1 / (1 + np.exp(-8 * (np.log10(RATES) + 1.7)))
    loss = 2.3 - 2 * fall + 2 * shelf * (RATES > 0.3) + 2 * (RATES > 3)
    curves = [
        loss + 0.02 * np.random.default_rng(seed).normal(size=len(RATES)) for seed in range(5)
    ]
    assert read_range(RATES, curves).high == pytest.approx(end, rel=0.5)


def test_a_loss_that_never_rises_again_gives_a_range_from_where_a_tenth_of_the_fall_is_left():
    """However far apart the ways of reading lie, of which some see only the fall and some only the end."""
    fall = 1 / (1 + np.exp(-6 * (np.log10(RATES) + 4)))
    noise = np.random.default_rng(0).normal(scale=0.02, size=(3, len(RATES)))
    found = read_range(RATES, (2.3 - 2 * fall + noise).tolist())
    assert found.agreement > 3
    assert found.low == pytest.approx(10 ** (-4 + math.log(9) / 6), rel=0.25)


def test_a_ramp_without_a_range_is_drawn_with_its_reason_and_without_a_warning(tmp_path):
    write_figure(tmp_path, rates=RATES, curves=[], result=Range(because="no step was seen"))
    assert "no range, because no step was seen" in (tmp_path / "lr_range.svg").read_text()


def test_early_spikes_in_every_seed_fool_nobody():
    curves = [_curve(seed=seed) for seed in range(5)]
    calm = read_range(RATES, curves)
    for seed, curve in enumerate(curves):
        curve[4 + 3 * seed] = 40.0
        curve[9 + 3 * seed] = 0.01
    spiked = read_range(RATES, curves)
    assert spiked.because == ""
    assert spiked.high == pytest.approx(calm.high, rel=0.3)


def test_a_long_flat_start_is_no_valley():
    assert _read(best=3.0, width=0.8).suggestions["valley"] > 0.1


@pytest.mark.parametrize(
    ("curves", "because"),
    [
        ([[2.3 + 0.1 * np.random.default_rng(seed).normal() for _ in RATES] for seed in range(5)], "no more than its noise"),
        ([np.random.default_rng(seed).normal(2.3, 0.2, 160).tolist() for seed in range(5)], "no more than its noise"),
        ([[1.0] * 9 + [3.0] * 151] * 5, "the loss does not fall: 1 at first, then 1 at least"),
        ([[2.3, None, None]] * 5, "the loss was lost after 1 step"),
        ([[]] * 3, "the loss was lost after 0 steps"),
        ([_curve(best=1e-4, seed=s) for s in range(3)] + [_curve(best=1.0, seed=s) for s in range(3)], "seeds have their least loss"),
    ],
    ids=["constant", "noise", "a step up", "lost at once", "nothing", "seeds apart"],
)  # fmt: skip
def test_where_nothing_can_be_told_the_cause_is(curves, because):
    found = read_range(RATES, curves)
    assert (found.low, found.high) == (None, None)
    assert because in found.because


def _of_hard_batches(seed, *, same):
    """A ramp over batches with a heavy tail whose loss falls by a third, and untrained weights on the same or on others."""
    dice = np.random.default_rng(seed)
    hard, others = 2 * np.exp(dice.normal(size=(2, len(RATES))))
    curve = np.array(_curve(best=0.1, start=1.0, floor=0.65, noise=0.0))
    return (curve * hard[: len(curve)]).tolist(), (hard if same else others).tolist()


@pytest.mark.parametrize("same", [True, False])
def test_untrained_weights_show_a_fall_that_batches_hide_only_if_they_see_the_same_batches(same):
    curves, untrained = zip(*(_of_hard_batches(seed, same=same) for seed in range(3)), strict=True)
    assert "no more than its noise" in read_range(RATES, curves).because
    found = read_range(RATES, curves, untrained)
    assert (found.low is not None) == same
    assert not same or found.low < 0.1 / 3 < found.high


def test_untrained_weights_leave_a_curve_that_is_read_without_them_where_it_is():
    curves = [_curve(seed=seed) for seed in range(3)]
    untrained = [
        (2.3 + 0.05 * np.random.default_rng(s).normal(size=160)).tolist() for s in range(3)
    ]
    assert read_range(RATES, curves, untrained).high == pytest.approx(
        read_range(RATES, curves).high, rel=0.2
    )


@pytest.mark.parametrize("sink", [0.0, 0.02])
def test_a_curve_that_only_rises_gives_no_range(sink):
    """From a start that is learned already, whether the first steps still gain a little or not."""
    decades = np.arange(len(RATES)) / 20
    rise = 0.1 * np.exp(decades) * (1 - sink * (decades < 0.2))
    curves = [
        (rise * (1 + 0.02 * np.random.default_rng(s).normal(size=160))).tolist() for s in range(5)
    ]
    found = read_range(RATES, curves)
    assert (found.low, found.high) == (None, None)
    assert "only rises" in found.because or "no more than its noise" in found.because


def test_a_batch_with_a_heavy_tail_loses_no_ramp_and_a_loss_that_stays_far_up_does():
    dice = np.random.default_rng(0)
    tail = (0.1 * np.exp(2 * dice.normal(size=160))).tolist()  # as of log-normal targets
    assert max(tail) > 20 * tail[0]
    assert not any(is_lost(tail[:end]) for end in range(1, 161))
    assert is_lost([*tail, math.nan])
    grown = [*tail, *[30.0] * 11]
    assert [is_lost(grown[:end]) for end in (162, 168)] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize("likeness", [None, 0.0, 0.9])
def test_pure_noise_gives_a_range_in_at_most_one_of_a_hundred_cases(likeness):
    """Without untrained weights, beside some on other batches, and on nearly the same."""
    told = 0
    for seed in range(100):
        dice = np.random.default_rng(seed)
        curves = dice.normal(1.0, 0.3, (3, 160))
        untrained = []
        if likeness is not None:
            others = dice.normal(1.0, 0.3, (3, 160))
            untrained = (likeness * curves + (1 - likeness) * others).tolist()
        told += read_range(RATES, curves.tolist(), untrained).low is not None
    assert told <= 1


# The command


def _from_range(*words):
    """The config of `lr_sweep from=lr_range`, and its contract."""
    return compose_from("lr_sweep", overrides=list(words), config_dir=None, source="lr_range")


def test_the_command_leaves_range_curves_and_figure_and_hands_them_to_a_sweep(elsewhere):
    done = search("lr_range", *QUICK, "data=breast_cancer", cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = elsewhere / "results" / "lr_range"
    found = json.loads((folder / "lr_range.json").read_text())
    curves = pd.read_csv(folder / "lr_range.csv")
    assert sorted(curves.seed.unique()) == [0, 1, 2]
    assert curves.lr.min() == pytest.approx(1e-7)
    assert "untrained" not in curves  # which the ramps did not need
    assert set(found["suggestions"]) == {"valley", "steepest", "minimum/10", "divergence/3"}
    assert "learning-rate range test" in (folder / "lr_range.svg").read_text()
    assert "next: python -m search lr_sweep from=lr_range" in done.stdout
    plan = search("plan", "lr_sweep", "from=lr_range", "rehearse=false", cwd=elsewhere)
    assert plan.returncode == 0, plan.stderr
    values = [
        float(value)
        for value in re.search(r"values of optimizer.lr: (.*)", plan.stdout)[1].split(",")[1:]
    ]
    assert min(values) == pytest.approx(found["low"], rel=0.01)
    assert max(values) == pytest.approx(found["high"], rel=0.01)
    half, _ = _from_range("space.optimizer.lr.high=7")
    assert half.space.optimizer.lr.low == pytest.approx(found["low"], rel=0.01)
    assert half.space.optimizer.lr.high == 7
    cycle, _ = _from_range("schedule=cyclical")
    ends = [cycle.schedule.base_lr, cycle.schedule.max_lr]  # max_lr follows the rate
    assert ends == pytest.approx([found["low"], found["high"]], rel=0.01)
    own, _ = _from_range("schedule=cyclical", "schedule.base_lr=0.002", "optimizer.lr=0.3")
    assert [own.schedule.base_lr, own.schedule.max_lr] == [0.002, 0.3]
    with raises("range-of-another-setup", "optimizer._target_"):
        _from_range("optimizer=adam")
    status = search("status", cwd=elsewhere)
    assert re.search(r"lr_range: a range test: learning rates from [\d.]+ to [\d.]+", status.stdout)
    table = search("table", "lr_range", cwd=elsewhere)
    assert table.returncode == 2
    check_told(table.stderr, "search-without-trials", "lr_range")
    assert not (folder / "arrays").exists()
    again = search("lr_range", *QUICK, "data=breast_cancer", cwd=elsewhere)
    assert again.returncode == 0
    assert json.loads((folder / "lr_range.json").read_text())["suggestions"] == found["suggestions"]


def test_a_loop_of_ones_own_is_ramped_too(elsewhere):
    words = ["trainer._target_=planted.loop", "trainer.predict=null", "model=own"]
    done = search("lr_range", *QUICK, *words, cwd=elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (
            ["lr_range.low=1", "lr_range.high=0.1"],
            2,
            ("ramp-does-not-rise", "lr_range.high", "0.1", "1"),
        ),
        (["lr_range.scale=square"], 2, ("unknown-choice", "lr_range.scale", "'square'")),
        (["lr_sweeps"], 2, ("unknown-experiment", "'lr_sweeps'", "'lr_sweep'")),
        (["lr_range.steps=5"], 2, ("wrong-type-or-range", "lr_range.steps", "5")),
        (["own_command"], 2, ("no-ramp-of-a-program", "lr_range", "a program", "a sweep")),
        (["lr_range.high=1e-6", *QUICK], 1, ("no-range-found", "no more than its noise")),
    ],
)
def test_a_range_that_cannot_be_told_is_an_error_with_its_cause(words, status, told, elsewhere):
    done = search("lr_range", *words, cwd=elsewhere)
    assert done.returncode == status, done.stdout + done.stderr
    check_told(done.stderr, *told)
    if status == 1:
        ramps = pd.read_csv(elsewhere / "results" / "lr_range" / "lr_range.csv")
        assert np.allclose(ramps.loss, ramps.untrained, rtol=1e-3)  # the same batches came again
        handed = search("plan", "lr_sweep", "from=lr_range", cwd=elsewhere)
        assert handed.returncode == 2
        check_told(handed.stderr, "source-has-no-range", "from=lr_range")


def test_a_linear_ramp_rises_by_equal_steps(elsewhere):
    search(
        "lr_range",
        *QUICK,
        "lr_range.scale=linear",
        "lr_range.low=0.01",
        "lr_range.high=1",
        cwd=elsewhere,
    )
    rates = pd.read_csv(elsewhere / "results" / "lr_range" / "lr_range.csv").query("seed == 0").lr
    assert np.ptp(np.diff(rates)) < 1e-9


@pytest.mark.parametrize(
    ("momentum", "steps"),
    [(0.9, 160), (0.5, 160), (0.97, 533), (0.999, 800), (None, 160), (1.5, 160)],
)
def test_a_ramp_is_slower_for_momentum_that_remembers_longer(momentum, steps):
    ramp = {"low": 1e-7, "high": 10.0, "steps": 160, "scale": "log", "seeds": 5}
    config = OmegaConf.create({"lr_range": ramp, "optimizer": {"momentum": momentum}})
    rates = ramp_rates(config)
    assert (len(rates), rates[0], rates[-1]) == (steps, pytest.approx(1e-7), pytest.approx(10))


@pytest.mark.parametrize(
    ("momentum", "walked"), [(0.9, 0.9), (0.99, 0.99), (0.995, 0.99), (0.999, 0.99), (None, None)]
)
def test_a_ramp_has_no_more_momentum_than_answers_before_its_end_and_the_search_keeps_its_own(
    momentum, walked
):
    config = OmegaConf.create({"seed": 0, "optimizer": {"momentum": momentum, "lr": 0.1}})
    OmegaConf.set_readonly(config, True)
    ramped = walked_config(config)
    assert ramped.optimizer == {"momentum": walked, "lr": 0.1}
    assert config.optimizer.momentum == momentum
    assert (ramped is config) == (momentum == walked)


@pytest.mark.slow
def test_the_range_under_a_momentum_of_0_999_is_that_of_0_99_and_is_said_to_be(elsewhere):
    ended = [
        search(
            "lr_range",
            *QUICK,
            "lr_range.seeds=1",
            "data=digits",
            f"optimizer.momentum={momentum}",
            f"name=at{momentum}",
            cwd=elsewhere,
        )
        for momentum in (0.99, 0.999)
    ]
    told = "the ramp was walked with a momentum of 0.99"
    assert [told in end.stdout for end in ended] == [False, True]
    usual, most = (
        json.loads((elsewhere / "results" / f"at{momentum}" / "lr_range.json").read_text())
        for momentum in (0.99, 0.999)
    )
    assert (usual["momentum"], most["momentum"]) == (None, 0.99)
    assert (usual["low"], usual["high"]) == (most["low"], most["high"])
