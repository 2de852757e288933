"""The page: its answer, its numbers, what it leaves out, and that nothing foreign can act in it."""

import io
import math
import os
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import findings_of, plan_of, planted
from hypothesis import given
from hypothesis import strategies as st
from kit import ROOT
from pages import (
    CONTRACT,
    curves_of,
    data_of,
    folder_of,
    joint_findings,
    judged,
    page_of,
    staged_findings,
    steep,
    table_of,
    words_of,
)
from refusals import raises
from scipy.special import stdtrit
from simulated import dice_of

from search.diagnostics.verdicts.rules import Verdict
from search.results.places import best_by_place
from search.results.report import report_page
from search.results.report.answer import answer_of
from search.results.report.budget import best_of
from search.results.report.chart import Chart, Series, plotly
from search.results.report.comparison import LoadedSearch, _winner, comparison_page
from search.results.report.costs import cost_of
from search.results.report.decisions import decision_sections
from search.results.report.epochs import confidence_chart, epoch_figures
from search.results.report.go_on import follow_up
from search.results.report.numbers import with_interval
from search.results.report.page import cited
from search.results.report.records import _openings, redacted
from search.results.report.thinning import thinned
from search.results.reporters import write_results
from search.results.rules import CITED, rules
from search.results.summary import conclusion
from search.results.tables import table_files
from search.storage.layers import LayerLog, read_series
from search.storage.trials import BY_ITSELF, TrialRecord, TrialSpec

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m"


@pytest.fixture(scope="module")
def joint():
    """A finished joint search of 60 trials."""
    return joint_findings(steep, "space=[lr,dropout,width]")


# The answer


def test_a_planted_gain_is_the_first_thing_that_the_page_says(tmp_path):
    answer = answer_of(findings_of(planted(0.01)))
    assert (answer.mark, answer.label) == ("gain", "a real gain")
    assert answer.sentence.startswith("Use optimizer.lr = 0.01: accuracy 0.9010 ± ")
    assert ", 0.0500" in answer.sentence
    assert "better than the baseline's 0.851" in answer.sentence
    assert ("baseline", "0.851", "optimizer.lr = 0.1") in answer.cards
    page = page_of(findings_of(planted(0.01)), tmp_path)
    assert page.index("Use optimizer.lr = 0.01") < page.index("Contract</h2>")


def test_where_nothing_differs_the_answer_keeps_the_baseline_and_says_how_far_chance_reaches():
    findings = findings_of(lambda rate, seed: 0.9 + 0.004 * ((seed * 7 + int(1 / rate)) % 3))
    answer = answer_of(findings)
    assert (answer.mark, answer.label) == ("stays", "no gain beyond chance")
    assert answer.sentence.startswith("Keep the baseline, optimizer.lr = 0.1: accuracy 0.90")
    assert "5 candidates (0.0001, 0.001, 0.01, 0.1, 1) lie together" in answer.surety


def test_a_command_stands_at_the_top_of_the_page_and_is_no_line_of_a_decision():
    findings = findings_of(planted(0.01))
    rests = Verdict(name="converged", why="both losses rest")
    findings = replace(findings, verdicts={row.spec.trial: rests for row in findings.rows})
    assert any(line.startswith("  python -m search") for line in conclusion(findings))
    (entry,) = decision_sections(findings)[0].blocks
    assert entry.lines[0].startswith("optimizer.lr = 0.01 is adopted")
    assert not [line for line in entry.lines if "python -m search" in line]


def test_commands_of_the_page_name_the_program_that_was_started(tmp_path, monkeypatch):
    findings = findings_of(planted(0.01))
    assert "python -m search train " in page_of(findings, tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/knobwise"])
    page = page_of(findings, tmp_path)  # a search.py of the user's would be what Python runs
    assert "knobwise train " in page
    assert "python -m search" not in page


def test_one_seed_is_called_not_tested_and_an_open_search_names_what_is_missing():
    answer = answer_of(findings_of(planted(0.01), seeds=1))
    assert (answer.mark, answer.label) == ("unsure", "not tested")
    assert "±" not in answer.sentence
    answer = answer_of(findings_of(planted(0.01), leave=4))
    assert answer.sentence.startswith("No decision yet: 11 of 15 trials are done.")
    assert answer_of(findings_of(lambda rate, seed: None)).label == "no winner"


def test_an_open_search_whose_trials_failed_says_so_and_why_and_claims_nothing_of_seeds():
    answer = answer_of(findings_of(lambda rate, seed: None, leave=4))
    assert answer.sentence.startswith("No decision yet: 11 of 15 trials are done. 11 trials gave")
    assert answer.surety == ""


def test_the_joint_search_that_a_sweep_is_followed_by_turns_knobs_that_its_winner_has():
    command = "python -m search joint from=/r/results/lr_sweep name=lr_sweep-joint"
    assert follow_up(plan_of("lr_sweep")) == command
    without_momentum = "'space=[lr,weight_decay,dropout,width,batch_size]'"
    assert follow_up(plan_of("lr_sweep", "optimizer=adam")) == f"{command} {without_momentum}"
    assert follow_up(plan_of("own_command")) == ""  # what else a program reads is not known


def test_many_knobs_stand_below_the_sentence_not_in_it(joint):
    answer = answer_of(joint)
    assert len(answer.settings) == 3
    assert all(len(setting.split("=")) == 2 for setting in answer.settings)
    six = joint_findings(lambda knobs, seed: 0.9, "n_trials=8")
    assert "optimizer.lr" not in answer_of(six).sentence


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.97089, 0.008578, "0.9709 ± 0.0086"),
        (1234.5678, 12.3, "1235 ± 12"),
        (0.5, float("nan"), "0.5"),
        (2e-9, 3e-10, "(2.00 ± 0.30)e-09"),
        (2925.1, 268.8, "2925 ± 270"),
        (2e60, 3e59, "(2.00 ± 0.30)e+60"),
        (-0.5, 0.02, "-0.500 ± 0.020"),
    ],
)
def test_a_mean_has_the_decimals_of_its_interval(mean, half, text):
    assert with_interval(mean, half) == text


# Numbers


@pytest.mark.slow
def test_the_tables_of_the_page_hold_the_numbers_of_the_files(joint, tmp_path):
    for number, findings in enumerate((findings_of(planted(0.01)), joint)):
        page = page_of(judged(findings), tmp_path / str(number))
        files = table_files(judged(findings))
        pairs = {"Every trial": "trials.csv"}
        pairs["Every value of optimizer.lr" if number == 0 else "By rank"] = "summary.csv"
        for title, file in pairs.items():
            shown = pd.read_csv(io.StringIO(table_of(page, title).to_csv(index=False)))
            pd.testing.assert_frame_equal(shown, pd.read_csv(io.StringIO(files[file])))


@pytest.mark.slow
def test_every_section_and_every_figure_has_its_table(joint, tmp_path):
    page = page_of(judged(joint), tmp_path)
    titles = re.findall(r'<h2 id="[^"]+">(.*?)</h2>', page)
    assert titles == [
        "The leaders",
        "The best against the budget",
        "Learning curves",
        "Decisions",
        "What did not help, and what could not be resolved",
        "Every knob",
        "Which knobs matter",
        "All knobs at once",
        "Two knobs as a map",
        "Time and epochs",
        "Failures",
        "All trials",
        "Contract",
        "Provenance",
    ]
    for block in re.split(r'<div class="(?:figures|curves)\b', page)[1:]:
        assert 'class="table"' in block.split("</section>")[0]
    assert page.count('role="img"') == page.count('<figure class="chart"')
    assert not re.search(r'role="img" aria-label=""', page)


def test_the_sweep_shows_every_seed_the_ties_the_winner_and_what_is_not_usable(tmp_path):
    findings = findings_of(lambda rate, seed: None if rate == 1.0 else planted(0.01)(rate, seed))
    chart = data_of(page_of(findings, tmp_path))["charts"]["c0"]
    by_name = {trace["name"]: trace for trace in chart["data"]}
    assert len(by_name["one seed"]["x"]) == 12
    assert by_name["chosen"]["x"] == [0.01]
    assert by_name["chosen"]["y"] == [pytest.approx(0.901)]
    assert by_name["baseline"]["x"] == [0.1]
    shapes = [shape["type"] for shape in chart["layout"]["shapes"]]
    assert shapes == ["rect", "line"]
    assert chart["layout"]["shapes"][1]["x0"] == 1.0
    assert chart["zoom"] is not None


@pytest.mark.parametrize(("numbers", "notes"), [([math.nan, None], 1), ([math.nan, 0], 0), ([], 1)])
def test_axes_without_a_finite_value_say_so(numbers, notes):
    line = Series(name="a", look="line", x=[*range(len(numbers))], y=numbers)
    said = plotly(Chart(title="", alt="", series=[line]))["layout"]["annotations"]
    assert [each["text"] for each in said] == ["no finite value"] * notes


def test_a_trial_that_is_picked_by_a_click_has_its_curves_and_its_verdict_in_the_page(tmp_path):
    findings = judged(findings_of(planted(0.01)), why="it falls")
    data = data_of(page_of(findings, tmp_path))
    curves = data["curves"]["l0"]
    assert curves["picked"] == [findings.winner.spec.trial, 0]
    clickable = {
        trial for trace in data["charts"]["c0"]["data"] for trial in trace.get("customdata", [])
    }
    assert clickable == {int(trial) for trial in curves["trials"]}
    one = curves["trials"][str(findings.winner.spec.trial)]
    assert (one["title"], one["verdict"], one["why"]) == ("chosen", "still_learning", "it falls")
    assert one["series"]["epoch"] == list(range(6))


@pytest.mark.slow
def test_a_baseline_that_diverges_with_every_seed_has_no_gain_beside_it_and_the_page_is_written(
    tmp_path,
):
    def diverges(knobs, seed):
        return 0.9 + 0.001 * (seed % 5) if knobs.get("optimizer.lr", 1) < 0.05 else None

    findings = staged_findings(diverges)
    confirm = next(step for step in findings.steps if step["kind"] == "confirm")
    assert confirm["decision"] == "adopt"
    assert confirm["evidence"]["values"][0]["difference"] is None
    cards = {label: (value, note) for label, value, note in answer_of(findings).cards}
    assert cards["baseline"][0] == "no result"
    assert "gain" not in cards
    assert "no result" in words_of(page_of(findings, tmp_path))


@pytest.mark.slow
def test_a_protocol_has_a_folded_group_per_stage_with_its_reason_and_its_candidates(tmp_path):
    def rate_matters(knobs, seed):
        decades = np.log10(knobs.get("optimizer.lr", 0.1) / 0.01)
        breaks = knobs.get("optimizer.lr", 0.1) > 0.05 and seed % 4 == 3
        return 0.2 if breaks else 0.9 - 0.02 * decades**2 + 0.001 * (seed % 5)

    findings = staged_findings(rate_matters)
    answer = answer_of(findings)
    assert (answer.mark, answer.label) == ("gain", "a real gain")
    assert answer.sentence.startswith("Use optimizer.lr = 0.0")
    assert answer.surety.startswith("Confirmed on fresh seeds (P13): ")
    confirm = next(step for step in findings.steps if step["kind"] == "confirm")
    baseline, *others = confirm["evidence"]["values"]
    (chosen,) = [each for each in others if each["trials"] == findings.steps[-1]["trials"]]
    cards = {label: (value, note) for label, value, note in answer.cards}
    gain, half = map(float, cards["gain"][0].split(" ± "))
    assert gain == pytest.approx(chosen["difference"], abs=0.001)
    low, high = chosen["interval"]
    assert half == pytest.approx((high - low) / 2, rel=0.1)
    broken = {
        trial
        for trial, score in zip(baseline["trials"], baseline["scores"], strict=True)
        if score < 0.5
    }
    assert {*baseline["broken_trials"]} == broken != set()
    sound = np.mean([score for score in baseline["scores"] if score > 0.5])
    assert gain == pytest.approx(np.mean(chosen["scores"]) - sound, abs=0.001)
    assert f"{sound:.4g}, on the same seeds" in cards["gain"][1]
    assert " ± " in cards["accuracy"][0]
    beside = _winner(findings)  # beside another search
    assert beside["mean"] == pytest.approx(np.mean(chosen["scores"]))
    assert (beside["seeds"], beside["interval"] > 0) == (len(chosen["scores"]), True)
    page = page_of(findings, tmp_path)
    stages = [step["stage"] for step in findings.steps]
    folded = re.findall(r'<details class="group" id="stage-([^"]+)">', page)
    assert folded == stages
    assert table_of(page, "Every stage").stage.tolist() == stages
    sweep = next(step for step in findings.steps if step["stage"] == "06-sweep.lr")
    words = words_of(page)
    assert f"Why: {sweep['because']}." in words
    assert "this stage by itself: again 06-sweep.lr" in words
    candidates = re.search(
        r'id="stage-06-sweep.lr">(.*?)</details>\s*<details class="group"', page, re.DOTALL
    )
    assert 'data-table="t' in candidates[1]
    charts = data_of(page)["charts"]
    chart, *_ = [
        one for one in charts.values() if one["layout"]["xaxis"]["title"]["text"] == "optimizer.lr"
    ]
    by_name = {trace["name"]: trace for trace in chart["data"]}
    assert by_name["chosen"]["x"] == [sweep["value"]]
    scores = [score for each in sweep["evidence"]["values"] for score in each["scores"]]
    assert by_name["one seed"]["y"] == pytest.approx(
        [score for score in scores if score is not None]
    )


@pytest.mark.slow
def test_the_joint_stage_of_a_protocol_shows_the_knobs_that_it_turned(tmp_path):
    def several_matter(knobs, seed):
        rate = np.log10(knobs.get("optimizer.lr", 0.1) / 0.01)
        decay = np.log10((knobs.get("optimizer.weight_decay") or 1e-7) / 1e-3)
        width = np.log2(knobs.get("model.width", 128) / 32)
        return 0.9 - 0.02 * rate**2 - 0.004 * (decay**2 + width**2) + 0.0005 * (seed % 5)

    findings = staged_findings(several_matter)
    (stage,) = [step["stage"] for step in findings.steps if step["kind"] == "joint"]
    page = page_of(findings, tmp_path)
    for name in ("budget", "knobs", "maps"):
        assert f'<section id="stage-{stage}-{name}"' in page
    titles = [figure.split("</figcaption>")[0] for figure in page.split("<figcaption>")[1:]]
    assert any(title.startswith("optimizer.lr") for title in titles)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_page_says_too_which_knobs_of_the_command_were_never_turned(tmp_path):
    words = ("space=[lr,dropout,width,depth]", "budget_trials=45")
    findings = staged_findings(lambda knobs, seed: 0.9 + 0.001 * (seed % 5), *words)
    (line,) = (line for line in conclusion(findings) if line.startswith("never turned"))
    assert page_of(findings, tmp_path).count(line.removesuffix(" (P1)")) == 1


def test_a_protocol_that_finds_nothing_keeps_the_defaults(tmp_path):
    findings = staged_findings(lambda knobs, seed: 0.9 + 0.001 * (seed % 5))
    answer = answer_of(findings)
    assert (answer.mark, answer.label) == ("stays", "no gain beyond chance")
    assert answer.sentence.startswith("Keep the defaults: accuracy 0.90")
    values = {row.spec.trial: row.value for row in findings.rows}
    scores = [values[trial] for trial in findings.steps[-1]["trials"]]
    mean, half = map(float, answer.cards[0][1].split(" ± "))
    student = stdtrit(len(scores) - 1, 0.975) * np.std(scores, ddof=1) / len(scores) ** 0.5
    assert (mean, half) == (
        pytest.approx(np.mean(scores), rel=1e-3),
        pytest.approx(student, rel=0.02),
    )
    label, none, most = answer.cards[1]
    assert (label, none) == ("gain over the baseline", "none")
    confirm = next(step for step in findings.steps if step["kind"] == "confirm")
    rivals = confirm["evidence"]["values"][1:]
    highs = [each["interval"][1] for each in rivals if each["standing"] != "dropped"]
    assert len(highs) < len(rivals)  # what was dropped after two seeds bounds nothing
    assert most == f"at most {max(highs):.2g} at 95 %"
    assert "What did not help" in words_of(page_of(findings, tmp_path))
    assert answer_of(replace(findings, steps=())).label == "not finished"
    *before, last = findings.steps
    average = {**last, "kind": "ensemble", "decision": "adopt", "says": "the average of 5 models"}
    averaged = answer_of(replace(findings, steps=(*findings.steps, average)))
    assert averaged.surety.endswith("Beside it, the average of 5 models (R35).")
    unlearned = replace(findings, steps=(*before, {**last, "learned": False}))
    assert answer_of(unlearned).label == "nothing learned"
    failed = tuple(replace(row, value=None, state="infeasible") for row in findings.rows)
    answer = answer_of(replace(findings, rows=failed))
    assert (answer.mark, answer.label) == ("none", "no answer")
    assert answer.sentence.startswith(f"no answer: none of {len(failed)} trials gave a result")


# What foreign text may do


def test_hostile_names_show_as_text(tmp_path):
    findings = judged(findings_of(planted(0.01)), why=HOSTILE)
    rows = tuple(replace(row, reason=HOSTILE, device=HOSTILE) for row in findings.rows)
    lost = replace(rows[0], state="failed", value=None)
    findings = replace(findings, rows=(lost, *rows[1:]))
    page = page_of(findings, tmp_path, log=f"line\n{HOSTILE}\n")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "\x1b" not in page
    assert page.count("</script>") == 3
    assert table_of(page, "By trial").reason[0] == HOSTILE.replace("\x1b", "\\x1b")


def test_a_choice_with_markup_stays_text_in_charts(tmp_path):
    words = ["~space.optimizer", "+space.model.activation={choices: [relu, '<b>x</b>']}"]
    findings = findings_of(lambda value, seed: 0.9, *words, "model.activation=relu")
    chart = data_of(page_of(findings, tmp_path))["charts"]["c0"]
    assert "&lt;b&gt;x&lt;/b&gt;" in chart["layout"]["xaxis"]["ticktext"]


def test_the_page_asks_no_network_and_tells_no_password(tmp_path):
    page = page_of(findings_of(planted(0.01)), tmp_path)
    assert "default-src 'none'" in page
    assert not re.search(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)', page)
    assert "secret" not in page
    assert redacted("x://me:pw@h/db and http://host/a@b") == "x://***@h/db and http://host/a@b"
    assert redacted("x://me:p/w@z@h/db") == "x://***@h/db"
    assert len(page.encode()) <= 6_000_000


def test_a_page_is_made_where_the_split_has_been_lost(tmp_path):
    findings = findings_of(planted(0.01))
    folder = folder_of(tmp_path, findings)
    assert "test set sealed" in words_of(report_page(findings, curves_of(findings), folder))
    (row,) = _openings(folder, loads_itself=True)
    assert row == (
        "test set",
        "sealed, where the trainer keeps to the row numbers that it is given",
    )
    folder.split.write_bytes(b"PK")
    page = report_page(findings, curves_of(findings), folder)
    assert "test set not known, because split.npz cannot be read" in words_of(page)


def test_every_rule_that_is_cited_is_spelled_out():
    names = {
        name for path in (ROOT / "search").rglob("*.py") for name in CITED.findall(path.read_text())
    }
    assert names - set(rules()) == set()
    assert rules()["R5"] == rules()["R6"]
    assert rules()["R15a"].startswith("slow is not stuck")
    shown = str(cited("kept <here> (P5)"))
    assert shown.startswith("kept &lt;here&gt; (<span")
    assert rules()["P5"].split()[0] in shown


# Large searches


@given(
    st.lists(st.one_of(st.none(), st.integers(0, 5)), min_size=1, max_size=8),
    st.integers(1, 6),
    st.sampled_from([0.05, 0.5, 0.95]),
)
def test_the_best_of_so_many_draws_is_the_bootstraps_quantile(values, budget, share):
    scores = [-1 if value is None else value for value in values]
    draws = (
        np.array(np.meshgrid(*[scores] * min(budget, 4))).reshape(min(budget, 4), -1).max(axis=0)
    )
    best = best_of(values, budget=min(budget, 4), share=share, sign=1.0)
    at_most = np.mean(draws <= (-1 if best is None else best))
    below = np.mean(draws < (-1 if best is None else best))
    assert below < share + 1e-9
    assert at_most > share - 1e-9


def test_the_best_so_far_follows_the_trials_in_their_order():
    for first in (0, 48):  # a late stage's trials have high numbers
        rows = [_row(first + place, value) for place, value in enumerate([0.5, None, 0.4, 0.7])]
        assert best_by_place(rows, sign=1.0).tolist() == [0.5, 0.5, 0.5, 0.7]
        assert best_by_place(rows, sign=-1.0)[[1, 4]].tolist() == [0.5, 0.4]


def test_what_is_left_out_of_a_chart_is_never_the_best_and_is_said():
    rows = [_row(trial, trial % 97 / 97) for trial in range(5000)]
    kept, note = thinned(rows, 500, sign=1.0)
    assert len(kept) <= 500
    best = sorted((row.value for row in rows), reverse=True)[:250]
    assert sorted((row.value for row in kept), reverse=True)[:250] == best
    assert "500 of 5000 trials are drawn" in note
    assert thinned(rows[:500], 500, sign=1.0) == (rows[:500], "")


@pytest.mark.slow
def test_curves_that_do_not_fit_are_left_out_best_first_and_it_is_said(tmp_path):
    findings = findings_of(planted(0.01), "space.optimizer.lr.points=60", seeds=10)
    page = page_of(findings, tmp_path, curves=curves_of(findings, epochs=120))
    trials = data_of(page)["curves"]["l0"]["trials"]
    assert len(trials) == 25_000 // (121 * 3)
    assert str(findings.winner.spec.trial) in trials
    assert f"the curves of {len(trials)} of {len(findings.rows)} trials" in words_of(page)


# Costs, comparison, and when it is drawn


def test_epochs_are_told_apart_into_run_saved_and_lost():
    rows = [
        _row(0, 0.5, epochs=10),
        _row(1, 0.5, epochs=4),
        _row(2, 0.4, epochs=2, state="pruned"),
        _row(3, None, epochs=3, state="failed"),
        _row(4, 0.5, epochs=1, knobs={"trainer.epochs": 1}),
        replace(_row(5, 0.5, epochs=1), reason=f"{BY_ITSELF} at epoch 1 of 10"),
    ]
    cost = cost_of("joint", rows, plan=plan_of("lr_sweep", "trainer.epochs=10"))
    assert (cost["complete"], cost["pruned"], cost["lost"]) == (16, 2, 3)
    assert (cost["stopped saved"], cost["pruned saved"]) == (6, 8)
    assert (cost["seconds"], cost["seconds lost"]) == (21.0, 3.0)
    assert cost["seconds saved"] == 14.0


def test_searches_of_one_contract_share_a_page_and_others_are_refused(tmp_path):
    first = findings_of(planted(0.01), "name=first")
    second = findings_of(planted(0.001), "name=second")
    found = [
        LoadedSearch(
            findings=findings,
            curves=curves_of(findings),
            folder=folder_of(tmp_path / findings.plan.name, findings),
        )
        for findings in (first, second)
    ]
    page = comparison_page(found)
    assert table_of(page, "By search").settings.tolist() == [
        "optimizer.lr = 0.01",
        "optimizer.lr = 0.001",
    ]
    against = table_of(page, "By search")["against the first"].tolist()
    assert against[1].endswith(", undecided")
    names = re.findall(r'<section id="([^"]+)"', page)
    assert len(set(names)) == len(names)
    alone = page_of(first, tmp_path / "alone")
    assert "candidates" in re.findall(r'<section id="([^"]+)"', alone)  # an address that stays
    other = {**CONTRACT, "split": {**CONTRACT["split"], "hash": "other"}}
    folder = folder_of(tmp_path / "second", second, contract=other)
    with raises("contracts-differ-on-page"):
        comparison_page([found[0], replace(found[1], folder=folder)])


@pytest.mark.slow
def test_what_is_as_new_as_the_search_and_the_code_is_not_drawn_again(tmp_path):
    findings = findings_of(planted(0.01))
    folder = folder_of(tmp_path, findings)
    names = ["trials.csv", "summary.md", "sweep.svg", "curves.svg", "report.html"]

    def times():
        return [(tmp_path / name).stat().st_mtime_ns for name in names]

    write_results(findings, curves_of(findings), folder)
    first = times()
    write_results(findings, curves_of(findings), folder)
    assert times() == first
    (tmp_path / "sweep.svg").unlink()
    write_results(findings, curves_of(findings), folder)
    assert times()[:2] == first[:2]
    assert times()[4] > first[4]
    drawn = times()
    write_results(findings_of(planted(0.001)), curves_of(findings), folder)
    assert all(after > before for after, before in zip(times(), drawn, strict=True))
    drawn = times()
    write_results(findings, curves_of(findings), folder, draws=True)
    changed = times()
    assert changed != drawn
    write_results(findings, curves_of(findings), folder, draws=True)  # as `table` does
    assert times() == changed
    folder.curves.write_bytes(b"")
    write_results(findings, curves_of(findings), folder, draws=True)
    assert all(after > before for after, before in zip(times()[2:], changed[2:], strict=True))
    for file in tmp_path.iterdir():  # drawn after the search, and before the code was installed
        os.utime(file, ns=(1, 2 if file.suffix in (".svg", ".html") else 1))
    write_results(findings, curves_of(findings), folder)
    assert [time > 2 for time in times()] == [False, False, True, True, True]


@pytest.mark.slow
def test_report_off_draws_nothing_but_what_a_verb_has_drawn_before(tmp_path):
    findings = findings_of(planted(0.01), "report=off")
    folder = folder_of(tmp_path, findings)
    write_results(findings, curves_of(findings), folder)
    assert (tmp_path / "trials.csv").exists()
    assert [*tmp_path.glob("*.svg"), *tmp_path.glob("*.html")] == []
    write_results(findings, curves_of(findings), folder, draws=True)  # as `table` does
    figure = tmp_path / "sweep.svg"
    drawn = figure.read_text()
    write_results(findings_of(planted(0.001), "report=off"), curves_of(findings), folder)
    assert figure.read_text() != drawn  # it tells of the search as it is
    assert not (tmp_path / "report.html").exists()
    with raises("unknown-choice", "'maybe'"):
        findings_of(planted(0.01), "report=maybe")


def _row(trial, value, *, epochs=5, state=None, knobs=None):
    state = state or ("failed" if value is None else "complete")
    spec = TrialSpec(trial=trial, stage="joint", knobs=knobs or {"a": trial}, seed=0)
    return TrialRecord(spec=spec, state=state, value=value, epochs=epochs, seconds=float(epochs))


@pytest.mark.slow
def test_a_joint_stage_is_shown_also_after_a_choice_was_adopted(tmp_path):
    def truth(knobs, seed):  # one augmentation is much better, the rest is noise
        dice = dice_of(seed, sorted(knobs.items()))
        return 0.8 + 0.1 * (knobs.get("augment") == "shift") + 0.004 * float(dice.normal())

    findings = staged_findings(truth, "space=[lr,augment_image,dropout,momentum]")
    joint = next(step for step in findings.steps if step["kind"] == "joint")
    assert joint["held"]["augment"] == "shift"
    page = page_of(findings, tmp_path)
    assert "optimizer.momentum" in page


def test_every_recorded_quantity_is_a_figure_of_chosen_and_baseline_by_epoch():
    columns = {"epoch": np.arange(3), "accuracy": np.array([0.1, 0.5, 0.9])}
    rates = np.array([0.1, 0.01, 0.001])
    columns_of = {
        4: {**columns, "train_accuracy": np.ones(3), "lr": rates, "confidence": np.ones(3)},
        7: {**columns, "lr": rates, "confidence": np.full(3, np.nan)},
    }
    drawn = epoch_figures(columns_of, {4: "chosen", 7: "baseline", 9: "gone"}, metric="accuracy")
    charts = {chart.title: chart for chart in drawn.charts}
    assert list(charts) == [
        "accuracy by epoch",
        "learning rate by epoch",
        "mean greatest probability by epoch",
    ]
    assert [line.name for line in charts["accuracy by epoch"].series] == [
        "accuracy, chosen",
        "accuracy, baseline",
        "accuracy on train, chosen",
    ]
    assert charts["learning rate by epoch"].y.log
    assert [line.name for line in charts["mean greatest probability by epoch"].series] == ["chosen"]
    assert drawn.table.columns["trial"] == [4] * 3 + [7] * 3
    grouped = {4: {**columns, "lr": rates, "lr_2": 2 * rates, "lr_scale": rates}}
    (chart,) = epoch_figures(grouped, {4: "chosen"}, metric="accuracy").charts
    assert [line.name for line in chart.series] == ["lr, chosen", "lr_2, chosen"]
    constant = epoch_figures(
        {7: {**columns, "lr": np.full(3, 0.1)}}, {7: "chosen"}, metric="accuracy"
    )
    assert [(chart.title, chart.y.limits) for chart in constant.charts] == [
        ("learning rate by epoch", (0.0, 0.2))
    ]  # accuracy stands among the learning curves already
    assert epoch_figures({}, {4: "chosen"}, metric="accuracy") is None


def test_how_sure_the_chosen_trial_is_of_its_classes_is_drawn_at_three_epochs(tmp_path):
    log = LayerLog(tmp_path)
    for epoch, sure in ((0, 0.0), (1, 0.5), (2, 0.9)):
        for fold in (0, 1):
            shares = {"0.5": 1 - sure, "0.9": sure + 0.1 * fold}
            log.add(4, {"fold": fold, "epoch": epoch, "series": {"confidence": shares}})
    log.flush()
    with (tmp_path / "4.jsonl").open("a") as file:
        file.write("torn {")
    shares = read_series(tmp_path, 4, "confidence")
    assert shares[2] == pytest.approx({"0.5": 0.1, "0.9": 0.95})  # the mean of the folds
    chart = confidence_chart(shares, "chosen")
    assert [line.name for line in chart.series] == ["epoch 0", "epoch 1", "epoch 2"]
    assert chart.series[0].x == pytest.approx([0.55, 0.95])
    assert chart.series[2].y == pytest.approx([0.1, 0.95])
    assert confidence_chart(read_series(tmp_path, 5, "confidence"), "chosen") is None
    columns = {4: {"epoch": np.arange(3), "accuracy": np.ones(3)}}
    drawn = epoch_figures(columns, {4: "chosen"}, metric="accuracy", shares_of=lambda trial: shares)
    assert drawn.charts[-1].title == "confidence of chosen (R25)"
