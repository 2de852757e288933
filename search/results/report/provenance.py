"""The sections that prove: every trial, and where the numbers come from."""

import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from search.config.passwords import redacted as without_passwords
from search.config.results_root import from_here
from search.config.version import __version__
from search.results.export import best_config
from search.results.findings import Findings
from search.results.report.blocks import Block, Facts, Log, Section, Table, table_of
from search.results.tables import trials_frame
from search.storage.folder import Folder
from search.storage.sealed import read_json, read_text

SECRET = re.compile(r"(?<=://)[^/\s@]+@")  # user and password in a URL
CELLS = 32_000  # of the table of all trials: about 350 kB


def trials_table(findings: Findings) -> Table:
    """Every trial, as in trials.csv; the best ones of very many."""
    frame = trials_frame(findings)
    most = CELLS // max(frame.shape[1], 1)
    if len(frame) <= most:
        return table_of(frame, title="Every trial")
    best = frame.sort_values("value", ascending=findings.plan.metric.sign < 0, kind="stable")
    note = f"The table holds the best {most} of {len(frame)} trials; trials.csv holds all."
    return table_of(best[:most].sort_index(), title="Every trial", note=note)


def provenance_section(findings: Findings, folder: Folder) -> Section:
    """Where the numbers come from: versions, devices, dates, and the config."""
    plan, rows = findings.plan, [row for row in findings.rows if row.finished]
    ends = [row.ended for row in rows if row.ended]
    dates = f"{_date(min(ends))} to {_date(max(ends))}" if ends else "none yet"
    devices = ", ".join(sorted({row.device for row in rows if row.device})) or "not known"
    kept = folder.best / "provenance.json"
    best: Mapping[str, Any] = read_json(kept) if kept.exists() else {}
    libraries = ", ".join(
        f"{name} {version}" for name, version in best.get("libraries", {}).items()
    )
    pairs = [
        ("search", f"{plan.name} in {from_here(plan.folder)}/"),
        (
            "made by",
            f"Knobwise {best.get('knobwise', __version__)}, "
            f"Python {best.get('python', platform.python_version())}",
        ),
        ("trials ended", dates),
        ("devices", devices),
        (
            "strategies",
            ", ".join(sorted({row.strategy for row in rows if row.strategy})) or "not known",
        ),
        ("threads per worker", str(plan.placement.threads)),
        ("metric", ", ".join(sorted({row.source for row in rows if row.source})) or "not known"),
        *([("libraries", libraries)] if libraries else []),
        *([("weights of the winner", f"sha256 {best['weights']}")] if "weights" in best else []),
    ]
    texts = {folder.config.name: read_text(folder.config)}
    if findings.winner is not None:  # of best.yaml, what was exported: the file is the user's
        contract = folder.load_contract()
        texts[folder.best_config.name] = best_config(plan, findings.winner, contract=contract)
    logs: list[Block] = [Log(title=name, text=redacted(text)) for name, text in texts.items()]
    return Section(
        name="provenance",
        title="Provenance",
        lead="What this page was made from.",
        blocks=[Facts(pairs=pairs), *logs],
    )


def redacted(text: str) -> str:
    """The text without user names and passwords in URLs."""
    return SECRET.sub("***@", without_passwords(text))


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
