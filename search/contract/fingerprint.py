"""By which data are recognised: hashes of arrays and of files."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import refused


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
            "data.files", rule="must be readable", got=str(error), remedy="mend the path"
        ) from error
