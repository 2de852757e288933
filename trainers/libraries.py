"""Which files are a library's: of Python itself, or in a folder of libraries, wherever it lies."""

import sysconfig
from pathlib import Path

INSTALLED = tuple(
    sorted({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
)
LIBRARIES = ("site-packages", "dist-packages")


def is_library(path: Path) -> bool:
    """Whether a file is no code of the user's, by where it lies."""
    return str(path).startswith(INSTALLED) or not set(path.parts).isdisjoint(LIBRARIES)
