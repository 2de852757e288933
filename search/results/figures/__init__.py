"""The figures of a search, as SVG files beside its tables.

Matplotlib draws them: one small library without a browser or a display, and SVG that a page can take in. Only this package
knows it. Never decides, never trains.
"""

import matplotlib

from search.results.figures import joint, sweep
from search.results.figures.style import STYLE, svg
from search.results.findings import Findings
from search.storage.files import write_text
from search.storage.folder import Folder


def write_figures(findings: Findings, folder: Folder) -> None:
    """sweep.svg and curves.svg, or search.svg and knobs.svg; nothing for a single training, or before a trial has ended."""
    kinds = {"sweep": sweep.figures, "joint": joint.figures}
    if findings.plan.kind not in kinds:
        return
    with matplotlib.rc_context(STYLE):
        for name, figure in kinds[findings.plan.kind](findings, folder).items():
            write_text(folder.path / f"{name}.svg", svg(figure))
