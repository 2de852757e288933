"""Rows that workers of one node share where nodes do not share the search's folder: fetched once.

They lie in the node's temporary folder, under a name that tells user and contents. Each worker that
uses them holds a lock, which ends with it; `remove_abandoned` removes what nobody holds.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PREFIX = "knobwise-rows-"  # begins the names of the rows' folders
COMPLETE = "complete"  # file that says that all rows are there
WAIT = 60.0  # time for another worker to fetch the rows [s]


def rows_of_node(key: str, *, fetch: Callable[[Path], None]) -> Path | None:
    """A folder with the rows, for as long as this process lives.

    Args:
        key: of the rows' contents.
        fetch: puts the rows into a folder; called if no other worker of the node has them.

    Returns:
        The folder; None where another user has taken its name, or another worker takes too long.
    """
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{os.getuid()}-{key}"
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:  # it has just been removed
            continue
        except OSError:
            return None
        if os.fstat(lock).st_uid != os.getuid():
            os.close(lock)
            return None
        try:
            if _is_held(lock, folder) or _has_fetched(lock, folder, fetch):
                return folder
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        time.sleep(0.05)
    return None


def _is_held(lock: int, folder: Path) -> bool:
    """Whether the rows are there and this process has a share of their lock."""
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return (folder / COMPLETE).exists()
    return False


def _has_fetched(lock: int, folder: Path, fetch: Callable[[Path], None]) -> bool:
    """Fetches the rows if nobody else does; whether this process has a share of their lock then."""
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(lock), folder.stat()):
            return False
        for left in folder.iterdir():  # of a worker that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        fetch(folder)
        (folder / COMPLETE).touch()
        return _is_held(lock, folder)
    return False
