"""Errors: every one has a code of its own, which stays when its words change."""

import ast
import copy
import pickle
import re
import sys
from collections import Counter
from functools import cache

import pytest
from kit import ROOT
from refusals import check_told
from source import PARSED_ONCE, parsed

from search.__main__ import main
from search.errors import Interrupted, RunError, UsageError, refused, unknown

KEBAB = re.compile(r"[a-z]+(-[a-z0-9]+){0,5}")
NAMED = re.compile(r"""["'\[]([a-z]+(?:-[a-z0-9]+)+|interrupted)["'\]]""")
RAISED = {"refused", "UsageError", "RunError", "Interrupted", "ServerAway"}
pytestmark = PARSED_ONCE


@cache
def _calls():
    """Where the source calls what, with which code: a text, an expression or None."""
    return [
        (
            f"{path.relative_to(ROOT)}:{node.lineno}",
            getattr(node.func, "id", getattr(node.func, "attr", "")),
            _code_of(node),
        )
        for path, tree in parsed().items()
        if path.is_relative_to(ROOT / "search")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


def _code_of(call):
    code = next((keyword.value for keyword in call.keywords if keyword.arg == "code"), None)
    return code.value if isinstance(code, ast.Constant) else code and ...


def codes():
    """Every code that the source names, with how many times."""
    return Counter(code for _, _, code in _calls() if isinstance(code, str))


def test_a_code_is_a_few_words_in_kebab_case_and_is_written_once():
    assert [code for code in codes() if not KEBAB.fullmatch(code)] == []
    assert [code for code, number in codes().items() if number > 1] == []


def test_every_code_is_named_by_a_test():
    """As `"the-code"`, or in brackets as the command line shows it."""
    named = {
        word
        for path in (ROOT / "tests").rglob("*.py")
        for word in NAMED.findall(path.read_text(encoding="utf-8"))
    }
    assert sorted(codes().keys() - named) == []


def test_every_error_that_the_source_raises_has_a_code():
    raised = [(place, code) for place, called, code in _calls() if called in RAISED]
    assert len(raised) > 200
    assert [place for place, code in raised if code is None] == []


@pytest.mark.parametrize("kind", [UsageError, RunError, Interrupted])
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_keeps_its_code_and_its_text_from_process_to_process(kind, again):
    error = again(kind("lr: must rise", code="range-holds-no-value"))
    assert type(error) is kind
    assert (str(error), error.code) == ("lr: must rise", "range-holds-no-value")


def test_a_message_has_the_form_where_rule_but_got_remedy():
    error = refused("here", code="a-code", rule="must be so", got="that", remedy="do this")
    assert str(error) == "here: must be so, but got that; do this"


def test_of_very_many_names_a_message_shows_the_three_nearest_and_what_lists_all():
    names = [f"knob_{number}" for number in range(60)] + ["lr_sweep", "lr_range"]
    told = unknown("knob", name="knob_9x", known=names, listing="this command")
    assert len(re.findall(r"'knob_\d+'", told)) == 3
    assert told.endswith("there are 62, listed by this command")
    assert "'lr_range' or 'lr_sweep'" in unknown("knob", name="lr", known=names)
    assert "did you mean" not in unknown("knob", name="wibble", known=names, listing="this")
    long = unknown("knob", name="wibble", known=names, remedy="add it")  # nothing else would help
    assert long.index("add it") < long.index("knob_0") < long.index("knob_59")


def test_the_command_line_says_the_code_behind_the_message(capsys):
    assert main(["tabel"]) == 2
    assert re.search(r"'table'.* \[unknown-experiment-or-verb\]\n$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("word", "got", "command"),
    [
        ("budget_trials=5", "but got a search of kind sweep", ""),
        (
            "dta=5",
            "did you mean 'data'? a new key is added with +dta=…",
            "python -m search help lr_sweep",
        ),
    ],
)
def test_a_terminal_shows_the_parts_of_a_message_on_lines_of_their_own_and_a_pipe_all_on_one(
    word, got, command, capsys, monkeypatch
):
    assert main(["lr_sweep", word]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["lr_sweep", word]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [each for each in re.findall(r"\w+", line) if each not in "\n".join(lines)] == []
    assert lines[0].startswith("search: ")
    assert f"  {got}" in lines
    assert re.fullmatch(r"  \[[a-z-]+\]", lines[-1])
    assert [each for each in lines if len(each) > 60 and not (command and command in each)] == []
    assert command in "\n".join(lines)


def test_a_command_whose_errors_nobody_reads_has_its_exit_code(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as `2>&-` makes it
    assert main(["tabel"]) == 2


def test_no_control_character_of_a_users_word_reaches_the_terminal(capsys):
    assert main(["lr_sweep", "name=a\x1b[2Jb"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_help_lists_the_knobs_that_have_a_name_in_80_columns(capsys):
    assert main(["help", "knobs"]) == 0
    page = capsys.readouterr().out
    for name in ("lr", "dropout", "depth_equal", "weight_decay"):
        assert re.search(rf"^  {name} ", page, re.MULTILINE)
    assert "optimizer.lr: 0.0001 … 1, log" in page
    assert max(map(len, page.splitlines())) <= 80
    assert main(["sweep", "knobs=[nothing]"]) == 2
    check_told(capsys.readouterr().err, "sweep-of-unknown-knob", "python -m search help knobs")


def test_a_search_in_place_of_an_experiment_is_sent_to_the_command_that_goes_on_with_it(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "my_tune").mkdir(parents=True)
    (tmp_path / "results" / "my_tune" / "config.yaml").touch()
    for words in (["my_tune"], ["plan", "my_tune"]):
        assert main(words) == 2
        check_told(capsys.readouterr().err, "search-as-experiment", "status my_tune")
    (tmp_path / "results").rename(tmp_path / "other")
    for words in (["my_tune"], ["plan", "my_tune"]):
        assert main([*words, "results_root=other"]) == 2
        check_told(capsys.readouterr().err, "search-as-experiment", "status other/my_tune")
    for words in (["my_tun"], ["my_tun", "results_root=~nobody_here/x"]):
        assert main(words) == 2
        check_told(capsys.readouterr().err, "unknown-experiment-or-verb", "'tune'")
