"""A disk that fills up within a line, and file systems of a test's own."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit import environment

NAMESPACE = ["unshare", "-Urm", "bash", "-c"]


def can_mount() -> bool:
    """Whether this machine lets a user mount within a namespace."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return False
    done = subprocess.run(
        [*NAMESPACE, "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False
    )
    return done.returncode == 0


def mounting(script: str, cwd: Path) -> str:
    """What is printed by commands that may mount."""
    done = subprocess.run(
        [*NAMESPACE, script],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def filling(monkeypatch: pytest.MonkeyPatch, *, room: int) -> None:
    """From now on only so many bytes can be written in all."""
    write, written = os.write, []

    def until_full(file: int, data: bytes) -> int:
        if sum(written) == room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(write(file, data[: room - sum(written)]))
        return written[-1]

    monkeypatch.setattr("os.write", until_full)
