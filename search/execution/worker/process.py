"""Life of a worker process: says hello, imports early, does the dry run, is set up, serves.

Started by a placement with the numbers of its lifeline and its socket, a module to import, and
the certificates by which the connection is encrypted, where it is.
"""

import gc
import importlib
import os
import platform
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from search.execution import process_guard as guard
from search.execution.memory import limit_memory

if __name__ == "__main__":
    ARGUMENTS = guard.enter()
    limit_memory()
    gc.disable()  # while all is being imported: collecting takes a fifth of the time

from msgspec import structs

from search.config.text import one_line
from search.config.version import code_here
from search.contract.fingerprint import file_digest
from search.execution.gpus import VISIBLE_DEVICES
from search.execution.link import Link
from search.execution.machine_fault import machine_fault
from search.execution.messages import LEFT, Hello, MachineFault, Setup
from search.execution.worker.conductor_watch import end_with
from search.execution.worker.dry_run import after_dry_runs
from search.execution.worker.notice import Notice
from search.execution.worker.trial_files import SentFiles
from search.execution.worker.worker import Worker

OTHER = "must be as where the search was started, but got another content; install the same there"
SOURCES = "src"  # a folder of packages that is no package itself


def main(descriptor: int, early: str, *certificates: str) -> None:
    """Serves over a socket.

    Args:
        early: a module to import before anything is asked; its function `warm`, if there is one,
            is called.
        certificates: files of `Certificates`; none for a connection that is not encrypted.
    """
    notice, connection = Notice(), socket.socket(fileno=descriptor)
    if certificates:
        from search.execution.encryption import Certificates, encrypted

        own = Certificates(*certificates)
        connection = encrypted(connection, certificates=own, as_server=False)
    link = Link(connection)
    with suppress(EOFError, OSError):  # the conductor has gone
        try:
            serve(link, early, notice=notice)
        except OSError as error:
            if fault := machine_fault(error, folder=Path.cwd()):
                link.send(MachineFault(reason=one_line(fault)))
    with suppress(OSError):  # the disk may be full
        sys.stdout.flush()
        sys.stderr.flush()
    # At once: exit handlers of a trainer must not hold up the next worker.
    os._exit(LEFT if notice.given else 0)


def serve(link: Link, early: str, *, notice: Notice) -> None:
    """Says hello, imports, does the dry run, is set up, and trains until there is no more work.

    Raises:
        EOFError, OSError: the conductor has gone; OSError also for a fault of the machine.
    """
    gpus, elsewhere = os.environ.get(VISIBLE_DEVICES, ""), link.socket.family != socket.AF_UNIX
    code = code_here() if elsewhere else {}
    link.send(Hello(pid=os.getpid(), host=platform.node(), gpus=gpus, code=code))
    if early:
        module = importlib.import_module(early)  # without it, no trial can be trained here
        if hasattr(module, "warm"):
            with suppress(Exception):  # it will be the first trial's failure
                module.warm()
    gc.freeze()  # all this stays: collecting it again would take 0.2 s each time
    gc.enable()
    setup = after_dry_runs(link)
    if not isinstance(setup, Setup):
        return
    files: SentFiles | None = None
    if setup.carried:  # the current folder is this worker's own
        files = SentFiles(link, folder=Path.cwd())
        if other := other_files(setup.code):
            link.send(MachineFault(reason=f"{', '.join(other)} {OTHER}"))
            return
        files.fetch_rows()
        setup = structs.replace(setup, folder=str(Path.cwd()))
    notice.heed()
    if elsewhere:
        end_with(link.socket)
    Worker(link, setup=setup, log=setup.log, files=files, notice=notice).serve()


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


if __name__ == "__main__":
    main(int(ARGUMENTS[0]), *ARGUMENTS[1:])
