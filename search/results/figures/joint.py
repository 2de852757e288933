"""The figures of a joint search: how the best came about, and every knob against the metric (P12)."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from search.results.figures.style import BASELINE, OTHERS, SEED, UNUSABLE, WINNER, stand
from search.results.findings import Findings
from search.stages import joint
from search.storage.folder import Folder
from search.storage.trials import TrialRecord

COLUMNS = 4  # knobs that stand in a row


def figures(findings: Findings, folder: Folder) -> dict[str, Figure]:
    """`search` and `knobs`; nothing before a trial has a value."""
    mine = [row for row in findings.rows if row.ask.stage == joint.STAGE]
    if not any(row.value is not None for row in mine):
        return {}
    return {"search": _search(findings, mine), "knobs": _knobs(findings, mine)}


def _search(findings: Findings, rows: Sequence[TrialRecord]) -> Figure:
    """Every trial's value, and the best so far: what a smaller budget would have found."""
    plan = findings.plan
    figure = Figure(figsize=(7.5, 4.0), layout="constrained")
    axes = figure.subplots()
    complete = [row for row in rows if row.state == "complete" and row.value is not None]
    _dots(axes, [(row.ask.trial, row) for row in rows], labels=True)
    steps: list[float] = []
    for row in complete:
        value = plan.metric.sign * (row.value or 0.0)
        steps.append(max(value, steps[-1]) if steps else value)
    trials, best = [row.ask.trial for row in complete], [plan.metric.sign * step for step in steps]
    if best:
        axes.step(
            [*trials, rows[-1].ask.trial],
            [*best, best[-1]],
            where="post",
            color=WINNER,
            label="best so far",
        )
    if complete and complete[0].ask.trial == 0:
        axes.axhline(
            complete[0].value or 0.0,
            color=BASELINE,
            linestyle="--",
            linewidth=0.8,
            label="baseline",
        )
    infeasible = [row.ask.trial for row in rows if row.state == "infeasible"]
    for place, trial in enumerate(infeasible):
        axes.axvline(
            trial, color=UNUSABLE, linewidth=2, zorder=0, label="" if place else "infeasible"
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{plan.metric.name}, validation")
    axes.legend(loc="best", frameon=False)
    figure.suptitle(
        f"{plan.name}: the best so far over {len(rows)} trials", x=0.01, ha="left", fontsize=10
    )
    return figure


def _knobs(findings: Findings, rows: Sequence[TrialRecord]) -> Figure:
    """A panel per knob, the one that explains most first; trials in which a knob is idle are not in its panel."""
    plan, shares = findings.plan, findings.importance
    knobs = sorted(plan.knobs, key=lambda knob: -shares.get(knob.path, 0.0))
    columns = min(COLUMNS, len(knobs))
    lines = math.ceil(len(knobs) / columns)
    figure = Figure(figsize=(0.8 + 2.6 * columns, 0.8 + 2.1 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
    decision = findings.decision
    winner = (
        findings.groups[decision.winner].value
        if decision is not None and decision.winner is not None
        else None
    )
    for axes, knob in zip(grid.flat, knobs, strict=False):
        mine = [row for row in rows if knob.path in row.ask.knobs]
        places = stand(knob, [row.ask.knobs[knob.path] for row in mine], axes)
        _dots(axes, list(zip(places, mine, strict=True)), labels=False)
        for place, row in zip(places, mine, strict=True):
            if row.ask.trial == winner and row.value is not None:
                axes.plot(place, row.value, "o", color=WINNER, markersize=6, zorder=3)
        told = f" ({shares[knob.path]:.2f})" if shares.get(knob.path, 0) >= 0.01 else ""
        axes.set_title(f"{knob.path}{told}", fontsize=8)
    for axes in grid.flat[len(knobs) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(plan.metric.name)
    named = (
        "share of what separates good from bad in brackets"
        if shares
        else "too few trials to tell which matters"
    )
    figure.suptitle(f"{plan.name}: every knob ({named})", x=0.01, ha="left", fontsize=10)
    return figure


def _dots(axes: Axes, placed: Sequence[tuple[float, TrialRecord]], *, labels: bool) -> None:
    """Complete trials full, pruned ones pale."""
    for state, color in (("complete", OTHERS), ("pruned", SEED)):
        mine = [
            (place, row.value)
            for place, row in placed
            if row.state == state and row.value is not None
        ]
        axes.plot(
            [x for x, _ in mine],
            [y for _, y in mine],
            ".",
            color=color,
            label=state if labels and mine else "",
        )
