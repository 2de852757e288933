"""Workers on the nodes of a Ray cluster, an actor for each slot.

Ray chooses the node and the GPUs and reports what has died.
"""

from collections.abc import Callable, Sequence
from typing import Any

from search.config.settings import PlacementSettings
from search.execution.placement import Event
from search.execution.placement.cluster import (
    ClusterPlacement,
    ClusterSlot,
    WorkerLost,
    slots_wanted,
)
from search.execution.placement.cluster_checks import (
    check_shared,
    first_line,
    gpu_share,
    own_host,
)
from search.execution.placement.node import NodeSlot
from search.execution.placement.ray_cluster import (
    any_gpus,
    connect_cluster,
    leave_marks,
    node_address,
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
        nodes = places_for(settings, gpus=gpus)
        if settings.shared:
            check_shared(settings.folder, leave_marks=lambda probe: leave_marks(probe, list(nodes)))
        return tuple(
            ClusterSlot(
                number=number,
                gpu=None,
                threads=settings.threads,
                gpus=gpus,
                shared=settings.shared,
                patience=settings.patience,
            )
            for number in range(slots_wanted(settings, rooms=sum(nodes.values())))
        )

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
        from ray.exceptions import RayActorError

        with self._lock:
            if self._closing.is_set():
                return 0, b""
            actor = self._actors.get(slot.number)
            if actor is None:
                options = {"num_cpus": slot.threads, "num_gpus": slot.gpus}
                actor = ray.remote(NodeSlot).options(**options).remote()
                self._actors[slot.number] = actor
        try:
            with self._order(slot) as order:
                started, _ = ray.wait([actor.ready.remote()], timeout=SLOW_START)
                if not started:
                    self._say_waiting(slot, hint="`ray status` shows who has it")
                status, output = ray.get(actor.serve.remote(order))
        except RayActorError as error:
            with self._lock:
                self._actors.pop(slot.number, None)
            reason = f"its actor or node has died: {first_line(error)}"
            raise WorkerLost(reason, details=f"{error}\n") from error
        return int(status), bytes(output)
