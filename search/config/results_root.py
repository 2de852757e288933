"""Where searches lie: the folder of all searches, and how a command names one of them."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from search.errors import refused

if TYPE_CHECKING:  # verbs that compose nothing stay light
    from omegaconf import DictConfig

RESULTS = "results"  # the default of results_root, in the folder where the command is given


def root_of(config: "DictConfig", *, start: Path) -> Path:
    """The folder of all searches that a config names, seen from `start`.

    Raises:
        UsageError: `results_root` is no path.
    """
    root = config.get("results_root")
    is_path = isinstance(root, str | int) and not isinstance(root, bool) and str(root).strip()
    if not is_path or "\0" in str(root):
        rule, remedy = "must be the path of a folder", "say results_root=FOLDER"
        raise refused(
            "results_root", code="results-root-not-a-path", rule=rule, got=repr(root), remedy=remedy
        )
    return start / os.path.expanduser(str(root))  # no shell has seen a ~ within a word or a file


def from_here(path: Path) -> Path:
    """A path as seen from the current folder, where it lies below that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def address(folder: Path) -> str:
    """The word by which every verb finds a search: its name in results/, else its folder.

    Quoted as a shell needs it.
    """
    shown = from_here(folder)
    return shlex.quote(folder.name if shown.parent == Path(RESULTS) else str(shown))
