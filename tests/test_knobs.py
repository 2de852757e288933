"""Knobs: domains, grids, the string grammar, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from search.config.space import read_space
from search.config.sweep_grammar import sweep_override
from search.config.trial_config import trial_config
from search.errors import UsageError


def _one(**node):
    (knob,) = read_space({"optimizer": {"lr": node}})
    return knob


def test_the_shipped_grid_of_rates_is_the_one_in_the_guide():
    assert _one(low=1e-4, high=1.0, scale="log").grid() == (
        0.0001, 0.000215, 0.000464, 0.001, 0.00215, 0.00464, 0.01, 0.0215, 0.0464, 0.1, 0.215, 0.464, 1.0,
    )  # fmt: skip


@given(
    low=st.floats(1e-6, 1e3),
    factor=st.floats(1.5, 1e6),
    points=st.integers(2, 40),
    scale=st.sampled_from(["log", "linear"]),
)
def test_a_grid_rises_keeps_its_ends_and_is_even_in_its_scale(low, factor, points, scale):
    knob = _one(low=low, high=low * factor, scale=scale, points=points)
    grid = np.array(knob.grid(), dtype=float)
    assert len(grid) <= points
    assert (np.diff(grid) > 0).all()
    assert grid[0] == pytest.approx(low, rel=5e-3)
    assert grid[-1] == pytest.approx(low * factor, rel=5e-3)
    if len(grid) == points and points > 2:
        steps = np.diff(np.log(grid) if scale == "log" else grid)
        rounding = 0.011 if scale == "log" else 0.011 * grid[1:]
        assert (np.abs(steps - steps.mean()) <= rounding).all()


@given(low=st.integers(1, 50), more=st.integers(1, 200), points=st.integers(2, 20))
def test_a_grid_of_whole_numbers_has_no_repeats(low, more, points):
    grid = _one(low=low, high=low + more, scale="linear", type="int", points=points).grid()
    assert len(set(grid)) == len(grid)
    assert all(isinstance(value, int) for value in grid)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tag(log, interval(1e-4, 1))", "0.0001 … 1, log"),
        ("interval(0, 0.5)", "0 … 0.5, linear"),
        ("int(interval(16, 256))", "16 … 256, linear, whole numbers"),
        ("tag(log, int(interval(8, 512)))", "8 … 512, log, whole numbers"),
        ("range(1, 6)", "1 … 6, linear, whole numbers"),
        ("range(0, 1, 0.25)", "0.0, 0.25, 0.5, 0.75, 1.0"),
        ("choice(relu, tanh)", "relu, tanh"),
        ("choice('a b', 3, true)", "a b, 3, True"),
    ],
)
def test_the_string_grammar_means_the_same_in_files_and_on_the_command_line(text, told):
    (knob,) = read_space({"model": {"x": text}})
    path, node = sweep_override(f"space.model.x={text}")
    assert knob.path == path == "model.x"
    assert knob.describe() == told
    assert read_space({"model": {"x": node}})[0] == knob


def test_plain_overrides_are_left_to_hydra():
    assert sweep_override("space.optimizer.lr.points=5") is None
    assert sweep_override("optimizer.lr=0.1") is None


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"low": 1, "high": 0.1, "scale": "log"},
            r"space\.optimizer\.lr: `low < high` must hold, but got low=1, high=0.1; swap",
        ),
        (
            {"low": 0.0, "high": 1, "scale": "log"},
            r"a log scale needs `low > 0`, but got low=0; raise it or say scale: linear",
        ),
        (
            {"low": 0, "high": 1},
            r"`scale` must be log or linear; it is never implied, but got None; say scale",
        ),
        ({"low": 0, "high": 1, "scale": "cubic"}, r"`scale` must be log or linear.*got 'cubic'"),
        ({"low": 0, "scale": "log"}, r"`low` and `high` belong together"),
        (
            {"low": "1e-4x", "high": 1, "scale": "log"},
            r"`low` must be a finite number, but got '1e-4x'",
        ),
        (
            {"low": 0, "high": float("inf"), "scale": "linear"},
            r"`high` must be a finite number, but got inf",
        ),
        (
            {"low": 0, "high": 1, "scale": "linear", "points": 1},
            r"`points` must be a whole number of at least 2, and at most 1000, but got 1",
        ),
        (
            {"low": 0.5, "high": 3, "scale": "linear", "type": "int"},
            r"a knob of whole numbers needs whole ends, but got low=0.5",
        ),
        (
            {"low": 0, "high": 1, "scale": "linear", "step": 2},
            r"a knob has the keys low, high.*but got step; mend the key",
        ),
        (
            {"low": 0, "high": 1, "scale": "linear", "group": "magic"},
            r"`group` is one of optimization.*but got 'magic'",
        ),
        ({"choices": []}, r"`choices` needs at least two different values, but got \[\]"),
        ({"choices": [1, 1]}, r"`choices` needs at least two different values, but got \[1, 1\]"),
        (
            3,
            r"a knob needs `low` and `high`, `choices`, or a string such as interval\(0, 1\), but got 3",
        ),
        ("interval(1)", r"a knob's string is interval\(a, b\).*but got 'interval\(1\)'"),
        ("loguniform(1, 2)", r"a knob's string is interval"),
        ("5", r"a knob needs more than one value, but got '5'"),
    ],
)
def test_a_domain_that_breaks_a_rule_is_refused_with_rule_value_and_remedy(node, message):
    with pytest.raises(UsageError, match=message):
        read_space({"optimizer": {"lr": node}})


def test_links_follow_a_knob():
    base = OmegaConf.create(
        {"optimizer": {"lr": 0.1}, "schedule": {"max_lr": "${optimizer.lr}"}, "seed": 0}
    )
    config = trial_config(base, knobs={"optimizer.lr": 0.5}, seed=7)
    assert OmegaConf.to_container(config, resolve=True) == {
        "optimizer": {"lr": 0.5},
        "schedule": {"max_lr": 0.5},
        "seed": 7,
    }
    assert base.optimizer.lr == 0.1


@pytest.mark.parametrize(
    ("text", "count", "first", "last"),
    [
        ("int(interval(1000, 1004))", 5, 1000, 1004),
        ("tag(log, int(interval(2048, 2064)))", 17, 2048, 2064),
        ("interval(0.999, 0.9999)", 901, 0.999, 0.9999),
        ("interval(-1, 1)", 201, -1.0, 1.0),
        ("interval(0, 0.7)", 701, 0.0, 0.7),
        ("tag(log, interval(1e-4, 1))", 3601, 1e-4, 1.0),
        ("tag(log, interval(0.9, 1.1))", 201, 0.9, 1.1),
    ],
)
def test_every_value_of_a_range_can_be_reached_both_ends_included(text, count, first, last):
    (knob,) = read_space({"x": text})
    values = knob.all_values()
    assert (len(values), values[0], values[-1]) == (count, first, last)
    assert all(knob.holds(value) for value in values)
    reached = {knob.within(share) for share in np.linspace(0, 1, 200_001)}
    assert reached == set(values)
    assert {knob.near(values[0], shift) for shift in (-0.5, 0.0)} == {values[0]}
    assert knob.near(values[0], 5.0) == values[-1]
