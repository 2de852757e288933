"""What all summaries share: the numbers of a group, and how numbers and tables are told. Never decides."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from search.config.trial_config import plain_config
from search.results.findings import Findings
from search.stages.decision import Decision

WIDE, BAR = 100, 16  # columns from which a terminal shows the picture, and its width
NARROW = 80  # columns below which the table of a sweep leaves out what became of trials
USUAL = (
    ("optimizer", "lr"),
    ("trainer", "batch_size"),
    ("trainer", "epochs"),
)  # named in every conclusion
PLUS_MINUS = (
    "±: the mean's 95 % interval, from one spread for all rows, that of a seed pooled over them"
)
LABELS = {
    "best": "best",
    "tie": "tie",
    "worse": "worse",
    "unstable": "a seed collapsed",
    "unusable": "not usable",
}


def markdown(frame: pd.DataFrame) -> str:
    """A table."""
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + " --- |" * len(frame.columns)]
    lines += [
        "| " + " | ".join(cell(value) for value in record.values()) + " |"
        for record in frame.to_dict("records")
    ]
    return "\n".join(lines)


def count(number: int, noun: str) -> str:
    """`3 seeds`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def measured(findings: Findings, index: int) -> dict[str, Any]:
    """A group in numbers. `interval`: half width of the mean's 95 % interval, from the pooled spread; `against`: the mean
    less the baseline's.
    """
    plan, decision, group, baseline = (
        findings.plan,
        findings.decision,
        findings.groups[index],
        findings.groups[0],
    )
    rows = findings.of(group.value)
    scores = np.array([row.value for row in rows if row.value is not None])
    epochs = [row.best_epoch for row in rows if row.best_epoch is not None]
    return {
        "n": len(scores),
        "mean": scores.mean() if len(scores) else math.nan,
        "std": scores.std(ddof=1) if len(scores) > 1 else math.nan,
        "interval": decision.interval(len(scores))
        if decision is not None and len(scores)
        else math.nan,
        "against": plan.metric.sign * (group.mean - baseline.mean)
        if group.clean and baseline.clean
        else math.nan,
        "best_epoch": float(np.mean(epochs)) if epochs else math.nan,
        "seconds": sum(row.seconds for row in rows),
    }


def tie(findings: Findings, *, noun: str = "") -> list[str]:
    """That there is one, and between whom."""
    decision = findings.decision
    if decision is None or not decision.tie:
        return []
    groups = zip(findings.groups, decision.standings, strict=True)
    values = [group.value for group, standing in groups if standing == "tie"]
    numbers = [value for value in values if isinstance(value, int | float)]
    ties = list(map(str, sorted(numbers) if len(numbers) == len(values) else values))
    return [
        f"a tie: {noun}{', '.join(ties)} lie within {decision.margin:.2g} of the best mean, which is chance at 95 % (Dunnett)"
    ]


def evidence(findings: Findings, decision: Decision, *, noun: str) -> dict[str, Any]:
    """On which numbers it was decided; `noun`: what a group is called."""
    groups = zip(findings.groups, decision.standings, strict=True)
    return {
        "metric": findings.plan.metric.name,
        "margin": number(decision.margin),
        "spread": number(decision.spread),
        "values": [
            {
                noun: group.value,
                "standing": standing,
                "scores": [row.value for row in findings.of(group.value)],
            }
            for group, standing in groups
        ],
    }


def held(findings: Findings, *, moved: Collection[str]) -> str:
    """What was held fixed, at what."""
    config = plain_config(findings.plan.config, resolve=True)
    # What a trainer of the user's own reads is not known; a command names some of it.
    words = " ".join(map(str, config["trainer"].get("command") or ()))
    shown = [
        f"{group}.{key}={config[group][key]}"
        for group, key in USUAL
        if not {f"{group}.{key}", group} & set(moved)
        and key in config[group]
        and (findings.plan.stock or f"{group}.{key}}}" in words)
    ]
    return f"held fixed: {', '.join([*shown, 'all else as in config.yaml'])}"


def score(record: Mapping[Any, Any]) -> str:
    """A mean with its interval."""
    mean = f"{record['mean']:.4f}" if record["n"] else ""
    return mean + (f" ±{record['interval']:.4f}" if math.isfinite(record["interval"]) else "")


def labels(decision: Decision | None, index: int) -> str:
    """What was decided of a group, in words: the first is the baseline."""
    known = decision is not None and (decision.freedom or decision.standings[index] != "worse")
    standing = LABELS[decision.standings[index]] if decision is not None and known else ""
    chosen = decision is not None and decision.winner == index
    return ", ".join(
        filter(None, ["baseline" if index == 0 else "", standing, "chosen" if chosen else ""])
    )


def style_of(decision: str) -> str:
    """The colour of a row: green for what was chosen, red for what cannot be used."""
    if "chosen" in decision:
        return "bold green"
    return "red" if LABELS["unusable"] in decision or LABELS["unstable"] in decision else ""


def number(value: float) -> float | None:
    """As JSON can hold it."""
    return value if math.isfinite(value) else None


def cell(value: Any) -> str:
    """As a table shows it."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
