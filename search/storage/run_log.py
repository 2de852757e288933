"""Every run of a search: when it began, by which command and versions, how long all ran in sum.

A run that is killed counts up to its last trial that ended, whose record says how long the search
had run by then.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from search.config.version import TORCH, __version__, torch_version
from search.errors import UsageError, refused
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
        run: dict[str, Any] = {
            "began": began, "command": command, "version": __version__,
            TORCH: torch_version(), "seconds": None,
        }  # fmt: skip
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

    def other_torch(self) -> str:
        """That the last run had another torch, in words; empty where it had this one."""
        runs, now = self._runs(), torch_version()
        before = runs[-1].get(TORCH, now) if runs else now
        if before == now:
            return ""
        return (
            f"torch is {now}, but was {before} when this search last ran: trials to come may give "
            "other numbers than those that have ended"
        )

    def check_version(self) -> None:
        """Whether this version knows what the versions of all runs have written.

        A damaged `runs.json`, or one without versions, says nothing of it.

        Raises:
            UsageError: a newer one went on with the search.
        """
        newest = ""
        with suppress(UsageError, TypeError, AttributeError, ValueError):
            newest = max((str(run.get("version", "")) for run in self._runs()), key=_release)
        if _release(newest) > _release(__version__):
            raise refused(
                str(self._path.parent),
                code="folder-of-newer-version",
                rule=f"Knobwise {__version__} reads what it, or an older one, has written",
                got=f"a search that Knobwise {newest} has resumed",
                remedy="install that version, or use name=… for a new search",
            )

    def _runs(self) -> Sequence[dict[str, Any]]:
        if not self._path.exists():
            return []
        runs: Sequence[dict[str, Any]] = read_json(self._path, keys=["runs"])["runs"]
        return runs

    def _write(self, runs: Sequence[dict[str, Any]]) -> None:
        write_json(self._path, {"runs": runs})


def _release(version: str) -> list[int]:
    """The two first numbers of a version; the third one, of patches, changes no file."""
    return [int(number) for number in re.findall(r"\d+", version)[:2]]
