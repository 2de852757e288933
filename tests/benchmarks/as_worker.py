"""A benchmark in the environment that workers get: it begins anew with it, since the C library reads its part at the start."""

import os
import sys

from search.execution.slots import KEPT, STEADY

WORKERS = {"OMP_NUM_THREADS": "1", **STEADY, **KEPT}


def as_worker() -> None:
    """Does nothing where the environment is the one already."""
    if any(os.environ.get(name) != value for name, value in WORKERS.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **WORKERS})
