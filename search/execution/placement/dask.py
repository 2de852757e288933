"""Workers on the nodes of a Dask cluster, a task for each slot that lasts as long as its worker.

Dask reports what has died. Which node and which GPUs a slot gets is decided here and on the node.
"""

import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from search.config.settings import PlacementSettings
from search.execution.memory import memory_of
from search.execution.placement import Event, dask_node
from search.execution.placement.cluster import ClusterPlacement, ClusterSlot, WorkerLost, slots_of
from search.execution.placement.cluster_checks import check_shared, gpu_share, no_room, own_host
from search.execution.placement.dask_cluster import (
    TASK,
    Node,
    check_fit,
    clusters,
    connect_cluster,
    contents,
    leave_marks,
    rooms,
)
from search.execution.placement.node import Order
from search.execution.running_trial import SLOW_START
from search.execution.slots import Slot

LOOK = 0.5  # time between two looks at a task, and for room where there was none [s]
SCHEDULER_ENDED = "the Dask scheduler has ended; start it anew, and the same command goes on"
GIVE_UP = 15.0  # time that a node has to end a worker that is to be killed [s]


@dataclass(frozen=True, kw_only=True)
class DaskSlot(ClusterSlot):
    """A slot of a Dask cluster.

    Attributes:
        scheduler: the cluster's address, as in `placement.scheduler`.
        gpus_per_trial: how many GPUs it takes.
        slots_per_gpu: slots that share each of them.
        by_torch: whether torch must be able to use them.
    """

    scheduler: str
    gpus_per_trial: int
    slots_per_gpu: int
    by_torch: bool

    def needs(self, node: str, *, threads: int) -> dask_node.Needs:
        """What it takes of a node with so many CPUs."""
        return dask_node.Needs(
            cpus=node,
            cpu_share=Fraction(self.threads, threads),
            memory=memory_of(self.memory_gb),
            gpus=self.gpus_per_trial,
            gpu_share=Fraction(1, self.slots_per_gpu),
            by_torch=self.by_torch,
        )


@dataclass(kw_only=True, eq=False)
class Task:
    """A task of Dask on a node. `killed_at`: when its end was first asked for."""

    future: Any
    node: str
    token: bytes
    threads: int
    begun_at: float
    killed_at: float | None = None


class DaskPlacement(ClusterPlacement):
    """`search.execution.placement.Placement` on a Dask cluster."""

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        scheduler = next(slot.scheduler for slot in slots if isinstance(slot, DaskSlot))
        self._cluster = clusters[scheduler]
        node = next(iter(self._cluster.nodes(by_torch=False)), "")
        host = own_host(urlsplit(node).hostname or "127.0.0.1")
        super().__init__(
            slots,
            trainer=trainer,
            post=post,
            host=host,
            engine="Dask",
            certificates=self._cluster.certificates,
        )
        self._tasks: dict[int, Task] = {}
        self._name = uuid.uuid4().hex
        self._choosing = threading.Lock()
        self._refused_at: dict[str, float] = {}  # by node; one that did not end a worker, too

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        """Slots for which the cluster has CPUs and GPUs; more may wait for nodes to come.

        Raises:
            UsageError: there is no such cluster, a node cannot run Knobwise, no node fits a slot,
                or a node does not share the folder of the search.
        """
        cluster = connect_cluster(settings)
        by_torch = by_torch and settings.gpus_per_trial != 0  # GPUs that nobody asks for may be odd
        nodes = cluster.nodes(by_torch=by_torch)
        check_fit(cluster)
        share = gpu_share(settings, engine="dask", has_gpus=any(n.gpus for n in nodes.values()))
        gpus = math.ceil(share)
        by_host = rooms(
            nodes,
            threads=settings.threads,
            memory=memory_of(settings.memory_gb),
            gpus=gpus,
            slots_per_gpu=settings.slots_per_gpu,
        )
        if not any(by_host.values()):
            raise no_room(settings, gpus=share, nodes=contents(nodes.values()))
        if settings.shared:
            check_shared(settings.folder, leave_marks=partial(leave_marks, cluster))
        return tuple(
            DaskSlot(
                **vars(slot),
                scheduler=settings.address,
                gpus_per_trial=gpus,
                slots_per_gpu=settings.slots_per_gpu,
                by_torch=by_torch,
            )
            for slot in slots_of(settings, gpus=share, rooms=sum(by_host.values()))
        )

    def kill(self, slot: Slot) -> None:
        """Ends the slot's worker."""
        task = self._tasks.get(slot.number)
        if task is not None and task.killed_at is None:
            task.killed_at = time.monotonic()
            connected = slot.number in self._links
            threading.Thread(target=self._end, args=(task, connected), daemon=True).start()

    def _end(self, task: Task, connected: bool) -> None:
        """Asks a node to kill a worker until it is gone. `connected`: it has been started."""
        if not connected:
            task.future.cancel()
        while not task.future.done() and time.monotonic() - (task.killed_at or 0.0) < GIVE_UP:
            self._cluster.call([task.node], lambda _: partial(dask_node.kill, task.token))
            time.sleep(LOOK)

    def _run(self, slot: ClusterSlot) -> tuple[int, bytes]:
        """Tries nodes that seem to have room, until one takes the slot's worker."""
        assert isinstance(slot, DaskSlot)
        waits_since: float | None = time.monotonic()
        while not self._closing.is_set():
            with self._order(slot) as order:
                task = self._submit(slot, order)
                answer = self._wait(task, slot) if task is not None else None
            if answer is not None:
                return answer
            if waits_since is not None and time.monotonic() - waits_since > SLOW_START:
                waits_since = None
                self._say_waiting(slot, hint="Dask's dashboard shows who has it")
            self._closing.wait(LOOK)
        return 0, b""

    def _submit(self, slot: DaskSlot, order: Order) -> Task | None:
        """A task for the slot on the node with most room; None where there is none."""
        with self._choosing:
            nodes = self._cluster.nodes(by_torch=slot.by_torch)
            node = self._freest(slot, nodes)
            if node is None:
                return None
            future = self._cluster.client.submit(
                dask_node.serve,
                order,
                needs=slot.needs(node, threads=nodes[node].threads),
                key=f"{TASK}-{slot.threads}-{self._name}-{uuid.uuid4().hex}",
                workers=[node],
                allow_other_workers=False,
                pure=False,
                retries=0,
            )
            self._places[slot.number] = node.rpartition("://")[2]
            task = self._tasks[slot.number] = Task(
                future=future,
                node=node,
                token=order.token,
                threads=slot.threads,
                begun_at=time.monotonic(),
            )
        if self._closing.is_set():  # `close` may have looked for it already
            self.kill(slot)
        return task

    def _freest(self, slot: DaskSlot, nodes: Mapping[str, Node]) -> str | None:
        """A node with free CPUs, and with GPUs that may be free: who has refused comes last."""
        taken = Counter(self._cluster.taken_threads(ours=f"{TASK}-{slot.threads}-{self._name}"))
        for task in self._tasks.values():
            taken[task.node] += task.threads
        free = {
            name: node.threads - taken[name]
            for name, node in nodes.items()
            if not {name.rpartition("://")[2], node.host} & self._avoided
            and len(node.gpus) >= slot.gpus_per_trial
        }
        fitting = [name for name, threads in free.items() if threads >= slot.threads]
        if not fitting:
            return None
        return min(fitting, key=lambda name: (self._refused_at.get(name, 0.0), -free[name]))

    def _rooms(self, slot: ClusterSlot) -> int:
        assert isinstance(slot, DaskSlot)
        nodes = self._cluster.nodes(by_torch=slot.by_torch)
        by_host = rooms(
            nodes,
            threads=slot.threads,
            memory=memory_of(slot.memory_gb),
            gpus=slot.gpus_per_trial,
            slots_per_gpu=slot.slots_per_gpu,
        )
        return sum(by_host.values())

    def _wait(self, task: Task, slot: Slot) -> tuple[int, bytes] | None:
        """Waits for the end of the slot's worker; None if the node has no room for it.

        Raises:
            WorkerLost: its node has left, or does not answer.
            RuntimeError: the scheduler has ended.
        """
        from distributed import CancelledError, KilledWorker

        try:
            while True:
                try:
                    answer: tuple[int, bytes] | None = task.future.result(timeout=LOOK)
                    break
                except TimeoutError:
                    if task.future.done():  # since then, or by an error of the task itself
                        answer = task.future.result()
                        break
                if self._is_stuck(task, slot):
                    answer = None
                    break
        except CancelledError as error:
            if task.killed_at is None or self._cluster.gone:
                raise RuntimeError(SCHEDULER_ENDED) from error
            return 0, b""
        except KilledWorker as error:
            raise WorkerLost(f"its node has died: {task.node}", details=f"{error}\n") from error
        finally:
            with self._choosing:
                del self._tasks[slot.number]
        if answer is None:
            self._refused_at[task.node] = time.monotonic()
        return answer

    def _is_stuck(self, task: Task, slot: Slot) -> bool:
        """Whether the task has not begun for long: it is withdrawn then.

        Raises:
            WorkerLost, RuntimeError: as of `_wait`.
        """
        now, reason = time.monotonic(), ""
        if self._cluster.gone:
            raise RuntimeError(SCHEDULER_ENDED)
        if not self._cluster.has(task.node):
            reason = f"its node has left the Dask cluster: {task.node}"
        elif task.killed_at is not None and now - task.killed_at > GIVE_UP:
            self._refused_at[task.node] = now
            reason = f"its node did not end it within {GIVE_UP:g} s: {task.node}"
        if not reason and (slot.number in self._links or now - task.begun_at < SLOW_START):
            return False
        task.future.cancel()
        if reason:
            raise WorkerLost(reason)
        return True
