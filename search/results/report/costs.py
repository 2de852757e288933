"""The section of time and epochs: spent, saved by stopping and pruning, lost to failures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from search.config.counted import count
from search.config.plan import Plan
from search.results.findings import Findings
from search.results.report.blocks import Figures, Section, table_of
from search.results.report.chart import Axis, Chart, Series
from search.stages.spent import gpu_seconds
from search.storage.trials import BY_ITSELF, TrialRecord

LOST = ("failed", "lost", "infeasible")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Epochs and seconds of one stage. The seconds saved are estimated from its pace."""

    stage: str
    trials: int
    complete: int
    pruned: int
    lost: int
    stopped_saved: int
    pruned_saved: int
    seconds: float
    seconds_lost: float
    seconds_saved: float


def cost_of(stage: str, rows: Sequence[TrialRecord], *, plan: Plan) -> Cost:
    """What the trials of one stage cost. Who ends by itself, before its last epoch, saves none."""

    def run(*states: str) -> int:
        return sum(row.epochs for row in rows if row.state in states)

    def left(state: str) -> int:
        return sum(
            max(plan.epochs_of(row.spec.knobs) - row.epochs, 0)
            for row in rows
            if row.state == state and not row.reason.startswith(BY_ITSELF)
        )

    seconds, total = sum(row.seconds for row in rows), sum(row.epochs for row in rows)
    saved = left("complete") + left("pruned")
    return Cost(
        stage=stage,
        trials=len(rows),
        complete=run("complete"),
        pruned=run("pruned"),
        lost=run(*LOST),
        stopped_saved=left("complete"),
        pruned_saved=left("pruned"),
        seconds=seconds,
        seconds_lost=sum(row.seconds for row in rows if row.state in LOST),
        seconds_saved=saved * seconds / total if total else 0.0,
    )


def cost_section(findings: Findings) -> Section | None:
    """None before a trial has ended."""
    finished = [row for row in findings.rows if row.finished]
    stages = list(dict.fromkeys(row.spec.stage for row in finished))
    if not stages:
        return None
    by_stage = {stage: [row for row in finished if row.spec.stage == stage] for stage in stages}
    costs = [cost_of(stage, rows, plan=findings.plan) for stage, rows in by_stage.items()]
    frame = pd.DataFrame(map(asdict, costs))
    table = table_of(
        frame.rename(columns=lambda name: name.replace("_", " ")),
        title="Epochs and seconds by stage",
        note="complete, pruned, lost: epochs run; saved: epochs not run; seconds saved: about.",
    )
    return Section(
        name="costs",
        title="Time and epochs",
        lead=_lead(frame.drop(columns="stage").sum()) + _of_gpus(findings),
        blocks=[Figures(charts=[_chart(costs)], table=table)],
    )


def _lead(total: "pd.Series[float]") -> str:
    run = total["complete"] + total["pruned"] + total["lost"]
    ways = {"early stopping": total["stopped_saved"], "pruning": total["pruned_saved"]}
    saved = " and ".join(f"{epochs:.0f} by {way}" for way, epochs in ways.items() if epochs)
    trials = count(int(total["trials"]), "trial")
    parts = [f"{trials} ran {count(run, 'epoch')} in {_seconds(total['seconds'])} of training."]
    if saved:
        parts.append(f"Epochs saved: {saved} (about {_seconds(total['seconds_saved'])}).")
    if total["lost"]:
        lost, seconds = total["lost"], _seconds(total["seconds_lost"])
        parts.append(f"Epochs that led to no result: {lost:.0f} ({seconds}).")
    return " ".join(parts)


def _seconds(time: float) -> str:
    return f"{time:.0f} s" if time >= 10 else f"{time:.2g} s"


def _of_gpus(findings: Findings) -> str:
    seconds = gpu_seconds(findings.rows, gpus=findings.plan.placement.gpus_per_slot)
    return f" Seconds of GPUs: {seconds:.0f}." if seconds else ""


def _chart(costs: Sequence[Cost]) -> Chart:
    parts = {
        "complete": ("bar", [cost.complete for cost in costs]),
        "pruned": ("bar-pruned", [cost.pruned for cost in costs]),
        "lost": ("bar-lost", [cost.lost for cost in costs]),
        "saved by early stopping": ("bar-saved", [cost.stopped_saved for cost in costs]),
        "saved by pruning": ("bar-saved", [cost.pruned_saved for cost in costs]),
    }
    places = list(range(len(costs)))
    named = "; ".join(
        ", ".join(f"{name} {numbers[index]}" for name, (_, numbers) in parts.items())
        for index in places
    )
    return Chart(
        title="Epochs run and saved",
        alt=f"Epochs by stage: {named}.",
        series=[
            Series(
                name=name,
                look=look,
                x=numbers,
                y=places,
                hover=[
                    f"{cost.stage}: {number} epochs {name}"
                    for cost, number in zip(costs, numbers, strict=True)
                ],
            )
            for name, (look, numbers) in parts.items()
            if any(numbers)
        ],
        x=Axis(title="epochs"),
        y=Axis(
            ticks={float(place): costs[place].stage for place in places},
            limits=(len(places) - 0.5, -0.5),
        ),
        height=170 + 50 * len(costs),
    )
