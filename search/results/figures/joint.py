"""The figures of a joint search: the best so far over its trials, and every knob (P12)."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from search.config.knobs import Knob
from search.results.figures.style import (
    BASELINE,
    OTHERS,
    SEED,
    UNUSABLE,
    WINNER,
    say_empty,
    set_up_axis,
    title,
    with_zoom,
)
from search.results.findings import Findings
from search.results.places import best_by_place, near_best
from search.storage.trials import TrialRecord, completed

COLUMNS = 4  # knobs in a row
TICKS = 5  # ticks of a small panel


def search_figure(findings: Findings, rows: Sequence[TrialRecord]) -> Figure:
    """Every trial's value and the best so far; if needed, a panel of what is near the best."""
    plan, near = findings.plan, _near(findings, rows)
    figure, axes = with_zoom(
        lambda axes: _draw_search(findings, rows, axes), metric=plan.metric.name, near=near
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.legend(loc="best", frameon=False)
    title(figure, f"{plan.name}: the best so far over {len(rows)} trials")
    return figure


def knobs_figure(findings: Findings, rows: Sequence[TrialRecord]) -> Figure:
    """A panel per knob, the most important first; below it, if needed, what is near the best.

    A panel leaves out the trials in which its knob is idle.
    """
    plan, shares, near = findings.plan, findings.importance, _near(findings, rows)
    knobs = findings.knobs_by_importance
    columns = min(COLUMNS, len(knobs))
    lines, views = math.ceil(len(knobs) / columns), 2 if near else 1
    size = (0.8 + max(2.6 * columns, 5.2), 0.8 + 2.1 * lines * views)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(lines * views, columns, sharey="row", squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    for number, knob in enumerate(knobs):
        for view in range(views):
            line, column = divmod(number, columns)
            axes = grid[line * views + view, column]
            axes.set_visible(True)
            _draw_knob(findings, knob, rows, axes)
            if view and near:
                axes.set_ylim(near)
            share = f" ({shares[knob.path]:.2f})" if shares.get(knob.path, 0) >= 0.01 else ""
            axes.set_title(f"{knob.path}{share}{', near the best' if view else ''}", fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel(plan.metric.name)
    shared = "in brackets the share of what separates good from bad" if shares else ""
    note = shared or findings.why_no_importance
    title(figure, f"{plan.name}: every knob{f' ({note})' if note else ''}")
    return figure


def _draw_search(findings: Findings, rows: Sequence[TrialRecord], axes: Axes) -> None:
    _dots(axes, [(row.spec.trial, row) for row in rows], labels=True)
    complete = completed(rows)
    if complete:
        best = best_by_place(rows, sign=findings.plan.metric.sign)
        trials = [row.spec.trial for row in rows]
        axes.step(trials, best, where="post", color=WINNER, label="best so far")
    if complete and complete[0].spec.trial == 0:
        height = complete[0].value or 0.0
        axes.axhline(height, color=BASELINE, linestyle="--", linewidth=0.8, label="baseline")
    infeasible = [row.spec.trial for row in rows if row.state == "infeasible"]
    for place, trial in enumerate(infeasible):
        label = "" if place else "infeasible"
        axes.axvline(trial, color=UNUSABLE, linewidth=2, zorder=0, label=label)


def _draw_knob(findings: Findings, knob: Knob, rows: Sequence[TrialRecord], axes: Axes) -> None:
    """The trials of one knob, the winner's marked."""
    winner = findings.winning
    chosen = findings.groups[winner].trial if winner is not None else None
    mine = [row for row in rows if knob.path in row.spec.knobs]
    values = [row.spec.knobs[knob.path] for row in mine]
    places = set_up_axis(knob, values, axes, most_ticks=TICKS)
    _dots(axes, list(zip(places, mine, strict=True)), labels=False)
    if all(row.value is None for row in mine):
        say_empty(axes)
    for place, row in zip(places, mine, strict=True):
        if row.spec.trial == chosen and row.value is not None:
            axes.plot(place, row.value, "o", color=WINNER, markersize=6, zorder=3)


def _near(findings: Findings, rows: Sequence[TrialRecord]) -> tuple[float, float] | None:
    values = [row.result for row in rows if row.result is not None]
    return near_best(values, sign=findings.plan.metric.sign, reach=None)


def _dots(axes: Axes, placed: Sequence[tuple[float, TrialRecord]], *, labels: bool) -> None:
    """Complete trials dark, pruned ones pale."""
    for state, color in (("complete", OTHERS), ("pruned", SEED)):
        mine = [
            (place, row.value)
            for place, row in placed
            if row.state == state and row.value is not None
        ]
        label = state if labels and mine else ""
        axes.plot([x for x, _ in mine], [y for _, y in mine], ".", color=color, label=label)
