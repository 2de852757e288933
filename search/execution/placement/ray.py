"""Workers on the nodes of a Ray cluster, an actor for each slot.

Ray chooses the node and the GPUs and reports what has died. Messages do not travel through Ray:
each worker connects to the conductor by TCP, with a token that it gets from Ray.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from search.config.settings import PlacementSettings
from search.execution.gpus import VARIABLE
from search.execution.link import Link
from search.execution.listener import Listener
from search.execution.messages import Message
from search.execution.placement import Event, SlotFailed, WorkerJoined, WorkerLeft, early_module
from search.execution.placement.ray_cluster import (
    check_shared,
    connect_cluster,
    own_host,
    places_for,
    shares,
)
from search.execution.placement.ray_node import NodeSlot
from search.execution.running_trial import SLOW_START
from search.execution.slots import Slot

LAST_WORDS = 5.0  # time that a dead worker's connection has to end [s]


@dataclass(frozen=True, kw_only=True)
class RaySlot(Slot):
    """Room for one worker somewhere in the cluster. `gpus`: how many, or a share of one."""

    gpus: float

    @property
    def device(self) -> str:
        """The trainer's device: a worker sees only the GPUs that Ray gives it."""
        return "cuda" if self.gpus else "cpu"

    @property
    def label(self) -> str:
        """The device for tables."""
        return self.device

    def environment(self) -> dict[str, str]:
        """Variables of the worker; Ray itself says which GPUs it sees."""
        variables = super().environment()
        if self.gpus:
            del variables[VARIABLE]
        return variables


class WatchedLink(Link):
    """A link that says when its other side has ended. `ended`: set then."""

    def __init__(self, link: Link) -> None:
        super().__init__(link.socket)
        self.ended = threading.Event()

    def poll(self) -> tuple[list[Message], bool]:
        """As of `Link`."""
        messages, is_open = super().poll()
        if not is_open:
            self.ended.set()
        return messages, is_open

    def close(self) -> None:
        """As of `Link`."""
        super().close()
        self.ended.set()


class RayPlacement:
    """`search.execution.placement.Placement` on a Ray cluster."""

    starts_early = False  # a node may have to be waited for

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        self._early, self._slots, self._post = early_module(trainer), slots, post
        self._listener = Listener(own_host())
        self._actors: dict[int, Any] = {}
        self._links: dict[int, WatchedLink] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._closing = False
        self._lock = threading.Lock()

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        """Slots for which the cluster has CPUs and GPUs; more may wait for nodes to come.

        Raises:
            UsageError: there is no such cluster, no node fits a slot, or a node does not share the
                folder of the search.
        """
        connect_cluster(settings)
        gpus = shares(settings)
        nodes = places_for(settings, gpus=gpus)
        check_shared(settings.folder, nodes=list(nodes))
        number = sum(nodes.values()) if settings.slots == "auto" else int(settings.slots)
        return tuple(
            RaySlot(number=index, gpu=None, threads=settings.threads, gpus=gpus)
            for index in range(number)
        )

    def start(self, slot: Slot) -> None:
        """Starts a worker where Ray has room for it, and waits for room where there is none."""
        thread = threading.Thread(target=self._serve, args=(slot,), name=f"slot {slot.number}")
        self._threads[slot.number] = thread
        thread.start()

    def kill(self, slot: Slot) -> None:
        """Ends the slot's actor, and with it its worker."""
        import ray

        with self._lock:
            actor = self._actors.pop(slot.number, None)
        if actor is not None:
            ray.kill(actor)

    def close(self, *, grace: float) -> None:
        """Ends all workers: those that are there after `grace` seconds are killed."""
        deadline = time.monotonic() + grace
        while self._links and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._lock:
            self._closing = True
            links = list(self._links.values())
        for slot in self._slots:
            self.kill(slot)
        for link in links:
            link.ended.set()  # nobody listens to last messages any more
        for thread in self._threads.values():
            thread.join()
        self._listener.close()

    def _serve(self, slot: Slot) -> None:
        """Life of one worker; one slot's trouble must not end the others."""
        from ray.exceptions import RayActorError

        token = self._listener.expect(lambda link: self._join(slot, link))
        status, output, reason = 1, b"", ""
        try:
            status, output = self._run(slot, token)
        except RayActorError as error:
            with self._lock:
                self._actors.pop(slot.number, None)
            reason = f"its actor or node has died: {_first_line(error)}"
            output = f"{error}\n".encode()
        except Exception as error:  # noqa: BLE001
            self._post(SlotFailed(slot=slot, reason=_first_line(error)))
            return
        if self._listener.forget(token):  # it has never connected
            ours, theirs = socket.socketpair()
            theirs.close()
            self._join(slot, Link(ours))
        if not self._closing:
            self._links[slot.number].ended.wait(LAST_WORDS)
        del self._links[slot.number]
        self._post(WorkerLeft(slot=slot, status=status, output=output, reason=reason))

    def _run(self, slot: Slot, token: bytes) -> tuple[int, bytes]:
        """Has the slot's actor start a worker, and waits for its end: exit status and output."""
        import ray

        with self._lock:
            if self._closing:
                return 0, b""
            actor = self._actors.get(slot.number)
            if actor is None:
                assert isinstance(slot, RaySlot)
                options = {"num_cpus": slot.threads, "num_gpus": slot.gpus}
                actor = ray.remote(NodeSlot).options(**options).remote(os.getcwd())
                self._actors[slot.number] = actor
        started, _ = ray.wait([actor.ready.remote()], timeout=SLOW_START)
        if not started:
            self._say_waiting(slot)
        status, output = ray.get(
            actor.serve.remote(
                self._listener.address,
                token=token,
                early=self._early,
                environment=slot.environment(),
            )
        )
        return int(status), bytes(output)

    def _say_waiting(self, slot: Slot) -> None:
        """Tells the user that the slot has no place yet."""
        print(
            f"slot {slot.number} still waits for room in the Ray cluster after {SLOW_START:g} s "
            "(`ray status` shows who has it)",
            file=sys.stderr,
            flush=True,
        )

    def _join(self, slot: Slot, link: Link) -> None:
        self._links[slot.number] = watched = WatchedLink(link)
        self._post(WorkerJoined(slot=slot, connection=watched))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
