"""What a search has found, from disk alone: trials.csv, summary, decision. Needs neither torch nor a GPU; never trains."""

import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf
from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from search.curves import read_curves, settle_curves
from search.folder import Folder, write_text
from search.results import Findings
from search.rows import STATES, Row
from search.stages.sweep import cells, edge

WIDE, BAR = 100, 16  # columns from which a terminal shows the picture, and its width
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
    """One row per trial: fixed columns, then one per knob, named by its path."""
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

    `interval`: half width of the mean's 95 % interval, from the pooled spread. `against`: the mean less the baseline's.
    """
    plan, decision = findings.plan, findings.decision
    knob, records = plan.knob, []
    baseline = findings.groups[0]
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
                **({"with": findings.beside(group.value)} if any(map(findings.beside, findings.values)) else {}),
                "n": len(scores),
                "mean": scores.mean() if len(scores) else math.nan,
                "std": scores.std(ddof=1) if len(scores) > 1 else math.nan,
                "interval": decision.interval(len(scores)) if decision is not None and len(scores) else math.nan,
                "against": plan.metric.sign * (group.mean - baseline.mean) if group.clean and baseline.clean else math.nan,
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
    """The summary as Markdown: by value, by rank, and the decision in words."""
    plan = findings.plan
    columns = [column for column in summary.columns if column != "verdict"]
    ranked = summary.sort_values("mean", ascending=plan.metric.direction == "minimize", na_position="last", kind="stable")
    short = [column for column in (plan.knob.path, "with", "mean", "interval", "against", "decision") if column in summary]
    ranked = ranked[short].assign(rank=range(1, len(ranked) + 1))[["rank", *short]]
    told = "\n".join(f"- {line}" for line in conclusion(findings))
    return (
        f"# {plan.name}: {plan.knob.path}\n\nMetric: {plan.metric.name}, {plan.metric.direction}d on validation.\n\n"
        f"{told}\n\n![The sweep](sweep.svg)\n\n![The learning curves](curves.svg)\n\n"
        f"## By value\n\n{_markdown(summary[columns])}\n\n## By rank of the mean\n\n{_markdown(ranked)}\n"
    )


def _markdown(frame: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + " --- |" * len(frame.columns)]
    lines += ["| " + " | ".join(_cell(value) for value in record.values()) + " |" for record in frame.to_dict("records")]
    return "\n".join(lines)


def show_summary(findings: Findings, console: Console) -> None:
    """The summary on a terminal; for a single training, nothing."""
    if findings.plan.kind != "sweep":
        return
    summary, knob = summary_frame(findings), findings.plan.knob
    table = Table(box=None, pad_edge=False)
    beside = ["with"] if "with" in summary else []
    picture = _bars(summary["mean"] * findings.plan.metric.sign) if console.width >= WIDE else None
    drawn = [""] if picture else []
    for column in (knob.path, *beside, findings.plan.metric.name, *drawn, "epoch", "seconds", "trials", "decision"):
        table.add_column(column, justify="left" if column in ("trials", "decision") else "right", no_wrap=column != "decision")
    for number, record in enumerate(summary.to_dict("records")):
        score = f"{record['mean']:.4f}" if record["n"] else ""
        score += f" ±{record['interval']:.4f}" if math.isfinite(record["interval"]) else ""
        states = ", ".join(f"{record[state]} {state}" for state in STATES if record.get(state))
        cells = [
            _cell(record[knob.path]),
            *(record[name] for name in beside),
            score,
            *([picture[number]] if picture else []),
            _cell(record["best_epoch"]),
            f"{record['seconds']:.1f}",
            states,
        ]
        table.add_row(*cells, record["decision"], style="bold" if "chosen" in record["decision"] else "")
    console.print(table)


def _bars(scores: "pd.Series[float]") -> list[Bar]:
    """The sweep as a picture: the best mean a whole bar, the worst none."""
    low, high = scores.min(), scores.max()
    shares = ((scores - low) / (high - low)).fillna(0.0) if high > low else scores.fillna(0.0) * 0
    return [Bar(size=1.0, begin=0.0, end=float(share), width=BAR) for share in shares]


def conclusion(findings: Findings) -> list[str]:
    """The decision in words: winner, baseline, ties, and what was held fixed."""
    plan, decision = findings.plan, findings.decision
    if plan.kind != "sweep":
        return [_told(row, plan.metric.name) for row in findings.rows]
    knob = plan.knob
    if decision is None:
        missing = sum(not row.finished for row in findings.rows)
        return [f"no decision yet: {missing} trials are still to come"]
    if decision.winner is None:
        return [f"no value of {knob.path} is usable: every trial failed or diverged"]
    winner, baseline = findings.groups[decision.winner], findings.groups[0]
    sign = 1.0 if plan.metric.direction == "maximize" else -1.0
    beside = f" with {findings.beside(winner.value)}" if findings.beside(winner.value) else ""
    told = f"{plan.metric.name} {sign * winner.mean:.4g}, mean of {_count(len(winner.clean), 'seed')}"
    lines = []
    if decision.adopted:
        against = f"{sign * baseline.mean:.4g}" if baseline.clean else "no result"
        lines.append(
            f"{knob.path} = {winner.value}{beside} is adopted: {told}, against {against} at the baseline {baseline.value} (P5)"
        )
    else:
        lines.append(
            f"{knob.path} = {winner.value}{beside}, the baseline, stays: {told}; no value is better beyond chance (P5)"
        )
    if not decision.freedom:
        lines.append("one seed per value cannot tell chance from merit: the best value is taken as it is; raise seeds= to know")
    ties = [str(group.value) for group, standing in zip(findings.groups, decision.standings, strict=True) if standing == "tie"]
    if decision.tie:
        lines.append(
            f"a tie: {', '.join(ties)} lie within {decision.margin:.2g} of the best mean, which is chance at 95 % (Dunnett)"
        )
    best = findings.groups[decision.best].value if decision.best is not None else None
    if best is not None and not knob.choices and edge(knob, [group.value for group in findings.groups], best):
        lines.append(f"{best}, the best, lies at the edge of what was tried: the range may be wrong (P2)")
    nuisance = plan.nuisance(winner.value)
    tuned = findings.chosen[winner.value][nuisance.path] if nuisance is not None else None
    if nuisance is not None and not nuisance.choices and edge(nuisance, nuisance.grid(), tuned):
        lines.append(f"{nuisance.path} = {tuned} lies at the edge of its range: the range may be wrong (P2)")
    return [*lines, *caveats(findings)]


def decision_records(findings: Findings) -> list[dict[str, Any]]:
    """decisions.jsonl: what was decided, on which evidence, by which rule."""
    plan, decision = findings.plan, findings.decision
    if decision is None:
        return []
    return [
        {
            "stage": findings.rows[0].ask.stage,
            "decision": "none" if decision.winner is None else "adopt" if decision.adopted else "keep",
            "knob": plan.knob.path,
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
            "followers": _followers(findings),
            "caveats": caveats(findings),
        }
    ]


def caveats(findings: Findings) -> list[str]:
    """What a conclusion rests on: what was held, at what, and what moved (P1, R28)."""
    plan = findings.plan
    config = OmegaConf.to_container(plan.config, resolve=True)
    assert isinstance(config, dict)
    held = {
        "optimizer.lr": ("optimizer", "lr"),
        "trainer.batch_size": ("trainer", "batch_size"),
        "trainer.epochs": ("trainer", "epochs"),
    }
    moved = {plan.knob.path, plan.follower[0] if plan.follower else "", *(knob.path for knob in plan.knobs)}
    shown = [f"{path}={config[a][b]}" for path, (a, b) in held.items() if not {path, a} & moved and b in config[a]]
    lines = [f"held fixed: {', '.join([*shown, 'all else as in config.yaml'])}; {_count(plan.seeds, 'seed')} per value"]
    nuisance = [knob.path for knob in plan.knobs if knob.nuisance]
    if nuisance:
        lines.append(f"tuned anew for every value, with the same budget each: {', '.join(nuisance)} (P1)")
    if plan.knob.path == "model.activation" and config["model"].get("init") == "follow":
        lines.append(
            "initial weights moved with model.activation (model.init=follow): He, but Xavier for tanh and sigmoid (R28, R42)"
        )
    if plan.follower is not None:
        moves = _followers(findings)
        lines.append(
            f"{plan.follower[0]} moved with {plan.knob.path}: from {min(moves.values())} to {max(moves.values())} (R28)"
        )
    return lines


def _followers(findings: Findings) -> dict[str, float]:
    """Value of the knob → value of what follows it; empty where nothing does."""
    plan = findings.plan
    if plan.follower is None:
        return {}
    return {str(group.value): float(cells(plan, group.value)[0][plan.follower[0]]) for group in findings.groups}  # type: ignore[arg-type]


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
