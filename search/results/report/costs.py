"""The section of time and epochs: spent, saved by stopping and pruning, lost to failures."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from search.config.counted import count
from search.config.plan import Plan
from search.execution.pace import in_words
from search.results.findings import Findings
from search.results.report.blocks import Figures, Section, table_of
from search.results.report.chart import Axis, Chart, Series
from search.stages.spent import gpu_seconds
from search.storage.trials import BY_ITSELF, TrialRecord

LOST = ("failed", "lost", "infeasible")
PARTS = {  # columns that the chart stacks: the name and the look of each
    "complete": ("complete", "bar"),
    "pruned": ("pruned", "bar-pruned"),
    "lost": ("lost", "bar-lost"),
    "stopped saved": ("saved by early stopping", "bar-saved"),
    "pruned saved": ("saved by pruning", "bar-saved"),
}


def cost_of(stage: str, rows: Sequence[TrialRecord], *, plan: Plan) -> dict[str, Any]:
    """What the trials of one stage cost, as the table's columns: epochs run and not run, seconds;
    those saved by the stage's pace. Who ends by itself, before its last epoch, saves none.
    """
    run, saved = Counter[str](), Counter[str]()
    for row in rows:
        run["lost" if row.state in LOST else row.state] += row.epochs
        if not row.reason.startswith(BY_ITSELF):
            saved[row.state] += max(plan.epochs_of(row.spec.knobs) - row.epochs, 0)
    seconds, left = sum(row.seconds for row in rows), saved["complete"] + saved["pruned"]
    return {
        "stage": stage,
        "trials": len(rows),
        **{state: run[state] for state in ("complete", "pruned", "lost")},
        "stopped saved": saved["complete"],
        "pruned saved": saved["pruned"],
        "seconds": seconds,
        "seconds lost": sum(row.seconds for row in rows if row.state in LOST),
        "seconds saved": left * seconds / run.total() if run.total() else 0.0,
    }


def cost_section(findings: Findings) -> Section | None:
    """None before a trial has ended."""
    finished = [row for row in findings.rows if row.finished]
    stages = list(dict.fromkeys(row.spec.stage for row in finished))
    if not stages:
        return None
    by_stage = {stage: [row for row in finished if row.spec.stage == stage] for stage in stages}
    frame = pd.DataFrame(cost_of(*stage, plan=findings.plan) for stage in by_stage.items())
    table = table_of(
        frame,
        title="Epochs and seconds by stage",
        note="complete, pruned, lost: epochs run; saved: epochs not run; seconds saved: about.",
    )
    return Section(
        name="costs",
        title="Time and epochs",
        lead=_lead(frame.drop(columns="stage").sum()) + _of_gpus(findings),
        blocks=[Figures(charts=[_chart(frame)], table=table)],
    )


def _lead(total: "pd.Series[float]") -> str:
    run = total["complete"] + total["pruned"] + total["lost"]
    ways = {"early stopping": total["stopped saved"], "pruning": total["pruned saved"]}
    saved = " and ".join(f"{epochs:.0f} by {way}" for way, epochs in ways.items() if epochs)
    trials = count(int(total["trials"]), "trial")
    parts = [f"{trials} ran {count(run, 'epoch')} in {in_words(total['seconds'])} of training."]
    if saved:
        parts.append(f"Epochs saved: {saved} (about {in_words(total['seconds saved'])}).")
    if total["lost"]:
        lost, seconds = total["lost"], in_words(total["seconds lost"])
        parts.append(f"Epochs that led to no result: {lost:.0f} ({seconds}).")
    return " ".join(parts)


def _of_gpus(findings: Findings) -> str:
    seconds = gpu_seconds(findings.rows, gpus=findings.plan.placement.gpus_per_slot)
    return f" Seconds of GPUs: {seconds:.0f}." if seconds else ""


def _chart(costs: pd.DataFrame) -> Chart:
    stages, places = costs["stage"].tolist(), list(range(len(costs)))
    numbers = {column: costs[column].tolist() for column in PARTS}
    named = "; ".join(
        ", ".join(f"{name} {numbers[column][place]}" for column, (name, _) in PARTS.items())
        for place in places
    )
    return Chart(
        title="Epochs run and saved",
        alt=f"Epochs by stage: {named}.",
        series=[
            Series(
                name=name,
                look=look,
                x=numbers[column],
                y=places,
                hover=[
                    f"{stages[place]}: {numbers[column][place]} epochs {name}" for place in places
                ],
            )
            for column, (name, look) in PARTS.items()
            if any(numbers[column])
        ],
        x=Axis(title="epochs"),
        y=Axis(ticks=dict(enumerate(stages)), limits=(len(places) - 0.5, -0.5)),
        height=170 + 50 * len(costs),
    )
