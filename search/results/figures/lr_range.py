"""The figure of a range test: loss over learning rate, every seed, and the range (R31)."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from search.diagnostics.lr_range import Range
from search.results.figures.style import BASELINE, OTHERS, SEED, STYLE, WINNER, log_axis, svg
from search.storage.files import write_text


def write_figure(
    folder: Path, *, rates: Sequence[float], curves: Sequence[Sequence[float | None]], result: Range
) -> None:
    """lr_range.svg."""
    with matplotlib.rc_context(STYLE):
        write_text(folder / "lr_range.svg", svg(_figure(rates, curves, result)))


def _figure(
    rates: Sequence[float], curves: Sequence[Sequence[float | None]], result: Range
) -> Figure:
    figure = Figure(figsize=(7.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for number, curve in enumerate(curves):
        shown = [float("nan") if loss is None else loss for loss in curve[: len(rates)]]
        axes.plot(
            rates[: len(shown)],
            shown,
            color=SEED,
            linewidth=0.7,
            label="" if number else "one seed",
        )
    if result.losses:
        axes.plot(
            result.rates, result.losses, color=OTHERS, linewidth=1.8, label="median, smoothed"
        )
        low, start = min(result.losses), result.losses[0]
        axes.set_ylim(low - 0.1 * abs(start - low), start + 0.6 * abs(start - low) + 1e-9)
    axes.set_xscale("log")
    log_axis(axes.xaxis)
    for place, (name, rate) in enumerate(
        sorted(result.suggestions.items(), key=lambda named: named[1])
    ):
        axes.axvline(rate, color=BASELINE, linewidth=0.8, linestyle="--")
        axes.text(
            rate,
            0.98 - 0.055 * place,
            f" {name}",
            color=BASELINE,
            transform=axes.get_xaxis_transform(),
            va="top",
        )
    outcome = f"no range, because {result.because}"
    if result.low is not None and result.high is not None:
        axes.axvspan(result.low, result.high, color="#e8f1e4", zorder=0, label="range")
        axes.legend(loc="lower left", frameon=False)
        outcome = f"from {result.low:.2g} to {result.high:.2g}"
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss of a batch")
    figure.suptitle(
        f"learning-rate range test: {outcome}",
        x=0.01,
        ha="left",
        fontsize=10,
        color=WINNER if result.low is not None else "black",
    )
    return figure
