"""By which data and contracts are recognised: hashes, and constants but for rounding."""

import hashlib
import math
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import UsageError, refused, shortened

ROUNDING = 1e-9  # difference of two constants up to which they are one


def fingerprint(*arrays: NDArray[Any]) -> str:
    """SHA-256 over dtype, shape and content of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        plain = array.astype(str) if array.dtype.kind == "O" else array
        digest.update(f"{plain.dtype.str}{plain.shape}".encode())
        digest.update(
            np.ascontiguousarray(plain).view(np.uint8).data
            if plain.dtype.kind in "mM"
            else np.ascontiguousarray(plain).data
        )
    return digest.hexdigest()


def is_same(one: object, other: object) -> bool:
    """Whether two parts of contracts are the same; another machine or library may round a mean or a
    scale otherwise in its last digits.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)
    return one == other


def difference(there: object, here: object) -> str:
    """How a part of a contract differs; of lists of one length only the first place that does."""
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = enumerate(zip(there, here, strict=True))
        place = next((i for i, (one, other) in pairs if not is_same(one, other)), 0)
        return f"[{place}]: {there[place]} there, {here[place]} now"
    return f": {shortened(str(there))} there, {shortened(str(here))} now"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, or of the names and contents of all files in a folder. A second
    call reads them again only where one was written since.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        path = path.absolute()
        if path.is_dir():
            return _hashed_folder(tuple((each, _stamp(each)) for each in _files_in(path)), path)
        return _hashed(path, _stamp(path))
    except OSError as error:
        raise refused(
            "data.files",
            code="data-file-not-readable",
            rule="must be readable",
            got=str(error),
            remedy="mend the path",
        ) from error


def changed_files(files: Mapping[str, str]) -> list[str]:
    """Which files, of those with their hashes, have another content now or cannot be read."""
    changed = []
    for path, digest in files.items():
        try:
            is_same_file = file_hash(Path(path)) == digest
        except UsageError:
            is_same_file = False
        if not is_same_file:
            changed.append(path)
    return changed


def _stamp(path: Path) -> tuple[int, int, int]:
    """What differs where somebody wrote a file anew."""
    now = path.stat()
    return now.st_ino, now.st_size, now.st_mtime_ns


def _files_in(folder: Path) -> list[Path]:
    """All files below a folder, in an order that no file system decides."""
    return sorted(Path(where, name) for where, _, names in os.walk(folder) for name in names)


@lru_cache(maxsize=8)
def _hashed_folder(files: tuple[tuple[Path, tuple[int, int, int]], ...], folder: Path) -> str:
    """The hash of a folder's files, each with its stamp."""
    lines = (f"{path.relative_to(folder)}\0{_hashed(path, stamp)}\n" for path, stamp in files)
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


@lru_cache(maxsize=1024)
def _hashed(path: Path, stamp: tuple[int, int, int]) -> str:
    """The hash of a file with this stamp."""
    return file_digest(path)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
