"""The figures of a search, as SVG files beside its tables.

Matplotlib draws them: a library that needs neither browser nor display. Only this package knows it.
"""

from collections.abc import Mapping

import matplotlib
import pandas as pd

from search.results.figures.curves import curves_figure
from search.results.figures.joint import knobs_figure, search_figure
from search.results.figures.style import STYLE, svg
from search.results.figures.sweep import sweep_figure
from search.results.findings import Findings
from search.stages import joint
from search.storage.folder import Folder


def figure_files(findings: Findings, curves: pd.DataFrame, _: Folder) -> Mapping[str, str]:
    """File name → SVG: sweep.svg or search.svg and knobs.svg, and curves.svg.

    Empty for a single training, and before a trial has a value.
    """
    with matplotlib.rc_context(STYLE):
        figures = {}
        if findings.plan.kind == "sweep" and any(group.clean for group in findings.groups):
            figures["sweep"] = sweep_figure(findings)
        if findings.plan.kind == "joint":
            rows = [row for row in findings.rows if row.spec.stage == joint.STAGE]
            if any(row.value is not None for row in rows):
                figures["search"] = search_figure(findings, rows)
                figures["knobs"] = knobs_figure(findings, rows)
        if figures:
            figures["curves"] = curves_figure(findings, curves)
        return {f"{name}.svg": svg(figure) for name, figure in figures.items()}
