"""A limit of time for checks in this process, which tells what it left out."""

from collections.abc import Callable

from search.diagnostics.preflight.check import Check, Judge
from trainers.probes.limits import OutOfTime, own_time, time_limit


class TimeLeft:
    """The seconds that some checks have together, without those in which they wait for a
    processor: on a busy machine they take longer, and say the same.

    In another thread than the main one, and on Windows, a check that has begun is not interrupted.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._ends = seconds, own_time() + seconds

    def check(self, name: str, make: Callable[[], Check]) -> Check:
        """What `make` gives, or that there was no time for it."""
        judge, left = Judge(name=name, rule="R10"), self._ends - own_time()
        limit = f"{self._seconds:.0f} s"
        if left <= 0:
            return judge.unknown(f"the checks before it took the {limit} that the data have")
        try:
            with time_limit(left):
                return make()
        except OutOfTime:
            return judge.unknown(f"it did not end within the {limit} that the data's checks have")
