"""The figures of a search, as SVG files beside its tables.

Matplotlib draws them: a library that needs neither browser nor display. Only this package knows it.
"""

from collections.abc import Callable, Mapping

import search.results.figures.loaded  # noqa: F401  # isort: skip  # before all of Matplotlib

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from search.results.figures.curves import curves_figure
from search.results.figures.joint import knobs_figure, search_figure
from search.results.figures.style import STYLE, svg
from search.results.figures.sweep import sweep_figure
from search.results.findings import Findings
from search.results.summary import view_of
from search.stages import joint
from search.storage.folder import Folder


def figure_files(findings: Findings, curves: pd.DataFrame, _: Folder) -> Mapping[str, str]:
    """File name → SVG, for the figures of this kind of search; empty before a trial has a value."""
    searched = joint.searched(findings.rows)
    if not any(group.clean for group in findings.groups) and not any(
        row.value is not None for row in searched
    ):
        return {}
    drawers: dict[str, Callable[[], Figure]] = {
        "sweep": lambda: sweep_figure(findings),
        "search": lambda: search_figure(findings, searched),
        "knobs": lambda: knobs_figure(findings, searched),
        "curves": lambda: curves_figure(findings, curves),
    }
    with matplotlib.rc_context(STYLE):
        return {f"{name}.svg": svg(drawers[name]()) for name in view_of(findings.plan).figures}
