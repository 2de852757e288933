"""Writing files so that a kill or a power cut leaves the old file or the new one, never a half."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes a whole file or nothing: into a fresh file, to the disk, then renamed into place."""
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one line of JSON and makes it durable."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())
