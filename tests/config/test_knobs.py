"""Knobs: domains, grids, the string grammar, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from refusals import raises

from search.config.knob_roles import outside_by_default, whole_by_default
from search.config.overrides import Overrides
from search.config.space import read_space
from search.config.trial_config import trial_config


def _one(**node):
    (knob,) = read_space({"optimizer": {"lr": node}})
    return knob


def test_the_shipped_grid_of_rates_is_the_one_in_the_guide():
    assert _one(low=1e-4, high=1.0, scale="log").grid() == (
        0.0001, 0.000215, 0.000464, 0.001, 0.00215, 0.00464, 0.01, 0.0215, 0.0464, 0.1, 0.215, 0.464, 1.0,
    )  # fmt: skip


@st.composite
def nodes(draw):
    """Any range: its scale, its type, hard limits of its own or none."""
    whole = draw(st.booleans())
    scale = draw(st.sampled_from(["log", "linear"]))
    number = st.integers(-5000, 5000) if whole else st.floats(-1e6, 1e6)
    if scale == "log":
        number = st.integers(1, 5000) if whole else st.floats(1e-9, 1e6)
    low, high = sorted((draw(number), draw(number)))
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-6))
    node = {"low": low, "high": high, "scale": scale, "points": draw(st.integers(2, 40))}
    if whole:
        node["type"] = "int"
    if draw(st.booleans()):
        node["min"] = low - abs(low) * draw(st.floats(0, 1))
    if draw(st.booleans()):
        node["max"] = high + abs(high) * draw(st.floats(0, 3))
    return node


def _one_of_no_shipped_path(node):
    (knob,) = read_space({"my": {"knob": node}})
    return knob


@pytest.mark.slow
@settings(max_examples=300)
@given(nodes())
def test_a_grid_rises_keeps_both_ends_exactly_and_is_even_on_its_scale(node):
    knob = _one_of_no_shipped_path(node)
    grid = np.array(knob.grid(), dtype=float)
    assert len(grid) <= node["points"]
    assert (np.diff(grid) > 0).all()
    assert (grid[0], grid[-1]) == (node["low"], node["high"])
    if "type" in node:
        assert all(isinstance(value, int) for value in knob.grid())
    else:
        assert len(grid) == node["points"]
        steps = np.diff(np.log(grid) if node["scale"] == "log" else grid)
        # Each number is rounded to a tenth of a step, so a step is off by a tenth either way.
        assert steps.max() - steps.min() <= 0.2 * steps.mean()


@pytest.mark.slow
@settings(max_examples=300)
@given(nodes(), st.floats(-1, 2), st.floats(-3, 3), st.integers(0, 39), st.floats(0, 1))
def test_no_value_leaves_its_range_or_its_limits_and_whole_numbers_stay_whole(
    node, share, shift, index, part
):
    knob = _one_of_no_shipped_path(node)
    grid = knob.grid()
    value = grid[index % len(grid)]
    inside = [knob.within(min(max(share, 0.0), 0.9999)), knob.near(value, shift)]
    inside += [knob.clip(node["low"] + share * (node["high"] - node["low"]))]
    inside += [knob.between(value, grid[0], share=part)]
    assert all(node["low"] <= number <= node["high"] for number in inside)
    assert knob.clip(node["low"]) == node["low"]
    assert knob.clip(node["high"]) == node["high"]
    further = [*knob.beyond(knob.ends[1], direction=1), *knob.beyond(knob.ends[0], direction=-1)]
    sign = math.copysign(1, node["low"]) if node["low"] * node["high"] > 0 else 0
    for number in further:
        assert node.get("min", -math.inf) <= number <= node.get("max", math.inf)
        assert not node["low"] <= number <= node["high"]
        if sign and "min" not in node and "max" not in node:
            assert number * sign > 0
    if "type" in node:
        assert all(isinstance(number, int) for number in [*inside, *further])


@pytest.mark.parametrize(
    ("node", "grid"),
    [
        ({"low": 0.9, "high": 0.9999, "scale": "linear", "points": 3}, (0.9, 0.95, 0.9999)),
        ({"low": 1024, "high": 4096, "scale": "log", "points": 3, "type": "int"}, (1024, 2048, 4096)),
        ({"low": 16, "high": 1000, "scale": "log", "points": 4, "type": "int"}, (16, 63, 252, 1000)),
        ({"low": -0.5, "high": 0.5, "scale": "linear", "points": 11},
         (-0.5, -0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5)),
        ({"low": 1000.0, "high": 1001.0, "scale": "linear", "points": 5},
         (1000.0, 1000.25, 1000.5, 1000.75, 1001.0)),
    ],
)  # fmt: skip
def test_grids_that_left_their_range_by_rounding_keep_it(node, grid):
    assert _one_of_no_shipped_path(node).grid() == grid


@pytest.mark.parametrize(
    ("path", "text", "least", "most"),
    [
        ("my.share", "interval(0, 0.5)", 0.0, math.inf),
        ("my.share", "interval(-0.5, 0.5)", -math.inf, math.inf),
        ("my.share", "interval(-0.5, 0)", -math.inf, 0.0),
        ("my.count", "range(1, 6)", 1.0, math.inf),
        ("model.dropout", "interval(0, 0.5)", 0.0, 0.95),
        ("model.dropout", "interval(0, 0.99)", 0.0, 0.99),
        ("optimizer.momentum", "interval(0.5, 0.9)", 0.0, 0.999),
        ("trainer.batch_size", "int(log(8, 64))", 1.0, 4096.0),
    ],
)
def test_a_bound_of_0_is_a_limit_and_known_knobs_have_limits_also_in_a_range_of_ones_own(
    path, text, least, most
):
    group, key = path.split(".")
    (knob,) = read_space({group: {key: text}})
    assert (knob.least, knob.most) == (least, most)
    tried = [*knob.beyond(knob.ends[0], direction=-1), *knob.beyond(knob.ends[1], direction=1)]
    assert all(least <= value <= most for value in tried)


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
        ("range(0, 1, 0.6)", "0.0, 0.6"),
        ("range(16, 100, 48)", "16, 64"),
        ("range(1, 6, 2)", "1, 3, 5"),
        ("range(0.1, 0.5, 0.1)", "0.1, 0.2, 0.3, 0.4, 0.5"),
        ("log(1e-4, 0.1)", "0.0001 … 0.1, log"),
        ("int(log(8, 512))", "8 … 512, log, whole numbers"),
        ("choice(relu, tanh)", "relu, tanh"),
        ("choice('a b', 3, true)", "a b, 3, True"),
    ],
)
def test_the_string_grammar_means_the_same_in_files_and_on_the_command_line(text, told):
    (knob,) = read_space({"model": {"x": text}})
    ((path, node),) = Overrides.read([f"space.model.x={text}"]).domains.items()
    assert knob.path == path == "model.x"
    assert knob.describe() == told
    assert read_space({"model": {"x": node}})[0] == knob


def test_plain_overrides_are_left_to_hydra():
    words = ["space.optimizer.lr.points=5", "optimizer.lr=0.1", "~model.width", "model=mlp"]
    assert Overrides.read(words).hydra == words


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"low": 1, "high": 0.1, "scale": "log"},
            ("range-holds-no-value", "space.optimizer.lr", "low=1", "high=0.1"),
        ),
        (
            {"low": 0.0, "high": 1, "scale": "log"},
            ("log-scale-needs-positive", "low=0"),
        ),
        (
            {"low": 0, "high": 1},
            ("scale-is-missing",),
        ),
        ({"low": 0, "high": 1, "scale": "cubic"}, ("unknown-choice", "'cubic'")),
        ({"low": 0, "scale": "log"}, ("range-lacks-an-end",)),
        (
            {"low": "1e-4x", "high": 1, "scale": "log"},
            ("wrong-type-or-range", "'1e-4x'"),
        ),
        (
            {"low": 0, "high": float("inf"), "scale": "linear"},
            ("wrong-type-or-range",),
        ),
        (
            {"low": 0, "high": 1, "scale": "linear", "points": 1},
            ("wrong-type-or-range", "points"),
        ),
        (
            {"low": 0.5, "high": 3, "scale": "linear", "type": "int"},
            ("whole-knob-needs-whole-ends", "low=0.5"),
        ),
        (
            {"low": 0, "high": 1, "scale": "linear", "step": 2},
            ("knob-has-strange-keys",),
        ),
        (
            {"low": 0, "high": 1, "scale": "linear", "group": "magic"},
            ("unknown-choice", "'magic'"),
        ),
        ({"choices": []}, ("choices-not-different",)),
        ({"choices": [1, 1]}, ("choices-not-different", "[1")),
        (
            3,
            ("knob-holds-no-value",),
        ),
        ("interval(1)", ("domain-not-understood", "'interval(1)'")),
        ("loguniform(1, 2)", ("domain-not-understood",)),
        ("5", ("domain-of-one-value", "'5'")),
        ("range(0, 1, 1e-8)", ("domain-of-too-many-values", "1000", "100000001")),
        ("range(0, 1, 0)", ("domain-does-not-rise",)),
        ("range(5, 1)", ("domain-does-not-rise",)),
        ("tag(log, range(1, 6))", ("domain-has-strange-tag",)),
        ("tag(fast, interval(1, 6))", ("domain-has-strange-tag",)),
        ({"choices": "abc"}, ("wrong-type-or-range", "'abc'")),
        ({"choices": [1, 2], "low": 0}, ("choices-beside-range",)),
        ({"choices": [1, float("inf")]}, ("choice-not-plain",)),
        ({"low": 0, "high": 1, "scale": "linear", "points": 10**21}, ("wrong-type-or-range",)),
        ({"low": 0, "high": 1, "scale": "linear", "min": "x"}, ("wrong-type-or-range",)),
        ({"low": 0, "high": 1, "scale": "linear", "type": True}, ("unknown-choice",)),
        ({"low": 0, "high": 1, "scale": "linear", "group": []}, ("unknown-choice",)),
        ({"low": 1, "high": 1 + 1e-12, "scale": "linear"}, ("range-too-narrow",)),
        ("int(interval(0.5, 3.5))", ("whole-knob-needs-whole-ends", "low=0.5")),
        ({"low": 1, "high": 1, "scale": "linear"}, ("range-holds-no-value", "low=1", "high=1")),
        ({"low": 0, "high": 1e300, "scale": "linear"}, ("wrong-type-or-range",)),
    ],
)
def test_a_domain_that_breaks_a_rule_is_refused_with_rule_value_and_remedy(node, message):
    with raises(*message):
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
    reached = {
        knob.within(share) for share in np.linspace(0, 1, 20_001)
    }  # two at the least for each
    assert reached == set(values)
    assert {knob.near(values[0], shift) for shift in (-0.5, 0.0)} == {values[0]}
    assert knob.near(values[0], 5.0) == values[-1]


def test_a_default_has_the_type_of_the_choice_that_it_equals():
    def knob(*choices):
        return read_space({"schedule": {"warmup": {"choices": list(choices)}}})[0]

    assert repr(knob(0, 0.5, 1).typed(0.0)) == "0"
    assert repr(knob(0.0, 1.0).typed(1)) == "1.0"
    assert repr(knob(False, True).typed(1)) == "1"
    assert repr(knob("a", None, 2).typed(3.0)) == "3.0"


@pytest.mark.parametrize(
    ("default", "domain", "is_told"),
    [
        (50, "log(20, 800)", True),
        (50, "int(log(20, 800))", False),
        (50.0, "log(20, 800)", False),
        (1, "log(0.1, 10)", False),
        (0, "interval(0, 1)", False),
        (True, "interval(0, 5)", False),
        (50, "choice(20, 800)", False),
    ],
)
def test_a_whole_default_whose_knob_takes_fractions_is_told(default, domain, is_told):
    knobs = read_space({"ripple": {"features": domain}})
    lines = whole_by_default(OmegaConf.create({"ripple": {"features": default}}), knobs)
    told = "ripple.features is 50, and its knob takes fractions such as "
    assert [line.startswith(told) for line in lines] == [True] * is_told
    assert all(line.endswith("int(log(20, 800)) gives whole numbers only") for line in lines)


@pytest.mark.parametrize(
    ("default", "domain", "is_told"),
    [
        (3e-4, "log(0.1, 3)", True),
        (0.2, "log(0.1, 3)", False),
        (0.0, "log(1e-6, 0.1)", False),  # off
        (3e-4, "choice(0.1, 3)", False),
    ],
)
def test_a_baseline_outside_its_own_range_is_told_unless_it_is_off(default, domain, is_told):
    knobs = read_space({"optimizer": {"lr": domain}})
    lines = outside_by_default(OmegaConf.create({"optimizer": {"lr": default}}), knobs)
    told = "the baseline of optimizer.lr, 0.0003, lies outside its range, 0.1 to 3: "
    assert [line.startswith(told) for line in lines] == [True] * is_told
