"""What a search has found, from disk alone: trials.csv, summary, decision. Needs neither torch nor a GPU; never trains."""

import io
import json

import pandas as pd

from search.results.diagnosis import diagnosed
from search.results.findings import Findings
from search.results.summary import teller_of
from search.storage.curves import read_curves, settle_curves
from search.storage.files import write_text
from search.storage.folder import Folder


def write_tables(findings: Findings, folder: Folder) -> Findings:
    """trials.csv, curves.parquet, summary.csv, summary.md, decisions.jsonl; gives the findings with their verdicts."""
    plan = findings.plan
    curves = curves_so_far(findings, folder)
    unfinished = [row.ask.trial for row in findings.rows if not row.finished]
    settle_curves(curves, log=folder.curve_log, table=folder.curves, unfinished=unfinished)
    findings = diagnosed(findings, curves, folder=folder)
    write_text(folder.trials, _csv(trials_frame(findings)))
    if plan.kind == "train":
        return findings
    teller = teller_of(plan)
    told = teller.frame(findings)
    write_text(folder.path / "summary.csv", _csv(told))
    write_text(folder.path / "summary.md", teller.text(findings, told))
    write_text(
        folder.decisions, "".join(json.dumps(record) + "\n" for record in teller.records(findings))
    )
    return findings


def curves_so_far(findings: Findings, folder: Folder) -> pd.DataFrame:
    """Of all trials, each up to its last epoch that counts."""
    epochs = {row.ask.trial: row.epochs if row.finished else 10**9 for row in findings.rows}
    return read_curves(
        folder.curve_log, folder.curves, metric=findings.plan.metric.name, epochs=epochs
    )


def trials_frame(findings: Findings) -> pd.DataFrame:
    """One row per trial: fixed columns, then one per knob, named by its path."""
    rows = []
    for row in findings.rows:
        verdict = findings.verdicts.get(row.ask.trial)
        fixed = {
            "trial": row.ask.trial,
            "stage": row.ask.stage,
            "state": row.state,
            "value": row.value,
            "best_epoch": row.best_epoch,
            "epochs": row.epochs,
            "seed": row.ask.seed,
            "seconds": row.seconds,
            "device": row.device,
            "strategy": row.strategy,
            "verdict": verdict.name if row.finished and verdict is not None else "",
            "reason": row.reason,
            "source": row.source,
        }
        rows.append({**fixed, **row.ask.knobs})
    frame = pd.DataFrame(rows)
    if "best_epoch" in frame:
        frame["best_epoch"] = frame["best_epoch"].astype("Int64")
    return frame


def _csv(frame: pd.DataFrame) -> str:
    text = io.StringIO()
    frame.to_csv(text, index=False)
    return text.getvalue()
