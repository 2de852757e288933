"""What runs in a Dask worker process on a node: it books CPUs and GPUs and starts search workers.

Dask sets no `CUDA_VISIBLE_DEVICES`; here each search worker gets the GPUs that are booked for it.
"""

import os
import platform
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from search.config.version import __version__
from search.errors import UsageError
from search.execution.encryption import Certificates
from search.execution.gpus import VISIBLE_DEVICES, uuids_of, visible_gpus
from search.execution.memory import memory_here
from search.execution.placement.bookings import Bookings
from search.execution.placement.node import Order, run_worker
from search.execution.process_guard import GuardedProcess

MEMORY = "memory"  # the machine's, as bookings name it
_running: dict[bytes, GuardedProcess] = {}  # by token


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one slot takes of a node.

    Attributes:
        cpus: the name under which the CPUs of this Dask worker are booked.
        cpu_share: the share of these CPUs that the slot takes.
        memory: memory of the machine [bytes]; 0 if it is not booked.
        gpus: number of GPUs.
        gpu_share: the share of each of these GPUs that the slot takes.
        by_torch: whether only GPUs count that torch can use.
    """

    cpus: str
    cpu_share: Fraction
    memory: int
    gpus: int
    gpu_share: Fraction
    by_torch: bool


def _gpus_here(*, by_torch: bool) -> list[str]:
    """UUIDs of the GPUs that can be used here."""
    return list(uuids_of(visible_gpus(by_torch=by_torch)).values())


def describe(*, by_torch: bool) -> tuple[str, str, list[str], int]:
    """This node: its version of Knobwise, its host's name, its GPUs, its host's memory [bytes]."""
    return __version__, platform.node(), _gpus_here(by_torch=by_torch), memory_here()


def serve(order: Order, *, needs: Needs) -> tuple[int, bytes] | None:
    """Starts a worker and waits for its end: exit status and output; None if there is no room."""
    shares = {needs.cpus: needs.cpu_share}
    if needs.memory:  # shared by all Dask workers of the machine
        shares[MEMORY] = Fraction(needs.memory, memory_here())
    try:
        gpus = _gpus_here(by_torch=needs.by_torch) if needs.gpus else []
        booking = Bookings().book(shares, gpus=gpus, number=needs.gpus, gpu_share=needs.gpu_share)
    except (UsageError, TimeoutError):  # its driver, or what else books here, stands still
        booking = None
    if booking is None:
        return None
    from distributed import get_worker

    environment = dict(order.environment)
    own_path = os.environ.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [environment.get("PYTHONPATH"), own_path])
    )
    if booking.gpus:
        environment[VISIBLE_DEVICES] = ",".join(booking.gpus)

    def started(process: GuardedProcess) -> None:
        _running[order.token] = process

    try:
        return run_worker(
            replace(order, environment=environment),
            certificates=certificates_of(get_worker(), role="worker"),
            started=started,
        )
    finally:
        _running.pop(order.token, None)
        booking.release()


def certificates_of(side: Any, *, role: str) -> Certificates | None:
    """Dask's own on this machine; None where it has no TLS.

    Args:
        side: Dask's client or worker.
        role: "client" or "worker".
    """
    if not str(side.scheduler.address).startswith("tls://"):
        return None
    files = side.security.get_tls_config_for_role(role)
    return Certificates(files["ca_file"], files["cert"], files["key"] or "")


def kill(token: bytes) -> None:
    """Ends the worker that was started with this token, if it has been."""
    process = _running.get(token)
    if process is not None:
        process.kill()
