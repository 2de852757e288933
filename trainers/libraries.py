"""Which files are a library's, and which the user's: the one answer for whoever asks."""

import os
import sysconfig
from pathlib import Path

PLACES = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
# As Python names them, and where links lead: a file is looked up by either.
INSTALLED = tuple(
    {f"{place}{os.sep}" for each in PLACES for place in (each, os.path.realpath(each))}
)
LIBRARIES = ("site-packages", "dist-packages")


def is_library(path: Path | str) -> bool:
    """Whether a file is of Python itself or in a folder of libraries, wherever it lies."""
    return str(path).startswith(INSTALLED) or not set(Path(path).parts).isdisjoint(LIBRARIES)


def is_users(path: Path, *, here: Path) -> bool:
    """Whether a file or folder is the user's by its real path: below the working folder `here`, and
    of no environment or hidden folder there.
    """
    if not path.is_relative_to(here) or is_library(path):
        return False
    return not any(part.startswith(".") for part in path.relative_to(here).parts)
