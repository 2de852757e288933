"""`report`: where the page goes, what is refused, and that a search writes it by itself."""

import os

from kit import INLINE, search
from refusals import check_told

from search.__main__ import main


def test_a_search_leaves_a_page_and_the_verb_writes_it_again_or_elsewhere(
    smoke, monkeypatch, capsys
):
    monkeypatch.chdir(smoke)
    page = smoke / "results" / "smoke" / "report.html"
    first = page.read_text()
    assert "smoke – Knobwise" in first
    page.unlink()
    assert main(["report", "smoke"]) == 0
    assert page.read_text() == first
    assert main(["report", "smoke", "--to", "mine.html"]) == 0
    assert (smoke / "mine.html").read_text() == first
    assert main(["report", "smoke", "--watch"]) == 0  # of a search that has ended: once
    assert 'http-equiv="refresh"' not in page.read_text()
    assert capsys.readouterr().out.count("trials") == 3


def test_what_cannot_be_shown_on_one_page_is_refused(smoke, monkeypatch, capsys):
    monkeypatch.chdir(smoke)
    assert main(["report", "smok"]) == 2
    check_told(capsys.readouterr().err, "unknown-search", "'smok'", "'smoke'")
    assert main(["report", "smoke", "smoke", "--watch"]) == 2
    check_told(capsys.readouterr().err, "watch-one-search", "--watch", "2")
    other = search("smoke", *INLINE, "name=other", "split.seed=1", cwd=smoke)
    assert other.returncode == 0, other.stderr
    assert main(["report", "smoke", "other"]) == 2
    check_told(capsys.readouterr().err, "contracts-differ-on-page", "\n  split: ")
    assert main(["report", "smoke", "results/smoke"]) == 0
    assert (smoke / "results" / "smoke-smoke.html").exists()
    assert main(["report", "smoke", "--to", "nowhere/mine.html"]) == 2
    check_told(capsys.readouterr().err, "option-not-valid", "--to", "nowhere/")


def test_a_finished_search_that_is_given_again_draws_nothing(smoke):
    folder = smoke / "results" / "smoke"
    names = [path.name for path in folder.iterdir() if path.suffix in (".svg", ".html", ".csv")]
    assert len(names) >= 4
    before = {name: os.stat(folder / name).st_mtime_ns for name in names}
    done = search("smoke", *INLINE, "report=on", cwd=smoke)
    assert done.returncode == 0, done.stderr
    assert {name: os.stat(folder / name).st_mtime_ns for name in names} == before


def test_a_search_that_has_grown_is_drawn_anew_although_the_clock_was_set_back(smoke):
    folder = smoke / "results" / "smoke"
    page, figure = folder / "report.html", folder / "sweep.svg"
    before = page.read_text(), figure.read_text()
    later = os.stat(page).st_mtime + 86_400
    for path in (page, figure):
        os.utime(path, (later, later))
    done = search("smoke", *INLINE, "lanes=off", "seeds=2", "report=on", cwd=smoke)
    assert done.returncode == 0, done.stderr
    assert page.read_text() != before[0]
    assert figure.read_text() != before[1]


def test_report_off_leaves_figures_and_page_out_of_a_search(elsewhere):
    done = search("smoke", *INLINE, "report=off", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    folder = elsewhere / "results" / "smoke"
    assert (folder / "trials.csv").exists()
    assert [*folder.glob("*.svg"), *folder.glob("*.html")] == []
