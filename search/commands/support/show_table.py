"""The tables and figures of a search, made again from disk; what is shown of them, as text for
papers, pages, spreadsheets and programs.
"""

import os
from argparse import Namespace

import pandas as pd

from search.commands.support.closing import show_decision
from search.commands.support.documents import print_document
from search.contract.metrics import Metric
from search.errors import UsageError, unknown
from search.execution.terminal import Terminal
from search.results.diagnosis import diagnosed
from search.results.findings import Findings, open_results
from search.results.reporters import write_results
from search.results.summary import conclusion, view_of
from search.results.summary.formatting import form_of, markdown
from search.results.tables import curves_so_far, settled, trials_frame
from search.storage.sealed import csv_safe

SCORES = ("mean", "value")  # columns of scores, the one that decides first
AGAINST = "against"  # the score less the baseline's


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
    metric = findings.plan.metric
    return selected(whole(findings), sort=options.sort, top=options.top, metric=metric)


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


def selected(
    frame: pd.DataFrame, *, sort: str | None, top: int | None, metric: Metric
) -> pd.DataFrame:
    """The rows in the order of a column, the first `top` of them.

    Args:
        frame: a table of values or of trials.
        sort: a column; the metric's name means its score. Scores come best first, all else
            ascending; `-COLUMN` turns that round. None: as they are.
        top: how many; None for all.
        metric: says which scores are good.

    Raises:
        UsageError: there is no such column.
    """
    if sort is not None:
        column = sort.removeprefix("-")
        if column == metric.name and column not in frame:
            column = next((score for score in SCORES if score in frame), column)
        if column not in frame:
            known = [*map(str, frame.columns), metric.name]
            raise UsageError(unknown("column", name=column, known=known), code="unknown-column")
        is_falling = column in (*SCORES, AGAINST) and metric.direction == "maximize"
        ascending = is_falling == sort.startswith("-")
        numbers = pd.to_numeric(frame[column], errors="coerce")  # choices may be numbers too
        is_number = numbers.count() == frame[column].count()
        frame = frame.sort_values(
            column, key=lambda cells: numbers if is_number else cells.astype(str),
            ignore_index=True, ascending=ascending, na_position="last", kind="stable",
        )  # fmt: skip
    return frame if top is None else frame.head(top)


def frame_text(frame: pd.DataFrame, output: str) -> str:
    """The frame in one of the text formats."""
    if output == "csv":
        return csv_safe(frame).to_csv(index=False)
    if output == "latex":
        forms = {
            name: f"{{:{form_of(name, frame)}}}".format
            for name in frame.select_dtypes(include="float").columns
        }
        return frame.to_latex(index=False, formatters=forms, escape=True, na_rep="")
    return f"{markdown(frame)}\n"
