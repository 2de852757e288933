"""The figure of a sweep: every value's mean and every seed."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.results.figures.style import (
    BASELINE,
    OTHERS,
    SEED,
    UNUSABLE,
    WINNER,
    set_up_axis,
    title,
    with_zoom,
)
from search.results.findings import Findings
from search.results.places import dot_limits, near_values
from search.results.summary.formatting import half_width


def sweep_figure(findings: Findings) -> Figure:
    """Means with intervals, and every seed; if needed, a panel of what is near the best."""
    plan, decision = findings.plan, findings.decision
    near, limits = near_values(findings), dot_limits(findings)
    figure, axes = with_zoom(
        lambda axes: _draw_means(findings, axes), metric=plan.metric.name, near=near
    )
    if limits:
        axes.set_ylim(limits)
    outcome = "no decision yet"
    if decision is not None and decision.winner is not None:
        winner = findings.groups[decision.winner].words
        outcome = f"{winner} {'is adopted' if decision.adopted else 'stays'}"
    title(figure, f"{plan.name}: {plan.knob.path}, {outcome}")
    axes.set_xlabel(plan.knob.path)
    axes.legend(loc="best", frameon=False)
    return figure


def _draw_means(findings: Findings, axes: Axes) -> None:
    plan = findings.plan
    labelled = set[str]()

    def once(label: str) -> str:
        """A legend names each kind once."""
        fresh = label not in labelled
        labelled.add(label)
        return label if fresh else ""

    for index, place in enumerate(set_up_axis(plan.knob, findings.values, axes)):
        group = findings.groups[index]
        if not group.clean:
            axes.axvline(place, color=UNUSABLE, linewidth=4, zorder=0, label=once("not usable"))
            continue
        scores = [plan.metric.value_of(score) for score in group.clean]
        axes.plot(
            [place] * len(scores),
            scores,
            "o",
            color=SEED,
            markerfacecolor="white",
            markersize=3,
            zorder=3,  # on its interval, which would hide it
            label=once("one seed"),
        )
        half = half_width(findings.decision, index)
        color, kind = _look(findings, index)
        mean = plan.metric.value_of(group.mean)
        if math.isfinite(half):
            axes.errorbar(place, mean, yerr=half, fmt="none", color=color, zorder=2)
        axes.plot(place, mean, "o", color=color, markersize=5, zorder=4, label=once(kind))
        if group.collapsed:  # at the edge: at its own score, it would press the others together
            edge, mark = (0.02, "v") if plan.metric.sign > 0 else (0.98, "^")
            axes.plot(
                place,
                edge,
                mark,
                color=SEED,
                transform=axes.get_xaxis_transform(),
                label=once("a seed collapsed"),
            )


def _look(findings: Findings, index: int) -> tuple[str, str]:
    """A mean's colour and name in the legend."""
    decision = findings.decision
    if decision is not None and index == decision.winner:
        return WINNER, "baseline, chosen" if index == 0 else "chosen"
    return (BASELINE, "baseline") if index == 0 else (OTHERS, "mean, 95 % interval")
