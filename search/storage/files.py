"""Writing files so that a kill or a power cut leaves the old file or the new one, never a half."""

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or nothing: into a fresh file, to the disk, then renamed into place."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def append(path: Path, data: bytes) -> None:
    """Appends the data and makes it durable."""
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
