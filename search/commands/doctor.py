"""What learning curves mean and what to turn next: of a search, a trial or a CSV file."""

import math
from argparse import ArgumentTypeError, Namespace
from pathlib import Path

from search.commands.support.arguments import VerbParser, whole_number
from search.commands.support.documents import print_document
from search.commands.support.reading import Reading, document_of, say
from search.config.knob_parts import RATE
from search.diagnostics.logs.read import read_logs
from search.diagnostics.verdicts.across_trials import across, trained
from search.diagnostics.verdicts.advice import EPOCHS
from search.diagnostics.verdicts.rules import Verdict, judge, unheld, unscaled
from search.errors import UsageError, refused
from search.results.findings import Findings
from search.results.summary.advise import deleted, next_lines, remarks
from search.results.summary.verdicts import turnable
from search.results.tables import load_search

SUMMARY = "reads learning curves: what they say, on which evidence, and what to turn next"
ALWAYS = ["trial", "fold", "epoch", "step", "seconds"]  # columns of all curves


def parser() -> VerbParser:
    """`NAME [TRIAL] | --csv FILE [--classes C] [--constant L] [--columns ROLE=NAME …]`."""
    examples = [
        ("python -m search doctor lr_sweep", "every verdict of a search, and which trials have it"),
        ("python -m search doctor --csv log.csv --classes 10", "any training log, of ten classes"),
    ]
    parser = VerbParser("doctor", summary=SUMMARY, examples=examples)
    parser.add_name(nargs="?")
    parser.add_argument("trial", metavar="TRIAL", nargs="?", help="one of its trials, in full")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="a log with losses of train and validation: CSV, JSON, JSON lines, a notebook, "
        "TensorBoard or text, also as .gz; 'runs/*/metrics.csv' in quotes for several; for one "
        "file, the word --csv may be left out",
    )
    parser.add_argument(
        "--columns",
        metavar="ROLE=NAME",
        nargs="+",
        type=_column,
        help="which column is which, if the names do not tell: train=a+b val=c epoch=d metric=e "
        "trial=f; a+b is their sum",
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
    if options.csv is None and options.trial is None and Path(options.name or "").is_file():
        options.csv, options.name = options.name, None  # no search is a file
    scaled = options.classes or options.constant or options.columns
    if (options.csv is None) == (options.name is None) or (scaled and not options.csv):
        got = " ".join(words) or "none"
        raise UsageError(
            "doctor: needs a search, or --csv FILE with --classes C, --constant L or neither, "
            f"but got {got}; see python -m search help doctor",
            code="doctor-needs-one-source",
        )
    reading = _of_search(options) if options.csv is None else _of_logs(options)
    if options.json:
        print_document("doctor", document_of(reading))
    else:
        say(reading)
    return 0


def _of_search(options: Namespace) -> Reading:
    """The verdicts on a search, or on one of its trials."""
    loaded = load_search(options.name, root=options.results_root)
    findings = loaded.findings
    if not findings.verdicts and findings.without_curves:
        raise UsageError(
            f"{loaded.folder.path}: {deleted(findings)[0]}", code="curves-were-deleted"
        )
    if options.trial is not None:
        verdict = _verdict(findings, options.trial)
        verdicts = {options.trial: verdict}
        trained = [row for row in findings.rows if str(row.spec.trial) == options.trial]
        acts = turnable(findings, trained)
        return Reading(name=options.name, verdicts=verdicts, findings=findings, acts=acts)
    if not findings.verdicts:
        columns = loaded.curves.dropna(axis="columns", how="all").columns.difference(ALWAYS)
        raise refused(
            options.name,
            code="verdict-needs-both-losses",
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
        acts=turnable(findings, findings.rows),
        together=remarks(findings),
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
        left_out=log.left_out,
        then=["boosting: an epoch is a round, and its knobs are others"] if log.boosted else (),
        acts=(EPOCHS, RATE) if log.boosted else None,
    )


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


def _verdict(findings: Findings, trial: str) -> Verdict:
    rows = {str(row.spec.trial): row for row in findings.rows}
    if trial not in rows:
        rule = f"trials are 0 to {len(rows) - 1}" if rows else "the search has no trial yet"
        remedy = "name one of them" if rows else "wait, or give the search's command again"
        raise refused(f"doctor {trial}", code="no-such-trial", rule=rule, got=trial, remedy=remedy)
    verdict = findings.verdicts.get(int(trial))
    if verdict is None:
        rule, got = "a verdict needs curves of both losses", f"a trial that is {rows[trial].state}"
        raise refused(
            f"doctor {trial}",
            code="verdict-needs-curves",
            rule=rule,
            got=got,
            remedy="wait or take another",
        )
    return verdict
