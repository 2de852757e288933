"""What trials print: where the logs lie, whether one is too long, and how a record points to it."""

import os
from pathlib import Path

from search.config.results_root import from_here
from search.storage.files import open_to_add

POINTS = "; log: "  # in a reason, before the path of a log
TAIL = 20  # lines of a log that a message shows


def log_tail(path: Path) -> str:
    """The last lines of a log; empty where there is none."""
    if not path.exists():
        return ""
    return "".join(
        path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[-TAIL:]
    )


def open_log(path: Path) -> int:
    """A descriptor of the log, to be added to; its folder is made.

    A link that stands there is removed: in a folder from elsewhere it may lead to any file.
    """
    if path.is_symlink():
        path.unlink()
    path.parent.mkdir(exist_ok=True)
    return open_to_add(path)


def as_seen_from_here(reason: str, folder: Path) -> str:
    """A reason whose log can be opened from the current folder; it is kept without `folder`."""
    what, points, log = reason.rpartition(f"{POINTS}logs/")
    return f"{what}{POINTS}{from_here(folder / 'logs')}/{log}" if points else reason


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
        if self._size(trial) > self._limit and not self._path(trial).is_symlink():
            os.truncate(self._path(trial), self._limit)

    def append(self, name: str, output: bytes) -> None:
        """Adds what a worker printed before it knew its log, or on a node with other folders."""
        if output:
            with os.fdopen(open_log(self._folder / name), "ab") as file:
                file.write(output)

    def pointer(self, trial: int) -> str:
        """The path of the log below the search's folder, to be appended to a reason.

        Empty where there is none: inline, output goes to the terminal, and of trials that train
        as one program to the worker's own log.
        """
        path = self._path(trial)
        return f"{POINTS}{self._folder.name}/{path.name}" if path.exists() else ""

    def _size(self, trial: int) -> int:
        try:
            return self._path(trial).stat().st_size
        except FileNotFoundError:
            return 0

    def _path(self, trial: int) -> Path:
        return self._folder / f"{trial}.log"
