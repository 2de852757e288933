"""The section of the failures: trials without a result, with reasons and ends of logs."""

from pathlib import Path
from typing import Any

from search.config.counted import count
from search.config.text import one_line
from search.results.findings import Findings
from search.results.report.blocks import Block, Log, Section, Table
from search.results.report.costs import LOST
from search.results.report.numbers import setting
from search.storage.folder import Folder

LOGS, TAIL, LINES = 20, 16_384, 20  # logs shown, bytes read of each, lines shown
FEW = 12  # rows of a table that is open at once


def failure_section(findings: Findings, folder: Folder) -> Section | None:
    """None if every trial gave a result."""
    lost = [row for row in findings.rows if row.state in LOST]
    if not lost:
        return None
    logs: list[Block] = [
        Log(title=f"trial {row.spec.trial}: the last lines of its log", text=text)
        for row in lost[:LOGS]
        if (text := _last_lines(folder.logs / f"{row.spec.trial}.log"))
    ]
    columns: dict[str, list[Any]] = {
        "trial": [row.spec.trial for row in lost],
        "state": [row.state for row in lost],
        "reason": [row.reason for row in lost],
        "epochs": [row.epochs for row in lost],
        "seconds": [row.seconds for row in lost],
        "settings": [setting(row.spec.knobs) for row in lost],
        "seed": [row.spec.seed for row in lost],
    }
    note = f"The logs of the first {LOGS} trials are shown." if len(lost) > LOGS else ""
    number, short = count(len(lost), "trial"), sum(row.lacked_memory for row in lost)
    memory = f", {short} of them for want of memory" if short else ""
    return Section(
        name="failures",
        title="Failures",
        lead=f"{number} gave no result{memory}. Infeasible: it diverged or ran out of memory.",
        blocks=[Table(title="By trial", columns=columns, note=note, open=len(lost) <= FEW), *logs],
    )


def _last_lines(path: Path) -> str:
    """The end of a log, harmless; empty where there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - TAIL, 0))
        text = file.read().decode("utf-8", errors="replace")
    return "\n".join(one_line(line)[:500] for line in text.splitlines()[-LINES:])
