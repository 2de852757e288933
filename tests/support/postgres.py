"""A PostgreSQL server of a test's own, on a free port of this machine: started, stopped, started again."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

USER, PASSWORD = "tuner", "k9-hush-7"
PEOPLE = ("postgres", "nobody")  # initdb refuses root, so root lends the server to one of them


def bindir() -> Path | None:
    """Where the server's programs lie; None where there is none."""
    if shutil.which("pg_config"):
        told = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
        if (Path(told.stdout.strip()) / "initdb").exists():
            return Path(told.stdout.strip())
    program = shutil.which("initdb")
    return Path(program).resolve().parent if program else None


needs_postgres = pytest.mark.skipif(
    bindir() is None or find_spec("psycopg") is None,
    reason="needs a PostgreSQL server and psycopg (pip install 'knobwise[postgresql]')",
)


class Server:
    """A server with one user, who has a password."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self._data, self.port = folder / "data", port
        self._log = folder / "server.log"

    @property
    def url(self) -> str:
        """With the password, as SQLAlchemy takes it."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def shown(self) -> str:
        """As the program shows it."""
        return self.driver_url.replace(PASSWORD, "***")

    @property
    def driver_url(self) -> str:
        """With the driver's name, as stock tools need it."""
        return self.url.replace("://", "+psycopg://")

    def make(self) -> None:
        """A fresh cluster of databases."""
        secret = self._data.parent / "secret"
        secret.write_text(PASSWORD)
        _give_away(self._data.parent)
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256", "--pwfile", secret, "-N", "-E", "UTF8")  # fmt: skip

    def start(self) -> None:
        """Returns once it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=20 -c shared_buffers=16MB"
        self._run("pg_ctl", "-D", self._data, "-l", self._log, "-o", options, "-w", "start")

    def stop(self) -> None:
        """At once: open connections are cut, as by a restart of the service."""
        self._run("pg_ctl", "-D", self._data, "-m", "fast", "-w", "stop")

    def _run(self, program: str, *words: object) -> None:
        place = bindir()
        assert place is not None
        subprocess.run(
            [*_as_somebody(), str(place / program), *map(str, words)],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._data.parent,
        )


@contextmanager
def server() -> Iterator[Server]:
    """A server while the block runs, in a folder that its own user may enter."""
    with tempfile.TemporaryDirectory(prefix="knobwise-postgres-") as folder:
        postgres = Server(Path(folder), port=_free_port())
        postgres.make()
        postgres.start()
        try:
            yield postgres
        finally:
            postgres.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _somebody() -> pwd.struct_passwd:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(names[name] for name in PEOPLE if name in names)


def _as_somebody() -> list[str]:
    if os.getuid():
        return []
    person = _somebody()
    return ["setpriv", f"--reuid={person.pw_uid}", f"--regid={person.pw_gid}", "--clear-groups"]


def _give_away(folder: Path) -> None:
    if not os.getuid():
        person = _somebody()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, person.pw_uid, person.pw_gid)
