"""An end to whatever takes too long, also inside of a user's code.

By a clock that rests while this thread waits for a processor, so that a busy machine changes no
verdict; a block that sleeps, or waits for others, ends nevertheless. Only blocks of the main thread
are ended, and none on Windows.
"""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SCHEDULED = "/proc/thread-self/schedstat"  # of Linux: ns on a processor, ns waiting for one, turns
SOON = 0.01  # seconds after which a limit is looked at again that is nearly over


class OutOfTime(BaseException):  # no error; no `except Exception` of a user's loop may swallow it
    """The time that was given is over; its text says which."""


class Budget:
    """Seconds (`own_time`) that several questions have together. `spent`: by each of them."""

    def __init__(self, seconds: float, *, of: str) -> None:
        self.spent: dict[str, float] = {}
        self._ends, self._over = (
            own_time() + seconds,
            f"the budget of {seconds:g} s was spent ({of})",
        )

    @contextmanager
    def asking(self, name: str, *, most: float = math.inf) -> Iterator[None]:
        """Raises `OutOfTime` in the block, which has at most so many seconds, or before it begins
        where nothing is left.
        """
        begun = own_time()
        left = self._ends - begun
        try:
            if left <= 0:
                raise OutOfTime
            with time_limit(min(left, most)):
                yield
        except OutOfTime:
            own = f"it took longer than its {most:g} s, and was left there"
            raise OutOfTime(own if most < left else self._over) from None
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + own_time() - begun


def own_time() -> float:
    """Seconds of a clock that rests while this thread waits for a processor; elsewhere than on
    Linux it never rests.
    """
    try:
        with open(SCHEDULED, encoding="ascii") as file:
            waited = int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        waited = 0.0
    return time.monotonic() - waited


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` in the block after so many seconds of `own_time`."""
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    ends = own_time() + seconds

    def over(*_: Any) -> None:
        left = ends - own_time()
        if left <= 0:
            raise OutOfTime
        signal.setitimer(signal.ITIMER_REAL, max(left, SOON))

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
