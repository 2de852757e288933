"""Does a running search's folder still stand, or has somebody removed, moved or replaced its files,
or those of its data?

What was written to a file without a name is lost with the process, so this is asked every second
and not at the end.
"""

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from stat import S_ISDIR
from typing import Any

from search.contract.fingerprint import changed_files, file_hash
from search.errors import RunError, SearchError, broken_rule
from search.storage.code_record import CodeRecord
from search.storage.curves import CurveLog
from search.storage.folder import Folder
from search.storage.trials import TrialRecord

EVERY = 1.0  # time between two looks [s]
SHARE = 0.05  # of the time, at most, that looks at the data take


class FolderGone(SearchError):
    """The search's folder is no longer there: no RunError, after which its tables are written."""


class Standing:
    """Looks after the files of a search that runs."""

    def __init__(
        self, folder: Folder, curves: CurveLog, *, data: Mapping[str, str] | None = None
    ) -> None:
        """`data`: hashes of files and folders that the user's trainer reads."""
        self._folder, self._curves, self._data = folder, curves, data or {}
        kept = (folder.config, folder.contract, folder.split)
        self._kept = [path for path in kept if path.exists()]
        self._inodes: dict[Path, int] = {}
        self._next, self._next_data = time.monotonic() + EVERY, 0.0

    def look(self, *, now: bool = False) -> list[str]:
        """Puts back what only this process still has; what it did, in words.

        `now`: also where a second has not passed since the last look.

        Raises:
            FolderGone: files that it does not hold are gone, such as config.yaml.
            RunError: another file stands where it or a worker writes, or another process may
                write, too.
        """
        if time.monotonic() < self._next and not now:
            return []
        self._next = time.monotonic() + EVERY
        self.check()
        places = {
            self._folder.checkpoints: "trials that had ended have no weights any more",
            self._folder.logs: "what trials printed until now is lost",
        }
        done = [self._folder.storage().put_back(), self._curves.put_back()]
        done += [self._missed(path, lost) for path, lost in places.items()]
        return [text for text in done if text]

    def check_data(self, unfinished: Collection[TrialRecord], *, now: bool = True) -> None:
        """Are the data what they were at the start? The unfinished trials begin anew if not, as
        nobody knows what they have read.

        `now`: also where looking, at folders of many files, has just taken its share of the time.

        Raises:
            RunError: somebody has written them while the search runs.
        """
        began = time.monotonic()
        if not self._data or (began < self._next_data and not now):
            return
        changed = changed_files(self._data)
        ended = time.monotonic()
        self._next_data = ended + (ended - began) / SHARE
        if not changed:
            return
        CodeRecord(self._folder.path).spoil([row.spec.trial for row in unfinished])
        text = broken_rule(
            "the data",
            rule="stay as they are while a search runs, or its trials are of different data",
            got=f"another content of {', '.join(changed)}",
            remedy="put back what was there and give the same command again, or say name=… for a "
            f"search of the new data; its {len(unfinished)} unfinished trials begin anew",
        )
        raise RunError(text, code="data-changed-meanwhile")

    def _missed(self, path: Path, lost: str) -> str:
        """That a folder which was there is not, or is another one, told once; workers make it anew.

        Raises:
            RunError: a file stands in its place, so that every trial would fail.
        """
        try:
            now = path.stat()
        except FileNotFoundError:
            return _removed(path, lost) if self._inodes.pop(path, 0) else ""
        if not S_ISDIR(now.st_mode):
            text = broken_rule(
                str(path),
                rule="must be a folder",
                got="a file",
                remedy="remove it, and give the same command again",
            )
            raise RunError(text, code="folder-was-replaced")
        was, self._inodes[path] = self._inodes.get(path, now.st_ino), now.st_ino
        return _removed(path, lost) if was != now.st_ino else ""

    def check(self) -> None:
        """Is what is not held open still in its place?

        Raises:
            FolderGone, RunError: as `look`.
        """
        folder = self._folder
        gone = [path.name for path in self._kept if not path.exists()]
        if gone:
            text = broken_rule(
                str(folder.path),
                rule="must stay in its place, with its files, while its search runs",
                got=f"no {', '.join(gone)} there any more",
                remedy="put back what was removed or moved, and give the same command again",
            )
            raise FolderGone(text, code="search-folder-was-removed")
        if not folder.lock.in_place():
            text = broken_rule(
                str(folder.path / "lock"),
                rule="must stay while its search runs: it alone keeps a second one away",
                got="no such file any more, or another one",
                remedy="give the same command again; a lock needs no removal, since it ends with "
                "its process",
            )
            raise RunError(text, code="search-lock-was-removed")


def watched_files(data: Mapping[str, Any], *, labels: str | None) -> dict[str, str]:
    """Hashes of what a search's trainer reads: `data.files` of a contract, and `data.labels`, which
    it may read by itself, too.
    """
    own = {labels: file_hash(Path(labels))} if labels and "labels" in data else {}
    return {**data.get("files", {}), **own}


def _removed(path: Path, lost: str) -> str:
    return f"{path.name}/ was removed while the search runs: {lost}"
