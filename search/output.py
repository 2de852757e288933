"""Where a worker's output goes: to the log of the one trial that is at work, or to the worker's own. Reads nothing."""

import os
import sys
from contextlib import suppress
from pathlib import Path


class Output:
    """Standard output and error of this process, its children's included. `redirect`: false leaves them as they are."""

    def __init__(self, logs: Path, *, redirect: bool) -> None:
        self._logs, self.redirect = logs, redirect
        self._trial: int | None = None
        self._before = 0
        self._own = (os.dup(1), os.dup(2)) if redirect else ()

    def belongs_to(self, trial: int | None) -> None:
        """From now on, what is printed is this trial's; None: nobody's in particular."""
        if trial == self._trial or not self.redirect:
            return
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        if trial is None:
            for number, own in enumerate(self._own, start=1):
                os.dup2(own, number)
            self._before = os.fstat(1).st_size
        else:
            self._logs.mkdir(exist_ok=True)
            with (self._logs / f"{trial}.log").open("ab") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
        self._trial = trial

    @property
    def printed(self) -> int:
        """Bytes that were nobody's in particular, since they last began to be."""
        return os.fstat(1).st_size - self._before if self.redirect and self._trial is None else 0
