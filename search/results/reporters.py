"""Writes the files that say what a search found: tables, figures, the page. Called in one place.

What has not changed is not drawn again: a file is stale if a table has changed, or if it is missing
or older than the tables, as after a kill between the two, or than the code that draws, as after an
upgrade. With `report: off` nothing is drawn but what a verb has drawn before, so that no figure
tells of an older search than the tables do.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd

from search.results.figures import figure_files
from search.results.findings import Findings
from search.results.report import NAME as PAGE
from search.results.report import report_files
from search.results.summary import view_of
from search.results.tables import table_files
from search.storage.files import write_text
from search.storage.folder import Folder

Drawer = Callable[[Findings, pd.DataFrame, Folder], Mapping[str, str]]
DRAWERS: tuple[Drawer, ...] = (figure_files, report_files)
SOURCES = (
    "trials.csv", "decisions.jsonl", "preflight.json", "lr_range.json", "test_ledger.jsonl",
    "groups.csv", "curves.parquet", "config.yaml", "contract.yaml",
)  # fmt: skip


def write_results(
    findings: Findings, curves: pd.DataFrame, folder: Folder, *, draws: bool = False
) -> None:
    """Writes the tables that differ from those on disk, then draws figures and page if needed.

    Args:
        findings: With their verdicts, as `tables.settled` returns them.
        folder: The search's folder, locked.
        draws: Draw what is stale whatever the config says of it, as the verb `table` does.
    """
    has_changed = False  # file times alone would not do: a clock may have been set back
    for name, text in table_files(findings).items():
        path = folder.path / name
        if not path.exists() or path.read_bytes() != text.encode():
            write_text(path, text)
            has_changed = True
    if (draws or _is_wanted(findings, folder)) and (has_changed or _stale(findings, folder)):
        for draw in DRAWERS:
            for name, text in draw(findings, curves, folder).items():
                write_text(folder.path / name, text)


def _is_wanted(findings: Findings, folder: Folder) -> bool:
    """Whether figures are wanted: by the config, or since they are there."""
    names = _drawn_names(findings)
    return findings.plan.report or any((folder.path / name).exists() for name in names)


def _stale(findings: Findings, folder: Folder) -> bool:
    """Whether a drawing is missing or older than what it is drawn from."""
    sources = [folder.path / name for name in SOURCES]
    newest = max(
        *(path.stat().st_mtime_ns for path in sources if path.exists()),
        *(path.stat().st_ctime_ns for path in _code()),  # an installer may keep an older mtime
    )
    drawings = [folder.path / name for name in _drawn_names(findings)]
    return any(not path.exists() or path.stat().st_mtime_ns < newest for path in drawings)


def _code() -> Iterator[Path]:
    """The files of Knobwise, whose drawings and words fill figures and page."""
    files = Path(__file__).parents[1].rglob("*.*")
    return (path for path in files if path.parent.name != "__pycache__")


def _drawn_names(findings: Findings) -> list[str]:
    """The files that the drawers write for a search in which a trial has a value."""
    figures = [f"{name}.svg" for name in view_of(findings.plan).figures]
    page = [PAGE] if findings.plan.report else []
    return [*figures, *page]
