"""How the files of a worker's trials reach the search: they lie there already, or they travel."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from search.contract.arrays import STAMP
from search.execution.carried_files import LOGS, ROWS, places_of
from search.execution.file_chunks import files_below, read_chunk, write_chunk
from search.execution.link import Link
from search.execution.messages import (
    ChunkWanted,
    FileChunk,
    FileRemoved,
    FilesListed,
    FilesWanted,
    LogWritten,
)
from search.execution.worker.conductor_channel import ConductorChannel, expected
from search.execution.worker.node_rows import rows_of_node

Stamp = tuple[int, int]  # a file's size [bytes] and time of change [ns]


class TrialFiles:
    """Files between a worker and the search; here its folder is the search's: nothing travels."""

    def fetch(self, trial: int) -> None:
        """Gets what an earlier attempt of the trial has left."""

    def send(self, trials: Iterable[int], *, ended: bool = False) -> None:
        """Brings what has changed of the trials' files to the search.

        `ended`: whether they leave; until then a change of a trial's checkpoint is waited for.
        """

    def send_logs(self) -> None:
        """Brings what has been printed to the search."""


class SentFiles(TrialFiles):
    """Files travel in messages. `folder`: the worker's own, which nobody else sees."""

    def __init__(self, link: Link, *, folder: Path) -> None:
        self._conductor, self._folder = ConductorChannel(link), folder
        self._sent: dict[str, Stamp] = {}  # what the search has, by path
        self._logged: dict[str, int] = {}  # by log, how much of it the search has [bytes]
        (folder / LOGS).mkdir(exist_ok=True)

    def fetch_rows(self) -> None:
        """Gets the train and validation rows: from another worker of the node, if it has them."""
        listed = expected(self._conductor.ask(FilesWanted(place=ROWS)), FilesListed)
        stamp = f"{ROWS}/{STAMP}"
        folder = None
        if stamp in listed.files:
            chunk = expected(self._conductor.ask(ChunkWanted(path=stamp, offset=0)), FileChunk)
            key = hashlib.sha256(chunk.data + repr(sorted(listed.files.items())).encode())

            def fetch(folder: Path) -> None:
                self._fetch_files(listed.files, folder)

            folder = rows_of_node(key.hexdigest(), fetch=fetch)
        if folder is None:
            self._fetch_files(listed.files, self._folder)
        else:
            (self._folder / ROWS).symlink_to(folder / ROWS, target_is_directory=True)

    def fetch(self, trial: int) -> None:
        """As of `TrialFiles`."""
        for place in places_of(trial):
            shutil.rmtree(self._folder / place, ignore_errors=True)
            for path in self._known(place):
                del self._sent[path]
            self._fetch(place)

    def send(self, trials: Iterable[int], *, ended: bool = False) -> None:
        """As of `TrialFiles`. The crash checkpoint comes last, since it relies on the others."""
        for checkpoints, others in map(places_of, trials):
            if ended or self._stamps(checkpoints) != self._known(checkpoints):
                self._send_place(others)
                self._send_place(checkpoints)
        if ended:
            self.send_logs()

    def send_logs(self) -> None:
        """As of `TrialFiles`."""
        for path in files_below(self._folder, LOGS):
            name = path.removeprefix(f"{LOGS}/")
            with (self._folder / path).open("rb") as file:
                file.seek(self._logged.get(name, 0))
                while text := file.read(2**20):
                    self._conductor.tell(LogWritten(name=name, text=text))
                self._logged[name] = file.tell()

    def _fetch(self, place: str) -> None:
        listed = expected(self._conductor.ask(FilesWanted(place=place)), FilesListed)
        self._fetch_files(listed.files, self._folder)
        self._sent |= self._stamps(place)

    def _fetch_files(self, paths: Iterable[str], folder: Path) -> None:
        """Gets files of the search, each to the same path in a folder of this node."""
        for path in paths:
            offset, complete = 0, False
            while not complete:
                wanted = ChunkWanted(path=path, offset=offset)
                chunk = expected(self._conductor.ask(wanted), FileChunk)
                complete = write_chunk(folder, chunk)
                offset += len(chunk.data)

    def _send_place(self, place: str) -> None:
        stamps, known = self._stamps(place), self._known(place)
        for path in sorted(stamps, key=lambda path: stamps[path][1]):
            if stamps[path] != known.get(path):
                self._send_file(path)
                self._sent[path] = stamps[path]
        for path in known.keys() - stamps.keys():
            self._conductor.tell(FileRemoved(path=path))
            del self._sent[path]

    def _send_file(self, path: str) -> None:
        offset, size = 0, 1
        while offset < size:
            chunk = read_chunk(self._folder, path, offset=offset)
            self._conductor.tell(chunk)
            offset, size = offset + len(chunk.data), chunk.size

    def _stamps(self, place: str) -> dict[str, Stamp]:
        """The complete files of a place, as they are now."""
        stamps = {}
        for path in files_below(self._folder, place):
            status = os.stat(self._folder / path)
            stamps[path] = (status.st_size, status.st_mtime_ns)
        return stamps

    def _known(self, place: str) -> dict[str, Stamp]:
        return {p: stamp for p, stamp in self._sent.items() if p.startswith(f"{place}/")}
