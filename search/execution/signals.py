"""SIGINT, SIGTERM and SIGHUP while a search runs: it decides itself how to end.

A signal that is ignored already stays ignored: `nohup` does so with SIGHUP, so that the program
outlives its terminal, and a shell's script with the SIGINT of what it starts in the background.
"""

import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While the block runs, `handler` gets the signals; then the earlier handlers do again."""
    heard = [number for number in NUMBERS if signal.getsignal(number) != signal.SIG_IGN]

    def hear(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_closed_terminal()
        handler(number, frame)

    earlier = {number: signal.signal(number, hear) for number in heard}
    try:
        yield
    finally:
        for number, former in earlier.items():
            signal.signal(number, former)


def _leave_closed_terminal() -> None:
    """What is printed from now on goes nowhere if the terminal is closed: no line that it refuses
    then keeps the search from ending in order.
    """
    for output in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(output).st_mode) and not os.isatty(output):
                os.dup2(os.open(os.devnull, os.O_WRONLY), output)
