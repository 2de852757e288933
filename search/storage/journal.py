"""Optuna's journal format through a backend of one writer. Stock tools read the file.

The file stays open, is written once per message of a worker, and synced to the disk in each turn
of the conductor in which trials have ended. An incomplete last line is cut off at opening; a stock
backend could never read a file with such a line again. What a trial's records mean is Optuna's
business.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend

from search.errors import refused
from search.storage.files import LineFile
from search.storage.sealed import read_lines, seal_line, whole_lines
from search.storage.trial_storage import CLAIM, WRITER, TrialStorage

CREATE_STUDY, DELETE_STUDY, SET_STUDY_USER_ATTR = 0, 1, 2
REPORTS, ATTRIBUTES = 7, 8  # of a trial: they are gathered until another record, or `flush`
Log = dict[str, Any]


class JournalFile(TrialStorage):
    """The trials in a file of the search's folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._backend: Journal | None = None
        self._opened: BaseStorage | None = None
        self.url = str(path)

    def holds_records(self) -> bool:
        """True if something was recorded in it."""
        return self._path.exists() and self._path.stat().st_size > 0

    def open(self, *, name: str) -> BaseStorage:
        """Opens the file for its one writer, once. Raises UsageError as `Journal`."""
        if self._opened is None:
            self._backend = Journal(self._path, name=name)
            self.repaired = self._backend.repaired
            self._opened = JournalStorage(self._backend)
        return self._opened

    def read(self) -> BaseStorage:
        """The storage as it stands; it refuses to write. Raises UsageError for a damaged file."""
        return JournalStorage(ReadOnlyJournal(self._path))

    def flush(self) -> None:
        """All records survive a kill from now on."""
        if self._backend is not None:
            self._backend.file.flush()

    def sync(self) -> None:
        """Makes all records durable."""
        if self._backend is not None:
            self._backend.file.sync()

    def put_back(self) -> str:
        """See `LineFile.put_back`."""
        return "" if self._backend is None else self._backend.file.put_back()

    def clear(self) -> None:
        """Removes the file."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Syncs and closes the file."""
        if self._backend is not None:
            self._backend.file.sync()
            self._backend.file.close()
            self._backend = self._opened = None


class Journal(BaseJournalBackend):
    """The single writer's backend. `repaired`: what had to be cut off at opening, if anything.

    Records survive a kill once its `file` is flushed, and a power cut once it is synced.

    Raises:
        UsageError: the file is damaged, or somebody else has written to it; it is left as it is.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        data = path.read_bytes() if path.exists() else b""
        whole = whole_lines(data)
        self._pending = read_lines(whole, path, fault=_fault)
        _check_writer(self._pending, path, name=name)
        torn = len(data) - len(whole)
        self.repaired = f"cut off a torn last line of {torn} bytes" if torn else ""
        self._first = 0
        self.file = LineFile(path, size=len(whole))

    def read_logs(self, log_number_from: int) -> Iterable[Log]:
        """Records from a number on.

        The one storage on this backend reads each record once, so those that were read are dropped.
        """
        self._pending = self._pending[log_number_from - self._first :]
        self._first = log_number_from
        return list(self._pending)

    def append_logs(self, logs: list[Log]) -> None:
        """Adds records."""
        for log in logs:
            if log.get("user_attr", {}).get(WRITER) == CLAIM:  # no public call tells the name
                log["user_attr"][WRITER] = _writer_of(log)
            self.file.add(seal_line(log))
            if log["op_code"] not in (REPORTS, ATTRIBUTES):
                self.file.flush()
        self._pending.extend(logs)


class ReadOnlyJournal(BaseJournalBackend):
    """Reads a journal that another process may be writing; refuses to write.

    An incomplete last line is left for a later read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = self._number = 0

    def read_logs(self, log_number_from: int) -> Iterable[Log]:
        """Records from a number on."""
        if log_number_from < self._number:
            self._offset = self._number = 0
        with self._path.open("rb") as file:
            file.seek(self._offset)
            whole = whole_lines(file.read())
        logs = read_lines(whole, self._path, fault=_fault, first=self._number + 1)
        fresh = logs[log_number_from - self._number :]
        self._offset += len(whole)
        self._number += len(logs)
        return fresh

    def append_logs(self, logs: list[Log]) -> None:
        """Raises PermissionError: the search is the only writer."""
        raise PermissionError(f"{self._path}: is read-only here; the search is its only writer")


def _fault(log: Log) -> str:
    return "" if {"op_code", "worker_id"} <= log.keys() else "it is no record of Optuna's"


def _search_of(study: str) -> str:
    """The search that a study belongs to: a stage's study is named `<search>/<stage>`."""
    return study.partition("/")[0]


def _check_writer(logs: list[Log], path: Path, *, name: str) -> None:
    """Refuses a journal that another program has changed; the file is left as it is."""
    claimed = {
        log["user_attr"].get(WRITER) for log in logs if log["op_code"] == SET_STUDY_USER_ATTR
    }
    for number, log in enumerate(logs, start=1):
        if log["op_code"] == DELETE_STUDY:
            raise refused(
                f"{path}:{number}",
                code="study-was-deleted",
                rule="a search's study must not be deleted",
                got="a record that deletes it",
                remedy="restore the file or use name=…",
            )
        if log["op_code"] == CREATE_STUDY and _search_of(log["study_name"]) != _search_of(name):
            raise refused(
                f"{path}:{number}",
                code="journal-of-another-search",
                rule=f"this journal belongs to {_search_of(name)!r}",
                got=repr(log["study_name"]),
                remedy="use name=…",
            )
        if log["op_code"] != CREATE_STUDY and _writer_of(log) not in claimed:
            raise refused(
                f"{path}:{number}",
                code="journal-has-other-writer",
                rule="the search is the only writer",
                got=f"a record of an unknown writer ({log['worker_id']})",
                remedy="restore the file or use name=…",
            )


def _writer_of(log: Log) -> str:
    """The process behind a record; Optuna appends the thread's number to it."""
    return str(log["worker_id"]).rpartition("-")[0]
