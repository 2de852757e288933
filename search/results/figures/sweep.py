"""The figures of a sweep: its values with their seeds, and the learning curves behind them (R16)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from search.results.figures.style import BASELINE, OTHERS, SEED, UNUSABLE, WINNER, log_axis, stand
from search.results.findings import Findings
from search.storage.curves import MEAN
from search.storage.folder import Folder

TRAIN, VALIDATION = "#6c8ebf", "#d95f02"
PANELS, COLUMNS = (
    48,
    6,
)  # values whose curves are drawn, the best of them, and how many stand in a row
ZOOM = 3.0  # a second panel shows what lies near the best, where that is less than a third of all


def figures(findings: Findings, folder: Folder) -> dict[str, Figure]:
    """`sweep` and `curves`; nothing before a value has one."""
    if not any(group.clean for group in findings.groups):
        return {}
    return {"sweep": _sweep(findings), "curves": _curves(findings, pd.read_parquet(folder.curves))}


# The sweep


def _sweep(findings: Findings) -> Figure:
    """Every value's mean with its interval, and every seed; above it, where all is far apart, what lies near the best."""
    plan, decision = findings.plan, findings.decision
    scores = [plan.metric.sign * score for group in findings.groups for score in group.clean]
    near = _near(findings)
    zoomed = near is not None and (max(scores) - min(scores)) > ZOOM * (near[1] - near[0])
    figure = Figure(figsize=(7.5, 6.2 if zoomed else 4.0), layout="constrained")
    panels = figure.subplots(2 if zoomed else 1, 1, sharex=True, squeeze=False)[:, 0]
    for axes in panels:
        _draw_means(findings, axes)
        axes.set_ylabel(f"{plan.metric.name}, validation")
    if zoomed:
        panels[0].set_ylim(near)
        panels[0].set_title("near the best", loc="left", fontsize=8, color=OTHERS)
    told = "no decision yet"
    if decision is not None and decision.winner is not None:
        told = f"{findings.groups[decision.winner].value} {'is adopted' if decision.adopted else 'stays'}"
    figure.suptitle(f"{plan.name}: {plan.knob.path}, {told}", x=0.01, ha="left", fontsize=10)
    panels[-1].set_xlabel(plan.knob.path)
    panels[-1].legend(loc="best", frameon=False)
    return figure


def _near(findings: Findings) -> tuple[float, float] | None:
    """Limits that show the best mean, its ties and some room; None where there is no margin to speak of."""
    decision, sign = findings.decision, findings.plan.metric.sign
    if decision is None or decision.best is None or not decision.margin > 0:
        return None
    best = sign * findings.groups[decision.best].mean
    ends = sorted((best - sign * 2 * decision.margin, best + sign * decision.margin))
    return ends[0], ends[1]


def _draw_means(findings: Findings, axes: Axes) -> None:
    plan, decision = findings.plan, findings.decision
    places = stand(plan.knob, findings.values, axes)
    labelled = set[str]()

    def once(label: str) -> str:
        """A legend names each kind once."""
        fresh = label not in labelled
        labelled.add(label)
        return label if fresh else ""

    for index, (group, place) in enumerate(zip(findings.groups, places, strict=True)):
        if not group.clean:
            axes.axvline(place, color=UNUSABLE, linewidth=4, zorder=0, label=once("not usable"))
            continue
        chosen = decision is not None and index == decision.winner
        color, kind = (BASELINE, "baseline") if index == 0 else (OTHERS, "mean, 95 % interval")
        color, kind = (
            (WINNER, f"{'baseline, ' if index == 0 else ''}chosen") if chosen else (color, kind)
        )
        shown = [plan.metric.sign * score for score in group.clean]
        axes.plot(
            [place] * len(shown),
            shown,
            ".",
            color=SEED,
            markersize=4,
            zorder=1,
            label=once("one seed"),
        )
        half = decision.interval(len(shown)) if decision is not None else math.nan
        bars = half if math.isfinite(half) else None
        mean = plan.metric.sign * group.mean
        axes.errorbar(
            place, mean, yerr=bars, fmt="o", color=color, markersize=5, zorder=2, label=once(kind)
        )
    if decision is not None and decision.best is not None and decision.margin > 0:
        best = plan.metric.sign * findings.groups[decision.best].mean
        axes.axhspan(
            best - plan.metric.sign * decision.margin,
            best,
            color="#e8f1e4",
            zorder=0,
            label="a tie with the best",
        )


# The learning curves


def _curves(findings: Findings, curves: pd.DataFrame) -> Figure:
    """A panel per value: both losses of each seed over the epochs, a dot at each best epoch; the metric where none is told."""
    plan = findings.plan
    shown = _panels(findings)
    has_losses = bool(np.isfinite(_finite(curves["val_loss"])).any())
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(0.6 + 2.0 * columns, 1.1 + 1.6 * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=0.8 / width,
        right=0.99,
        top=1 - 0.55 / height,
        bottom=0.45 / height,
        hspace=0.35,
        wspace=0.12,
    )
    series = (
        [("train_loss", TRAIN), ("val_loss", VALIDATION)]
        if has_losses
        else [(plan.metric.name, VALIDATION)]
    )
    curves = curves[curves.fold == MEAN] if (curves.fold == MEAN).any() else curves
    curves = curves.assign(
        **{column: _finite(curves[column]) for column in ("train_loss", "val_loss", series[-1][0])}
    )
    of_trial = {int(curve.trial.iloc[0]): curve for _, curve in curves.groupby("trial")}
    for axes, index in zip(grid.flat, shown, strict=False):
        _draw_value(findings, index, axes, series, of_trial)
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    if has_losses:
        _limit_losses(grid[0, 0], curves)
    for axes in grid[:, 0]:
        axes.set_ylabel("loss" if has_losses else plan.metric.name)
    for axes in grid.flat[len(shown) - columns : len(shown)]:
        axes.set_xlabel("epoch")
        axes.tick_params(labelbottom=True)
    left_out = (
        f"; the best {len(shown)} of {len(findings.groups)} values"
        if len(shown) < len(findings.groups)
        else ""
    )
    names = "train loss blue, validation loss orange, " if has_losses else ""
    title = f"{plan.name}: learning curves by {plan.knob.path} ({names}dot: best epoch{left_out})"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _panels(findings: Findings) -> list[int]:
    """The groups to draw, in the knob's order; the best ones where there are too many."""
    best = sorted(
        range(len(findings.groups)), key=lambda index: findings.groups[index].mean, reverse=True
    )[:PANELS]
    if findings.plan.knob.choices:
        return sorted(best)
    return sorted(best, key=lambda index: float(findings.groups[index].value))  # type: ignore[arg-type]


def _draw_value(
    findings: Findings,
    index: int,
    axes: Axes,
    series: Sequence[tuple[str, str]],
    of_trial: Mapping[int, pd.DataFrame],
) -> None:
    group, decision = findings.groups[index], findings.decision
    chosen = decision is not None and decision.winner == index
    told = (
        "(baseline)" if index == 0 else "",
        "chosen" if chosen else "" if group.clean else "not usable",
    )
    title = " ".join(filter(None, (str(group.value), *told)))
    axes.set_title(
        title,
        y=1.0,
        fontsize=8,
        color=WINNER if chosen else "black",
        fontweight="bold" if chosen else "normal",
    )
    for row in findings.of(group.value):
        curve = of_trial.get(row.ask.trial)
        if curve is None:
            continue
        for column, color in series:
            axes.plot(curve["epoch"], curve[column], color=color, linewidth=0.8)
        at_best = curve[curve["epoch"] == row.best_epoch]
        axes.plot(at_best["epoch"], at_best[series[-1][0]], "o", color=series[-1][1], markersize=3)


def _limit_losses(axes: Axes, curves: pd.DataFrame) -> None:
    """A log scale where it can be, and no room for what diverges: twice the loss of the untrained models is the top."""
    lowest = np.nanmin([*_finite(curves.train_loss), *_finite(curves.val_loss)])
    begun = _finite(curves.val_loss[curves.epoch == curves.epoch.min()])
    if not lowest > 0 or not np.isfinite(begun).any():
        return
    axes.set_yscale("log")
    log_axis(axes.yaxis)
    axes.set_ylim(lowest * 0.9, max(2 * np.nanmax(begun), lowest * 10))


def _finite(told: "pd.Series[float]") -> np.ndarray:
    """Numbers to draw; a gap where there is none."""
    numbers = pd.to_numeric(told, errors="coerce").to_numpy(dtype=float)
    return np.where(np.isfinite(numbers), numbers, np.nan)
