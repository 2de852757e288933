"""The folder of a worker's own on a node, and the removal of what killed workers left.

A folder is locked by the process that made it. The lock ends with that process, however it ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from search.execution.worker.node_rows import PREFIX as ROWS

PREFIX = "knobwise-worker-"  # begins the names of these folders


@contextmanager
def worker_folder() -> Iterator[str]:
    """A new folder in the node's temporary folder, removed after the block."""
    folder, lock = _make_locked()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_abandoned() -> None:
    """Removes folders and rows of processes that have ended without doing so."""
    folders = Path(tempfile.gettempdir())
    for folder in [*folders.glob(f"{PREFIX}*"), *folders.glob(f"{ROWS}*")]:
        with suppress(OSError):  # it is in use, another user's, or being removed
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _make_locked() -> tuple[str, int]:
    while True:
        folder = tempfile.mkdtemp(prefix=PREFIX)
        # Before it is locked, another process may take it for abandoned.
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.isdir(folder):
                return folder, lock
            os.close(lock)
