"""Imports that take long, made faster: the garbage collector rests meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quick_imports() -> Iterator[None]:
    """Imports in this block are never looked through by the garbage collector, now or at exit.

    Modules stay until the process ends, so looking for garbage in them is work for nothing: about a
    seventh of the time of the imports, and once more at exit. A collector that was off stays off.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
