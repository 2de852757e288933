"""The sections of the records: failures, all trials, the contract, where the numbers come from."""

import platform
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from search.config.counted import count
from search.config.passwords import redacted as without_passwords
from search.config.results_root import from_here
from search.config.text import one_line
from search.config.version import __version__
from search.errors import UsageError
from search.results.export import best_config
from search.results.findings import Findings
from search.results.report.blocks import Block, Facts, Log, Section, Table, table_of
from search.results.report.costs import LOST
from search.results.report.numbers import number, setting
from search.results.tables import trials_frame
from search.storage.folder import Folder
from search.storage.ledger import Ledger
from search.storage.sealed import read_json, read_text

LOGS, TAIL, LINES = 20, 16_384, 20  # logs shown, bytes read of each, lines shown
FEW = 12  # rows of a table that is open at once
HASH = 12  # characters shown of a hash
SECRET = re.compile(r"(?<=://)[^/\s@]+@")  # user and password in a URL
CELLS = 32_000  # of the table of all trials: about 350 kB


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


def contract_section(folder: Folder) -> Section:
    """The section, from contract.yaml and the ledger of the test set."""
    contract = folder.load_contract()
    data, split, floor = contract["data"], contract["split"], contract.get("floor")
    sizes = ", ".join(f"{part} {size}" for part, size in split.get("rows", {}).items())
    shape = " × ".join(map(str, data.get("shape", []))) or "a shape that the trainer knows"
    definition = {"direction": f"{contract['direction']}d", **contract.get("definition", {})}
    metric = ", ".join(str(text) for text in definition.values())
    fingerprint = str(data.get("fingerprint", "none"))[:HASH]
    return Section(
        name="contract",
        title="Contract",
        lead="Fixed at the first start, checked at every later one; test rows stay sealed (R8).",
        blocks=[
            Facts(
                pairs=[
                    ("task", str(contract["task"])),
                    ("metric", f"{contract['metric']}, {metric}"),
                    ("data", f"{data.get('rows', '?')} rows of {shape}; fingerprint {fingerprint}"),
                    ("split", f"rows: {sizes}; hash {str(split['hash'])[:HASH]}"),
                    ("normalisation", str(contract["normalisation"].get("kind", "none"))),
                    ("constant prediction", number(floor)),
                    *_openings(folder, loads_itself="fingerprint" not in data),
                ]
            )
        ],
    )


def _openings(folder: Folder, *, loads_itself: bool) -> Iterator[tuple[str, str]]:
    """What the sealed test set said, as often as any search opened it.

    `loads_itself`: whether the trainer loads its rows, and may so load others than it is given.
    """
    try:
        openings = Ledger(folder).openings()
    except (OSError, ValueError, KeyError, UsageError) as error:  # the page is for reading
        yield "test set", f"not known, because {folder.split.name} cannot be read: {error}"
        return
    if not openings:
        trust = ", where the trainer keeps to the row numbers that it is given"
        yield "test set", "sealed" + (trust if loads_itself else "")
    for opening in openings:
        yield "test set opened", ", ".join(f"{key} {value}" for key, value in opening.items())


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
