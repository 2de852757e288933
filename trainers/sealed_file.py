"""A file that is whole or not there: written aside, synced, renamed; checked when it is read."""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

SEAL = struct.Struct("<8sI")  # at the end of a sealed file: MAGIC and the checksum of the rest
MAGIC = b"knobwise"


class DamagedFile(Exception):
    """The file's checksum does not match its content."""


def write(path: Path, data: bytes, *, sealed: bool) -> None:
    """Writes the file; it is on the disk when this returns.

    `sealed`: whether a checksum is added; other programs could not read such a file.

    Raises:
        OSError: the disk refuses it; an older file stays as it is.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            if sealed:
                file.write(SEAL.pack(MAGIC, zlib.crc32(data)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)  # a full disk needs the space
        raise
    _sync_folder(path.parent)


def read(path: Path) -> bytes | None:
    """The data of a file, without its checksum; None where there is no file.

    Raises:
        DamagedFile: its checksum does not match. A file without one is taken as it is.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(content) < SEAL.size:
        return content
    magic, checksum = SEAL.unpack_from(content, len(content) - SEAL.size)
    if magic != MAGIC:
        return content
    data = content[: -SEAL.size]
    if zlib.crc32(data) != checksum:
        raise DamagedFile(f"{path}: its checksum does not match")
    return data


def _sync_folder(folder: Path) -> None:
    """A new name is durable only once its folder has been synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
