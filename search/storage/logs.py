"""What trials print: where the logs lie, whether one is too long, and how a record points to it."""

import os
from pathlib import Path

TAIL = 20  # lines of a log that a message shows


def log_tail(path: Path) -> str:
    """The last lines of a log; empty where there is none."""
    if not path.exists():
        return ""
    return "".join(
        path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-TAIL:]
    )


class TrialLogs:
    """The logs of one search's trials. `limit`: size that one trial's log may reach [bytes]."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        self._folder, self._limit = folder, limit

    def excess(self, trial: int) -> str:
        """The reason to stop a trial that has printed too much; empty if it has not."""
        if self._size(trial) <= self._limit:
            return ""
        return f"printed more than trainer.max_log_mb={self._limit / 2**20:g} MB"

    def trim(self, trial: int) -> None:
        """Cuts off what exceeds the limit."""
        if self._size(trial) > self._limit:
            os.truncate(self._path(trial), self._limit)

    def append(self, name: str, output: bytes) -> None:
        """Adds what a worker printed before it knew its log, or on a node with other folders."""
        if output:
            self._folder.mkdir(exist_ok=True)
            with (self._folder / name).open("ab") as file:
                file.write(output)

    def pointer(self, trial: int) -> str:
        """The path of the log, to be appended to a reason."""
        return f"; log: {self._folder.name}/{self._path(trial).name}"

    def _size(self, trial: int) -> int:
        try:
            return self._path(trial).stat().st_size
        except FileNotFoundError:
            return 0

    def _path(self, trial: int) -> Path:
        return self._folder / f"{trial}.log"
