"""How all SVG figures look, and how they become files: the same search gives the same bytes."""

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from search.config.knobs import Knob, Value
from search.config.text import one_line
from search.results.places import place
from search.results.summary.formatting import EMPTY

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a dollar sign in a name begins no formula
    "svg.hashsalt": "knobwise",  # the same search gives the same file
    "font.size": 8,
    "figure.constrained_layout.w_pad": 0.1,  # inches: no letter touches the edge of the file
    "figure.constrained_layout.h_pad": 0.1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
}
BASELINE, WINNER, OTHERS, SEED, UNUSABLE = "#d95f02", "#1b7837", "#4c566a", "#6b7686", "#f4cccc"
MANY_CHOICES = 4  # choices above which their names are turned


def svg(figure: Figure) -> str:
    """The figure as a file's text. The reader's program draws the letters, so it does not matter if
    a font lacks some of them here.
    """
    text = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def with_zoom(
    draw: Callable[[Axes], None], *, metric: str, near: tuple[float, float] | None
) -> tuple[Figure, Axes]:
    """A figure of the metric, and its axes; `draw` draws the data onto axes.

    If `near` is given, a further panel above shows only that range of the metric, near the best.
    """
    figure = Figure(figsize=(7.5, 6.2 if near else 4.0), layout="constrained")
    panels = figure.subplots(2 if near else 1, 1, sharex=True, squeeze=False)[:, 0]
    for axes in panels:
        draw(axes)
        axes.set_ylabel(f"{metric}, validation")
    if near:
        panels[0].set_ylim(near)
        panels[0].set_title("near the best", loc="left", fontsize=8, color=OTHERS)
    return figure, panels[-1]


def title(figure: Figure, text: str) -> None:
    """The figure's title, at the left."""
    figure.suptitle(one_line(text), x=0.01, ha="left", fontsize=10)


def say_empty(axes: Axes) -> None:
    """Says in a panel without a dot or a line why it has none."""
    place = axes.transAxes
    axes.text(0.5, 0.5, EMPTY, color=OTHERS, ha="center", va="center", transform=place)


def log_axis(axis: Axis) -> None:
    """Plain numbers without minor ticks, which take a third of the drawing time."""
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def set_up_axis(
    knob: Knob, values: Sequence[Value], axes: Axes, *, most_ticks: int = 8
) -> list[float]:
    """Sets up the x axis of a knob; returns where each value stands on it."""
    placement = place(knob, values, most_ticks=most_ticks)
    if placement.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    if placement.ticks:
        axes.set_xticks(list(placement.ticks), list(placement.ticks.values()))
    if placement.limits is not None:
        axes.set_xlim(*placement.limits)
    if knob.choices and len(placement.ticks) > MANY_CHOICES:
        axes.tick_params(axis="x", labelrotation=40)
    return list(placement.places)
