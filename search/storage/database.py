"""The trials of a search in a database that SQLAlchemy reaches: PostgreSQL, SQLite and others.

The studies are Optuna's own tables, so stock tools read them. Each study belongs to one folder,
which keeps curves and all other files. A writer's name, in the folder and in the study, ties both
together.
"""

import json
import socket
import uuid
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.study._frozen import FrozenStudy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from search.config.passwords import complete, redacted
from search.errors import UsageError, refused
from search.storage.files import write_text
from search.storage.sealed import read_json
from search.storage.trial_storage import WRITER, TrialStorage
from search.storage.write_through import Patience, WriteThrough, reason_of

KEY = "storage.url"
# Of connections to PostgreSQL, unless the address says it: a write to a server whose machine has
# vanished fails after 30 s, and is tried again. The system alone would take a quarter of an hour.
POSTGRESQL = {
    "connect_timeout": 10,  # [s]
    "keepalives_idle": 10,
    "keepalives_interval": 10,
    "keepalives_count": 2,
    "tcp_user_timeout": 30_000,  # [ms]
}
# A write that waits for somebody else's lock fails, and is tried again: who waits is told, and may
# be interrupted. Unless the address says it; other databases have such a limit by themselves.
LOCK_TIMEOUT = "SET lock_timeout = '10s'"
# A statement that makes a connection refuse to write.
READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
PSYCOPG = "postgresql+psycopg"  # the driver of the extra `postgresql`


class Database(TrialStorage):
    """The trials in a database.

    `address`: as SQLAlchemy takes it. `marker`: file of the search's folder that names the writer.
    `patience`: how long a write waits for the server [s].
    """

    def __init__(self, address: str, *, marker: Path, patience: float) -> None:
        self._url, self._marker = _read_url(address), marker
        self.url = redacted(self._url.render_as_string(hide_password=True))
        self._patience = Patience(self.url, seconds=patience)
        self._opened: WriteThrough | None = None
        self._database: RDBStorage | None = None

    def check(self, *, name: str) -> None:
        """Whether the server can be reached, and the name is not another search's there.

        Raises:
            UsageError: it cannot, or it is.
        """
        database = self._connected()
        try:
            self._own(database, name=name)
        finally:
            database.engine.dispose()

    def holds_records(self) -> bool:
        """True if a study there is this search's."""
        writer = self._writer()
        studies = self._connected(read_only=True).get_all_studies()
        return any(study.user_attrs.get(WRITER) == writer for study in studies)

    def open(self, *, name: str) -> BaseStorage:
        """Opens it for its one writer, once.

        Raises:
            UsageError: it cannot be reached, or somebody else has written to the search's studies.
        """
        if self._opened is None:
            self._database = self._connected()
            studies = self._own(self._database, name=name)
            if not self._marker.exists():
                place = f"{socket.gethostname()}:{self._marker.parent.absolute()}"
                content = {"url": self.url, WRITER: f"{place}#{uuid.uuid4().hex[:12]}"}
                write_text(self._marker, json.dumps(content) + "\n")
            self._opened = WriteThrough(
                self._database, studies=studies, writer=self._writer(), patience=self._patience
            )
        return self._opened

    def read(self) -> BaseStorage:
        """The storage as it stands, which refuses to write; of an open one, its copy in memory.

        Raises:
            UsageError: it cannot be reached.
        """
        return self._opened or self._connected(read_only=True)

    def sync(self) -> None:
        """Every record is durable as soon as it is written; nobody else may have begun to write.

        Raises:
            RunError: another conductor has, in a copy of the folder.
        """
        if self._opened is not None:
            self._opened.check_alone()

    def on_wait(self, say: Callable[[str], None]) -> None:
        """Who is told that a write waits for a server that is away."""
        self._patience.say = say

    def end_wait(self) -> None:
        """No write waits any more."""
        self._patience.ended = True

    def clear(self) -> None:
        """Deletes the search's studies."""
        database, writer = self._connected(), self._writer()
        for study in database.get_all_studies():
            if writer and study.user_attrs.get(WRITER) == writer:
                database.delete_study(study._study_id)
        database.engine.dispose()
        self._marker.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the writing."""
        if self._database is not None:
            self._database.engine.dispose()
        self._database = self._opened = None

    def _writer(self) -> str:
        """The name under which this folder's search writes; empty before it has."""
        if not self._marker.exists():
            return ""
        return str(read_json(self._marker, keys=[WRITER])[WRITER])

    def _own(self, database: RDBStorage, *, name: str) -> list[FrozenStudy]:
        """The studies of the search that a study belongs to.

        Raises:
            UsageError: another folder's search has written one of them, or another program has.
        """
        search, writer = name.partition("/")[0], self._writer()
        own = []
        for study in database.get_all_studies():
            if study.study_name.partition("/")[0] != search:
                continue
            claimed = study.user_attrs.get(WRITER, "")
            trials = database.get_all_trials(study._study_id, deepcopy=False)
            if claimed != writer and (claimed or trials):
                raise refused(
                    f"{KEY}: {self.url}",
                    code="study-of-another-folder",
                    rule=f"the study {study.study_name!r} belongs to the search of one folder",
                    got=f"the study of {claimed.partition('#')[0] or 'another program'} "
                    f"with {len(trials)} trials",
                    remedy="use name=… for a new search, or go on in that folder",
                )
            if any("trial" not in trial.user_attrs for trial in trials):
                raise refused(
                    f"{KEY}: {self.url}",
                    code="study-has-other-writer",
                    rule=f"the search is the only writer of its study {study.study_name!r}",
                    got="a trial of another program",
                    remedy="restore the study or use name=…",
                )
            own.append(study)
        return own

    def _connected(self, *, read_only: bool = False) -> RDBStorage:
        """A connection. Raises UsageError: the server cannot be reached."""
        options: dict[str, Any] = {"poolclass": NullPool} if read_only else {}
        is_postgresql = self._url.get_backend_name() == "postgresql"
        if is_postgresql:
            known = self._url.query
            options["connect_args"] = {key: known.get(key, POSTGRESQL[key]) for key in POSTGRESQL}
        file = self._url.database if self._url.get_backend_name() == "sqlite" else None
        if read_only and file and not Path(file).exists():  # SQLite would make an empty one
            raise self._unusable(f"no file {file}")
        try:
            database = RDBStorage(
                self._url.render_as_string(hide_password=False),
                engine_kwargs=options,
                skip_table_creation=read_only,
            )
        except NoSuchModuleError as error:
            raise self._unusable(f"a dialect {self._url.drivername!r}, which is unknown") from error
        except ImportError as error:
            raise self._unusable(
                f"no driver for {self._url.drivername}",
                remedy="pip install 'knobwise[postgresql]' for PostgreSQL, or that database's own",
            ) from error
        except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
            raise self._unusable(reason_of(error)) from error
        statement = READ_ONLY.get(self._url.get_backend_name()) if read_only else None
        if statement:
            _say_to_each(database, statement)
        if is_postgresql and "lock_timeout" not in str(self._url.query.get("options")):
            _say_to_each(database, LOCK_TIMEOUT)
            database.engine.dispose()  # of the connection that was there before
        return database

    def _unusable(self, got: str, *, remedy: str = "") -> UsageError:
        return refused(
            f"{KEY}: {self.url}",
            code="database-does-not-answer",
            rule="must be a database that answers",
            got=redacted(got),
            remedy=remedy
            or "start it, correct the address, or give its password by PGPASSWORD, ~/.pgpass "
            "or storage.url='${oc.env:PG_URL}'",
        )


def _read_url(address: str) -> URL:
    """An address; `postgresql://` means the driver of the extra, where it is installed.

    Raises:
        UsageError: it is none.
    """
    try:
        url = make_url(complete(address))
    except (ArgumentError, ValueError) as error:
        raise refused(
            KEY,
            code="database-address-not-valid",
            rule="must be an address as SQLAlchemy takes it, such as "
            "postgresql+psycopg://USER@HOST/DATABASE or sqlite:///FILE.db",
            got=repr(redacted(address)),
            remedy="correct it",
        ) from error
    if url.drivername == "postgresql" and find_spec("psycopg") is not None:
        return url.set(drivername=PSYCOPG)
    return url


def _say_to_each(database: RDBStorage, statement: str) -> None:
    """Has every new connection begin with a statement."""

    def greet(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        connection.commit()

    sqlalchemy.event.listen(database.engine, "connect", greet)
