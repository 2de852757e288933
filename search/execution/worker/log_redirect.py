"""Where a worker's output goes: to the log of the one trial at work, or to the worker's own."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from search.storage.logs import open_log


class LogRedirect:
    """Standard output and error of this process and its children.

    `own`: name of the worker's log; None leaves all output as it is.
    """

    def __init__(self, logs: Path, *, own: str | None) -> None:
        self._logs, self.redirect = logs, own is not None
        self._trial: int | None = None
        self._size_before, self._own = 0, -1
        if own is not None:
            self._write_to(own)
            self._own = os.dup(1)

    def belongs_to(self, trial: int | None) -> None:
        """From now on, output is the trial's; None: no trial's in particular."""
        if trial == self._trial or not self.redirect:
            return
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        if trial is None:
            os.dup2(self._own, 1)
            os.dup2(self._own, 2)
            self._size_before = os.fstat(1).st_size
        else:
            self._write_to(f"{trial}.log")
        self._trial = trial

    @property
    def printed(self) -> int:
        """Output since it last became no trial's [bytes]; 0 while it is a trial's."""
        is_shared = self.redirect and self._trial is None
        return os.fstat(1).st_size - self._size_before if is_shared else 0

    def _write_to(self, name: str) -> None:
        file = open_log(self._logs / name)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
