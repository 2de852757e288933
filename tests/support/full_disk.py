"""A disk that fills up within a line."""

import errno
import os

import pytest


def filling(monkeypatch: pytest.MonkeyPatch, *, room: int) -> None:
    """From now on only so many bytes can be written in all."""
    write, written = os.write, []

    def until_full(file: int, data: bytes) -> int:
        if sum(written) == room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(write(file, data[: room - sum(written)]))
        return written[-1]

    monkeypatch.setattr("os.write", until_full)
