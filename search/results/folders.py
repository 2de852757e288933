"""Which searches lie below a folder, and the folder of one by its name. Never writes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.diagnostics.preflight.check import unmade
from search.errors import UsageError, disk_error, refused, unknown
from search.storage.folder import LR_RANGE, PREFLIGHT, Folder
from search.storage.sealed import read_json


def folders_below(root: Path) -> dict[str, str]:
    """Name → what was looked at there, a range test or a preflight, in words; empty for a search
    that has begun to train, also where its trials are lost.
    """
    return {path.name: _look_in(Folder(path)) for path in _folders(root)}


def _folders(root: Path) -> list[Path]:
    """Folders that hold a config.yaml, and those that do not let us see whether they do.

    Raises:
        UsageError: the root is there and cannot be listed: that is not to be taken for "no search".
    """
    if not os.path.lexists(root):
        return []
    try:
        with os.scandir(root) as entries:
            return sorted(Path(entry) for entry in entries if _may_be_search(entry))
    except OSError as error:
        raise disk_error(error, path=root) from error


def _may_be_search(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir() and Path(entry, "config.yaml").exists()
    except PermissionError:
        return True


def _look_in(folder: Folder) -> str:
    """What was looked at in a folder, in words; empty where it was searched."""
    try:
        if folder.has_trials():
            return ""
        folder.check_begun()
    except (UsageError, PermissionError):  # the trials are lost, or unreadable: `open_results` says
        return ""
    ranged, checked = (folder.path / name for name in (LR_RANGE, PREFLIGHT))
    try:
        if ranged.exists():
            return _range_in_words(read_json(ranged, keys=["low", "high"]))
        if checked.exists():
            content = read_json(checked, keys=["failed", "checks"])
            missing = unmade(content["checks"])
            text = f"a preflight: {', '.join(content['failed']) or 'nothing'} failed"
            return f"{text}, and {missing}" if missing else text
    except UsageError as error:  # which hides no other folder
        return f"a range test or preflight that cannot be read: {error}"
    return "not begun yet"


def _range_in_words(test: Mapping[str, Any]) -> str:
    if test["low"] is None:
        return f"a range test without a range, because {test.get('because', 'none was found')}"
    return f"a range test: learning rates from {test['low']:.2g} to {test['high']:.2g}"


def find_folder(name: str, *, root: Path) -> Folder:
    """A search's folder by its name below `root`, or by its own path.

    The name goes first: a folder of the user's may be called so, and hold a config.yaml of its own.
    """
    paths = (root / name, Path(name))
    return next((folder for folder in map(Folder, paths) if folder.started), Folder(root / name))


def open_folder(name: str, *, root: Path) -> Folder:
    """The folder of a search that has begun to train, by its name below `root` or by its path.

    Raises:
        UsageError: there is none; those that exist are named.
    """
    folder = find_folder(name, root=root)
    folder.check_begun()
    if not folder.started or not folder.has_trials():
        there = folders_below(root)
        if look := there.get(name):
            raise refused(
                name,
                code="search-without-trials",
                rule="needs a search with trials",
                got=look,
                remedy="start one under another name",
            )
        searches = [each for each, look in there.items() if not look]
        raise UsageError(
            f"{root}/: {unknown('search', name=name, known=searches)}", code="unknown-search"
        )
    return folder
