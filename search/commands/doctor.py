"""What learning curves mean and what to turn next: of a search, a trial or a CSV file."""

import math
from argparse import ArgumentTypeError, Namespace
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from search.commands.support.arguments import VerbParser, whole_number
from search.commands.support.documents import print_document
from search.diagnostics.logs.read import read_logs
from search.diagnostics.verdicts.across_trials import Together, across, trained
from search.diagnostics.verdicts.advice import ALARMS, EPOCHS, RATE
from search.diagnostics.verdicts.rules import Verdict, judge, unheld, unscaled
from search.errors import UsageError, refused
from search.execution.progress import shown_knobs
from search.execution.terminal import Terminal
from search.results.diagnosis import diagnosed
from search.results.findings import Findings, open_results
from search.results.summary.advise import deleted, next_lines, tried_paths
from search.results.summary.verdicts import advice, config_of, out_of_patience, turnable
from search.results.tables import curves_so_far

SUMMARY = "reads learning curves: what they say, on which evidence, and what to turn next"
ALWAYS = ["trial", "fold", "epoch", "step", "seconds"]  # columns of all curves
SHOWN = 12  # trials that a verdict names


def parser() -> VerbParser:
    """`NAME [TRIAL] | --csv FILE [--classes C] [--constant L] [--columns ROLE=NAME …]`."""
    examples = [
        ("python -m search doctor lr_sweep", "every verdict of a search, and which trials have it"),
        ("python -m search doctor --csv log.csv --classes 10", "of anybody's training log"),
    ]
    parser = VerbParser("doctor", summary=SUMMARY, examples=examples)
    parser.add_argument("name", metavar="NAME", nargs="?", help="a search, or its folder")
    parser.add_argument("trial", metavar="TRIAL", nargs="?", help="one of its trials, in full")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="a log with losses of train and validation: CSV, JSON, JSON lines, TensorBoard or "
        "text, also as .gz; 'runs/*/metrics.csv' in quotes for several",
    )
    parser.add_argument(
        "--columns",
        metavar="ROLE=NAME",
        nargs="+",
        type=_column,
        help="which column is what: train=a+b val=c epoch=d metric=e trial=f, where names do not "
        "tell; a+b are summed",
    )
    parser.add_argument(
        "--classes", metavar="C", type=whole_number(2), help="classes, where labels are classes"
    )
    parser.add_argument(
        "--constant",
        metavar="L",
        type=_loss,
        help="loss of a constant prediction: of a regression, the variance of its target",
    )
    parser.add_root()
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """A verdict, or a table of them."""
    options = parser().parse(words)
    scaled = options.classes or options.constant or options.columns
    if (options.csv is None) == (options.name is None) or (scaled and not options.csv):
        got = " ".join(words) or "none"
        raise UsageError(
            "doctor: needs a search, or --csv FILE with --classes C, --constant L or neither, "
            f"but got {got}; "
            "see python -m search help doctor"
        )
    reading = _of_search(options) if options.csv is None else _of_logs(options)
    if options.json:
        print_document("doctor", _document(reading))
    else:
        _say(reading)
    return 0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the curves of a search, of one of its trials or of somebody's logs say.

    `verdicts`: by trial. `findings`: of the search, if it is one. `together`: what all trials say.
    `untold`, `unheld`: verdicts that could not be given without a scale, or without losses of
    validation. `columns`: which columns of a log were read as what. `then`: what to do next.
    `acts`: the knobs that can be turned; None: all.
    """

    name: str
    verdicts: Mapping[str, Verdict]
    findings: Findings | None = None
    together: Sequence[Together] = ()
    untold: Sequence[str] = ()
    unheld: Sequence[str] = ()
    columns: str = ""
    then: Sequence[str] = ()
    acts: Collection[str] | None = None


def _of_search(options: Namespace) -> Reading:
    """The verdicts on a search, or on one of its trials."""
    folder, findings = open_results(options.name, root=options.results_root)
    curves = curves_so_far(findings, folder)
    findings = diagnosed(findings, curves, folder=folder)
    if options.trial is not None:
        verdict = _verdict(findings, options.trial)
        verdicts, acts = {options.trial: verdict}, turnable(findings.plan)
        return Reading(name=options.name, verdicts=verdicts, findings=findings, acts=acts)
    if not findings.verdicts and findings.without_curves:
        raise UsageError(f"{folder.curves}: {deleted(findings)[0]}")
    if not findings.verdicts:
        columns = curves.dropna(axis="columns", how="all").columns.difference(ALWAYS)
        raise refused(
            options.name,
            rule="a verdict needs train_loss and val_loss",
            got=f"curves of {', '.join(columns)}" if len(columns) else "no epoch yet",
            remedy="yield both, or print them, under these names"
            if len(columns)
            else "wait, or give the search's command again",
        )
    return Reading(
        name=options.name,
        verdicts={str(trial): verdict for trial, verdict in findings.verdicts.items()},
        findings=findings,
        acts=turnable(findings.plan),
        together=findings.together,
        then=[*next_lines(findings), *deleted(findings)],
    )


def _of_logs(options: Namespace) -> Reading:
    """The verdicts on somebody's logs."""
    log = read_logs(
        options.csv,
        classes=options.classes or 0,
        constant=options.constant,
        columns=dict(options.columns or ()),
    )
    verdicts = {name: judge(curves) for name, curves in log.trainings.items()}
    untold = {name for curves in log.trainings.values() for name in unscaled(curves)}
    return Reading(
        name=str(options.csv),
        verdicts=verdicts,
        together=across([trained(c, verdicts[name].name) for name, c in log.trainings.items()]),
        untold=sorted(untold - {verdict.name for verdict in verdicts.values()}),
        unheld=sorted({name for curves in log.trainings.values() for name in unheld(curves)}),
        columns=log.columns,
        then=["boosting: an epoch is a round, and its knobs are others"] if log.boosted else (),
        acts=(EPOCHS, RATE) if log.boosted else None,
    )


def _document(reading: Reading) -> dict[str, Any]:
    """As JSON."""
    ended = _ended(reading.findings)
    return {
        "name": reading.name,
        "trials": [
            {"trial": name, **_record(verdict, ended=name in ended, acts=reading.acts)}
            for name, verdict in reading.verdicts.items()
        ],
        "together": [{"says": remark.says, "rule": remark.rule} for remark in reading.together],
        "untold": [*reading.untold, *reading.unheld],
        "columns": reading.columns,
    }


def _say(reading: Reading) -> None:
    """As text."""
    console = Terminal()
    if len(reading.verdicts) > 1:
        _show_table(reading, console)
    else:
        _show_one(reading, console)
    if reading.columns:
        console.say(f"read {reading.columns}; --columns ROLE=NAME decides otherwise")
    if reading.untold:
        console.say(
            f"cannot be judged from these curves: {', '.join(reading.untold)}; how many classes "
            "are there (--classes C), or what does a constant prediction lose (--constant L)?"
        )
    if reading.unheld:
        console.say(
            f"cannot be judged without losses of validation: {', '.join(reading.unheld)}; where a "
            "column holds them, name it with --columns val=NAME"
        )
    for remark in reading.together:
        console.say(f"together: {remark.says} ({remark.rule})")
    for line in reading.then:
        console.say(line)
    if reading.findings is not None and len(reading.verdicts) > 1:
        console.say(f"\none trial: python -m search doctor {reading.name} TRIAL")


def _column(word: str) -> tuple[str, str]:
    role, equals, name = word.partition("=")
    if not (role and equals and name):
        raise ArgumentTypeError(f"needs ROLE=NAME, as in train=loss, but got {word}")
    return role, name


def _loss(text: str) -> float:
    try:
        loss = float(text)
    except ValueError:
        loss = math.nan
    if not 0 < loss < math.inf:
        raise ArgumentTypeError(f"needs a number above 0, but got {text}")
    return loss


def _ended(findings: Findings | None) -> set[str]:
    """The trials of a search that patience had ended."""
    if findings is None:
        return set()
    plan = findings.plan
    return {str(row.spec.trial) for row in findings.rows if out_of_patience(plan, row)}


def _record(verdict: Verdict, *, ended: bool, acts: Collection[str] | None) -> dict[str, Any]:
    return {
        "verdict": verdict.name,
        "why": verdict.why,
        "alike": list(verdict.alike),
        "advice": advice(verdict.name, turnable=acts, out_of_patience=ended),
        "also": [{"verdict": side.name, "why": side.why} for side in verdict.sides],
    }


def _verdict(findings: Findings, trial: str) -> Verdict:
    rows = {str(row.spec.trial): row for row in findings.rows}
    if trial not in rows:
        rule, remedy = f"trials are 0 to {len(rows) - 1}", "name one of them"
        raise refused(f"doctor {trial}", rule=rule, got=trial, remedy=remedy)
    verdict = findings.verdicts.get(int(trial))
    if verdict is None:
        rule, got = "a verdict needs curves", f"a trial that is {rows[trial].state}"
        raise refused(f"doctor {trial}", rule=rule, got=got, remedy="wait or take another")
    return verdict


def _show_one(reading: Reading, console: Terminal) -> None:
    findings = reading.findings
    ((name, verdict),) = reading.verdicts.items()
    rows = findings.rows if findings is not None else ()
    row = next((row for row in rows if str(row.spec.trial) == name), None)
    about, config, ended = "", None, False
    if findings is not None and row is not None:
        about = f"  {shown_knobs(row.spec.knobs)} seed {row.spec.seed}  {row.state}"
        config = config_of(findings, row)
        ended = out_of_patience(findings.plan, row)
    console.say(f"{name}{about}")
    for finding in (verdict, *verdict.sides):
        words = " or ".join([finding.name, *(verdict.alike if finding is verdict else ())])
        console.say(f"{words}: {finding.why}")
        for line in advice(finding.name, config, turnable=reading.acts, out_of_patience=ended):
            console.say(f"  - {line}")


def _show_table(reading: Reading, console: Terminal) -> None:
    verdicts, findings = reading.verdicts, reading.findings
    counts = Counter(verdict.name for verdict in verdicts.values())
    table = Table(box=None, pad_edge=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("which")
    ranked = dict(sorted(counts.items(), key=lambda item: (item[0] not in ALARMS, -item[1])))
    for name, number in ranked.items():
        trials = [trial for trial, verdict in verdicts.items() if verdict.name == name]
        more = f" and {number - SHOWN} more" if number > SHOWN else ""
        style = "red" if name in ALARMS else ""
        table.add_row(name, str(number), Text(" ".join(trials[:SHOWN]) + more), style=style)
    console.print(table)
    config, tried = None, set[str]()
    if findings is not None:
        config, tried = findings.plan.config, tried_paths(findings)
    ended = _mostly_out_of_patience(verdicts, findings)
    for name in ranked:
        stopped = name in ended
        lines = advice(name, config, tried=tried, turnable=reading.acts, out_of_patience=stopped)
        for line in lines[:1]:
            console.say(f"{name}: {line}")


def _mostly_out_of_patience(verdicts: Mapping[str, Verdict], findings: Findings | None) -> set[str]:
    """The verdicts of which patience had ended more than half of the trials."""
    ended = _ended(findings)
    of = Counter(verdict.name for verdict in verdicts.values())
    stopped = Counter(verdict.name for name, verdict in verdicts.items() if name in ended)
    return {name for name, number in stopped.items() if 2 * number > of[name]}
