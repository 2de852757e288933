"""Files of arrays: whether one is there, and what an .npz file holds."""

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from trainers.data import broken


def check_is_file(path: Path) -> None:
    """Raises DataError: nothing lies at the path that `data.path` names, or no file."""
    if not path.is_file():
        raise broken(
            "data.path",
            rule="must be a file",
            got=f"{path}, where there is none",
            remedy="mend the path",
        )


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file by name; nothing is unpickled.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no such file, or damaged.
    """
    try:
        # Given a path, np.load leaves the file open where it is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays.items())
    except (AttributeError, TypeError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(str(error)) from error
