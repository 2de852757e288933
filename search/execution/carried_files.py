"""Files of workers whose nodes do not share the folder of the search (`placement.shared=false`).

The conductor's end: it gives out the rows and what a trial needs to go on, and takes checkpoints,
weights, further files and logs. A worker reaches the files of its own trials only.
"""

from collections.abc import Collection
from pathlib import Path

from search.execution.file_chunks import PART, files_below, read_chunk, remove_file, write_chunk
from search.execution.messages import (
    ChunkWanted,
    FileChunk,
    FileRemoved,
    FilesListed,
    FilesWanted,
    LogWritten,
    MessageError,
)
from search.storage.logs import TrialLogs

ROWS = "arrays"
OF_TRIALS = ("checkpoints", "files")  # folders that hold a folder per trial
LOGS = "logs"

FileMessage = FilesWanted | ChunkWanted | FileChunk | FileRemoved | LogWritten


def places_of(trial: int) -> list[str]:
    """The folders of a trial: its checkpoints, and what else its trainer writes."""
    return [f"{place}/{trial}" for place in OF_TRIALS]


class CarriedFiles:
    """The files of a search. `folder`: of the search; `logs`: its logs."""

    def __init__(self, folder: Path, *, logs: TrialLogs) -> None:
        self._folder, self._logs = folder, logs

    def reply(
        self, message: FileMessage, *, trials: Collection[int], log: str
    ) -> FilesListed | FileChunk | None:
        """The answer to a worker.

        Args:
            trials: that it trains.
            log: its own log's name.

        Raises:
            MessageError: the files are not the worker's, or a piece is damaged.
        """
        match message:
            case FilesWanted():
                self._check(message.place, trials, or_rows=True)
                for left in (self._folder / message.place).rglob(f"*{PART}"):
                    left.unlink()  # of an attempt that was killed
                return FilesListed(files=files_below(self._folder, message.place))
            case ChunkWanted():
                self._check(message.path, trials, or_rows=True)
                return read_chunk(self._folder, message.path, offset=message.offset)
            case FileChunk():
                self._check(message.path, trials)
                write_chunk(self._folder, message)
            case FileRemoved():
                self._check(message.path, trials)
                remove_file(self._folder, message.path)
            case LogWritten():
                if message.name not in [log, *(f"{trial}.log" for trial in trials)]:
                    raise MessageError(f"{message.name!r} is no log of this worker")
                self._logs.append(message.name, message.text)
        return None

    def _check(self, path: str, trials: Collection[int], *, or_rows: bool = False) -> None:
        """Raises MessageError: a path lies elsewhere than the worker's files."""
        mine = [place for trial in trials for place in places_of(trial)]
        allowed = [*mine, ROWS] if or_rows else mine
        if not any(path == place or path.startswith(f"{place}/") for place in allowed):
            raise MessageError(f"{path!r} is no file of this worker's trials")
