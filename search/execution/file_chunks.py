"""Files in pieces, as they travel between nodes that share no folder: read, checked, put together.

Each piece has a checksum of its own, so damage on the way is noticed before anything is replaced.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

from search.execution.messages import FileChunk, MessageError

CHUNK = 2**20  # size of a piece [bytes]
LARGEST = 16 * 2**30  # size of a file that travels [bytes]
PART = ".part"  # ends the name of a file that is not complete yet


def _checked_path(path: str) -> PurePosixPath:
    """A path below the folder of a search.

    Raises:
        MessageError: it leads elsewhere.
    """
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\0" in path:
        raise MessageError(f"{path!r} is no path within the folder of the search")
    return parts


def read_chunk(folder: Path, path: str, *, offset: int) -> FileChunk:
    """A piece of a file, from a place on [bytes].

    Raises:
        MessageError: there is no such file, or it is too large.
    """
    try:
        with (folder / _checked_path(path)).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset)
            data = file.read(CHUNK)
    except OSError as error:
        raise MessageError(f"{path} cannot be read: {error.strerror}") from error
    if size > LARGEST:
        raise MessageError(f"{path} has {size} bytes, but at most {LARGEST} travel")
    return FileChunk(path=path, offset=offset, size=size, data=data, digest=_digest(data))


def write_chunk(folder: Path, chunk: FileChunk) -> bool:
    """Adds a piece to a file; True if the file is complete, and in its place.

    Raises:
        MessageError: the piece is damaged, too large, or not the next one.
        OSError: the disk refuses it.
    """
    target = folder / _checked_path(chunk.path)
    part = target.with_name(target.name + PART)
    end = chunk.offset + len(chunk.data)
    if _digest(chunk.data) != chunk.digest:
        raise MessageError(f"a piece of {chunk.path} was damaged on its way")
    if not 0 <= end <= chunk.size <= LARGEST or (not chunk.data and chunk.size):
        raise MessageError(f"{chunk.path}: a piece of {len(chunk.data)} bytes does not fit")
    target.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb" if chunk.offset == 0 else "ab") as file:
        if file.tell() != chunk.offset:
            raise MessageError(f"{chunk.path}: a piece is missing before byte {chunk.offset}")
        file.write(chunk.data)
        if end < chunk.size:
            return False
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, target)
    return True


def remove_file(folder: Path, path: str) -> None:
    """Removes a file, where it is there, and its folder where that is empty then."""
    target = folder / _checked_path(path)
    target.unlink(missing_ok=True)
    with suppress(OSError):  # other files lie there
        target.parent.rmdir()


def files_below(folder: Path, place: str) -> dict[str, int]:
    """All complete files below a place in a folder: their paths and sizes [bytes]."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted((folder / _checked_path(place)).rglob("*"))
        if path.is_file() and path.suffix not in (PART, ".new")
    }


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
