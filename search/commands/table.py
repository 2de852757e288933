"""The tables and figures of a search, made again from disk; needs neither torch nor a GPU."""

import os
from argparse import Namespace
from pathlib import Path

import pandas as pd

from search.commands.support.arguments import VerbParser, whole_number
from search.commands.support.closing import show_decision
from search.commands.support.documents import print_document
from search.commands.support.frames import FORMATS, frame_text, selected
from search.execution.terminal import Terminal
from search.results.diagnosis import diagnosed
from search.results.findings import Findings, open_results
from search.results.reporters import write_results
from search.results.summary import conclusion, view_of
from search.results.tables import curves_so_far, settled, trials_frame

SUMMARY = "shows a search's table and decision, from disk"


def parser() -> VerbParser:
    """`NAME [--trials] [--sort COLUMN] [--top N] [--format FORMAT]`."""
    examples = [
        ("python -m search table lr_sweep", "a row per value, and the decision in words"),
        (
            "python -m search table lr_sweep --sort accuracy --top 5 --format latex",
            "the five best, for a paper; --sort=-accuracy: the five worst",
        ),
    ]
    details = (
        "Brings tables, figures and report.html up to date, unless the search is running or its "
        "folder may not be written. Numbers of --format csv and json have all their digits."
    )
    parser = VerbParser("table", summary=SUMMARY, details=details, examples=examples)
    parser.add_name()
    parser.add_root()
    parser.add_argument(
        "--trials", action="store_true", help="a row per trial, as in trials.csv, not per value"
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="order by a column: scores best first, others ascending; --sort=-COLUMN: the reverse",
    )
    parser.add_argument("--top", metavar="N", type=whole_number(1), help="the first N rows")
    parser.add_argument("--format", choices=FORMATS, help="print the rows alone, in this format")
    parser.add_json()
    return parser


def run(words: list[str], config_dir: Path | None) -> int:
    """Shows the table; writes the files anew where no conductor is at work and it is allowed."""
    options = parser().parse(words)
    folder, findings = open_results(options.name, root=options.results_root)
    if folder.alive() or not os.access(folder.path, os.W_OK):
        findings = diagnosed(findings, curves_so_far(findings, folder), folder=folder)
    else:
        with folder.locked():
            findings, curves = settled(findings, folder)
            write_results(findings, curves, folder, draws=True)
    output = "json" if options.json else options.format
    if output is None and (options.trials or options.sort or options.top):
        output = "md"
    if output == "json":
        _print_json(findings, _frame(findings, options))
    elif output is not None:
        print(frame_text(_frame(findings, options), output), end="")
    else:
        show_decision(findings, Terminal())
    return 0


def _frame(findings: Findings, options: Namespace) -> pd.DataFrame:
    whole = trials_frame if options.trials else view_of(findings.plan).teller.frame
    return selected(
        whole(findings), sort=options.sort, top=options.top, metric=findings.plan.metric
    )


def _print_json(findings: Findings, frame: pd.DataFrame) -> None:
    plan = findings.plan
    winner = findings.winner
    print_document(
        "table",
        {
            "name": plan.name,
            "kind": plan.kind,
            "metric": plan.metric.name,
            "direction": plan.metric.direction,
            "columns": list(map(str, frame.columns)),
            "rows": frame.astype(object).where(frame.notna(), None).to_dict("records"),
            "winner": None if winner is None else winner.spec.trial,
            "decisions": view_of(plan).teller.records(findings),
            "conclusion": conclusion(findings),
        },
    )
