"""What a search says of itself: rows, summary, decision in words."""

import io
import json
from dataclasses import replace

import pytest
import yaml
from drawn import findings_of, plan_of, planted
from pages import joint_findings, smooth
from refusals import raises

from search.config.knob_roles import COLUMNS
from search.diagnostics.verdicts.across_trials import Together
from search.diagnostics.verdicts.rules import Verdict
from search.execution.terminal import Terminal
from search.results.export import best_config
from search.results.findings import find
from search.results.report.answer import answer_of
from search.results.summary import conclusion, joint, show_summary, sweep
from search.results.summary.advise import curve_lines, next_lines
from search.results.summary.formatting import bullets, two_digits
from search.results.summary.inert import inert
from search.results.summary.sweep import frame, records, text
from search.results.tables import trials_frame
from search.storage.trials import BY_ITSELF, STATES


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (-453.2, "+", "-450"),
        (99.6, "+", "+100"),
        (0.01234, "+", "+0.012"),
        (95_400, "", "95000"),
        (1_234_567, "", "1.2e+06"),
        (1.5e-5, "", "1.5e-05"),
        (-0.0, "z", "0"),
    ],
)
def test_a_difference_has_two_digits_and_no_power_of_ten_below_a_million(value, sign, text):
    assert two_digits(value, sign=sign) == text


def test_a_planted_optimum_is_adopted_and_its_first_seed_exported():
    findings = findings_of(planted(0.01))
    assert conclusion(findings) == [
        "optimizer.lr = 0.01 is adopted: accuracy 0.901, mean of 3 seeds, against 0.851 at the baseline, 0.1; "
        "difference +0.05, 95 % interval +0.049 to +0.051 (P5)",
        "held fixed: trainer.batch_size=32, trainer.epochs=50, all else as in config.yaml; 3 seeds per value",
    ]
    assert (findings.winner.spec.knobs["optimizer.lr"], findings.winner.spec.seed) == (0.01, 0)
    (record,) = records(findings)
    assert (record["decision"], record["value"], record["baseline"], record["tie"]) == (
        "adopt",
        0.01,
        0.1,
        False,
    )
    assert len(record["evidence"]["values"]) == 5


def test_no_knob_may_be_called_like_a_column_of_a_table():
    for findings, summary in (
        (findings_of(planted(0.01)), frame),
        (joint_findings(smooth), joint.frame),
    ):
        columns = {*summary(findings), *trials_frame(findings)}
        assert {name for name in columns if "." not in name} <= {*COLUMNS}
    assert {*STATES} < {*COLUMNS}
    words = ["trainer._target_=toys.steady", "data.rows=9"]
    for name in ("n", "seed", "state"):
        with raises("knob-named-like-column", f"space.{name}", f"my.{name}"):
            plan_of("own_trainer", *words, f"knob.{name}=choice(1,2)")
    assert plan_of("own_trainer", *words, "knob.my.n=choice(1,2)").knob.path == "my.n"


def test_where_nothing_differs_the_baseline_stays_and_it_is_called_a_tie():
    findings = findings_of(lambda rate, seed: 0.9 + 0.004 * ((seed * 7 + int(1 / rate)) % 3))
    assert "optimizer.lr = 0.1, the baseline, stays" in conclusion(findings)[0]
    assert conclusion(findings)[1].startswith("a tie: 0.0001, 0.001, 0.01, 0.1, 1: no signif")
    assert findings.winner.spec.trial == 0
    many = findings_of(lambda rate, seed: 0.9 + 0.004 * seed, "space.optimizer.lr.points=9")
    assert conclusion(many)[1].startswith("a tie: all 9 of the table: no signif")
    low = findings_of(
        lambda rate, seed: (0.5 if rate < 2e-4 else 0.9) + 0.004 * seed,
        "space.optimizer.lr.points=11",
    )
    assert conclusion(low)[1].startswith("a tie: all 12 of the table but 0.0001: no signif")


def test_values_that_give_the_same_score_are_named_by_what_the_curves_say():
    flat = findings_of(lambda rate, seed: 0.1 + 0.01 * seed)
    assert any("nothing reads this knob" in line for line in conclusion(flat))
    still = findings_of(lambda rate, seed: 0.1)
    assert "so did all seeds: does the optimizer step" in inert(still)[0]
    dead = Verdict(name="dead", why="train rests")
    lines = inert(replace(flat, verdicts={row.spec.trial: dead for row in flat.rows}))
    assert lines == [
        "every value of optimizer.lr gave the same accuracy, seed by seed: no training learned "
        "anything (dead), so no effect can show"
    ]
    patient = findings_of(
        lambda epochs, seed: 0.1 + 0.01 * seed,
        "trainer.patience=3",
        experiment="epochs_sweep",
    )  # each ended after five epochs
    assert inert(patient)[0].endswith(
        "patience ended the trainings, and not their number of epochs (R33)"
    )
    # the trainer took fewer epochs than it might have had: no patience ended it
    rows = [replace(row, reason=f"{BY_ITSELF} at epoch 5 of 10") for row in patient.rows]
    assert "nothing reads this knob" in inert(replace(patient, rows=rows))[0]


def test_a_program_that_never_gets_the_number_of_epochs_is_not_asked_to_sweep_it(tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import sys\nrate = float(sys.argv[1])\n")
    lines = []
    for words in ([], ["{trainer.epochs}"]):
        command = json.dumps(["python", str(script), "{optimizer.lr}", *words])
        words = (f"trainer.command={command}", "trainer.epochs=5")
        findings = findings_of(planted(0.01), *words, experiment="own_command")
        rows = [replace(row, best_epoch=row.epochs) for row in findings.rows]
        short = Verdict(name="too_short", why="both losses still fall")
        short = {row.spec.trial: short for row in findings.rows}
        lines.append(next_lines(replace(findings, rows=rows, verdicts=short)))
    assert lines[0] == [
        "next, by hand: let your program train for longer: trainer.command holds no "
        "{trainer.epochs} (R15a); tried already: optimizer.lr"
    ]
    assert lines[1][1].startswith("  python -m search lr_sweep space=epochs")


def test_seeds_are_asked_of_a_program_that_gets_none_with_the_word_that_gives_it_one(
    tmp_path,
):
    script = tmp_path / "train.py"
    script.write_text("import sys\nrate = float(sys.argv[1])\n")
    none = "or more with {seed} in trainer.command (your program gets none)"
    for word, more in (("{seed}", "or more"), ("-v", none)):
        command = json.dumps(["python", str(script), "{optimizer.lr}", word])
        words = (f"trainer.command={command}",)
        findings = findings_of(planted(0.01), *words, experiment="own_command", seeds=1)
        said = next(line for line in conclusion(findings) if line.startswith("one seed"))
        assert said.endswith(f"; use seeds=3 {more}")
        alike = findings_of(lambda rate, seed: rate, *words, experiment="own_command", seeds=3)
        said = next(line for line in conclusion(alike) if line.startswith("every seed"))
        assert ("trainer.command holds no {seed}: add it" in said) == (word == "-v")


def test_a_winner_that_ended_by_itself_is_told_of_more_epochs_only_where_its_last_one_was_its_best(
    tmp_path,
):
    script = tmp_path / "train.py"
    script.write_text("import sys\nrate = float(sys.argv[1])\n")
    command = json.dumps(["python", str(script), "{optimizer.lr}", "{trainer.epochs}"])
    words = (f"trainer.command={command}", "trainer.epochs=5")
    findings = findings_of(planted(0.01), *words, experiment="own_command")
    verdicts = {row.spec.trial: Verdict(name="too_short", why="") for row in findings.rows}
    trial = findings.winner.spec.trial
    ends = f"{BY_ITSELF} at epoch 3 of 5"
    takes_more = "next, by hand: let your trainer take more epochs: it ends by itself"
    # A best epoch before the last one is that of a trainer with a patience of its own.
    for best, said in ((3, takes_more), (2, "next: too_short: no remedy is left")):
        rows = [
            replace(row, reason=ends, best_epoch=best, epochs=3) if row.spec.trial == trial else row
            for row in findings.rows
        ]
        (line,) = next_lines(replace(findings, rows=rows, verdicts=verdicts))
        assert line.startswith(said)


def test_what_no_knob_of_a_trainer_of_ones_own_does_is_told_by_hand_and_only_if_no_knob_does_it():
    findings = findings_of(planted(0.01), "trainer.patience=null", experiment="own_trainer")
    for verdict, said in (
        ("lr_drop_due", "next, by hand: lower the learning rate by 3 to 10"),
        ("still_learning", "next: still_learning: train for longer"),
    ):
        verdicts = {row.spec.trial: Verdict(name=verdict, why="") for row in findings.rows}
        assert next_lines(replace(findings, verdicts=verdicts))[0].startswith(said)


def test_where_no_score_can_be_better_nothing_is_turned_next():
    late = Together(name="more_epochs", rule="P10", says="raise trainer.epochs")

    def solved(rate, seed):
        return 1.0 if rate == 0.01 else 0.5 + 0.01 * seed

    for score, verdict, is_best in (
        (solved, "still_learning", True),
        (lambda rate, seed: 1 - solved(rate, seed), "still_learning", True),  # an error
        (lambda rate, seed: 100 * solved(rate, seed), "still_learning", True),
        (lambda rate, seed: solved(rate, seed) - 0.01 * (seed == 2), "still_learning", False),
        (lambda rate, seed: 1.0, "dead", False),  # 1 %: one of 100 classes
    ):
        metric = ["metric=mae", "data.task=regression"] * (score(0.01, 0) == 0)
        findings = findings_of(score, *metric)
        told = {row.spec.trial: Verdict(name=verdict, why="") for row in findings.rows}
        lines = curve_lines(replace(findings, verdicts=told, together=(late,)))
        assert lines[1].startswith("next: nothing to turn: no score can be better") == is_best
        assert ("together: raise trainer.epochs (P10)" in lines) != is_best


@pytest.mark.parametrize(
    ("experiment", "verdict", "following"),
    [
        ("lr_sweep", "lr_too_high", "next: more_epochs: train for longer (R34, P10)"),
        # Trials of other lengths have told whether more are better.
        ("epochs_sweep", "too_short", "next: too_short: no remedy is left to try"),
    ],
)
def test_more_epochs_are_either_what_is_next_or_were_tried_and_are_asked_for_no_more(
    experiment, verdict, following
):
    findings = findings_of(lambda *_: 0.9, "trainer.patience=null", experiment=experiment)
    late = Together(name="more_epochs", rule="P10", says="raise trainer.epochs")
    verdicts = {row.spec.trial: Verdict(name=verdict, why="") for row in findings.rows}
    lines = curve_lines(replace(findings, verdicts=verdicts, together=(late,)))
    assert any(line.startswith(following) for line in lines)
    assert ("together: raise trainer.epochs (P10)" in lines) == ("more_epochs" in following)


@pytest.mark.parametrize(
    ("experiment", "who"),
    [
        ("own_trainer", "trainers.examples.own.train"),
        ("own_command", "The program"),
        ("lr_sweep", ""),
    ],
)
def test_a_trainer_of_ones_own_may_heed_no_class_of_the_best_config_and_is_told_what_a_verdict_needs(
    experiment, who
):
    findings = findings_of(planted(0.01), experiment=experiment)
    assert any("train_loss" in line for line in curve_lines(findings)) == bool(who)
    contract = {"data": {}, "split": {"hash": ""}}
    text = best_config(findings.plan, findings.winner, contract=contract)
    assert (f"\n# {who} gets all these keys" in text) == bool(who)
    assert ("MKL_CBWR=AUTO,STRICT PYTHONHASHSEED=0 OMP_NUM_THREADS=1" in text) == bool(who)
    assert yaml.safe_load(text)["optimizer"]["_target_"].startswith("torch.optim.")


@pytest.mark.parametrize(
    ("good", "other", "words", "is_said"),
    [
        (93.0, 0.91, [], True),  # the program that one knob calls prints shares
        (93.0, 0.2, [], False),  # one training that learned nothing, in per cent
        (0.93, 0.91, [], False),
        (93.0, 0.91, ["metric=mse"], False),
    ],
)
def test_shares_beside_percents_are_named_and_bad_percents_are_not(good, other, words, is_said):
    findings = findings_of(lambda rate, seed: good if rate > 0.01 else other, *words)
    said = [line for line in conclusion(findings) if "are compared as they are" in line]
    assert len(said) == is_said


def test_numbers_far_from_one_are_shown_with_four_digits_and_an_option_none_by_its_name():
    text = io.StringIO()
    large = findings_of(lambda rate, seed: 1e7 * planted(0.01)(rate, seed), "metric=mse")
    show_summary(large, Terminal(file=text, width=100))
    assert "9.01e+06 ±" in text.getvalue()
    clip = findings_of(lambda clip, seed: 0.9 + 0.01 * seed, experiment="clip_sweep")
    assert frame(clip)["trainer.clip"][0] is None
    assert "| None | 3 |" in sweep.text(clip, frame(clip))


def test_values_of_a_knob_that_differ_late_stay_apart_in_every_table_and_sentence():
    words = ("space.optimizer.momentum=choice(0.9,0.9999,0.99995,1.0)", "optimizer.momentum=0.9")
    findings = findings_of(
        lambda value, seed: 0.9 + value / 100 + 0.001 * seed, *words, experiment="momentum_sweep"
    )
    shown = io.StringIO()
    show_summary(findings, Terminal(file=shown, width=100))
    rows = [line.split()[0] for line in shown.getvalue().splitlines()[1:5]]
    assert rows == ["0.9", "0.9999", "0.99995", "1"]
    cells = [line.split(" | ")[0] for line in sweep.text(findings, frame(findings)).splitlines()]
    assert {"| 0.9999", "| 0.99995", "| 1"} <= set(cells)


def test_a_trial_without_a_verdict_has_no_empty_brackets_in_a_table_of_any_width():
    for width in (60, 80, 140):
        shown = io.StringIO()
        show_summary(joint_findings(smooth), Terminal(file=shown, width=width))
        assert "dropout=" in shown.getvalue()
        assert "()" not in shown.getvalue()


def test_the_next_command_stands_as_code_below_the_line_that_it_belongs_to():
    lines = ["next: more", "  python -m search a_b", "last"]
    assert bullets(lines) == "- next: more\n  `python -m search a_b`\n- last"


def test_a_smaller_metric_wins_where_the_metric_says_so():
    findings = findings_of(lambda rate, seed: -planted(0.001)(rate, seed), "metric=mse")
    assert findings.winner.spec.knobs["optimizer.lr"] == 0.001
    assert "optimizer.lr = 0.001 is adopted: mse -0.901" in conclusion(findings)[0]


def test_a_winner_at_the_edge_of_its_range_is_flagged():
    assert conclusion(findings_of(planted(1.0)))[-2] == (
        "1, the best, lies at the edge of what was tried: the range may be wrong (P2)"
    )


def test_one_seed_says_that_it_cannot_tell():
    lines = conclusion(findings_of(planted(0.1), seeds=1))
    assert ", of one seed;" in lines[0]
    assert lines[1].startswith("one seed per value: a difference may be noise")


def test_before_the_last_trial_there_is_no_decision():
    findings = findings_of(planted(0.01), leave=4)
    assert conclusion(findings) == ["no decision yet: 4 trials still to come"]
    assert findings.winner is None
    assert records(findings) == []
    frame = trials_frame(findings)
    assert frame.state.tolist()[-4:] == ["queued"] * 4
    begun = trials_frame(replace(findings, rows=()))
    assert [*begun.columns] == [*frame.columns][:-1]  # all but the knob's
    assert begun.empty


def test_nothing_usable_is_said_plainly():
    findings = findings_of(lambda rate, seed: None)
    assert conclusion(findings) == [
        "no value of optimizer.lr is usable: none of 15 trials gave a result; "
        "15 ended with: infeasible"
    ]
    assert findings.winner is None


def test_the_summary_counts_means_and_marks():
    findings = findings_of(
        lambda rate, seed: None if rate == 1.0 and seed == 2 else planted(0.01)(rate, seed)
    )
    summary = frame(findings).set_index("optimizer.lr")
    assert list(summary.index) == [0.0001, 0.001, 0.01, 0.1, 1.0]
    assert summary.loc[0.01, "mean"] == pytest.approx(0.901)
    assert summary.loc[0.01, "std"] == pytest.approx(0.001)
    assert summary.n.tolist() == [3, 3, 3, 3, 2]
    assert summary.complete.tolist() == [3, 3, 3, 3, 2]
    assert summary.infeasible.tolist() == [0, 0, 0, 0, 1]
    assert summary.seconds.tolist() == [6.0] * 5
    assert summary.loc[1.0, "decision"] == "1 of 3 seeds broke"
    assert summary.loc[0.01, "decision"] == "best, chosen"
    assert summary.loc[0.1, "decision"] == "baseline, worse"
    told = text(findings, summary.reset_index())
    assert "| 0.01 | 3 | 0.9010 | 0.0010 |" in told  # a spread has the decimals of its mean
    assert "- optimizer.lr = 0.01 is adopted" in told
    assert (
        "- seeds that broke (collapsed, or gave no result): 1.0 in 1 of 3, the baseline in 0 of 3; "
        "a value that breaks in a larger share than the baseline is not adopted (P8)"
    ) in told


def test_the_summary_is_told_by_value_and_by_rank_with_the_distance_from_the_baseline():
    findings = findings_of(planted(0.01))
    summary = frame(findings).set_index("optimizer.lr")
    assert summary.against[0.1] == 0
    assert summary.against[0.01] == pytest.approx(0.05)
    told = text(findings, frame(findings))
    ranked = told.partition("## By rank of the mean")[2]
    cells = [line.split(" | ") for line in ranked.splitlines() if line.startswith("| ")][2:]
    assert [row[1] for row in cells] == ["0.01", "0.001", "0.1", "0.0001", "1"]
    wrong_way = findings_of(lambda rate, seed: -planted(0.01)(rate, seed), "data=diabetes")
    ranked = text(wrong_way, frame(wrong_way)).partition("## By rank of the mean")[2]
    assert ranked.splitlines()[4].startswith("| 1 | 0.01 | -0.9010 |")
    assert frame(wrong_way).set_index("optimizer.lr").against[0.01] == pytest.approx(-0.05)


def test_a_wide_terminal_shows_the_sweep_as_a_picture():
    for encoding, mark in (("utf-8", "█"), ("ascii", "#")):
        shown = []
        for width in (80, 140):
            file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
            console = Terminal(width=width, record=True, file=file)
            show_summary(findings_of(planted(0.01)), console)
            shown.append(console.export_text())
        assert mark not in shown[0]
        lines = shown[1].splitlines()
        bars = {line.split()[0]: line.count(mark) for line in lines if line.strip()[:1].isdigit()}
        assert bars["0.01"] == 16
        assert bars["0.0001"] == 0
        assert 0 < bars["0.001"] < 16
        assert len({line.rindex("3 complete") for line in lines if "complete" in line}) == 1
        assert len({line.index(mark) for line in lines if mark in line}) == 1


def test_a_winner_that_broke_as_often_as_the_baseline_is_no_second_best_in_words():
    def truth(rate, seed):
        if seed == 1 and rate in (0.1, 0.01):
            return None
        return 0.8 + 0.05 * (rate == 0.01) + 0.001 * ((seed * 7 + round(1e4 * rate)) % 5)

    findings = findings_of(truth, "protocol.most_seeds=1", seeds=6)
    lines = "\n".join(conclusion(findings))
    assert "optimizer.lr = 0.01 is adopted" in lines
    assert "has the best mean" not in lines
    assert "no significant difference from the best mean of those that break least" in lines
    assert "tied with the best" not in answer_of(findings).surety


def test_the_page_does_not_count_the_winner_among_those_that_tie_with_it():
    def gain(rate, seed):
        return 0.5 + 0.3 * (rate in (0.001, 0.01)) + 0.001 * ((seed * 7 + round(1e4 * rate)) % 5)

    findings = findings_of(gain, "protocol.most_seeds=3")
    line = next(line for line in conclusion(findings) if line.startswith("optimizer.lr = "))
    winner, other = ("0.001", "0.01") if "= 0.001 is adopted" in line else ("0.01", "0.001")
    assert f"= {winner} is adopted" in line
    assert answer_of(findings).surety.endswith(f"Also tied with the best mean: {other}.")


def test_values_that_tie_with_fewer_seeds_than_the_best_one_are_named_with_their_seeds():
    def truth(rate, seed):
        noise = ((seed * 7 + round(1e4 * rate)) % 5 - 2) / 100
        if rate == 1:
            return 0.29 + 0.4 * (seed % 2)
        return {0.1: 0.5, 0.01: 0.9, 0.001: 0.89}.get(rate, 0.4) + noise

    findings = findings_of(truth, "protocol.most_seeds=6", seeds=2, racing=True)
    seeds = {group.candidate: len(group.scores) for group in findings.groups}
    assert seeds[1.0] < seeds[0.01] == seeds[0.001]
    tie = next(line for line in conclusion(findings) if line.startswith("a tie: 0.001, 0.01, 1"))
    assert f"; 1 had only {seeds[1.0]} seeds, the best mean has {seeds[0.01]} (5 %" in tie


def test_a_tie_of_two_seeds_whose_interval_lies_apart_from_the_best_ones_asks_for_more_seeds():
    def told(far):
        def truth(rate, seed):
            near = 0.9 + 0.001 * ((seed + round(1 / rate)) % 3)
            return far + 0.01 * seed if rate == 0.0001 else near

        findings = findings_of(truth, seeds=2)
        tie = next(line for line in conclusion(findings) if line.startswith("a tie:"))
        return frame(findings).set_index("optimizer.lr"), tie

    shown, tie = told(0.8)
    assert shown.decision[0.0001] == "tie"
    best = (shown["mean"] - shown.interval)[shown["mean"].idxmax()]
    assert (shown["mean"] + shown.interval)[0.0001] < best
    assert tie.endswith(
        "; the intervals of 0.0001 lie apart from the best's: use seeds=3 or more to tell"
    )
    assert "apart" not in told(0.9)[1]


def test_values_of_which_every_trial_failed_are_named_with_the_reason():
    findings = findings_of(lambda rate, seed: 0.9 + 0.001 * seed if rate < 0.5 else None)
    assert not any("no result with any seed" in line for line in conclusion(findings))  # diverged
    rows = [
        replace(row, state="failed", reason="ValueError: no rate of 1 (own.py:3)")
        if row.value is None
        else row
        for row in findings.rows
    ]
    line = next(
        line for line in conclusion(find(findings.plan, rows, val_rows=250)) if "any seed" in line
    )
    assert line == "no result with any seed: 1: ValueError: no rate of 1 (own.py:3)"


def test_a_gain_that_was_not_tested_has_no_interval_on_the_page():
    answer = answer_of(findings_of(lambda rate, seed: 0.9 if rate == 0.01 else 0.8))
    assert ("gain", "0.1", "over the baseline, not tested") in answer.cards
