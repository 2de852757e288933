"""By which data and contracts are recognised: hashes, and constants but for rounding."""

import hashlib
import math
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
            if plain.dtype.kind == "M"
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
    """SHA-256 of a file's content. A second call reads it again only where it was written since.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        now = path.stat()
        return _hashed(path.absolute(), (now.st_ino, now.st_size, now.st_mtime_ns))
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


@lru_cache(maxsize=1024)
def _hashed(path: Path, stamp: tuple[int, int, int]) -> str:
    """The hash of a file; `stamp`: what differs where somebody wrote it anew."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
