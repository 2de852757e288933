"""Writes layers.svg: what the winner's first layers look at, where `figures.layers` asks for it."""

from collections.abc import Callable
from typing import Any

from hydra.utils import get_object

from search.config.plan import Plan
from search.contract.arrays import read_folds
from search.results.export import EXPORTED, trained_config
from search.results.figures.layers import layers_svg
from search.storage.files import write_text
from search.storage.folder import Folder
from search.storage.trials import TrialRecord

FILE = "layers.svg"
ARRAYS = "trainers.layer_pictures.layer_arrays"  # imports torch, so only where it is wanted


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
