"""What trials print: where it lies, whether it is too much, and how a row points to it. Never reads it."""

import os
from pathlib import Path


class TrialLogs:
    """The logs of one search's trials. `limit`: bytes that one trial may print."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder, self._limit = folder, limit

    def flooded(self, trial: int) -> str:
        """Why the trial has printed too much, or nothing."""
        return (
            f"printed more than trainer.max_log_mb={self._limit / 2**20:g} MB"
            if self._size(trial) > self._limit
            else ""
        )

    def trim(self, trial: int) -> None:
        """Cuts what is beyond the limit."""
        if self._size(trial) > self._limit:
            os.truncate(self._path(trial), self._limit)

    def see(self, trial: int) -> str:
        """Where to look, for the end of a reason."""
        return f"; log: {self._folder.name}/{self._path(trial).name}"

    def _size(self, trial: int) -> int:
        path = self._path(trial)
        return path.stat().st_size if path.exists() else 0

    def _path(self, trial: int) -> Path:
        return self._folder / f"{trial}.log"
