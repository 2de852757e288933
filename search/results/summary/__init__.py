"""What a search has found, as a table and in words. Never decides, never trains."""

from typing import Any, Protocol

import pandas as pd
from rich.console import Console, Group
from rich.table import Table

from search.config.plan import Plan
from search.config.text import one_line
from search.execution.terminal import say
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
        """For a terminal of so many columns; None where there is nothing to compare."""

    def conclusion(self, findings: Findings) -> list[str]:
        """The decision in words, a line each."""

    def records(self, findings: Findings) -> list[dict[str, Any]]:
        """decisions.jsonl."""


def teller_of(plan: Plan) -> Teller:
    """The teller of a plan's kind."""
    tellers: dict[str, Teller] = {"sweep": sweep, "joint": joint, "train": single, "tune": tune}
    return tellers[plan.kind]


def conclusion(findings: Findings) -> list[str]:
    """The decision in words, a line each, and which trials are of older code."""
    older = CodeRecord(findings.plan.folder).older()
    named = [f"trained with older code: trials {', '.join(map(str, older))}"] if older else []
    return [one_line(line) for line in (*teller_of(findings.plan).conclusion(findings), *named)]


def show_summary(findings: Findings, console: Console) -> None:
    """The table on a terminal, and what its ± means."""
    table = teller_of(findings.plan).table(findings, width=console.width)
    if table is not None:
        console.print(table)
        decision = findings.decision
        if decision is not None and not decision.untested:
            say(console, PLUS_MINUS, style="dim")
