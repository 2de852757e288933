"""Optuna's journal format through a backend of one writer: the file stays open, is synced once per finished trial, and a
torn last line is cut off at opening (a stock backend could never read such a file again).

Stock tools read the file. Never interprets trials; that is Optuna's business.
"""

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from search.errors import UsageError, broken_rule

CREATE_STUDY, DELETE_STUDY, SET_STUDY_USER_ATTR = 0, 1, 2
WRITER = "writer"  # study attribute by which a conductor claims its records
CLAIM = "claimed"  # its value as set; the journal puts in the name under which Optuna writes, which no public call tells
Log = dict[str, Any]


class Journal(BaseJournalBackend):
    """The single writer's backend. `mended` says what had to be cut off at opening, if anything."""

    def __init__(self, path: Path, *, name: str) -> None:
        text = path.read_bytes() if path.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        self._pending = _parse(whole, path)
        _check(self._pending, path, name=name)
        self.mended = (
            f"cut off a torn last line of {len(text) - len(whole)} bytes"
            if len(text) > len(whole)
            else ""
        )
        self._first = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._file, len(whole))

    def read_logs(self, log_number_from: int) -> Iterable[Log]:
        """Records from a number on. The one storage on this backend reads each of them once, so read ones are dropped."""
        self._pending = self._pending[log_number_from - self._first :]
        self._first = log_number_from
        return list(self._pending)

    def append_logs(self, logs: list[Log]) -> None:
        """Adds records; they survive a kill at once, and a power cut after `sync`."""
        for log in logs:
            if log.get("user_attr", {}).get(WRITER) == CLAIM:
                log["user_attr"][WRITER] = writer_of(log)
        text = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        written = os.write(self._file, text)
        if written != len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "journal.log")
        self._pending.extend(logs)

    def sync(self) -> None:
        """Makes all records durable."""
        os.fsync(self._file)

    def close(self) -> None:
        """Syncs and closes the file."""
        self.sync()
        os.close(self._file)


class ReadOnlyJournal(BaseJournalBackend):
    """Reads a journal that somebody else may be writing; refuses to write. A torn last line is left for later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = self._number = 0

    def read_logs(self, log_number_from: int) -> Iterable[Log]:
        """Records from a number on."""
        if log_number_from < self._number:
            self._offset = self._number = 0
        with self._path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        logs = _parse(whole, self._path)
        fresh = logs[log_number_from - self._number :]
        self._offset += len(whole)
        self._number += len(logs)
        return fresh

    def append_logs(self, logs: list[Log]) -> None:
        """Refuses: the search is the only writer."""
        raise PermissionError(f"{self._path}: is read-only here; the search is its only writer")


def _parse(whole: bytes, path: Path) -> list[Log]:
    logs = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            log = json.loads(line)
            log["op_code"], log["worker_id"]
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(
                broken_rule(
                    f"{path}:{number}",
                    rule="a journal's line is a JSON record",
                    got=repr(line[:60]),
                    remedy="restore the file",
                )
            ) from error
        logs.append(log)
    return logs


def _check(logs: list[Log], path: Path, *, name: str) -> None:
    """Refuses a journal that somebody else has changed; the file is left as it is."""
    claimed = {
        log["user_attr"].get(WRITER) for log in logs if log["op_code"] == SET_STUDY_USER_ATTR
    }
    for number, log in enumerate(logs, start=1):
        if log["op_code"] == DELETE_STUDY:
            raise UsageError(
                f"{path}:{number}: a search's study must not be deleted, but somebody did; restore the file or use name=…"
            )
        if log["op_code"] == CREATE_STUDY and log["study_name"] != name:
            raise UsageError(
                broken_rule(
                    f"{path}:{number}",
                    rule=f"this journal belongs to {name!r}",
                    got=repr(log["study_name"]),
                    remedy="use name=…",
                )
            )
        if log["op_code"] != CREATE_STUDY and writer_of(log) not in claimed:
            raise UsageError(
                f"{path}:{number}: the search is the only writer, but got a record of an unknown writer "
                f"({log['worker_id']}); restore the file or use name=…"
            )


def writer_of(log: Log) -> str:
    """The process behind a record; Optuna appends the thread's number to it."""
    return str(log["worker_id"]).rpartition("-")[0]
