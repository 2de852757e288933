"""The lock by which one conductor holds a search's folder.

The kernel releases the lock when its holder dies, so no lock is ever stale.
"""

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from search.config.passwords import redacted
from search.errors import refused
from search.storage.files import is_at

ATTEMPTS = 10  # to take a lock that a conductor has, 10 ms apart: it may just be ending
LOOKS = 3000  # the same, while it has none: `is_held` holds the lock, for long on a busy machine


class FolderLock:
    """A lock file, which also names its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the lock.

        Raises:
            UsageError: another process holds it; it is named. Or the file system keeps no locks.
        """
        # Its content is replaced, so no link is followed: one from elsewhere may lead to any file.
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            if not self._acquire(file):
                raise refused(
                    str(self._path.parent),
                    code="search-has-conductor",
                    rule="one conductor per search",
                    got=f"a second beside {self._holder()}",
                    remedy="wait for it or stop it",
                )
            holder = {
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": datetime.now().astimezone().isoformat(timespec="seconds"),
                "command": redacted(" ".join(sys.argv[1:])),
            }
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(holder).encode(), 0)
            self._file = file
            try:
                yield
            finally:
                self._file = None
                os.ftruncate(file, 0)
        finally:
            os.close(file)

    def is_held(self) -> bool:
        """True if a process holds the lock now."""
        if not self._path.exists():
            return False
        with self._path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except OSError:  # of a file system without locks, where nobody holds one
                return False
        return False

    def in_place(self) -> bool:
        """False if this process holds the lock of a file that is no longer there, beside which
        another process may take a new one.
        """
        return self._file is None or is_at(self._file, self._path)

    def started(self) -> datetime | None:
        """When the last holder took the lock; None if it has given it back.

        Where `is_held` is false, that holder died.
        """
        try:
            return datetime.fromisoformat(self._written()["started"])
        except (ValueError, TypeError, KeyError):
            return None

    def elsewhere(self) -> str:
        """A conductor on another machine that has not said that it ended, in words, and what that
        means here; empty where there is none.

        Locks do not reach every machine: not one that has a copy of the folder, nor through some
        network file systems.
        """
        if self._written().get("host") in (None, socket.gethostname()) or self.is_held():
            return ""
        return (
            f"{self._holder()}, has not said that it ended: whether it still runs there cannot be "
            "seen from here"
        )

    def _acquire(self, file: int) -> bool:
        held = 0
        for _ in range(LOOKS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                held += self.is_held()
                if held == ATTEMPTS:
                    break
                time.sleep(0.01)
            except OSError as error:
                raise refused(
                    str(self._path.parent),
                    code="folder-takes-no-locks",
                    rule="must lie where files can be locked, so that one conductor has the search",
                    got=f"{error.strerror} from flock",
                    remedy="choose another results_root=, or mount it with locks, as Lustre with "
                    "the option flock",
                ) from error
        return False

    def _holder(self) -> str:
        """The holder in words; it may not have written its name yet."""
        holder = self._written()
        if not {"pid", "host", "started"} <= holder.keys():
            return "one that is just starting"
        return f"process {holder['pid']} on {holder['host']}, started {holder['started']}"

    def _written(self) -> dict[str, Any]:
        """What the last holder has written; empty where that cannot be read."""
        with suppress(OSError, ValueError):
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return content if isinstance(content, dict) else {}
        return {}
