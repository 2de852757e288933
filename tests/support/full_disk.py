"""A disk that fills up within a line, and file systems of a test's own."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from forked import LINUX, WITHIN
from kit import search

NAMESPACE = ["unshare", "-Urm"]


def can_mount() -> bool:
    """Whether this machine lets a user mount within a namespace."""
    if not LINUX or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    words = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True, kw_only=True)
class Mounts:
    """A mount namespace of a test's own, as long as `holder` lives: what is mounted there nobody else sees."""

    cwd: Path
    holder: "subprocess.Popen[str]"

    def shell(self, script: str) -> str:
        """What commands print that may mount."""
        enter = ["nsenter", "-t", str(self.holder.pid), "-U", "-m", "--preserve-credentials"]
        done = subprocess.run(
            [*enter, "bash", "-ec", f'cd "$0"\n{script}', str(self.cwd)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def search(self, *words: str, **extra: str) -> "subprocess.CompletedProcess[str]":
        """Runs the program there to its end."""
        within = {WITHIN: str(self.holder.pid)}
        return search(*words, cwd=self.cwd, **within, **extra)


@contextmanager
def mounts(cwd: Path) -> Iterator[Mounts]:
    """A namespace in which nothing is mounted yet but what is mounted outside."""
    words = [*NAMESPACE, "sh", "-c", "echo begun; exec sleep 600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "begun\n"
            yield Mounts(cwd=cwd, holder=holder)
        finally:
            holder.kill()


def filling(monkeypatch: pytest.MonkeyPatch, *, room: int) -> None:
    """From now on only so many bytes can be written in all."""
    write, written = os.write, []

    def until_full(file: int, data: bytes) -> int:
        if sum(written) == room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(write(file, data[: room - sum(written)]))
        return written[-1]

    monkeypatch.setattr("os.write", until_full)
