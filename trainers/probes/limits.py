"""An end to whatever takes too long, also inside of a user's code.

By the clocks of the process: of its main thread only, and not on Windows; elsewhere nothing ends.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class OutOfTime(BaseException):  # no error; no `except Exception` of a user's loop may swallow it
    """The time that was given is over."""


@contextmanager
def time_limit(seconds: float, *, of_processor: bool = False) -> Iterator[None]:
    """Raises `OutOfTime` in the block after so many seconds.

    `of_processor`: of the process's own time, which does not run while others have the machine.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def over(*_: Any) -> None:
        raise OutOfTime

    clock, number = (
        (signal.ITIMER_PROF, signal.SIGPROF)
        if of_processor
        else (signal.ITIMER_REAL, signal.SIGALRM)
    )
    before = signal.signal(number, over)
    signal.setitimer(clock, seconds)
    try:
        yield
    finally:
        signal.setitimer(clock, 0)
        signal.signal(number, before)
