"""What placements on a cluster have in common: their slots, and the port that workers connect to.

The cluster's engine starts workers and reports what has died. Messages do not travel through it:
each worker connects to the conductor by TCP, with a token that it gets from the engine.
"""

import os
import socket
import sys
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from search.config.settings import PlacementSettings
from search.execution.encryption import Certificates
from search.execution.gpus import VISIBLE_DEVICES
from search.execution.link import Link
from search.execution.listener import PATIENCE, Listener
from search.execution.messages import Message
from search.execution.placement import (
    Event,
    SlotFailed,
    SlotFound,
    WorkerJoined,
    WorkerLeft,
    early_module,
)
from search.execution.placement.cluster_checks import first_line
from search.execution.placement.node import Order
from search.execution.placement.threads import ThreadedPlacement
from search.execution.running_trial import SLOW_START
from search.execution.slots import Slot

GROWTH = 5.0  # time between two looks whether the cluster has grown [s]
LAST_WORDS = 5.0  # time that a dead worker's connection has to end [s]


@dataclass(frozen=True, kw_only=True)
class ClusterSlot(Slot):
    """Room for one worker somewhere in the cluster.

    Attributes:
        gpus: how many, or a share of one.
        shared: whether nodes share the folder of the search.
        growing: whether more slots come when the cluster grows.
        patience: silence after which its worker and the conductor take each other for gone [s].
    """

    gpus: float
    shared: bool
    growing: bool
    patience: float = PATIENCE

    @property
    def device(self) -> str:
        """The trainer's device: a worker sees only the GPUs that it gets on its node."""
        return "cuda" if self.gpus else "cpu"

    @property
    def label(self) -> str:
        """The device for tables."""
        return self.device

    def environment(self) -> dict[str, str]:
        """Variables of the worker; which GPUs it sees is decided on its node."""
        variables = super().environment()
        if self.gpus:
            del variables[VISIBLE_DEVICES]
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


class WorkerLost(Exception):
    """The engine reports that a worker's node or actor has died. `details`: in the engine's words.

    The text is one line.
    """

    def __init__(self, reason: str, *, details: str = "") -> None:
        super().__init__(reason)
        self.details = details


class ClusterPlacement(ThreadedPlacement):
    """`search.execution.placement.Placement` on a cluster; `_run` is the engine's."""

    starts_early = True
    rehearses = False  # a node may have to be waited for

    def __init__(
        self,
        slots: Sequence[Slot],
        *,
        trainer: str,
        post: Callable[[Event], None],
        host: str,
        engine: str,
        certificates: Certificates | None = None,
    ) -> None:
        super().__init__(slots, post=post)
        self._early, self._engine = early_module(trainer), engine
        patience = min(s.patience for s in slots if isinstance(s, ClusterSlot))
        self._listener = Listener(host, patience=patience, certificates=certificates)
        self._links: dict[int, WatchedLink] = {}
        self._places: dict[int, str] = {}  # by slot, the node where its worker is started
        self._avoided: set[str] = set()  # nodes and hosts
        self._watch: threading.Thread | None = None

    def start(self, slot: Slot) -> None:
        """Starts a worker for the slot, and waits for room where there is none."""
        if self._watch is None and isinstance(slot, ClusterSlot) and slot.growing:
            self._watch = threading.Thread(target=self._grow, args=(slot,), daemon=True)
            self._watch.start()
        super().start(slot)

    def avoid(self, node: str) -> bool:
        """Starts no more workers on a node, or on any of a host."""
        self._avoided.add(node)
        return True

    def _grow(self, pattern: ClusterSlot) -> None:
        """Reports slots as nodes come."""
        while not self._closing.wait(GROWTH):
            with suppress(Exception):  # the cluster has no time, or has ended, as slots will tell
                for number in range(len(self._slots), self._rooms(pattern)):
                    slot = replace(pattern, number=number)
                    self._slots.append(slot)
                    self._post(SlotFound(slot=slot))

    @abstractmethod
    def _rooms(self, slot: ClusterSlot) -> int:
        """How many slots like this the cluster has CPUs and GPUs for."""

    def close(self, *, grace: float) -> None:
        """As of `ThreadedPlacement`; the port is closed too."""
        super().close(grace=grace)
        self._listener.close()

    @abstractmethod
    def _run(self, slot: ClusterSlot) -> tuple[int, bytes]:
        """Has the engine start a worker by an `Order`, and waits: exit status and output.

        Raises:
            WorkerLost: its node or actor has died.
            Exception: no worker can be started for the slot.
        """

    @contextmanager
    def _order(self, slot: ClusterSlot) -> Iterator[Order]:
        """What a node must know to start a worker of the slot; within the block it may connect."""
        token = self._listener.expect(lambda link: self._join(slot, link))
        try:
            yield Order(
                address=self._listener.address,
                token=token,
                early=self._early,
                environment=slot.environment(),
                folder=os.getcwd() if slot.shared else None,
                patience=slot.patience,
            )
        finally:
            self._listener.forget(token)

    def _serve(self, slot: Slot) -> None:
        assert isinstance(slot, ClusterSlot)
        status, output, reason = 1, b"", ""
        try:
            status, output = self._run(slot)
        except WorkerLost as lost:
            reason, output = str(lost), lost.details.encode()
        except (ConnectionError, TimeoutError) as error:  # the next one may get through
            output = f"it could not connect: {first_line(error)}\n".encode()
        except Exception as error:  # noqa: BLE001  # of any engine: it ends the search, in words
            place = f" (on {place})" if (place := self._places.get(slot.number)) else ""
            self._post(SlotFailed(slot=slot, reason=first_line(error) + place))
            return
        if slot.number not in self._links:  # it has never connected
            ours, theirs = socket.socketpair()
            theirs.close()
            self._join(slot, Link(ours))
        if not self._closing.is_set():
            self._links[slot.number].ended.wait(LAST_WORDS)
        del self._links[slot.number]
        self._post(WorkerLeft(slot=slot, status=status, output=output, reason=reason))

    def _join(self, slot: Slot, link: Link) -> None:
        self._links[slot.number] = watched = WatchedLink(link)
        node = self._places.get(slot.number, "")
        self._post(WorkerJoined(slot=slot, connection=watched, node=node))

    def _say_waiting(self, slot: Slot, *, hint: str) -> None:
        """Tells the user that the slot has no place yet. `hint`: where to see who has it."""
        print(
            f"slot {slot.number} still waits for room in the {self._engine} cluster after "
            f"{SLOW_START:g} s ({hint})",
            file=sys.stderr,
            flush=True,
        )


def slots_of(settings: PlacementSettings, *, gpus: float, rooms: int) -> tuple[ClusterSlot, ...]:
    """The slots of a search in a cluster.

    Args:
        gpus: of one slot, or its share of one.
        rooms: for how many the cluster has room.
    """
    growing = settings.slots == "auto"
    return tuple(
        ClusterSlot(
            number=number,
            gpu=None,
            threads=settings.threads,
            memory_gb=settings.memory_gb,
            gpus=gpus,
            shared=settings.shared,
            growing=growing,
            patience=settings.patience,
        )
        for number in range(rooms if growing else int(settings.slots))
    )
