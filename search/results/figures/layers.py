"""Filters and activations of a model's first layers, as pictures (R16)."""

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search.results.figures.style import STYLE, svg

MOST = 16  # pictures of one array
COLUMNS = 8
HEADING = 0.35  # height of the heading, in rows of pictures
Array = NDArray[Any]


def layers_svg(title: str, arrays: Mapping[str, Array]) -> str:
    """The text of an SVG file: a band of pictures per array, below a title."""
    bands = {label: _pictures(array) for label, array in arrays.items()}
    heights = [-(-len(pictures) // COLUMNS) for pictures in bands.values()]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, HEADING + sum(1.1 * height + 0.3 for height in heights)))
        heading, *parts = figure.subfigures(
            1 + len(bands), 1, squeeze=False, height_ratios=[HEADING, *heights]
        )[:, 0]
        heading.text(0.01, 0.3, title, fontsize=10)
        for part, (label, pictures), height in zip(parts, bands.items(), heights, strict=True):
            part.suptitle(label, x=0.01, ha="left", fontsize=8)
            columns = min(COLUMNS, len(pictures))
            grid = part.subplots(height, columns, squeeze=False)
            aspect = "equal" if arrays[label].ndim == 4 else "auto"
            for axes in grid.flat:
                axes.set_axis_off()
            for axes, picture in zip(grid.flat, pictures, strict=False):
                axes.imshow(picture, cmap="gray", aspect=aspect, interpolation="nearest")
        return svg(figure)


def _pictures(array: Array) -> list[Array]:
    """Images [height, width] of filters or of activations.

    [n, channels, height, width]: an even choice of all channels; [n, channels, length]: one each;
    [n, units]: a single one.
    """
    if array.ndim == 4:
        flat = array.reshape(-1, *array.shape[2:])
        return list(flat[np.linspace(0, len(flat) - 1, min(MOST, len(flat))).astype(int)])
    if array.ndim == 3:
        return list(array[:MOST])
    return [array.reshape(len(array), -1)]
