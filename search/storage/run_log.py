"""Every run of a search: when it began, by which command, and how long all have run in sum.

A run that is killed counts up to its last trial that ended, whose record says how long the search
had run by then.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from search.storage.sealed import read_json, write_json


class RunLog:
    """The file `runs.json` of a search's folder. The run begins when this object is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began, self._origin, self._before = datetime.now(), time.monotonic(), 0.0

    @contextmanager
    def recorded(self, *, command: str, ran: float) -> Iterator[None]:
        """Records this run while the block is carried out.

        Args:
            command: that goes on with the search; empty where none does.
            ran: how long the search had run by its last trial [s].
        """
        runs = self._runs()
        self._before = max([ran, *(float(run["seconds"] or 0.0) for run in runs)])
        began = self._began.astimezone().isoformat(timespec="seconds")
        run: dict[str, Any] = {"began": began, "command": command, "seconds": None}
        self._write([*runs, run])
        try:
            yield
        finally:
            if self._path.parent.exists():  # else the block's own error says that it is gone
                self._write([*runs, {**run, "seconds": round(self.seconds(), 3)}])

    def seconds(self) -> float:
        """How long the search has run up to now, in all its runs [s]."""
        return self._before + time.monotonic() - self._origin

    @property
    def command(self) -> str:
        """The last run's; empty if it is not known."""
        runs = self._runs()
        return str(runs[-1]["command"]) if runs else ""

    def _runs(self) -> Sequence[dict[str, Any]]:
        if not self._path.exists():
            return []
        runs: Sequence[dict[str, Any]] = read_json(self._path, keys=["runs"])["runs"]
        return runs

    def _write(self, runs: Sequence[dict[str, Any]]) -> None:
        write_json(self._path, {"runs": runs})
