"""Every opening of a sealed test set: one ledger per data set and test rows, in the results root.

All searches of a results root share it, so that rows which one search has opened are not sealed for
the next. Each search keeps its own share as `test_ledger.jsonl`.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from search.contract.arrays import hash_of
from search.errors import refused
from search.storage.files import append, write_text
from search.storage.folder import Folder
from search.storage.sealed import DamagedLine, json_lines, read_line, seal_line

Opening = dict[str, Any]
DIGITS = 16  # of the hash in the file's name


class Ledger:
    """The openings of the test rows of a search's contract, by whichever search."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        rows = hash_of({"test": folder.load_split()["test"]})
        data = json.dumps(folder.load_contract()["data"], sort_keys=True)
        key = hashlib.sha256(f"{data} {rows}".encode()).hexdigest()[:DIGITS]
        self.path = folder.path.parent / f"test_ledger-{key}.jsonl"

    def openings(self) -> list[Opening]:
        """All openings so far, those of this search from before there was a shared ledger included.

        Raises:
            UsageError: a line is damaged.
        """
        shared, own = _read(self.path), _read(self._folder.ledger)
        known = {_key(opening) for opening in shared}
        name = self._folder.path.name
        return [
            {"search": name, **opening} for opening in own if _key(opening) not in known
        ] + shared

    def begin(self, record: Mapping[str, Any]) -> Opening:
        """Writes an opening down, without a score yet: before the rows are shown to any code."""
        with self._locked():
            number = len(self.openings()) + 1
            now = datetime.now().astimezone().isoformat(timespec="microseconds")
            opening = {"when": now, "search": self._folder.path.name, **record}
            opening |= {"score": None, "opening": number}
            for path in (self.path, self._folder.ledger):
                append(path, seal_line(opening))
        return opening

    def finish(self, opening: Opening, *, score: float) -> None:
        """Adds its score."""
        with self._locked():
            for path in (self.path, self._folder.ledger):
                lines = [
                    {**line, "score": score} if _key(line) == _key(opening) else line
                    for line in _read(path)
                ]
                write_text(path, json_lines(lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """No two tests count at once; the kernel gives the lock back when its holder dies."""
        with self.path.with_name(f".{self.path.stem}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _key(opening: Mapping[str, Any]) -> tuple[Any, ...]:
    return opening.get("when"), opening.get("config"), opening.get("opening")


def _read(path: Path) -> list[Opening]:
    openings: list[Opening] = []
    if not path.exists():
        return openings
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            openings.append(read_line(line))
        except DamagedLine as error:
            raise refused(
                f"{path}:{number}",
                code="ledger-line-damaged",
                rule="a ledger has one opening per line, as JSON",
                got=f"{error}",
                remedy="restore it: without it nobody knows how often the test set was opened",
            ) from error
    return openings
