"""What a person sees while a search runs: at every width, with and without a terminal, colours and results."""

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from search.config.compose import compose_experiment
from search.config.knobs import short_names
from search.config.plan import read_plan
from search.execution.early_stopping import EarlyStopping
from search.execution.pace import RecentEpochs, duration, epochs_left, in_words
from search.execution.progress import ShownProgress, growth_reason
from search.execution.slots import Slot
from search.execution.terminal import Line, Terminal, aligned
from search.storage.trials import BY_ITSELF, FROM_ZERO, TrialRecord, TrialSpec


def _plan(name="lr_sweep"):
    return read_plan(compose_experiment(name, overrides=[], config_dir=None), root=Path("/r"))


def _console(width, **options):
    return Terminal(width=width, record=True, file=io.StringIO(), **options)


def _ask(trial, lr=0.1, stage="sweep.optimizer.lr"):
    return TrialSpec(trial=trial, stage=stage, knobs={"optimizer.lr": lr}, seed=0)


def _text(progress, console):
    console.print(progress)
    return console.export_text()


def _begun(width, trials=1, name="lr_sweep", **options):
    console, plan = _console(width, **options), _plan(name)
    progress, slot = (
        ShownProgress(plan, rows=(), console=console),
        Slot(number=0, gpu=None, threads=1),
    )
    progress.foreseen(39)
    for trial in range(trials):
        progress.began(slot, _ask(trial))
        early = EarlyStopping(metric=plan.metric, patience=None, value=0.9 + trial / 100)
        record = {"trial": trial, "epoch": 3 + trial, "train_loss": 0.25, "val_loss": 0.5}
        progress.heard(slot, early, record)
    return progress, console, slot


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("trials", [1, 8])
def test_slot_losses_and_best_value_are_seen_at_every_width(width, trials):
    progress, console, _ = _begun(width, trials)
    text = _text(progress, console)
    assert max(map(len, text.splitlines())) <= width
    numbers = (
        r"0 cpu +0–7 +3–10/50 +0\.25 +0\.5 +0\.97"
        if trials > 1
        else r"0 cpu +0 +3/50 +0\.25 +0\.5 +0\.9"
    )
    assert re.search(numbers, text)
    assert ("8 lanes" if trials > 1 else "lr=0.1 seed 0") in text


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(("name", "shown"), [("joint", "the baseline"), ("train", "")])
def test_a_trial_that_turns_nothing_is_named_the_baseline_and_of_one_training_nothing(
    name, shown, terminal
):
    plan = _plan("joint")
    plan = replace(plan, kind="train") if name == "train" else plan
    console = _console(80, force_terminal=terminal)
    progress, slot = (
        ShownProgress(plan, rows=(), console=console),
        Slot(number=0, gpu=None, threads=1),
    )
    spec = TrialSpec(trial=0, stage="search", knobs={}, seed=4)
    progress.began(slot, spec)
    assert re.search(rf"^ +{shown} ?seed 4$".replace("  ?", " ?"), _text(progress, console), re.M)
    progress.left(slot, spec)
    progress.finished(TrialRecord(spec=spec, state="complete", value=0.5, epochs=5), [])
    text = _text(progress, console)
    assert re.search(
        rf"best so far: accuracy 0.5, trial 0{': ' if shown else ''}{shown} *$", text, re.M
    )
    if not terminal:
        assert f"trial 0  {shown}{'  ' if shown else ''}seed 4  accuracy" in text


def test_before_a_trial_the_view_says_what_is_waited_for():
    console = _console(80)
    text = _text(ShownProgress(_plan(), rows=(), console=console), console)
    assert "waiting for the workers: they import torch and the trainer" in text


def test_trials_that_ended_without_a_value_are_counted_and_the_first_value_is_the_best():
    progress, console, _ = _begun(80)
    assert "no trial has ended yet" in _text(progress, console)
    for trial in range(6):
        progress.finished(TrialRecord(spec=_ask(trial), state="infeasible", epochs=1), [])
    assert "6 ended, none usable yet" in _text(progress, console)
    progress.finished(TrialRecord(spec=_ask(6), state="complete", value=0.5, epochs=5), [])
    progress.finished(TrialRecord(spec=_ask(7), state="complete", value=0.4, epochs=5), [])
    assert "best so far: accuracy 0.5, trial 6: lr=0.1" in _text(progress, console)


@pytest.mark.parametrize(
    ("what", "why", "value", "times"),
    [
        (BY_ITSELF, f" at epoch 2 of 3{FROM_ZERO}", 0.5, 1),
        ("stopped early", ": no better accuracy for 10 epochs", 0.5, 1),
        ("ValueError", ": the labels", None, 3),  # a fault is told each time
    ],
)
def test_why_a_training_ended_is_explained_once_beside_results(what, why, value, times):
    console = _console(200)
    progress = ShownProgress(_plan(), rows=(), console=console)
    for trial in range(3):
        state = "failed" if value is None else "complete"
        row = TrialRecord(spec=_ask(trial), state=state, value=value, epochs=2, reason=what + why)
        progress.finished(row, [])
    text = console.export_text()
    assert (text.count(what), text.count(why[-9:])) == (3, times)


def test_time_left_does_not_fall_to_nothing_when_the_first_to_end_are_the_shortest():
    assert epochs_left(trained=0, ended=0, most=50, running=[], waiting=1) == 50
    assert (
        epochs_left(trained=130, ended=2, most=50, running=[], waiting=1) == 50
    )  # two ended after one epoch each
    assert epochs_left(trained=60, ended=6, most=50, running=[], waiting=1) == 10
    assert (duration(59.6), duration(61), duration(3660)) == ("1 min 0 s", "1 min 1 s", "1 h 1 min")


def test_short_times_have_two_digits_and_long_ones_no_exponent():
    told = [in_words(seconds) for seconds in (0.0694, 9.4, 10.2, 139.0, 50_700.0)]
    assert told == ["0.069 s", "9.4 s", "10 s", "2 min 19 s", "14 h 5 min"]


def test_a_total_that_grows_says_why_once():
    progress, console, slot = _begun(80)
    progress.finished(TrialRecord(spec=_ask(0), state="complete", value=0.5, epochs=5), [])
    progress.foreseen(45)
    progress.began(slot, _ask(40, lr=3.0))
    progress.began(slot, _ask(41, lr=4.0))
    lines = [line for line in console.export_text().splitlines() if "more trials" in line]
    assert lines[0].startswith("6 more trials, 45 in all: the best optimizer.lr lies at the edge")
    assert len(lines) == 1


def test_values_between_those_of_earlier_runs_and_stages_extend_no_range():
    console = _console(200)
    ended = [TrialRecord(spec=_ask(k, lr=lr), state="complete") for k, lr in enumerate((0.1, 3.0))]
    progress = ShownProgress(_plan(), rows=ended[:1], borrowed=ended[1:], console=console)
    slot = Slot(number=0, gpu=None, threads=1)
    progress.foreseen(2)
    progress.began(slot, _ask(2, lr=0.3))
    progress.finished(TrialRecord(spec=_ask(2, lr=0.3), state="complete", value=0.5, epochs=5), [])
    progress.foreseen(4)
    progress.began(slot, _ask(3, lr=1.0))
    assert "2 more trials, 4 in all: values of optimizer.lr closer to the best" in (
        console.export_text()
    )


def test_the_reason_of_more_trials_follows_from_the_first_of_them():
    tried = [_ask(0, 0.1), _ask(1, 1.0)]
    assert growth_reason(_ask(2, 0.3), tried, adaptive=False).startswith(
        "values of optimizer.lr closer"
    )
    assert growth_reason(_ask(2, 3.0), tried, adaptive=False).endswith("range is extended (P2)")
    assert (
        growth_reason(_ask(2, 0.1), tried, adaptive=False) == "more seeds of values that were tried"
    )
    assert (
        growth_reason(_ask(2, 0.1, "confirm"), tried, adaptive=True) == "the stage confirm begins"
    )
    confirmed = [*tried, _ask(2, 0.1, "confirm")]
    assert growth_reason(_ask(3, 1.0, "confirm"), confirmed, adaptive=True).startswith("further")
    assert growth_reason(_ask(3, 0.1, "confirm"), confirmed, adaptive=True) == "more seeds decide"
    assert growth_reason(_ask(3, 0.1), tried, adaptive=True) == "the sampler goes on"


@pytest.mark.parametrize(("at_once", "every"), [(500, 0.05), (16, 0.05), (1, 30.0)])
def test_the_pace_counts_epochs_that_come_many_at_once(at_once, every):
    epochs = RecentEpochs()
    assert epochs.pace == 0
    for batch in range(300):
        for _ in range(at_once):
            epochs.add(batch * every)
    assert epochs.pace == pytest.approx(at_once / every, rel=0.03)


def test_lanes_that_report_one_epoch_together_have_no_pace_before_the_next_one():
    """After a resumption twenty lanes report within a millisecond: that is no time of an epoch."""
    epochs = RecentEpochs()
    for lane in range(20):
        epochs.add(100 + lane * 5e-5)
    assert epochs.pace == 0
    for lane in range(20):
        epochs.add(110 + lane * 5e-5)
    assert epochs.pace == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("program", ["python -m search", "knobwise"])
def test_a_terminal_that_is_narrow_breaks_prose_and_never_a_command_or_a_path(program):
    console = _console(40, force_terminal=True)
    command = f"  {program} lr_sweep space=width from=t60 name=t60-width"
    path = "/a-folder/with-a-long-name/results/t60/best.yaml"
    console.say(f"next: converged: another size may generalise better\n{command}\n      a purpose")
    console.say(f"{path}: reading the config …")
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert command in lines
    assert f"{path}:" in lines
    assert lines[0] == "next: converged: another size may"
    assert max(len(line) for line in lines if line not in (command, f"{path}:")) <= 40
    _console(0, force_terminal=True).say("a window that says no width, as COLUMNS=0 does")


def test_colours_carry_meaning_on_a_terminal_only_and_no_color_takes_them_away(monkeypatch):
    def shown(**options):
        progress, console, _ = _begun(80, force_terminal=True, **options)
        progress.finished(TrialRecord(spec=_ask(0), state="complete", value=0.5, epochs=5), [])
        console.print(progress)
        return console.file.getvalue()

    assert "\x1b[32mbest so far" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in shown()


@pytest.mark.parametrize(
    ("variables", "codes", "moves"),
    [
        ({}, ["1", "2", "31"], True),
        ({"NO_COLOR": "1"}, ["1", "2"], True),  # https://no-color.org speaks of colour alone
        ({"TERM": "dumb"}, [], False),
    ],
)
def test_a_terminal_gets_what_its_variables_say(variables, codes, moves, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"TERM": "xterm"} | variables).items():
        monkeypatch.setenv(name, value)
    _check_styles(_console(80, force_terminal=True), codes, moves=moves)


@pytest.mark.parametrize(
    ("variables", "codes"),
    [({}, []), ({"FORCE_COLOR": "1"}, ["1", "2", "31"]), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, ["1", "2"])],
)  # fmt: skip
def test_a_pipe_is_given_colour_where_it_is_asked_for_and_no_cursor_is_moved_there(
    variables, codes, monkeypatch
):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    _check_styles(Terminal(file=sys.stdout), codes, moves=False)


class WriteOnly:
    """What a script puts in place of `sys.stdout` to keep a log of it."""

    def __init__(self):
        self.written = []

    def write(self, text):
        self.written.append(text)

    def flush(self):
        pass


def test_an_output_that_is_no_whole_file_gets_plain_lines(monkeypatch):
    monkeypatch.setattr(sys, "stdout", WriteOnly())
    Terminal().say("a line", style="bold")
    assert "".join(sys.stdout.written) == "a line\n"
    monkeypatch.setattr(sys, "stdout", None)  # a program without a window, or `>&-`
    Terminal().say("a line")


def _check_styles(console, codes, *, moves):
    """Which styles arrive of a failed trial, and of words in bold and dim; whether a bar moves."""
    progress = ShownProgress(_plan(), rows=(), console=console)
    progress.foreseen(3)
    with progress, console.status("checking"):
        for state in ("complete", "failed"):
            row = TrialRecord(spec=_ask(0), state=state, value=0.5, epochs=5, reason="broken")
            progress.finished(replace(row, value=None) if state == "failed" else row, [])
        console.say("bold", style="bold")
        console.say("dim", style="dim")
        console.say("red", style="red")
    shown = console.file.getvalue()
    assert ("[1/3] trial 0" in shown) != moves  # a line for each trial where no bar shows it
    assert sorted({*re.findall(r"\x1b\[(1|2|31)m", shown)}) == codes
    assert bool(re.search(r"\x1b\[\d*[AK]", shown)) == moves


def test_short_names_are_last_words_and_ambiguous_ones_stay_whole():
    paths = ["optimizer.sgd.lr", "optimizer.adam.lr", "model.width"]
    assert short_names(paths) == {
        "optimizer.sgd.lr": "optimizer.sgd.lr", "optimizer.adam.lr": "optimizer.adam.lr", "model.width": "width",
    }  # fmt: skip


def test_an_aligned_table_is_cut_at_the_edge_and_shows_control_characters():
    console = _console(20)
    console.print(
        aligned(["a", "name"], [Line(cells=["1", "x\x1b[31m"], below="y" * 40)], left=("name",))
    )
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    assert lines[:2] == ["a  name", r"1  x\x1b[31m"]
    assert len(lines[2]) == 20
    assert lines[2].endswith("…")
