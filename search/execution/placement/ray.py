"""Workers on the nodes of a Ray cluster, an actor for each slot.

Ray chooses the node and the GPUs and reports what has died.
"""

from collections.abc import Callable, Sequence
from typing import Any

from search.config.settings import PlacementSettings
from search.execution.memory import memory_of
from search.execution.placement import Event
from search.execution.placement.cluster import (
    ClusterPlacement,
    ClusterSlot,
    WorkerLost,
    slots_of,
)
from search.execution.placement.cluster_checks import (
    check_shared,
    first_line,
    gpu_share,
    no_room,
    own_host,
)
from search.execution.placement.node import NodeSlot
from search.execution.placement.ray_cluster import (
    SHORT,
    any_gpus,
    connect_cluster,
    contents,
    leave_marks,
    node_address,
    nodes_named,
    places_for,
)
from search.execution.running_trial import SLOW_START
from search.execution.slots import Slot


class RayPlacement(ClusterPlacement):
    """`search.execution.placement.Placement` on a Ray cluster."""

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        host = own_host(node_address())
        super().__init__(slots, trainer=trainer, post=post, host=host, engine="Ray")
        self._actors: dict[int, Any] = {}

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        """Slots for which the cluster has CPUs and GPUs; more may wait for nodes to come.

        Raises:
            UsageError: there is no such cluster, no node fits a slot, or a node does not share the
                folder of the search.
        """
        connect_cluster(settings)
        gpus = gpu_share(settings, engine="ray", has_gpus=any_gpus())
        nodes = places_for(settings.threads, gpus=gpus, memory=memory_of(settings.memory_gb))
        if not nodes:
            raise no_room(settings, gpus=gpus, nodes=contents())
        if settings.shared:
            check_shared(settings.folder, leave_marks=lambda probe: leave_marks(probe, list(nodes)))
        return slots_of(settings, gpus=gpus, rooms=sum(nodes.values()))

    def kill(self, slot: Slot) -> None:
        """Ends the slot's actor, and with it its worker."""
        import ray

        with self._lock:
            actor = self._actors.pop(slot.number, None)
        if actor is not None:
            ray.kill(actor)

    def _run(self, slot: ClusterSlot) -> tuple[int, bytes]:
        """Has the slot's actor start a worker; waits where Ray has no room for it yet."""
        import ray
        from ray.exceptions import OutOfMemoryError, RayActorError

        with self._lock:
            if self._closing.is_set():
                return 0, b""
            actor = self._actor(slot)
        try:
            with self._order(slot) as order:
                node = actor.ready.remote()
                started, _ = ray.wait([node], timeout=SLOW_START)
                if not started:
                    self._say_waiting(slot, hint="`ray status` shows who has it")
                self._places[slot.number] = str(ray.get(node))[:SHORT]
                status, output = ray.get(actor.serve.remote(order))
        except (RayActorError, OutOfMemoryError) as error:
            with self._lock:
                self._actors.pop(slot.number, None)
            reason = f"its actor or node has died: {first_line(error)}"
            raise WorkerLost(reason, details=f"{error}\n") from error
        return int(status), bytes(output)

    def _actor(self, slot: ClusterSlot) -> Any:
        """The slot's actor; another one where the last has died or is on a node to avoid."""
        import ray

        avoided = nodes_named(self._avoided) if self._avoided else []
        actor = self._actors.get(slot.number)
        place = self._places.get(slot.number)
        if actor is not None and place in [node[:SHORT] for node in avoided]:
            ray.kill(actor)
            actor = None
        if actor is None:
            options: dict[str, Any] = {
                "num_cpus": slot.threads,
                "num_gpus": slot.gpus,
                "memory": memory_of(slot.memory_gb) or None,
            }
            if avoided:
                options["label_selector"] = {"ray.io/node-id": f"!in({','.join(avoided)})"}
            actor = self._actors[slot.number] = ray.remote(NodeSlot).options(**options).remote()
        return actor

    def _rooms(self, slot: ClusterSlot) -> int:
        memory = memory_of(slot.memory_gb)
        return sum(places_for(slot.threads, gpus=slot.gpus, memory=memory).values())
