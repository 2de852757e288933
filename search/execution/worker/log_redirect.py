"""Where a worker's output goes: to the log of the one trial that is at work, or to the worker's own. Reads nothing."""

import os
import sys
from contextlib import suppress
from pathlib import Path


class Output:
    """Standard output and error of this process, its children's included.

    `own`: the name of the worker's log; None leaves all as it is.
    """

    def __init__(self, logs: Path, *, own: str | None) -> None:
        self._logs, self.redirect = logs, own is not None
        self._trial: int | None = None
        self._before, self._own = 0, -1
        if own is not None:
            self._lead_to(own)
            self._own = os.dup(1)

    def belongs_to(self, trial: int | None) -> None:
        """From now on, what is printed is this trial's; None: nobody's in particular."""
        if trial == self._trial or not self.redirect:
            return
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        if trial is None:
            os.dup2(self._own, 1)
            os.dup2(self._own, 2)
            self._before = os.fstat(1).st_size
        else:
            self._lead_to(f"{trial}.log")
        self._trial = trial

    def _lead_to(self, name: str) -> None:
        self._logs.mkdir(exist_ok=True)
        with (self._logs / name).open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)

    @property
    def printed(self) -> int:
        """Bytes that were nobody's in particular, since they last began to be."""
        return os.fstat(1).st_size - self._before if self.redirect and self._trial is None else 0
