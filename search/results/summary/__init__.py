"""What a search has found, as a table and in words. Never decides, never trains.

`VIEWS` holds one object per kind of search: all that its tables, figures and page do differently.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import pandas as pd
from rich.console import Group
from rich.table import Table

from search.config.counted import count
from search.config.plan import Plan
from search.config.text import one_line
from search.execution.terminal import Terminal
from search.results.findings import Findings
from search.results.summary import joint, single, sweep, tune
from search.results.summary.formatting import PLUS_MINUS
from search.storage.code_record import CodeRecord


class Teller(Protocol):
    """How one kind of search tells what it has found."""

    def frame(self, findings: Findings) -> pd.DataFrame:
        """summary.csv."""

    def text(self, findings: Findings, summary: pd.DataFrame) -> str:
        """summary.md."""

    def table(self, findings: Findings, *, width: int) -> Table | Group | None:
        """The table for a terminal of so many columns; None where there is nothing to compare."""

    def conclusion(self, findings: Findings) -> list[str]:
        """The decision in words, a line each."""

    def records(self, findings: Findings) -> list[dict[str, Any]]:
        """decisions.jsonl."""


@dataclass(frozen=True, kw_only=True)
class View:
    """How one kind of search is shown.

    `title`: what it is, in words. `teller`: its decision, as a table and in words. `figures`: names
    of the SVG files, without their ending. `compares`: whether it has a decision to show.
    `many_knobs`: whether the page shows every knob by itself. `follow_up`: the recipe that goes on
    from its winner.
    """

    title: str
    teller: Teller
    figures: tuple[str, ...] = ()
    compares: bool = True
    many_knobs: bool = False
    follow_up: str = ""


VIEWS = {
    "sweep": View(
        title="sweep of one knob", teller=sweep, figures=("sweep", "curves"), follow_up="joint"
    ),
    "joint": View(
        title="joint search", teller=joint, figures=("search", "knobs", "curves"), many_knobs=True
    ),
    "train": View(title="one training", teller=single, compares=False),
    "tune": View(title="many stages", teller=tune),
}


def view_of(plan: Plan) -> View:
    """The view of a plan's kind."""
    return VIEWS[plan.kind]


def code_notes(findings: Findings) -> list[str]:
    """Which trials are of older code, and which code changed while they ran; a line each."""
    code = CodeRecord(findings.plan.folder)
    older, edited = code.older(), code.edited()
    named = [f"trained with older code: trials {', '.join(map(str, older))}"] if older else []
    if edited:
        named.append(
            f"{', '.join(edited)} changed while the search ran, so its trials may be of different "
            "code; train them again with name=…"
        )
    return named


def two_units(findings: Findings) -> list[str]:
    """That some trials seem to give the metric as a share and others in per cent, as programs do
    that were edited meanwhile or call other code by a knob: a share that is a good value in per
    cent. A trial of 0.5 % beside others of 90 % is none.
    """
    metric = findings.plan.metric
    values = [row.value for row in findings.rows if row.value is not None]
    shares, above = [v for v in values if 0 < v < 1], [v for v in values if v > 1]
    if 100.0 not in metric.perfect or not shares or not above:
        return []
    if 100 * max(shares) < max(above) / 2:
        return []
    return [
        f"{metric.name}: {count(len(shares), 'trial')} below 1 (up to {max(shares):.4g}) and "
        f"{len(above)} above (up to {max(above):.4g}) are compared as they are: if these are per "
        "cent and those shares, print one of the two, in a search of another name="
    ]


def conclusion(findings: Findings) -> list[str]:
    """The decision in words, a line each, and what is to know of its numbers and of the code."""
    lines = view_of(findings.plan).teller.conclusion(findings)
    return [one_line(line) for line in (*lines, *two_units(findings), *code_notes(findings))]


def show_summary(findings: Findings, console: Terminal) -> None:
    """The table on a terminal, and what its ± means."""
    table = view_of(findings.plan).teller.table(findings, width=console.width)
    if table is not None:
        console.print(table)
        decision = findings.decision
        if decision and not decision.untested and any(map(isfinite, decision.half_widths)):
            console.say(PLUS_MINUS, style="dim")
