"""Writing files so that a kill or a power cut leaves the old file or the new one, never a half."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from search.errors import RunError, broken_rule


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A whole file or nothing: what the block writes into a fresh file goes to the disk, and only
    then takes the place of the one that is there.

    Raises OSError, which names the file; a part of it does not stay to fill the disk.
    """
    fresh = fresh_file(path)
    try:
        with fresh.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or nothing, as `replacing` does."""
    with replacing(path) as file:
        file.write(text.encode())


def fresh_file(path: Path) -> Path:
    """Where a file is written before it is renamed into place.

    A link that stands there is removed: in a folder from elsewhere it may lead to any file.
    """
    fresh = path.with_name(f"{path.name}.new")
    if fresh.is_symlink():
        fresh.unlink()
    return fresh


def append(path: Path, data: bytes) -> None:
    """Appends the data and makes it durable. Raises OSError where a link stands."""
    with os.fdopen(open_to_add(path), "ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def open_to_add(path: Path) -> int:
    """A descriptor of a file that is added to or cut.

    Raises OSError where a link stands: in a folder from elsewhere it may lead to any file.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)


class LineFile:
    """A file that is only added to: lines are gathered, and written together.

    Those that the system refuses are dropped: written again, they might begin within a line.
    """

    def __init__(self, path: Path, *, size: int) -> None:
        """Opens or creates the file; of an earlier one the first `size` bytes stay."""
        self._path, self._gathered = path, bytearray()
        self._file = open_to_add(path)
        os.ftruncate(self._file, size)

    def add(self, line: bytes) -> None:
        """Gathers a line."""
        self._gathered += line

    def flush(self) -> None:
        """What was gathered survives a kill from now on. Raises OSError when the disk is full."""
        data, self._gathered = bytes(self._gathered), bytearray()
        try:
            while data:  # what is left after a part was written tells why
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path.name) from error

    def put_back(self) -> str:
        """Writes the file again where somebody has removed or moved it, and says so in words.

        What is open outlives its name, so nothing is lost. Empty where the file stands.

        Raises:
            RunError: another file stands there; what this one holds is kept beside it.
        """
        if is_at(self._file, self._path):
            return ""
        self.flush()
        taken = self._path.exists()
        place = self._path.with_name(f"{self._path.name}.kept") if taken else self._path
        write_text(place, os.pread(self._file, os.fstat(self._file).st_size, 0).decode())
        if taken:
            raise RunError(
                broken_rule(
                    str(self._path),
                    rule="must be written by its search alone while that runs",
                    got="another file in its place",
                    remedy=f"the records are in {place.name}: rename it to {self._path.name}, and "
                    "give the same command again",
                ),
                code="file-was-replaced",
            )
        os.close(self._file)
        self._file = open_to_add(self._path)
        return f"{self._path.name} was removed while the search runs; it is written again, whole"

    def sync(self) -> None:
        """What was gathered survives a power cut, too."""
        self.flush()
        os.fsync(self._file)

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        self.flush()
        os.close(self._file)


def is_at(file: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
