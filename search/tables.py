"""What a search has found, from disk alone: trials.csv, summary, decision. Needs neither torch nor a GPU; never trains."""

import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from search.curves import read_curves, settle_curves
from search.folder import Folder, write_text
from search.results import Findings
from search.rows import STATES, Row

LABELS = {"best": "best", "tie": "tie", "worse": "worse", "unstable": "a seed collapsed", "unusable": "not usable"}


def write_tables(findings: Findings, folder: Folder) -> None:
    """trials.csv, curves.parquet, summary.csv, summary.md, decisions.jsonl."""
    plan = findings.plan
    epochs = {row.ask.trial: row.epochs if row.finished else 10**9 for row in findings.rows}
    curves = read_curves(folder.curve_log, folder.curves, metric=plan.metric.name, epochs=epochs)
    unfinished = [row.ask.trial for row in findings.rows if not row.finished]
    settle_curves(curves, log=folder.curve_log, table=folder.curves, unfinished=unfinished)
    write_text(folder.trials, _csv(trials_frame(findings)))
    if plan.kind != "sweep":
        return
    summary = summary_frame(findings)
    write_text(folder.path / "summary.csv", _csv(summary))
    write_text(folder.path / "summary.md", summary_text(findings, summary))
    write_text(folder.decisions, "".join(json.dumps(record) + "\n" for record in decision_records(findings)))


def trials_frame(findings: Findings) -> pd.DataFrame:
    """One row per trial, as DESIGN §5 promises: fixed columns, then one per knob, named by its path."""
    rows = []
    for row in findings.rows:
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
            "verdict": row.verdict,
            "reason": row.reason,
            "source": row.source,
        }
        rows.append({**fixed, **row.ask.knobs})
    frame = pd.DataFrame(rows)
    if "best_epoch" in frame:
        frame["best_epoch"] = frame["best_epoch"].astype("Int64")
    return frame


def summary_frame(findings: Findings) -> pd.DataFrame:
    """One row per value of the knob, in the knob's order.

    `interval`: half width of the mean's 95 % interval, from the pooled spread.
    """
    plan, decision = findings.plan, findings.decision
    (knob,) = plan.knobs
    records = []
    for index, group in enumerate(findings.groups):
        rows = findings.of(group.value)
        scores = np.array([row.value for row in rows if row.value is not None])
        epochs = [row.best_epoch for row in rows if row.best_epoch is not None]
        known = decision is not None and (decision.freedom or decision.standings[index] != "worse")
        standing = LABELS[decision.standings[index]] if decision is not None and known else ""
        chosen = decision is not None and decision.winner == index
        records.append(
            {
                knob.path: group.value,
                "n": len(scores),
                "mean": scores.mean() if len(scores) else math.nan,
                "std": scores.std(ddof=1) if len(scores) > 1 else math.nan,
                "interval": decision.interval(len(scores)) if decision is not None and len(scores) else math.nan,
                "best_epoch": float(np.mean(epochs)) if epochs else math.nan,
                "seconds": sum(row.seconds for row in rows),
                **{
                    state: sum(row.state == state for row in rows)
                    for state in STATES
                    if any(row.state == state for row in findings.rows)
                },
                "verdict": "",
                "decision": ", ".join(filter(None, ["baseline" if index == 0 else "", standing, "chosen" if chosen else ""])),
            }
        )
    frame = pd.DataFrame(records)
    return frame if knob.choices else frame.sort_values(knob.path, ignore_index=True)


def summary_text(findings: Findings, summary: pd.DataFrame) -> str:
    """The summary as Markdown, with the decision in words."""
    plan = findings.plan
    columns = [column for column in summary.columns if column not in ("verdict",)]
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for record in summary[columns].to_dict("records"):
        lines.append("| " + " | ".join(_cell(value) for value in record.values()) + " |")
    told = "\n".join(f"- {line}" for line in conclusion(findings))
    return (
        f"# {plan.name}: {plan.knobs[0].path}\n\nMetric: {plan.metric.name}, {plan.metric.direction}d on validation.\n\n"
        + "\n".join([*lines, "", told, ""])
    )


def show_summary(findings: Findings, console: Console) -> None:
    """The summary on a terminal; for a single training, nothing."""
    if findings.plan.kind != "sweep":
        return
    summary, (knob,) = summary_frame(findings), findings.plan.knobs
    table = Table(box=None, pad_edge=False)
    for column in (knob.path, findings.plan.metric.name, "epoch", "seconds", "trials", "decision"):
        table.add_column(column, justify="left" if column in ("trials", "decision") else "right", no_wrap=column != "decision")
    for record in summary.to_dict("records"):
        score = f"{record['mean']:.4f}" if record["n"] else ""
        score += f" ±{record['interval']:.4f}" if math.isfinite(record["interval"]) else ""
        states = ", ".join(f"{record[state]} {state}" for state in STATES if record.get(state))
        cells = [_cell(record[knob.path]), score, _cell(record["best_epoch"]), f"{record['seconds']:.1f}", states]
        table.add_row(*cells, record["decision"], style="bold" if "chosen" in record["decision"] else "")
    console.print(table)


def conclusion(findings: Findings) -> list[str]:
    """The decision in words: winner, baseline, ties, and what was held fixed."""
    plan, decision = findings.plan, findings.decision
    if plan.kind != "sweep":
        return [_told(row, plan.metric.name) for row in findings.rows]
    (knob,) = plan.knobs
    if decision is None:
        missing = sum(not row.finished for row in findings.rows)
        return [f"no decision yet: {missing} trials are still to come"]
    if decision.winner is None:
        return [f"no value of {knob.path} is usable: every trial failed or diverged"]
    winner, baseline = findings.groups[decision.winner], findings.groups[0]
    sign = 1.0 if plan.metric.direction == "maximize" else -1.0
    told = f"{plan.metric.name} {sign * winner.mean:.4g}, mean of {_count(len(winner.clean), 'seed')}"
    lines = []
    if decision.adopted:
        against = f"{sign * baseline.mean:.4g}" if baseline.clean else "no result"
        lines.append(
            f"{knob.path} = {winner.value} is adopted: {told}, against {against} at the baseline {baseline.value} (P5)"
        )
    else:
        lines.append(f"{knob.path} = {winner.value}, the baseline, stays: {told}; no value is better beyond chance (P5)")
    if not decision.freedom:
        lines.append("one seed per value cannot tell chance from merit: the best value is taken as it is; raise seeds= to know")
    ties = [str(group.value) for group, standing in zip(findings.groups, decision.standings, strict=True) if standing == "tie"]
    if decision.tie:
        lines.append(
            f"a tie: {', '.join(ties)} lie within {decision.margin:.2g} of the best mean, which is chance at 95 % (Dunnett)"
        )
    tested = [group.value for group in findings.groups] if not knob.choices else []
    best = findings.groups[decision.best].value if decision.best is not None else None
    if tested and best in (min(tested), max(tested)):  # type: ignore[type-var]
        lines.append(f"{best}, the best, lies at the edge of what was tried: the range may be wrong (P2)")
    return lines


def decision_records(findings: Findings) -> list[dict[str, Any]]:
    """decisions.jsonl: what was decided, on which evidence, by which rule."""
    plan, decision = findings.plan, findings.decision
    if decision is None:
        return []
    return [
        {
            "stage": findings.rows[0].ask.stage,
            "decision": "none" if decision.winner is None else "adopt" if decision.adopted else "keep",
            "knob": plan.knobs[0].path,
            "value": None if decision.winner is None else findings.groups[decision.winner].value,
            "baseline": findings.groups[0].value,
            "tie": decision.tie,
            "rules": ["R28", "R29", "P5", "P9"],
            "evidence": {
                "metric": plan.metric.name,
                "margin": _number(decision.margin),
                "spread": _number(decision.spread),
                "values": [
                    {"value": group.value, "standing": standing, "scores": [row.value for row in findings.of(group.value)]}
                    for group, standing in zip(findings.groups, decision.standings, strict=True)
                ],
            },
            "caveats": f"everything else at config.yaml's values; {plan.seeds} seeds per value",
        }
    ]


def _told(row: Row, metric: str) -> str:
    """One training in words."""
    what = f"{metric} {row.value!r} at epoch {row.best_epoch}" if row.value is not None else row.state
    return f"trial {row.ask.trial}: {what}{f' ({row.reason})' if row.reason else ''}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _csv(frame: pd.DataFrame) -> str:
    text = io.StringIO()
    frame.to_csv(text, index=False)
    return text.getvalue()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
