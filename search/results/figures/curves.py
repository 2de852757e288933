"""The learning curves of a search, a panel per value of the knob or per leader (R16)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.config.sweep_settings import SweepSettings
from search.results.figures.style import WINNER, log_axis, say_empty, title
from search.results.findings import Findings
from search.results.places import place, shortened
from search.storage.curves import MEAN
from search.storage.trials import TrialRecord, ranked

TRAIN, VALIDATION = "#6c8ebf", "#d95f02"
PANELS, COLUMNS = 48, 6  # panels at most, and how many in a row
LEADING = 12  # trials of a joint search that are drawn before its leaders are known


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The trials of one value or configuration."""

    name: str
    rows: Sequence[TrialRecord]
    chosen: bool = False


def curves_figure(findings: Findings, curves: pd.DataFrame) -> Figure:
    """Both losses of each seed over the epochs; the metric where no loss is recorded.

    A dot marks each best epoch.
    """
    panels, subject = _panels(findings)
    curves = curves[curves.fold == MEAN] if (curves.fold == MEAN).any() else curves
    metric = findings.plan.metric.name
    numbers = {name: _finite(curves[name]) for name in ("train_loss", "val_loss", metric)}
    curves = curves.assign(**numbers)
    has_losses = bool(np.isfinite(numbers["val_loss"]).any())
    series = [("train_loss", TRAIN), ("val_loss", VALIDATION)]
    series = series if has_losses else [(metric, VALIDATION)]
    figure, grid = _grid(len(panels))
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(panel, axes, series, curves)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    if has_losses:
        _limit_losses(grid[0, 0], curves)
    for axes in grid[:, 0]:
        axes.set_ylabel("loss" if has_losses else metric)
    for axes in grid.flat[len(panels) - grid.shape[1] : len(panels)]:
        axes.set_xlabel("epoch")
        axes.tick_params(labelbottom=True)
    colors = "train loss blue, validation loss orange, " if has_losses else ""
    title(figure, f"{findings.plan.name}: learning curves {subject} ({colors}dot: best epoch)")
    return figure


def _panels(findings: Findings) -> tuple[list[Panel], str]:
    """What is drawn, in the knob's order or by rank, and in words."""
    plan, groups, winner = findings.plan, findings.groups, findings.winning
    best = sorted(range(len(groups)), key=lambda index: groups[index].mean, reverse=True)[:PANELS]
    if not groups:
        pruned = [row for row in findings.rows if row.value is not None]
        rows = (ranked(findings.rows, sign=plan.metric.sign) or pruned)[:LEADING]
        return [Panel(name=f"trial {row.spec.trial}", rows=[row]) for row in rows], (
            "of the best trials"
        )
    if isinstance(plan.settings, SweepSettings):
        places = place(plan.knob, findings.values).places
        order, subject = sorted(best, key=places.__getitem__), f"by {plan.knob.path}"
    else:
        order, subject = best, "of the leaders"
    if len(order) < len(groups):
        subject += f", the best {len(order)} of {len(groups)}"
    panels = []
    for index in order:
        group = groups[index]
        marks = (
            "(baseline)" if index == 0 else "",
            "chosen" if index == winner else "" if group.clean else "not usable",
        )
        name = " ".join(filter(None, (f"{shortened(group.words)}", *marks)))
        rows = findings.of(group.candidate)
        panels.append(Panel(name=name, rows=rows, chosen=index == winner))
    return panels, subject


def _grid(panels: int) -> tuple[Figure, np.ndarray]:
    columns = min(COLUMNS, panels)
    rows = math.ceil(panels / columns)
    width, height = 0.9 + max(2.0 * columns, 5.6), 1.1 + 1.6 * rows
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=0.8 / width,
        right=0.99,
        top=1 - 0.55 / height,
        bottom=0.45 / height,
        hspace=0.35,
        wspace=0.12,
    )
    return figure, grid


def _draw_panel(
    panel: Panel, axes: Axes, series: Sequence[tuple[str, str]], curves: pd.DataFrame
) -> None:
    axes.set_title(
        panel.name,
        y=1.0,
        fontsize=8,
        color=WINNER if panel.chosen else "black",
        fontweight="bold" if panel.chosen else "normal",
    )
    best_epochs = {row.spec.trial: row.best_epoch or math.nan for row in panel.rows}
    shown = curves[curves.trial.isin(best_epochs)]
    # All curves as one line with gaps between them: a line of its own for each is slow.
    gaps = np.flatnonzero(np.diff(shown.trial)) + 1
    epochs = np.insert(shown.epoch.to_numpy(float), gaps, math.nan)
    best = np.insert(shown.trial.map(best_epochs).to_numpy(float), gaps, math.nan)
    for column, color in series:
        numbers = np.insert(shown[column].to_numpy(float), gaps, math.nan)
        axes.plot(epochs, numbers, color=color, linewidth=0.8)
    if not np.isfinite(shown[[column for column, _ in series]].to_numpy(float)).any():
        say_empty(axes)
    is_best = epochs == best  # on the last series, that of validation
    axes.plot(epochs[is_best], numbers[is_best], "o", color=series[-1][1], markersize=3)


def _limit_losses(axes: Axes, curves: pd.DataFrame) -> None:
    """A log scale where all losses are positive; the top is twice the loss of the untrained models.

    So a loss that diverges takes no room from the others.
    """
    lowest = np.nanmin([*curves.train_loss, *curves.val_loss])
    begun = curves.val_loss[curves.epoch == curves.epoch.min()]
    if not lowest > 0 or not np.isfinite(begun).any():
        return
    axes.set_yscale("log")
    log_axis(axes.yaxis)
    axes.set_ylim(lowest * 0.9, max(2 * np.nanmax(begun), lowest * 10))


def _finite(column: "pd.Series[float]") -> np.ndarray:
    """Numbers to draw; a gap where there is none."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)
