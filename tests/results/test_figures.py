"""The figures: what stands in them, that they are the same again, and that nothing odd in a search can spoil them."""

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from drawn import findings_of, planted
from hypothesis import given
from hypothesis import strategies as st
from kit import INLINE, search
from omegaconf import OmegaConf
from pages import curves_of, joint_findings, steep
from safetensors.torch import save_file

from search.config.compose import compose_experiment
from search.config.knobs import Knob
from search.contract.metrics import Metric
from search.results.figures import figure_files
from search.results.figures.layers import layers_svg, write_layers
from search.results.findings import find, open_results
from search.results.places import dot_limits, limits_by_dots, place
from search.results.report.candidates import candidates_section
from search.storage.folder import Folder
from trainers.api import Data, Part
from trainers.build import made
from trainers.layer_pictures import layer_arrays


def _drawn(findings, path, curves=None):
    """The texts of both figures; each must be whole XML."""
    folder = Folder(path)
    if curves is None:
        curves = [
            {
                "trial": row.spec.trial,
                "fold": 0,
                "epoch": epoch,
                "train_loss": 2 / (epoch + 1),
                "val_loss": 3 / (epoch + 1),
                "accuracy": 0.5,
            }
            for row in findings.rows
            for epoch in range(row.epochs + 1)
        ]
    for name, text in figure_files(findings, pd.DataFrame(curves), folder).items():
        (path / name).write_text(text)
    return [_texts(path / name) for name in ("sweep.svg", "curves.svg")]


def _texts(path):
    return [
        "".join(node.itertext()).strip()
        for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    ]


def _curves(path, color):
    """The curves of a colour: each begins with a move."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*stroke: {color}', path.read_text())
    return sum(path.count("M") for path in paths)


@pytest.mark.slow
def test_the_sweep_shows_the_winner_the_baseline_and_what_is_not_usable(tmp_path):
    findings = findings_of(lambda rate, seed: None if rate == 1.0 else planted(0.01)(rate, seed))
    sweep, curves = _drawn(findings, tmp_path)
    assert "lr_sweep: optimizer.lr, 0.01 is adopted" in sweep
    assert {
        "baseline",
        "chosen",
        "one seed",
        "not usable",
        "mean, 95 % interval",
    } <= set(sweep)
    assert {"0.0001", "0.001", "0.01 chosen", "0.1 (baseline)", "1 not usable"} <= set(curves)
    assert curves[-1].startswith(
        "lr_sweep: learning curves by optimizer.lr (train loss blue, validation loss orange"
    )
    assert _curves(tmp_path / "curves.svg", "#6c8ebf") == len(findings.rows)


@pytest.mark.slow
def test_what_lies_near_the_best_has_a_panel_of_its_own_where_the_rest_is_far_away(tmp_path):
    assert "near the best" in _drawn(findings_of(planted(0.01)), tmp_path)[0]
    assert (
        "near the best"
        not in _drawn(findings_of(lambda rate, seed: 0.9 + 0.01 * seed), tmp_path)[0]
    )


@pytest.mark.slow
def test_the_same_search_gives_the_same_files(tmp_path):
    findings = findings_of(planted(0.01))
    _drawn(findings, tmp_path)
    first = [(tmp_path / name).read_bytes() for name in ("sweep.svg", "curves.svg")]
    _drawn(findings, tmp_path)
    assert [(tmp_path / name).read_bytes() for name in ("sweep.svg", "curves.svg")] == first


@pytest.mark.slow
def test_what_diverges_takes_no_room_and_the_means_of_folds_stand_for_a_trial(tmp_path):
    findings = findings_of(planted(0.01))
    curves = [
        {
            "trial": row.spec.trial,
            "fold": fold,
            "epoch": epoch,
            "train_loss": 1.0,
            "val_loss": [2.0, math.inf, 1e30, math.nan][epoch],
            "accuracy": 0.5,
        }
        for row in findings.rows
        for fold in (-1, 0, 1)
        for epoch in range(4)
    ]
    _, texts = _drawn(findings, tmp_path, curves)
    assert max(float(text) for text in texts if re.fullmatch(r"[\d.]+(e[+-]\d+)?", text)) <= 10
    assert _curves(tmp_path / "curves.svg", "#6c8ebf") == len(findings.rows)
    assert "no finite value" not in texts
    lost = {row.spec.trial for row in findings.rows if row.spec.knobs["optimizer.lr"] == 1.0}
    for row in curves:
        row.update({"train_loss": math.nan, "val_loss": math.inf} if row["trial"] in lost else {})
    assert _drawn(findings, tmp_path, curves)[1].count("no finite value") == 1


@pytest.mark.slow
def test_without_losses_the_metric_is_drawn(tmp_path):
    findings = findings_of(planted(0.01))
    curves = [
        {
            "trial": row.spec.trial,
            "fold": 0,
            "epoch": 1,
            "train_loss": None,
            "val_loss": None,
            "accuracy": 0.5,
        }
        for row in findings.rows
    ]
    texts = _drawn(findings, tmp_path, curves)[1]
    assert "accuracy" in texts
    assert not any("loss" in text for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "words", "shown"),
    [
        ("lr_sweep", ["~space.optimizer", "space.model.width=choice(8, 16, 64)"], "16"),
        (
            "lr_sweep",
            [
                "~space.optimizer",
                "+space.model.activation={choices: [relu, $tanh$]}",
                "model.activation=relu",
            ],
            "$tanh$",
        ),
        ("dropout_sweep", [], "0.2"),
        ("weight_decay_sweep", [], "0"),
    ],
)
def test_choices_linear_knobs_and_values_off_a_log_scale_have_their_place(
    tmp_path, experiment, words, shown
):
    sweep, _ = _drawn(
        findings_of(lambda value, seed: 0.9 + 0.001 * seed, *words, experiment=experiment), tmp_path
    )
    assert shown in sweep


def _gaps(knob, values, most):
    """Distances of neighbouring ticks, as shares of the axis."""
    placement = place(knob, values, most_ticks=most)
    ends = np.log10(placement.limits)
    ticks = np.sort(np.log10(list(placement.ticks)))
    assert ends[0] <= ticks[0]
    assert ticks[-1] <= ends[1]
    return np.diff(ticks) / (ends[1] - ends[0])


@given(
    st.floats(-8, 2),
    st.floats(0.5, 10),
    st.sampled_from([5, 8]),
    st.booleans(),
)
def test_ticks_of_a_log_knob_never_overlap_not_even_with_a_zero(low, decades, most, has_zero):
    knob = Knob(path="a", low=10**low, high=10 ** (low + decades), log=True)
    values = [*knob.grid(), *([0.0] if has_zero else [])]
    assert min(_gaps(knob, values, most), default=1.0) > 0.45 / most
    assert ("0" in place(knob, values).ticks.values()) == has_zero


@pytest.mark.slow
def test_a_joint_search_has_a_zoom_and_the_curves_of_its_leaders(tmp_path):
    findings = joint_findings(steep, "space=[lr,dropout,width]")
    files = figure_files(findings, curves_of(findings), Folder(tmp_path))
    assert set(files) == {"search.svg", "knobs.svg", "curves.svg"}
    for name in ("search.svg", "knobs.svg"):
        assert "near the best" in files[name]
    texts = re.findall(r"<text[^>]*>(.*?)</text>", files["curves.svg"])
    leaders = [str(group.candidate) for group in findings.groups]
    assert all(any(text.startswith(leader) for text in texts) for leader in leaders)
    assert any(text.endswith("chosen") for text in texts)
    rows = [replace(row, state="pruned") for row in findings.rows[:5]]  # it was stopped early on
    begun = find(findings.plan, rows, val_rows=100)
    drawn = figure_files(begun, curves_of(begun), Folder(tmp_path))
    assert set(drawn) == set(files)
    assert "(too few complete trials to say which knob matters)" in drawn["knobs.svg"]
    dice = np.random.default_rng(0)
    flat = [replace(row, value=float(dice.normal())) for row in findings.rows]
    assert find(findings.plan, flat, val_rows=100).why_no_importance.startswith("no knob separates")


def test_letters_that_no_font_here_has_are_text_of_the_file_and_warn_of_nothing(tmp_path):
    words = ["~space.optimizer", '+space.model.activation={choices: ["日本語", "🙂"]}']
    findings = findings_of(lambda value, seed: 0.9, *words, "model.activation=日本語")
    texts = _drawn(findings, tmp_path)[0]
    assert {"日本語", "🙂"} <= set(texts)


def test_control_characters_in_a_choice_leave_the_svg_whole(tmp_path):
    words = ["~space.optimizer", '+space.model.activation={choices: [relu, "a\\x1b[31m<b>"]}']
    findings = findings_of(lambda value, seed: 0.9, *words, "model.activation=relu")
    assert any("\\x1b" in text or "<b>" in text for text in _drawn(findings, tmp_path)[0])


@pytest.mark.slow
def test_of_very_many_values_the_curves_of_the_best_are_drawn(tmp_path):
    findings = findings_of(planted(0.01), "space.optimizer.lr.points=60", seeds=1)
    assert "the best 48 of 6" in _drawn(findings, tmp_path)[1][-1]


def test_before_anything_has_ended_there_is_nothing_to_draw(tmp_path):
    assert findings_of(lambda rate, seed: None).winner is None
    empty = pd.DataFrame()
    assert figure_files(findings_of(lambda rate, seed: None), empty, Folder(tmp_path)) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "labels"),
    [
        ("cnn2d", ["filters of blocks.0", "filters of blocks.4", "activations of blocks.0"]),
        ("mlp", ["activations of layers.1", "activations of layers.3"]),
        ("gru", ["activations of recurrent", "activations of head"]),
    ],
)
def test_the_first_layers_of_a_model_are_drawn_as_pictures(model, labels, tmp_path):
    config = OmegaConf.to_container(
        compose_experiment("smoke", overrides=[f"model={model}"], config_dir=None), resolve=True
    )
    config["model"] |= {"inputs": 64, "outputs": 10}
    part = Part(
        index=np.arange(20), x=np.random.default_rng(0).normal(size=(20, 64)), y=np.arange(20) % 10
    )
    save_file(made(config, "model").state_dict(), tmp_path / "w.safetensors")
    arrays = layer_arrays(config, Data(train=part, val=part), tmp_path / "w.safetensors")
    assert set(labels) <= set(arrays)
    assert all(len(arrays[label]) == 16 for label in labels if label.startswith("activations"))
    drawn = layers_svg("here", arrays)
    assert all(f">{label}<" in drawn for label in arrays)
    assert drawn == layers_svg("here", arrays)


@pytest.mark.slow
def test_the_picture_of_layers_is_of_the_present_winner_however_old_its_weights_are(elsewhere):
    done = search("smoke", *INLINE, "report=on", "figures.layers=true", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    folder, findings = open_results("smoke", root=elsewhere / "results")
    picture = folder.path / "layers.svg"
    assert "the first layers of trial 0, the winner" in picture.read_text()
    other = next(row for row in findings.rows if row.spec.trial == 2)
    assert write_layers(findings.plan, other, folder) == ""
    assert "the first layers of trial 2, the winner" in picture.read_text()


def test_long_intervals_do_not_press_the_dots_of_a_figure_into_a_line():
    dots = [0.5, 0.7, 0.9]
    assert limits_by_dots(dots, [0.4, 0.8, 1.2]) is None
    low, high = limits_by_dots(dots, [-3.0, 0.4, 1.0, 4.0])
    assert (low, high) == pytest.approx((0.38, 1.02))
    assert limits_by_dots([0.5, 0.5], [0.0, 1.0]) is None
    assert limits_by_dots(dots, [float("nan"), 1.0]) is None


@pytest.mark.slow
def test_an_axis_ends_where_the_metric_does_and_a_collapsed_seed_has_its_mark(tmp_path):
    def truth(rate, seed):
        if rate == 0.0001:
            return 0.12 if seed == 2 else 0.65 + 0.03 * seed
        return (0.99 if rate < 0.5 else 0.93) - 0.01 * (seed % 2)

    findings = findings_of(truth)
    assert findings.groups[findings.values.index(0.0001)].collapsed
    assert "a seed collapsed" in _drawn(findings, tmp_path)[0]
    assert "a seed collapsed" not in _drawn(findings_of(planted(0.01)), tmp_path)[0]
    assert (
        "Seeds outside of the picture, collapsed or diverged: 1."
        in candidates_section(findings).lead
    )
    low, high = dot_limits(findings)
    assert low < 0.65
    assert 1 < high < 1.05
    losses = findings_of(lambda rate, seed: 1 - truth(rate, seed), "metric=log_loss")
    low, high = dot_limits(losses)
    assert -0.05 < low < 0
    assert high > 0.35


def test_no_gain_is_called_possible_that_the_metric_cannot_have():
    accuracy = Metric(name="accuracy", direction="maximize")
    assert accuracy.room(0.925) == pytest.approx(0.075)
    assert accuracy.room(92.5) == pytest.approx(7.5)
    assert Metric(name="mse", direction="minimize").room(3.0) == 3.0
    assert Metric(name="mine", direction="maximize").room(0.5) == math.inf


def test_a_figure_whose_values_are_all_the_same_ends_close_to_them():
    from search.results.report.numbers import limits_of_one

    low, high = limits_of_one([0.95, None, 0.95 + 1e-16], [0.0, math.nan, 0.0])
    assert 0.9 < low < 0.95 < high < 1
    assert limits_of_one([0.0], [math.nan]) == (-1.0, 1.0)
    assert limits_of_one([0.95, 0.96], [0.0, 0.0]) is None
    assert limits_of_one([0.95], [0.01]) is None


@pytest.mark.slow
def test_figures_say_nothing_of_a_home_that_cannot_be_written_and_leave_the_logging_as_it_was(
    tmp_path,
):
    home = tmp_path / "home"
    home.write_text("no folder")
    code = "import logging, search.results.figures; print(logging.getLogger('matplotlib').level)"
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("MPL", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**variables, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
