"""results_root= is read in one place: every verb finds a search there, every closing line leads there."""

import os
import pwd
import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from kit import INLINE, search
from omegaconf import OmegaConf
from refusals import check_told, raises

from search.__main__ import main
from search.commands.support.closing import show_closing
from search.config.plan import read_plan
from search.config.results_root import address, root_of
from search.config.words import take
from search.execution.terminal import Terminal
from search.results.findings import open_results
from search.results.report.answer import answer_of
from search.results.transfer import compose_from
from search.results.warm_start import read_history

ROOT = "their place/of results"


@pytest.fixture
def moved(smoke):
    """A finished search in a results root with a blank, begun there."""
    (smoke / ROOT).parent.mkdir()
    (smoke / "results").rename(smoke / ROOT)
    path = smoke / ROOT / "smoke" / "config.yaml"
    config = OmegaConf.load(path)
    config.results_root = ROOT
    path.write_text(OmegaConf.to_yaml(config))
    return smoke


def _composed(experiment, *words):
    source, overrides = take([*words, f"results_root={ROOT}"], "from")
    return compose_from(experiment, overrides=overrides, config_dir=None, source=source)


def _search_of(root):
    return OmegaConf.create({"results_root": root})


def test_the_root_is_a_path_and_a_search_in_results_is_named_by_its_name_alone():
    assert root_of(_search_of("a/b"), start=Path("/r")) == Path("/r/a/b")
    for odd in (None, 0.5, True, "", " ", [], {}):
        with raises("results-root-not-a-path", "results_root"):
            root_of(_search_of(odd), start=Path("/r"))
    here = Path.cwd()
    assert address(here / "results" / "smoke") == "smoke"
    assert address(here / "other" / "smoke") == "other/smoke"
    assert address(here / ROOT / "smoke") == f"'{ROOT}/smoke'"
    assert address(Path("/far/smoke")) == "/far/smoke"


@pytest.mark.parametrize("verb", ["status", "table", "doctor", "export", "test"])
def test_every_verb_that_reads_a_search_takes_the_root_or_the_searchs_folder(verb, moved, capsys):
    again = ["--again"] if verb == "test" else []
    assert main([verb, "smoke", f"results_root={ROOT}"]) == 0
    first = capsys.readouterr().out
    assert main([verb, f"{ROOT}/smoke", *again]) == 0
    assert first.splitlines()[0] == capsys.readouterr().out.splitlines()[0]
    assert main([verb, "smoke", *again]) == 2
    check_told(capsys.readouterr().err, "unknown-search", "'smoke'")


def test_status_lists_the_searches_of_a_root_and_names_it_where_there_are_none(moved, capsys):
    assert main(["status", f"results_root={ROOT}"]) == 0
    assert "smoke: done" in capsys.readouterr().out
    assert main(["status", "results_root=nowhere"]) == 0
    assert "no search in nowhere/ yet" in capsys.readouterr().out


@contextmanager
def _unreadable(path):
    """A folder or file that this user may not read: root, whom nothing stops, becomes another."""
    Path.cwd().chmod(0o755)
    mode = path.stat().st_mode
    path.chmod(0)
    was = os.geteuid()
    try:
        if not was:
            os.seteuid(pwd.getpwnam("nobody").pw_uid)
        yield
    finally:
        os.seteuid(was)
        path.chmod(mode)


@pytest.mark.parametrize("verb", ["status", "table", "doctor", "report"])
def test_a_root_that_cannot_be_read_is_not_taken_for_one_without_searches(verb, smoke, capsys):
    with _unreadable(smoke / "results"):
        assert main([verb, *["smoke"] * (verb != "status")]) == 2
    check_told(capsys.readouterr().err, "disk-refuses", "results", "Permission denied")
    for name in ("a-file", "a-link"):
        (smoke / "a-file").touch()
        (smoke / "a-link").unlink(missing_ok=True)
        (smoke / "a-link").symlink_to("nowhere")
        assert main([verb, *["smoke"] * (verb != "status"), f"results_root={name}"]) == 2
        check_told(capsys.readouterr().err, "disk-refuses", name)


@pytest.mark.parametrize("closed", ["", "journal.log", "contract.yaml"])
def test_status_names_the_search_that_cannot_be_read_and_tells_of_the_others(closed, smoke, capsys):
    shutil.copytree(smoke / "results" / "smoke", smoke / "results" / "other")
    with _unreadable(smoke / "results" / "other" / closed):
        assert main(["status"]) == 1
    told = capsys.readouterr().out
    assert "smoke: done" in told
    assert f"other: cannot be read: results/other/{closed or 'config.yaml'}: Permission" in told


def test_a_root_that_links_to_nothing_is_named_so(smoke):
    (smoke / "gone").symlink_to("unmounted")
    done = search("smoke", "results_root=gone", *INLINE, cwd=smoke)
    check_told(done.stderr, "disk-refuses", "gone: a link to unmounted, and nothing is there")


@pytest.mark.parametrize("source", ["smoke", f"{ROOT}/smoke"])
def test_a_search_starts_from_another_one_of_its_root_and_learns_from_its_trials(source, moved):
    config, contract = _composed("momentum_sweep", f"from={source}")
    assert (contract["data"]["rows"], config["from"]) == (1797, source)
    plan = read_plan(_composed("joint", f"from={source}", "space=lr")[0], root=moved)
    assert plan.folder == moved / ROOT / "joint"
    assert len(read_history(plan, floor=0.1).past) == len(
        open_results("smoke", root=moved / ROOT)[1].rows
    )


def test_every_closing_line_of_a_search_leads_to_it(moved, capsys):
    _, findings = open_results("smoke", root=moved / ROOT)
    show_closing(findings, Terminal())
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    commands = [shlex.split(line)[3:] for line in lines if line.startswith("python -m search ")]
    assert f"results: {ROOT}/smoke/, all on one page: report.html" in lines
    assert [words[0] for words in commands] == ["train", "test", "doctor", "table"]
    on_page = [shlex.split(command)[3:] for command, _ in answer_of(findings).commands]
    assert on_page[:3] == commands[:3]
    assert on_page[3][:2] == ["joint", f"from={ROOT}/smoke"]
    assert yaml.safe_load(Path(commands[0][1]).read_text())["name"] == "smoke"
    for words in commands[1:]:
        assert main(words) == 0, words
    (moved / ROOT / "smoke" / "best" / "weights.safetensors").unlink()
    files = moved / ROOT / "smoke" / "files" / str(findings.winner.spec.trial)
    for has_files, reason in (False, "the trainer saved none"), (True, "what the trainer kept"):
        if has_files:
            files.mkdir(parents=True)
            (files / "model.pt").touch()
        show_closing(findings, Terminal())
        assert f"best/ holds no weights: {reason}" in capsys.readouterr().out


def test_a_search_without_a_winner_is_named_with_its_root(moved, capsys):
    folder = moved / ROOT / "smoke"
    (folder / "best.yaml").unlink()
    assert main(["test", "smoke", f"results_root={ROOT}"]) == 2
    told = capsys.readouterr().err
    check_told(told, "exported-files-missing", f"python -m search status '{ROOT}/smoke'")
