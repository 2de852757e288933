"""SIGINT, SIGTERM and SIGHUP while a search runs: it decides itself how to end.

A signal that is ignored already stays ignored: `nohup` does so with SIGHUP, so that the program
outlives its terminal, and a shell's script with the SIGINT of what it starts in the background.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While the block runs, `handler` gets the signals; then the earlier handlers do again."""
    heard = [number for number in NUMBERS if signal.getsignal(number) != signal.SIG_IGN]
    earlier = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, former in earlier.items():
            signal.signal(number, former)
