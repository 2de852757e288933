"""What runs on a node of a Ray cluster: the actor that starts workers, and the first check.

Ray's own processes run this; the worker is a guarded child of the actor, so it ends with it.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from search.execution.listener import Address, connect
from search.execution.placement.local import PROCESS
from search.execution.process_guard import spawn_guarded


class NodeSlot:
    """One slot: starts its workers, one after the other.

    `folder`: where the search was started; relative paths and the user's modules lie there.
    """

    def __init__(self, folder: str) -> None:
        os.chdir(folder)

    def ready(self) -> None:
        """Returns once the actor has its place in the cluster."""

    def serve(
        self, address: Address, *, token: bytes, early: str, environment: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Starts a worker, and waits for its end: its exit status, and what it printed.

        Args:
            address: of the conductor.
            token: opens the connection to it.
            early: a module that the worker imports at once.
            environment: variables of the worker.
        """
        with tempfile.TemporaryFile() as printed:
            with connect(address, token=token) as connection:
                process = spawn_guarded(
                    PROCESS,
                    str(connection.fileno()),
                    early,
                    environment=environment,
                    output=printed,
                    inherited=[connection.fileno()],
                )
            with process:
                status = process.wait()
            printed.seek(0)
            return status, printed.read()


def leave_mark(folder: str, *, name: str, start: str) -> str:
    """Writes a file into a folder of the conductor; what is wrong, empty if nothing is.

    `start`: the folder where the search was started, which must be there too.
    """
    try:
        os.stat(start)
        (Path(folder) / name).write_text(name)
    except OSError as error:
        return f"{error.strerror}: {error.filename}"
    return ""
