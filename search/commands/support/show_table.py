"""The tables and figures of a search, made again from disk, and what is shown of them."""

import os
from argparse import Namespace

import pandas as pd

from search.commands.support.closing import show_decision
from search.commands.support.documents import print_document
from search.commands.support.frames import frame_text, selected
from search.execution.terminal import Terminal
from search.results.diagnosis import diagnosed
from search.results.findings import Findings, open_results
from search.results.reporters import write_results
from search.results.summary import conclusion, view_of
from search.results.tables import curves_so_far, settled, trials_frame


def show_table(options: Namespace) -> None:
    """Of the search that the options of `table` name."""
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
