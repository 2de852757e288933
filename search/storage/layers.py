"""What is told layer by layer, a file per trial and a line per fold and epoch; the last line of an epoch counts.

Too much for the curves. Nothing decides by it, so a failure to write is no failure of a search.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.storage.json_numbers import plain


class LayerLog:
    """The files of a search, `layers/TRIAL.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._whole: set[int] = set()  # trials whose last line is known to be one
        self._given_up = False

    def append(self, trial: int, record: Mapping[str, Any]) -> str:
        """Adds a line in one write; says why, once, where that is not possible, and is silent from then on."""
        if self._given_up:
            return ""
        path = self._folder / f"{trial}.jsonl"
        try:
            if trial not in self._whole:
                self._folder.mkdir(exist_ok=True)
                _mend(path)
                self._whole.add(trial)
            with path.open("ab", buffering=0) as file:
                file.write(json.dumps(plain(record)).encode() + b"\n")
        except OSError as error:
            self._given_up = True
            return f"{path}: {error.strerror or error}"
        return ""


def _mend(path: Path) -> None:
    """Cuts off what stands behind the last line that is one: a kill may have torn it."""
    with path.open("ab") as file:
        file.truncate(path.read_bytes().rfind(b"\n") + 1)
