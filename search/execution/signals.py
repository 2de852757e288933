"""SIGINT, SIGTERM and SIGHUP while a search runs: it decides itself how to end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While the block runs, `handler` gets the signals; then the earlier handlers do again."""
    earlier = {number: signal.signal(number, handler) for number in NUMBERS}
    try:
        yield
    finally:
        for number, former in earlier.items():
            signal.signal(number, former)
