"""By which data and contracts are recognised: hashes, and constants but for rounding."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import refused

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


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise refused(
            "data.files",
            code="data-file-not-readable",
            rule="must be readable",
            got=str(error),
            remedy="mend the path",
        ) from error
