"""Series by layer that a trainer reports: one file per trial, one line per fold and epoch.

The last line of an epoch counts. The series are too large for the curves. No decision reads them,
so a failure to write them is not a failure of the search.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.storage.files import open_to_add
from search.storage.json_numbers import plain
from search.storage.sealed import read_line, seal_line, whole_lines


class LayerLog:
    """The files of a search, `layers/TRIAL.jsonl`: lines are gathered, and written together."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._gathered: dict[int, bytes] = {}  # by trial
        self._repaired: set[int] = set()  # trials whose file ends with a whole line
        self._given_up = False

    def add(self, trial: int, record: Mapping[str, Any]) -> None:
        """Gathers a line."""
        self._gathered[trial] = self._gathered.get(trial, b"") + seal_line(plain(record))

    def flush(self) -> str:
        """Writes what was gathered, in one piece for each trial.

        Returns:
            The reason if the disk refused it, empty otherwise. After one failure nothing more is
            written and no further reason is given.
        """
        gathered, self._gathered = self._gathered, {}
        for trial, lines in gathered.items() if not self._given_up else ():
            path = self._folder / f"{trial}.jsonl"
            try:
                if trial not in self._repaired:
                    self._folder.mkdir(exist_ok=True)
                    _cut_torn_line(path)
                    self._repaired.add(trial)
                with os.fdopen(open_to_add(path), "ab", buffering=0) as file:
                    file.write(lines)
            except OSError as error:
                self._given_up = True
                return f"{path}: {error.strerror or error}"
        return ""


def read_series(folder: Path, trial: int, name: str) -> dict[int, dict[str, float]]:
    """One series of a trial by epoch, the mean of its folds; damaged lines are left out."""
    try:
        lines = (folder / f"{trial}.jsonl").read_bytes().splitlines()
    except OSError:
        return {}
    by_epoch: dict[int, dict[int, dict[str, float]]] = {}
    for line in lines:
        try:
            record = read_line(line)
            series = {str(key): float(value) for key, value in record["series"][name].items()}
            by_epoch.setdefault(int(record["epoch"]), {})[int(record["fold"])] = series
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return {
        epoch: {
            key: sum(fold.get(key, 0.0) for fold in folds.values()) / len(folds)
            for key in next(iter(folds.values()))
        }
        for epoch, folds in sorted(by_epoch.items())
    }


def _cut_torn_line(path: Path) -> None:
    """Removes a last line that a kill has left incomplete."""
    with os.fdopen(open_to_add(path), "ab") as file:
        file.truncate(len(whole_lines(path.read_bytes())))
