"""A Dask cluster: connecting to it, what its workers have, how many slots they have room for.

Dask is imported here and not at the top, since most searches run without it.
"""

import logging
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import joblib

from search.config.counted import count
from search.config.settings import PlacementSettings
from search.config.version import __version__
from search.errors import UsageError, refused
from search.execution.encryption import Certificates
from search.execution.memory import GB
from search.execution.placement import dask_node
from search.execution.placement.cluster_checks import PATIENCE, check_scheduler, last_line
from search.execution.placement.node import leave_mark

ANSWER = 60.0  # time that the scheduler, or a node, has to answer [s]
FRESH = 0.5  # time for which the list of workers counts [s]
TASK = "knobwise-slot"  # a task's key begins so, and then come its CPUs


@dataclass(frozen=True, kw_only=True)
class Node:
    """A Dask worker process.

    `host`: its machine; `threads`: its CPUs; `gpus`: UUIDs; `memory`: of its machine [bytes].
    """

    host: str
    threads: int
    gpus: tuple[str, ...]
    memory: int


class DaskCluster:
    """A connection to a scheduler, used from several threads."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._nodes: dict[str, Node] = {}
        self.unfit: dict[str, str] = {}  # Dask workers that cannot be used, and why
        self._threads: dict[str, int] = {}
        self._asked_at = 0.0

    @property
    def certificates(self) -> Certificates | None:
        """Dask's own on this machine; None where it has no TLS."""
        return dask_node.certificates_of(self.client, role="client")

    @property
    def gone(self) -> bool:
        """Whether the scheduler has ended."""
        return str(self.client.status) != "running"

    def nodes(self, *, by_torch: bool) -> dict[str, Node]:
        """Every Dask worker that can be used, by its address.

        `by_torch`: whether torch must be able to use its GPUs.
        """
        workers = self._workers()
        known = {*self._nodes, *self.unfit}
        fresh = [name for name in workers if name not in known]
        describe = partial(dask_node.describe, by_torch=by_torch)
        for name, answer in self.call(fresh, lambda _: describe).items():
            reason = _unfit(answer)
            if reason:
                self.unfit[name] = reason
            else:
                _, host, gpus, memory = answer
                self._nodes[name] = Node(
                    host=host, threads=workers[name], gpus=tuple(gpus), memory=memory
                )
        return {name: node for name, node in self._nodes.items() if name in workers}

    def has(self, node: str) -> bool:
        """Whether a Dask worker is still in the cluster."""
        return node in self._workers()

    def taken_threads(self, *, ours: str) -> dict[str, int]:
        """CPUs that tasks occupy, by Dask worker; none of tasks whose names begin with `ours`."""
        tasks = self._ask(self.client.processing)
        return {
            name: sum(_cpus_of(str(key)) for key in keys if not str(key).startswith(ours))
            for name, keys in tasks.items()
        }

    def call(
        self, nodes: Iterable[str], function_for: Callable[[str], Callable[[], Any]]
    ) -> dict[str, Any]:
        """Calls a function in each Dask worker at once, in busy ones too; errors are answers."""
        answers = {}
        with ThreadPoolExecutor(max_workers=32) as threads:
            asked = {
                node: threads.submit(
                    self._ask,
                    partial(self.client.run, function_for(node), workers=[node], on_error="return"),
                )
                for node in nodes
            }
            for node, answer in asked.items():
                try:
                    answers[node] = answer.result()[node]
                except Exception as error:  # noqa: BLE001  # of Dask's own kinds: it has left
                    answers[node] = error
        return answers

    def _workers(self) -> Mapping[str, int]:
        """The CPUs of each Dask worker."""
        if time.monotonic() - self._asked_at > FRESH:
            workers = self._ask(partial(self.client.scheduler_info, n_workers=-1))["workers"]
            self._threads = {name: int(each["nthreads"]) for name, each in workers.items()}
            self._asked_at = time.monotonic()
        return self._threads

    def _ask(self, question: Callable[[], Any]) -> Any:
        """An answer of the scheduler, in time: Dask itself would wait for ever.

        Raises:
            TimeoutError: it does not come.
        """
        answer = Future[Any]()

        def ask() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001  # raised again in the caller's thread
                answer.set_exception(error)

        threading.Thread(target=ask, name="dask", daemon=True).start()
        if not wait([answer], timeout=ANSWER).done:
            raise TimeoutError(f"the Dask cluster has not answered for {ANSWER:g} s")
        return answer.result()


clusters: dict[str, DaskCluster] = {}  # by placement.scheduler: kept for the searches of a process


def connect_cluster(settings: PlacementSettings) -> DaskCluster:
    """Connects to the cluster at `placement.scheduler`; a connection that is there stays.

    Raises:
        UsageError: Dask is not installed, or there is no cluster.
    """
    try:
        import distributed
    except ImportError as error:
        raise refused(
            "placement",
            code="dask-not-installed",
            rule="placement=dask needs the package distributed",
            got=str(error),
            remedy="pip install 'knobwise[dask]', or choose placement=local",
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the search says what has failed
    known = clusters.get(settings.address)
    if known is not None and not known.gone:
        return known
    local = settings.address == "local"
    try:
        if local:
            slots = settings.slots if settings.slots != "auto" else None
            threads = int(slots) * settings.threads if slots else joblib.cpu_count()
            cluster = distributed.LocalCluster(
                n_workers=1, threads_per_worker=threads, processes=False, dashboard_address=None
            )
            client = distributed.Client(cluster, set_as_default=False)
        else:
            check_scheduler(settings.address)
            arguments = distributed.Security().get_connection_args("client")
            if settings.address.startswith("tls://") and arguments.get("ssl_context") is None:
                raise ValueError("Dask's settings name no certificate")  # Dask itself would hang
            client = distributed.Client(
                settings.address, timeout=PATIENCE, set_as_default=False, name="knobwise"
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise refused(
            "placement.scheduler",
            code="no-dask-scheduler",
            rule="must lead to a Dask scheduler: tcp://HOST:8786, tls://HOST:8786 (with "
            "certificates in Dask's own settings), or local (a cluster in this process)",
            got=f"{settings.address!r}: {last_line(error)}",
            remedy="start one (dask scheduler, dask worker), or correct the address",
        ) from error
    clusters[settings.address] = DaskCluster(client)
    return clusters[settings.address]


def check_fit(cluster: DaskCluster) -> None:
    """Every Dask worker must be able to start workers of a search."""
    for node, reason in cluster.unfit.items():
        raise refused(
            f"the Dask worker {node}",
            code="dask-worker-unfit",
            rule=f"must have Knobwise {__version__} in its Python environment",
            got=reason,
            remedy="install it there, or set its PYTHONPATH",
        )


def leave_marks(cluster: DaskCluster, probe: str) -> dict[str, str]:
    """Has each Dask worker write a file; by the file's name, what is wrong there."""
    here = os.getcwd()

    def mark(node: str) -> Callable[[], str]:
        return partial(leave_mark, probe, name=quote(node, safe=""), start=here)

    return {
        quote(node, safe=""): answer if isinstance(answer, str) else last_line(answer)
        for node, answer in cluster.call(cluster.nodes(by_torch=False), mark).items()
    }


def rooms(
    nodes: Mapping[str, Node], *, threads: int, memory: int, gpus: int, slots_per_gpu: int
) -> dict[str, int]:
    """How many slots each host has room for.

    Args:
        nodes: by address.
        memory: of a slot [bytes]; 0: not counted.
        slots_per_gpu: slots that share each of them.
    """
    by_cpu: dict[str, int] = defaultdict(int)
    by_memory: dict[str, int] = {}
    cards: dict[str, set[str]] = defaultdict(set)
    for node in nodes.values():
        if node.gpus or not gpus:
            by_cpu[node.host] += node.threads // threads
            by_memory[node.host] = node.memory // memory if memory else sys.maxsize
            cards[node.host] |= set(node.gpus)
    by_gpu = {
        host: len(cards[host]) * slots_per_gpu // gpus if gpus else sys.maxsize for host in by_cpu
    }
    return {host: min(by_cpu[host], by_memory[host], by_gpu[host]) for host in by_cpu}


def contents(nodes: Iterable[Node]) -> list[str]:
    """What each node has, in words."""
    return [
        f"{count(node.threads, 'CPU')} and {count(len(node.gpus), 'GPU')}, "
        f"{node.memory / GB:.1f} GB of memory"
        for node in nodes
    ]


def _unfit(answer: Any) -> str:
    """Why a Dask worker cannot be used, from its description; empty if it can."""
    if isinstance(answer, UsageError):
        return str(answer)
    if isinstance(answer, Exception):
        return f"{type(answer).__name__}: {last_line(answer)}"
    version = answer[0]
    return "" if version == __version__ else f"it has version {version}"


def _cpus_of(key: str) -> int:
    """The CPUs that a task takes: a slot's key says it; any other task takes one."""
    return int(key.split("-")[2]) if key.startswith(TASK) else 1
