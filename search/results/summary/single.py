"""One training in words. It compares nothing, so it has no table."""

from typing import Any

import pandas as pd
from rich.table import Table

from search.results.findings import Findings
from search.results.summary.advise import curve_lines
from search.storage.trials import TrialRecord


def frame(findings: Findings) -> pd.DataFrame:
    """Nothing."""
    return pd.DataFrame()


def text(findings: Findings, summary: pd.DataFrame) -> str:
    """What came of it."""
    return "\n".join(conclusion(findings)) + "\n"


def table(findings: Findings, *, width: int) -> Table | None:
    """None."""
    return None


def conclusion(findings: Findings) -> list[str]:
    """What came of it."""
    metric = findings.plan.metric.name
    return [*(_sentence(row, metric) for row in findings.rows), *curve_lines(findings)]


def records(findings: Findings) -> list[dict[str, Any]]:
    """Nothing was decided."""
    return []


def _sentence(row: TrialRecord, metric: str) -> str:
    what = (
        f"{metric} {row.value!r} at epoch {row.best_epoch}" if row.value is not None else row.state
    )
    return f"trial {row.spec.trial}: {what}{f' ({row.reason})' if row.reason else ''}"
