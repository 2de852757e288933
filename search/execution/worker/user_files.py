"""Which of the user's files are other ones on this node than where the search was started?"""

import sys
from collections.abc import Mapping
from pathlib import Path

from search.contract.fingerprint import file_digest

OTHER = "must be as where the search was started, but got another content; install the same there"
SOURCES = "src"  # a folder of packages that is no package itself


def other_files(code: Mapping[str, str]) -> list[str]:
    """The files that an import here would find and that differ.

    `code`: SHA-256 of files, by their path from the working folder of the search.
    """
    return [path for path, checksum in code.items() if _checksum(path) not in ("", checksum)]


def _checksum(path: str) -> str:
    """Of the first file there is, as Python finds it; empty where there is none."""
    for entry in sys.path:
        file = Path(entry, path.removeprefix(f"{SOURCES}/"))
        if file.is_file():
            return file_digest(file)
    return ""
