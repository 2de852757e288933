"""What runs on a node of a cluster, in a process of the cluster's engine: it starts workers.

A worker is a guarded child of that process, so it ends with it.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from search.execution.encryption import Certificates
from search.execution.listener import Address, connect
from search.execution.placement.local import PROCESS
from search.execution.placement.worker_folder import remove_abandoned, worker_folder
from search.execution.process_guard import GuardedProcess, spawn_guarded


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a node must know to start a worker.

    Attributes:
        address: of the conductor.
        token: opens the connection to it.
        early: a module that the worker imports at once.
        environment: variables of the worker.
        folder: where the search was started; relative paths and the user's modules lie there.
            None where the node does not share it: the worker then has a folder of its own.
        patience: silence of the conductor after which the worker ends [s].
    """

    address: Address
    token: bytes
    early: str
    environment: dict[str, str]
    folder: str | None
    patience: float


def run_worker(
    order: Order,
    *,
    certificates: Certificates | None = None,
    started: Callable[[GuardedProcess], None] | None = None,
) -> tuple[int, bytes]:
    """Starts a worker, and waits for its end: its exit status, and what it printed.

    Args:
        certificates: of the engine on this node, where it has TLS.
        started: called with the process.
    """
    remove_abandoned()
    own_folder: AbstractContextManager[str] = (
        nullcontext(order.folder) if order.folder else worker_folder()
    )
    with tempfile.TemporaryFile() as printed, own_folder as folder:
        with connect(order.address, token=order.token, patience=order.patience) as connection:
            process = spawn_guarded(
                PROCESS,
                str(connection.fileno()),
                order.early,
                *(certificates or ()),
                environment=order.environment,
                output=printed,
                inherited=[connection.fileno()],
                folder=folder,
            )
        with process:
            if started is not None:
                started(process)
            status = process.wait()
        remove_abandoned()  # rows that only this worker held
        printed.seek(0)
        return status, printed.read()


def ray_certificates() -> Certificates | None:
    """Ray's own on this machine; None where it has no TLS."""
    if os.environ.get("RAY_USE_TLS", "0").lower() not in ("1", "true"):
        return None
    names = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")
    return Certificates(*(os.environ.get(name, "") for name in names))


class NodeSlot:
    """One slot as an actor: starts its workers, one after the other."""

    def ready(self) -> str:
        """The id of the actor's node, once it has one."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def serve(self, order: Order) -> tuple[int, bytes]:
        """As of `run_worker`."""
        return run_worker(order, certificates=ray_certificates())


def leave_mark(folder: str, *, name: str, start: str) -> str:
    """Writes a file into a folder of the conductor; what is wrong, empty if nothing is.

    `start`: the folder where the search was started, which must be there too.
    """
    try:
        os.stat(start)
        (Path(folder) / name).write_text(name, encoding="utf-8")
    except OSError as error:
        return f"{error.strerror}: {error.filename}"
    return ""
