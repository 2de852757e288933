"""SIGINT, SIGTERM and SIGHUP while a search runs: it decides itself how to end.

A signal that is ignored already stays ignored: `nohup` does so with SIGHUP, so that the program
outlives its terminal, and a shell's script with the SIGINT of what it starts in the background.
"""

import os
import signal
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
NUMBERS = tuple(filter(None, (signal.SIGINT, signal.SIGTERM, HANGUP)))
_former: list[dict[signal.Signals, Any]] = []  # handlers to give back, of the outermost block first


@contextmanager
def signals_handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While the block runs, `handler` gets the signals; then the earlier handlers do again.

    A process that the block forks has the earlier handlers at once: SIGTERM ends it, as the workers
    of a user's `multiprocessing.Pool`, which would print an error each.
    """
    heard = [number for number in NUMBERS if signal.getsignal(number) != signal.SIG_IGN]

    def hear(number: int, frame: FrameType | None) -> None:
        if number == HANGUP:
            _leave_closed_terminal()
        handler(number, frame)

    own = os.getpid()
    _former.append({number: signal.signal(number, hear) for number in heard})
    try:
        yield
    finally:
        if os.getpid() == own:  # else a fork has them back already
            _give_back(_former.pop())


def _give_back(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _in_fork() -> None:
    while _former:
        _give_back(_former.pop())


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_fork)


def _leave_closed_terminal() -> None:
    """What is printed from now on goes nowhere if the terminal is closed: no line that it refuses
    then keeps the search from ending in order.
    """
    for output in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(output).st_mode) and not os.isatty(output):
                os.dup2(os.open(os.devnull, os.O_WRONLY), output)
