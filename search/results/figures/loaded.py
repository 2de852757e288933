"""Matplotlib, imported whatever MPLBACKEND and HOME say: no figure here needs a backend."""

import logging
import os
import sys
from contextlib import suppress

BACKEND = "MPLBACKEND"


def _import() -> None:
    """An unknown backend would end the import; a home that may not be written is no news."""
    backend = None if "matplotlib" in sys.modules else os.environ.pop(BACKEND, None)
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(max(level, logging.ERROR))
    import matplotlib.figure  # and with it its fonts, which may be new to this machine

    log.setLevel(level)
    if backend is not None:
        os.environ[BACKEND] = backend  # a known one stays the user's
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


_import()
