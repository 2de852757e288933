"""Charts as Plotly draws them: the one module that speaks Plotly.

Numbers in, JSON out. The library itself is not imported (that takes seconds): only its script is
read from the installed package, once, for the page.
"""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search.config.text import one_line
from search.results.summary.formatting import EMPTY

Number = float | int | None
GREEN, ORANGE, BLUE, GREY = "#009e73", "#d55e00", "#3b8fd0", "#8291a5"  # Okabe and Ito 2008, near
SCALE = [[0, "#3f4a8a"], [0.35, "#2a8a8c"], [0.7, "#5dbb63"], [1, "#f2c80f"]]  # dark to light
HEIGHT = 380  # pixels
SLANT = -30  # degrees: a label ends at its place, so the last one is not cut at the right


@dataclass(frozen=True, kw_only=True)
class Axis:
    """`ticks`: position → label, where Plotly's own do not fit; `limits` in the axis' numbers.

    `slanted`: labels that are too long to stand side by side end below their places.
    """

    title: str = ""
    log: bool = False
    whole: bool = False
    ticks: Mapping[float, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = None
    slanted: bool = False


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points, a line or bars of one look. `trials`: the trial of each point, which a click picks.

    `errors`: half lengths of error bars. `shades`: numbers that color the points. `says`: what a
    hover shows, as Plotly names it.
    """

    name: str
    look: str
    x: Sequence[Number]
    y: Sequence[Number]
    hover: Sequence[str] = ()
    errors: Sequence[Number] = ()
    trials: Sequence[int] = ()
    shades: Sequence[Number] = ()
    listed: bool = True
    says: str = "text"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One figure. `alt`: what it shows, in words, for those who do not see it.

    `band`: a range of y that is shaded, with its name; `gaps`: places of x that are marked as not
    usable; `zoom`: the range of y near the best; `notes`: x, y, text, and the side it stands on.
    """

    title: str
    alt: str
    series: Sequence[Series]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    band: tuple[float, float, str] | None = None
    level: tuple[float, str] | None = None
    gaps: Sequence[float] = ()
    zoom: tuple[float, float] | None = None
    notes: Sequence[tuple[float, float, str, str]] = ()
    shade_title: str = ""
    shade_limits: tuple[float, float] | None = None
    height: int = HEIGHT


LOOKS: dict[str, dict[str, Any]] = {
    "seed": {"mode": "markers", "marker": {"color": GREY, "size": 5, "opacity": 0.65}},
    "mean": {"mode": "markers", "marker": {"color": BLUE, "size": 10, "symbol": "circle"}},
    "baseline": {"mode": "markers", "marker": {"color": ORANGE, "size": 11, "symbol": "square"}},
    "chosen": {"mode": "markers", "marker": {"color": GREEN, "size": 14, "symbol": "star"}},
    "trial": {"mode": "markers", "marker": {"color": BLUE, "size": 6, "opacity": 0.75}},
    "pruned": {"mode": "markers", "marker": {"color": GREY, "size": 6, "symbol": "x-thin-open"}},
    "shaded": {"mode": "markers", "marker": {"size": 9, "line": {"width": 0.5}}},
    "line": {"mode": "lines", "line": {"color": BLUE, "width": 2}},
    "step": {"mode": "lines", "line": {"color": GREEN, "width": 2, "shape": "hv"}},
    "faint": {"mode": "lines", "line": {"color": GREY, "width": 1}, "opacity": 0.6},
    "progress": {
        "mode": "lines+markers",
        "line": {"color": GREEN, "width": 2, "shape": "hv"},
        "marker": {"color": GREEN, "size": 8},
    },
    "dashed": {"mode": "lines", "line": {"color": ORANGE, "width": 1.5, "dash": "dash"}},
    "lower": {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"},
    "upper": {
        "mode": "lines",
        "line": {"width": 0},
        "fill": "tonexty",
        "fillcolor": "rgba(59,143,208,0.22)",
        "hoverinfo": "skip",
    },
    "bar": {"type": "bar", "orientation": "h", "marker": {"color": BLUE}},
    "bar-pruned": {"type": "bar", "orientation": "h", "marker": {"color": GREY}},
    "bar-lost": {"type": "bar", "orientation": "h", "marker": {"color": ORANGE}},
    "bar-saved": {
        "type": "bar",
        "orientation": "h",
        "marker": {"color": "rgba(0,158,115,0.25)", "line": {"color": GREEN, "width": 1.5}},
    },
}


EMPTINESS = {  # an annotation in the middle of axes without a number
    "text": EMPTY,
    "showarrow": False,
    **{"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"},
}


def _shade_look(share: float) -> dict[str, Any]:
    """A thin line whose color says how good it is: 0 the worst, 1 the best."""
    place = min(int(share * (len(SCALE) - 1) + 0.5), len(SCALE) - 1)
    return {
        "mode": "lines",
        "line": {"color": SCALE[place][1], "width": 1 + share},
        "opacity": 0.35 + 0.5 * share,
    }


def plotly(chart: Chart) -> dict[str, Any]:
    """The chart as Plotly's JSON. Colors of text and grid are the page's, which has two themes."""
    named = sum(series.listed for series in chart.series) > 1
    is_empty = all(_number(y) is None for series in chart.series for y in series.y)
    layout = {
        "height": chart.height,
        "margin": {"l": 64, "r": 16, "t": 36 if named else 12, "b": 56},
        "hovermode": "closest",
        "barmode": "stack",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "showlegend": named,
        "xaxis": _axis(chart.x),
        "yaxis": _axis(chart.y),
        "shapes": [*_band(chart), *_level(chart), *map(_gap, chart.gaps)],
        "annotations": [*map(_note, chart.notes), *([EMPTINESS] if is_empty else [])],
    }
    return {"data": [_trace(series, chart) for series in chart.series], "layout": layout}


def script() -> str:
    """Plotly's script, from the installed package."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly: the page needs it; pip install plotly")
    text = (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text("utf-8")
    return text.replace("</script", "<\\/script")


def _trace(series: Series, chart: Chart) -> dict[str, Any]:
    look = LOOKS[series.look] if series.look in LOOKS else _shade_look(float(series.look))
    trace: dict[str, Any] = {
        "type": "scatter",
        **look,
        "name": _text(series.name),
        "x": [*map(_number, series.x)],
        "y": [*map(_number, series.y)],
        "showlegend": series.listed,
    }
    if series.hover:
        trace |= {"hovertext": [*map(_text, series.hover)], "hoverinfo": series.says}
    if series.errors:
        trace["error_y"] = {"array": [*map(_number, series.errors)], "thickness": 1.5, "width": 4}
    if series.trials:
        trace["customdata"] = list(series.trials)
    if series.shades:
        shades = [*map(_number, series.shades)]
        bar = {"title": {"text": _text(chart.shade_title)}, "thickness": 12}
        low, high = chart.shade_limits or (None, None)
        trace["marker"] = {
            **look["marker"],
            "color": shades,
            "colorscale": SCALE,
            "colorbar": bar,
            "cmin": low,
            "cmax": high,
            "cauto": chart.shade_limits is None,
        }
    return trace


def _axis(axis: Axis) -> dict[str, Any]:
    drawn: dict[str, Any] = {"title": {"text": _text(axis.title)}, "automargin": True}
    drawn["exponentformat"] = "e"  # 1e-9, and not Plotly's 1n
    if axis.log:
        drawn["type"] = "log"
    if axis.ticks:
        drawn |= {"tickvals": [*axis.ticks], "ticktext": [*map(_text, axis.ticks.values())]}
    if axis.slanted:
        drawn["tickangle"] = SLANT
    if axis.whole:
        drawn["tickformat"] = "d"
    if axis.limits is not None:
        drawn["range"] = [math.log10(end) if axis.log else end for end in axis.limits]
    return drawn


def _band(chart: Chart) -> Iterable[dict[str, Any]]:
    if chart.band is None:
        return
    low, high, name = chart.band
    label = {"text": _text(name), "textposition": "top left", "font": {"size": 11}}
    yield {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": _number(low),
        "y1": _number(high),
        "layer": "below",
        "line": {"width": 0},
        "fillcolor": "rgba(0,158,115,0.16)",
        "label": label,
    }


def _level(chart: Chart) -> Iterable[dict[str, Any]]:
    if chart.level is None:
        return
    height, name = chart.level
    yield {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": _number(height),
        "y1": _number(height),
        "line": {"color": ORANGE, "width": 1.2, "dash": "dash"},
        "label": {"text": _text(name), "textposition": "end", "font": {"size": 11}},
    }


def _gap(place: float) -> dict[str, Any]:
    """A place at which nothing is usable."""
    return {
        "type": "line",
        "yref": "paper",
        "x0": place,
        "x1": place,
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": {"color": "rgba(213,94,0,0.28)", "width": 5},
    }


def _note(note: tuple[float, float, str, str]) -> dict[str, Any]:
    x, y, text, side = note
    return {
        "x": x,
        "y": y,
        "text": _text(text),
        "showarrow": False,
        "yanchor": side,
        "font": {"size": 11},
    }


def _text(text: object) -> str:
    """Plotly reads a little HTML in its texts: a foreign `<` must stay one."""
    return "<br>".join(html.escape(one_line(line), quote=False) for line in str(text).split("\n"))


def _number(number: Number) -> Number:
    """Six digits are more than a screen shows; None leaves a gap."""
    if number is None or not math.isfinite(number):
        return None
    return number if isinstance(number, int) else float(f"{number:.6g}")
