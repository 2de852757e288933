"""Workers on the nodes of a Ray cluster, an actor for each slot.

Ray chooses the node and the GPUs and reports what has died.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from search.config.settings import PlacementSettings
from search.execution.memory import memory_of
from search.execution.placement import Event, SlotFailed
from search.execution.placement.cluster import ClusterPlacement, ClusterSlot, WorkerLost, slots_of
from search.execution.placement.cluster_checks import (
    PATIENCE,
    check_shared,
    connected,
    first_line,
    gpu_share,
    no_room,
    own_host,
)
from search.execution.placement.node import NodeSlot, ray_certificates
from search.execution.placement.ray_cluster import (
    SHORT,
    any_gpus,
    connect_cluster,
    contents,
    head_address,
    leave_marks,
    node_address,
    nodes_named,
    places_for,
)
from search.execution.running_trial import SLOW_START
from search.execution.slots import Slot

LOOK = 1.0  # time between two looks at an actor, and at the head [s]
HEAD_ENDED = "the head of the Ray cluster has ended; start it anew, and the same command goes on"
OTHER_HEAD = "WrongClusterID"  # in what Ray says when a new head has the address of the former one
HEAD_SILENCE = 20.0  # a head that is silent so long has ended [s]; Ray itself waits for 60 s


class RayPlacement(ClusterPlacement):
    """`search.execution.placement.Placement` on a Ray cluster."""

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        host = own_host(node_address())
        super().__init__(
            slots,
            trainer=trainer,
            post=post,
            host=host,
            engine="Ray",
            certificates=ray_certificates(),
        )
        self._actors: dict[int, Any] = {}
        self._head_ended = threading.Event()
        threading.Thread(target=self._watch_head, name="ray head", daemon=True).start()

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
        if actor is not None and not self._head_ended.is_set():
            ray.kill(actor)

    def _run(self, slot: ClusterSlot) -> tuple[int, bytes]:
        """Has the slot's actor start a worker; waits where Ray has no room for it yet."""
        import ray
        from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

        try:
            actor = self._actor(slot)
            if actor is None:
                return 0, b""
            with self._order(slot) as order:
                node = actor.ready.remote()
                started, _ = ray.wait([node], timeout=SLOW_START)
                if not started:
                    self._say_waiting(slot, hint="`ray status` shows who has it")
                self._places[slot.number] = str(self._answer(node))[:SHORT]
                status, output = self._answer(actor.serve.remote(order))
        except (RayActorError, OutOfMemoryError) as error:
            with self._lock:
                self._actors.pop(slot.number, None)
            reason = f"its actor or node has died: {first_line(error)}"
            raise WorkerLost(reason, details=f"{error}\n") from error
        except RayTaskError as error:  # Ray's text begins with where, and says what at its end
            raise error.cause or error from error
        except Exception as error:
            raise RuntimeError(HEAD_ENDED) if OTHER_HEAD in str(error) else error from error
        return int(status), bytes(output)

    def _answer(self, call: Any) -> Any:
        """What an actor's method returns.

        Raises:
            RuntimeError: the head of the cluster has ended.
            RayError: the actor has died.
        """
        import ray

        while not ray.wait([call], timeout=LOOK)[0]:
            if self._head_ended.is_set():
                raise RuntimeError(HEAD_ENDED)
        return ray.get(call)

    def _watch_head(self) -> None:
        """Ends the search before Ray itself would end this process without its reason."""
        address, silence = head_address(), 0.0
        while not self._closing.wait(LOOK):
            asked_at = time.monotonic()
            try:
                connected(address).close()
                silence = 0.0
            except OSError:  # no longer than an attempt takes: this process may have stood still
                silence += LOOK + min(time.monotonic() - asked_at, PATIENCE)
            if silence > HEAD_SILENCE:
                self._head_ended.set()  # slots' threads may wait for it within Ray, for ever
                self._post(SlotFailed(slot=self._slots[0], reason=HEAD_ENDED))
                return

    def close(self, *, grace: float) -> None:
        """As of `ClusterPlacement`. Without a head, workers end since their conductor does."""
        if self._head_ended.is_set():
            self._listener.close()
        else:
            super().close(grace=grace)

    def _actor(self, slot: ClusterSlot) -> Any:
        """The slot's actor; another one where the last has died or is on a node to avoid.

        None while the placement is closing.
        """
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
            actor = ray.remote(NodeSlot).options(**options).remote()  # waits for the head
        with self._lock:
            self._actors[slot.number] = actor
            if not self._closing.is_set():
                return actor
        self.kill(slot)
        return None

    def _rooms(self, slot: ClusterSlot) -> int:
        memory = memory_of(slot.memory_gb)
        return sum(places_for(slot.threads, gpus=slot.gpus, memory=memory).values())
