"""layers.svg: filters and activations of the winner's first layers, by `figures.layers` (R16)."""

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
import numpy as np
from hydra.utils import get_object
from matplotlib.figure import Figure
from numpy.typing import NDArray

from search.config.plan import Plan
from search.contract.arrays import read_folds
from search.results.export import trained_config
from search.results.figures.style import STYLE, svg
from search.storage.files import write_text
from search.storage.folder import Folder
from search.storage.trials import TrialRecord
from trainers.teacher import EXPORTED

FILE = "layers.svg"
ARRAYS = "trainers.layer_pictures.layer_arrays"  # imports torch, so only where it is wanted
MOST = 16  # pictures of one array
COLUMNS = 8
HEADING = 0.35  # height of the heading, in rows of pictures
Array = NDArray[Any]


def write_layers(plan: Plan, winner: TrialRecord, folder: Folder) -> str:
    """Writes the file, unless it is this trial's and newer than the weights.

    Returns why there is none, or ''.
    """
    if not (plan.config.get("figures") or {}).get("layers"):
        return ""
    path, weights = folder.path / FILE, folder.best / EXPORTED
    if not plan.stock or not weights.exists():
        path.unlink(missing_ok=True)
        return f"no {FILE}: it needs the stock trainer and kept weights"
    title = f"{plan.name}: the first layers of trial {winner.spec.trial}, the winner"
    is_of_trial = path.exists() and title in path.read_text(encoding="utf-8")
    if is_of_trial and path.stat().st_mtime_ns >= weights.stat().st_mtime_ns:
        return ""
    config = trained_config(plan, winner)
    look: Callable[..., dict[str, Any]] = get_object(ARRAYS)
    try:
        arrays = look(config, read_folds(folder.arrays)[0].data, weights)
        if not arrays:
            return f"no {FILE}: the model has no layer of a kind that can be drawn"
        write_text(path, layers_svg(title, arrays))
    except Exception as error:  # noqa: BLE001  # a user's model may raise anything
        path.unlink(missing_ok=True)
        return f"no {FILE}: {type(error).__name__}: {error}"
    return ""


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
