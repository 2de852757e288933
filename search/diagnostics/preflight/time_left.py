"""A limit of time for checks in this process, which tells what it left out."""

import time
from collections.abc import Callable

from search.diagnostics.preflight.check import Check, Judge
from trainers.probes.limits import OutOfTime, time_limit


class TimeLeft:
    """The seconds that some checks have together.

    In another thread than the main one, and on Windows, a check that has begun is not interrupted.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._ends = seconds, time.monotonic() + seconds

    def check(self, name: str, make: Callable[[], Check]) -> Check:
        """What `make` gives, or that there was no time for it."""
        judge, left = Judge(name=name, rule="R10"), self._ends - time.monotonic()
        if left <= 0:
            return judge.unknown(f"the checks before it took the {self._seconds:.0f} s of the data")
        try:
            with time_limit(left):
                return make()
        except OutOfTime:
            return judge.unknown(
                f"it did not end within the {self._seconds:.0f} s that the data's checks have"
            )
