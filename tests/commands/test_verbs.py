"""Help pages, JSON documents, `status`, `table`: what a user and a program read from the command line."""

import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
from argparse import Namespace
from dataclasses import dataclass, replace

import pandas as pd
import pytest
from kit import INLINE, environment, search, trials
from omegaconf import OmegaConf
from refusals import check_told

import search as search_package
from search.__main__ import main
from search.commands.support.closing import chosen_words
from search.commands.support.show_plan import composed
from search.commands.support.show_table import selected
from search.config import catalogue
from search.config.catalogue import verbs
from search.contract.metrics import Metric
from search.execution.pace import epochs_left, seconds_left
from search.results.findings import open_results
from search.results.status import status_of
from search.storage.sealed import read_json

READERS = [
    "list",
    "status",
    "table",
    "doctor",
    "report",
    "workers",
]  # verbs whose document needs no training


@pytest.mark.parametrize("verb", verbs())
def test_every_verb_has_a_help_page_of_at_most_80_columns_with_two_examples(verb, capsys):
    assert main([verb, "--help"]) == 0
    page = capsys.readouterr().out
    assert main(["help", verb]) == 0
    assert capsys.readouterr().out == page
    assert page.startswith(f"usage: python -m search {verb} ")
    assert len(re.findall(r"^  python -m search", page, re.MULTILINE)) >= 2
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["lr_range", "plan", "preflight", "run", "sweep", "tune"])
def test_the_examples_of_a_help_page_name_what_exists(verb):
    page = catalogue.verb(verb).parser().format_help()
    for line in re.findall(r"^  python -m search (.*)$", page, re.MULTILINE):
        words = [word for word in shlex.split(line) if not word.startswith("from=")]
        words = words[words[0] == verb :]
        if verb in ("tune", "sweep"):
            words = [verb, *words]
        elif not words or "=" in words[0]:
            words = ["lr_sweep", *words]
        assert composed(Namespace(experiment=words[0], overrides=words[1:]), None).name


def test_a_knobs_line_names_range_scale_default_and_reason(capsys):
    main(["help", "lr_sweep"])
    page = " ".join(capsys.readouterr().out.split())
    assert "optimizer.lr 0.0001 … 1, log; default 0.1. R29: the learning rate matters most" in page
    assert "seeds=3 trainings per value of a sweep, each with a seed of its own" in page


def test_a_misspelt_option_or_word_names_the_nearest(capsys):
    assert main(["table", "x", "--tpo", "3"]) == 2
    check_told(capsys.readouterr().err, "unknown-option", "'--tpo'", "'--top'")
    assert main(["help", "tabel"]) == 2
    check_told(capsys.readouterr().err, "unknown-experiment-or-verb", "'tabel'", "'table'")


def test_help_spells_out_a_cited_rule(capsys):
    assert main(["help", "r30"]) == 0
    assert capsys.readouterr().out == "R30: Coarse first, then finer around the best.\n"
    assert main(["help", "R999"]) == 2
    check_told(capsys.readouterr().err, "unknown-rule", "'R999'")


def test_a_table_says_once_how_a_rule_that_it_cites_is_spelled_out(smoke, capsys):
    assert main(["table", "smoke"]) == 0
    shown = capsys.readouterr().out
    cited = re.findall(r"\b[RP]\d+[ab]?\b", shown)
    assert shown.count(f"what a rule says: python -m search help {cited[-1]}\n") == 1
    assert cited[-1] in cited[:-1]


def test_messages_name_the_program_that_was_started(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/knobwise"])
    assert main(["status", f"results_root={tmp_path}"]) == 0
    assert "start one: knobwise lr_sweep" in capsys.readouterr().out
    assert main(["table"]) == 2
    check_told(capsys.readouterr().err, "missing-words", "usage: `knobwise table")
    assert main(["help", "table"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("usage: knobwise table")
    assert "python -m" not in page
    assert main(["help", "doctor"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert second.index("[") == first.index("[")
    assert main(["list"]) == 0
    assert "knobwise …" not in capsys.readouterr().out  # that is what was started


def test_the_screen_shows_the_numbers_of_the_files(smoke, capsys):
    assert main(["table", "smoke"]) == 0
    screen = capsys.readouterr().out
    summary = pd.read_csv(smoke / "results" / "smoke" / "summary.csv")
    means = trials(smoke / "results" / "smoke").groupby("optimizer.lr")["value"].mean()
    assert summary["mean"].tolist() == pytest.approx(
        means[summary["optimizer.lr"]].tolist(), nan_ok=True, rel=1e-12
    )
    for value, mean in zip(summary["optimizer.lr"], summary["mean"], strict=True):
        if mean == mean:
            assert re.search(rf"^ *{value:g} +{mean:.4f}", screen, re.MULTILINE), value


def test_the_version_is_that_of_the_package(capsys):
    from search.config.version import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"knobwise {__version__}\n"


def _document(capsys, *words):
    capsys.readouterr()
    assert main(list(words)) == 0
    return json.loads(capsys.readouterr().out)


def _keys_documented():
    """Kind of document → its keys, from the table in the room's README."""
    from search.config.catalogue import PACKAGE

    text = (PACKAGE / "commands" / "README.md").read_text()
    rows = re.findall(r"^\| `knobwise/(\w+)` \| (.*?) \|", text, re.MULTILINE)
    return {kind: re.findall(r"`(\w+)`", keys) for kind, keys in rows}


def test_every_document_has_the_keys_that_are_documented(smoke, capsys):
    documented = _keys_documented()
    for verb in READERS:
        words = (
            [verb, "smoke", "--json"]
            if verb in ("table", "doctor", "report", "workers")
            else [verb, "--json"]
        )
        document = _document(capsys, *words)
        assert (document["schema"], document["version"]) == (f"knobwise/{verb}", 1)
        assert set(document) - {"schema", "version"} == set(documented[verb]), verb


@pytest.mark.slow
def test_the_plan_as_a_document_has_its_keys_knobs_and_a_measured_epoch(elsewhere, capsys):
    document = _document(capsys, "plan", "smoke", "placement.slots=1", "rehearse=false", "--json")
    assert set(document) - {"schema", "version"} == set(_keys_documented()["plan"])
    assert (document["trials_missing"], document["slots"]) == (4, ["cpu"])
    (knob,) = document["knobs"]
    assert (knob["path"], knob["low"], knob["scale"]) == ("optimizer.lr", 0.001, "log")
    assert document["epoch_seconds"] > 0
    assert list(elsewhere.iterdir()) == []


@pytest.mark.slow
def test_a_preflight_as_a_document_is_preflight_json_and_nothing_else_is_printed(elsewhere):
    words = ["preflight", "own_trainer", "trainer._target_=toys.steady", "name=one", "--json"]
    done = search(*words, "rehearse=false", cwd=elsewhere)
    document = json.loads(done.stdout)
    assert set(document) - {"schema", "version"} == set(_keys_documented()["preflight"])
    written = read_json(elsewhere / "results" / "one" / "preflight.json")
    assert {key: document[key] for key in written} == written


def test_status_tells_the_best_trial_and_that_the_search_is_done(smoke, capsys):
    (entry,) = _document(capsys, "status", "smoke", "--json")["searches"]
    table = trials(smoke / "results" / "smoke")
    assert (entry["state"], entry["trials_finished"], entry["trials_foreseen"]) == ("done", 4, 4)
    chosen = table[table["optimizer.lr"] == 0.1]
    assert entry["best"] == {
        "trial": chosen.trial.min(),
        "knobs": {"optimizer.lr": 0.1},
        "value": chosen.value.mean(),
        "seeds": len(chosen),
        "decided": True,
    }
    assert entry["seconds_left"] is None
    assert entry["running"] == []


def test_a_search_that_was_killed_before_its_first_trial_is_read_by_every_verb(smoke, capsys):
    folder = smoke / "results" / "smoke"
    lines = (folder / "journal.log").read_text().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if json.loads(line)["op_code"] == 4)
    (folder / "journal.log").write_text("".join(lines[:first]))
    for path in folder.iterdir():
        if path.suffix in (".csv", ".jsonl", ".parquet", ".html", ".svg") or "best" in path.name:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for verb in ("status", "table", "report"):
        assert main([verb, "smoke"]) == 0, verb
    assert "no decision yet: 4 trials still to come" in capsys.readouterr().out
    for words, code in (
        (["doctor", "smoke"], "verdict-needs-both-losses"),
        (["doctor", "smoke", "0"], "verdict-needs-curves"),
        (["export", "smoke", "--to", "b.yaml"], "export-needs-winner"),
        (["momentum_sweep", "from=smoke"], "source-has-no-winner"),
    ):
        assert main(words) == 2, words
        check_told(capsys.readouterr().err, code, "queued" if words[-1] == "0" else "smoke")
    assert {path.name for path in smoke.iterdir()} == {"results"}
    assert {path.name for path in (smoke / "results").iterdir()} == {"smoke"}
    assert len(search_package.load("smoke").trials) == 4


def test_a_search_whose_conductor_was_killed_has_died_and_one_that_was_left_has_stopped(smoke):
    folder, findings = open_results("smoke", root=smoke / "results")
    unfinished = replace(findings, foreseen=5)
    assert status_of(folder, unfinished).state == "stopped"
    code = (
        "import os, sys; from pathlib import Path; from search.storage.folder import Folder\n"
        "with Folder(Path('results/smoke')).locked(): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=smoke, env=environment(), check=False)
    assert status_of(folder, unfinished).state == "died"
    with folder.locked():
        assert status_of(folder, unfinished).state == "running"
    assert status_of(folder, unfinished).state == "stopped"
    assert status_of(folder, findings).state == "done"


def test_a_conductor_on_another_machine_that_has_not_said_that_it_ended_is_named(smoke):
    """A lock does not reach a copy of the folder elsewhere, nor through every network file system."""
    folder, findings = open_results("smoke", root=smoke / "results")
    lock = folder.path / "lock"
    holder = {"pid": 7, "host": "elsewhere", "started": "2026-01-01T10:00:00+01:00", "command": ""}
    lock.write_text(json.dumps(holder))
    shown = search("status", "smoke", cwd=smoke).stdout
    assert "process 7 on elsewhere, started 2026-01-01T10:00:00+01:00, has not said" in shown
    done = search("smoke", *INLINE, "lanes=off", cwd=smoke)
    assert done.returncode == 0, done.stderr
    assert "process 7 on elsewhere" in done.stdout + done.stderr
    assert "elsewhere" not in search("status", "smoke", cwd=smoke).stdout  # it ended in order
    lock.write_text(json.dumps({**holder, "host": socket.gethostname()}))
    assert status_of(folder, findings).elsewhere == ""  # the kernel of this machine says so
    lock.write_text(json.dumps(holder))
    with folder.locked():
        assert status_of(folder, findings).elsewhere == ""


def test_a_table_is_sorted_cut_and_printed_in_every_format_with_the_same_numbers(smoke, capsys):
    def rows(*words):
        return _document(capsys, "table", "smoke", *words, "--json")["rows"]

    means = [row["mean"] for row in rows("--sort=mean")]
    assert means[:3] == sorted(means[:3], reverse=True)
    assert means[3] is None  # the value that diverged comes last
    assert [row["mean"] for row in rows("--sort=-accuracy")][:3] == sorted(means[:3])
    for column in ("mean", "accuracy"):  # a score: the best comes first
        assert [row["mean"] for row in rows("--sort", column, "--top", "1")] == [max(means[:3])]
    assert rows("--sort", "accuracy", "--trials")[0]["value"] == max(means[:3])
    seconds = [row["seconds"] for row in rows("--sort", "seconds")]
    assert seconds == sorted(seconds)
    assert len(rows("--trials")) == 4
    choices = pd.DataFrame({"knob": pd.Series([10, None, 2], dtype=object)})  # 2 before 10
    ordered = selected(
        choices, sort="knob", top=2, metric=Metric(name="accuracy", direction="maximize")
    )
    assert ordered["knob"].tolist() == [2, 10]

    written = smoke / "results" / "smoke" / "summary.csv"
    summary = pd.read_csv(written)
    assert main(["table", "smoke", "--format", "csv"]) == 0
    assert capsys.readouterr().out == written.read_text()
    assert main(["table", "smoke", "--format", "md"]) == 0
    assert capsys.readouterr().out.count("\n") == len(summary) + 2
    assert main(["table", "smoke", "--format", "latex"]) == 0
    table = capsys.readouterr().out
    assert r"\begin{tabular}" in table
    assert re.search(r"& 0\.\d{4} &.*& -?0\.\d{4} & \d\.0 &", table)  # mean, against, epoch
    assert main(["table", "smoke", "--sort", "meen"]) == 2
    check_told(capsys.readouterr().err, "unknown-column", "'meen'", "'mean'")


def test_results_root_is_a_word_of_every_verb_that_reads(smoke, capsys):
    (smoke / "results").rename(smoke / "elsewhere")
    for verb in ("status", "table", "doctor", "export"):
        assert main([verb, "smoke", "results_root=elsewhere"]) == 0, verb
    capsys.readouterr()
    assert main(["table", "smoke"]) == 2


def test_epochs_left_fall_as_trials_go_on_and_never_below_zero():
    assert epochs_left(trained=0, ended=0, running=[], waiting=4, most=10) == 40
    assert epochs_left(trained=10, ended=2, running=[3], waiting=2, most=10) == 12
    assert epochs_left(trained=8, ended=2, running=[8], waiting=0, most=10) == 1  # past the mean
    assert epochs_left(trained=8, ended=2, running=[30], waiting=0, most=10) == 0
    assert seconds_left(12, trained=6, seconds=3.0) == 6
    assert seconds_left(12, trained=0, seconds=3.0) is None


def test_the_chosen_words_are_keys_of_a_config_and_a_long_command_goes_on_behind_backslashes(
    smoke,
):
    _, findings = open_results("smoke", root=smoke / "results")
    assert chosen_words(findings) == ["optimizer.lr=0.1"]
    choices = OmegaConf.create({"choices": {"optimizer": {"adam": {"lr": 0.001}}}})
    chosen = {"optimizer": "adam", "optimizer.adam.lr": 0.01, "model.name": "a b"}
    winner = replace(findings.winner, spec=replace(findings.winner.spec, knobs=chosen))
    plan = replace(findings.plan, config=choices)
    words = chosen_words(_Chosen(plan=plan, winner=winner))
    assert words == ["optimizer=adam", "optimizer.lr=0.01", "'model.name=a b'"]


@dataclass(frozen=True)
class _Chosen:
    """As much of findings as the chosen words follow from."""

    plan: object
    winner: object
