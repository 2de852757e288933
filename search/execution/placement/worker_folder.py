"""The folder of a worker's own on a node, and the removal of those that killed processes left.

A folder is locked by the process that made it. The lock ends with that process, however it ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

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
    """Removes the folders of processes that have ended without doing so."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
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
