"""Tables of a search, from disk alone: trials.csv, summary.csv, summary.md, decisions.jsonl.

Needs neither torch nor a GPU; never trains.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from search.results.diagnosis import diagnosed
from search.results.findings import Findings, open_results
from search.results.summary import code_notes, view_of
from search.storage.curves import check_scores, read_curves, settle_curves
from search.storage.folder import Folder
from search.storage.sealed import csv_safe, json_lines


@dataclass(frozen=True, kw_only=True)
class LoadedSearch:
    """A search as it is read from disk: findings with their verdicts, curves, and its folder."""

    findings: Findings
    curves: pd.DataFrame
    folder: Folder


def load_search(name: str, *, root: Path) -> LoadedSearch:
    """A search with its curves, running or not. Raises UsageError as `open_results`."""
    folder, findings = open_results(name, root=root)
    curves = curves_so_far(findings, folder)
    findings = diagnosed(findings, curves, folder=folder)
    return LoadedSearch(findings=findings, curves=curves, folder=folder)


def settled(findings: Findings, folder: Folder) -> tuple[Findings, pd.DataFrame]:
    """Settles curves.parquet; returns the findings with their verdicts, and the curves."""
    curves = curves_so_far(findings, folder)
    log = folder.curve_log
    if not folder.curves.exists() or (log.exists() and log.stat().st_size):  # it lacks epochs
        unfinished = [row.spec.trial for row in findings.rows if not row.finished]
        settle_curves(curves, log=log, table=folder.curves, unfinished=unfinished)
    else:
        log.unlink(missing_ok=True)
    return diagnosed(findings, curves, folder=folder), curves


def table_files(findings: Findings) -> Mapping[str, str]:
    """File name → text. A single training compares nothing, so it has trials.csv only."""
    files = {"trials.csv": _csv(trials_frame(findings))}
    view = view_of(findings.plan)
    if not view.compares:
        return files
    teller = view.teller
    summary = teller.frame(findings)
    records, notes = teller.records(findings), code_notes(findings)
    return files | {
        "summary.csv": _csv(summary),
        "summary.md": teller.text(findings, summary) + "".join(f"\n{note}\n" for note in notes),
        "decisions.jsonl": json_lines(records),
    }


def curves_so_far(findings: Findings, folder: Folder) -> pd.DataFrame:
    """The curves of all trials, each up to the last epoch that counts."""
    epochs = {row.spec.trial: row.epochs if row.finished else 10**9 for row in findings.rows}
    metric = findings.plan.metric.name
    curves = read_curves(folder.curve_log, folder.curves, metric=metric, epochs=epochs)
    scores = {
        row.spec.trial: (row.best_epoch, row.result)
        for row in findings.rows
        if row.best_epoch is not None and row.result is not None
    }
    check_scores(curves, scores, metric=metric, table=folder.curves)
    return curves


def trials_frame(findings: Findings) -> pd.DataFrame:
    """A row per trial: fixed columns, one per knob, named by its path, and one per further head."""
    rows, verdicts = findings.rows, findings.verdicts
    fixed = {
        "trial": [row.spec.trial for row in rows],
        "stage": [row.spec.stage for row in rows],
        "state": [row.state for row in rows],
        "value": [row.value for row in rows],
        "best_epoch": pd.array([row.best_epoch for row in rows], dtype="Int64"),
        "epochs": [row.epochs for row in rows],
        "seed": [row.spec.seed for row in rows],
        "seconds": [row.seconds for row in rows],
        "device": [row.device for row in rows],
        "strategy": [row.strategy for row in rows],
        "verdict": [
            verdicts[row.spec.trial].name if row.finished and row.spec.trial in verdicts else ""
            for row in rows
        ],
        "reason": [row.reason for row in rows],
        "source": [row.source for row in rows],
    }
    others = [{**row.spec.knobs, **findings.heads.get(row.spec.trial, {})} for row in rows]
    return pd.concat([pd.DataFrame(fixed), pd.DataFrame(others, index=range(len(rows)))], axis=1)


def _csv(frame: pd.DataFrame) -> str:
    return csv_safe(frame).to_csv(index=False)
