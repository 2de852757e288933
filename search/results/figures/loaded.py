"""Matplotlib, imported whatever MPLBACKEND says: no figure here needs a backend."""

import os
import sys
from contextlib import suppress

BACKEND = "MPLBACKEND"


def _import() -> None:
    """An unknown backend would end the import; a known one stays the user's."""
    backend = None if "matplotlib" in sys.modules else os.environ.pop(BACKEND, None)
    import matplotlib

    if backend is not None:
        os.environ[BACKEND] = backend
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


_import()
