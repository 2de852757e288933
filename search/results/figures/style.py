"""How all figures look, and how they become files: the same search gives the same bytes."""

import io
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from search.config.knobs import Knob, Value

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a dollar sign in a name is one
    "svg.hashsalt": "knobwise",  # the same search gives the same file
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
}
BASELINE, WINNER, OTHERS, SEED, UNUSABLE = "#d95f02", "#1b7837", "#4c566a", "#b8c0cc", "#f4cccc"


def svg(figure: Figure) -> str:
    """The figure as a file's text."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def log_axis(axis: Axis) -> None:
    """Plain numbers, and no minor ticks: they take a third of the drawing time and are no use in a small panel."""
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def stand(knob: Knob, values: Sequence[Value], axes: Axes) -> list[float]:
    """Where each value stands on the x axis: numbers in the knob's scale, choices and what is off a log scale by name."""
    if knob.choices:
        choices = list(dict.fromkeys([*knob.choices, *values]))
        axes.set_xticks(range(len(choices)), [str(choice) for choice in choices])
        if len(choices) > 4:
            axes.tick_params(axis="x", labelrotation=40)
        return [float(choices.index(value)) for value in values]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if not knob.log:
        return numbers
    axes.set_xscale("log")
    log_axis(axes.xaxis)
    on_scale = [number for number in numbers if number > 0] or [knob.low]
    axes.set_xlim(min(*on_scale, knob.low) / 2, max(*on_scale, knob.high) * 2)
    if all(number > 0 for number in numbers):
        return numbers
    off = min(*on_scale, knob.low) / (knob.high / knob.low) ** (1.0 / (knob.points - 1))
    axes.set_xlim(left=off / 2)
    axes.text(off, -0.02, "0", transform=axes.get_xaxis_transform(), ha="center", va="top")
    return [number if number > 0 else off for number in numbers]
