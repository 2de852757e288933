"""A cluster without an engine: workers of this machine that connect by TCP, each in a folder of its own."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from search.config.settings import PlacementSettings
from search.execution.listener import Address
from search.execution.placement import Event
from search.execution.placement.cluster import ClusterPlacement, ClusterSlot, slots_of
from search.execution.placement.node import Order, run_worker
from search.execution.process_guard import GuardedProcess
from search.execution.slots import Slot


class Here(ClusterPlacement):
    """`placement._target_=here.Here`. Prints its port."""

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        super().__init__(slots, trainer=trainer, post=post, host="127.0.0.1", engine="test")
        self._processes: dict[int, GuardedProcess] = {}
        print("port", self._listener.address[1], file=sys.stderr, flush=True)

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        return slots_of(settings, gpus=0, rooms=2)

    def kill(self, slot: Slot) -> None:
        process = self._processes.get(slot.number)
        if process is not None:
            process.kill()

    def _rooms(self, slot: ClusterSlot) -> int:
        return 0

    def _run(self, slot: ClusterSlot) -> tuple[int, bytes]:
        with self._order(slot) as order:
            return run_worker(
                order, started=lambda process: self._processes.update({slot.number: process})
            )


class Cut(Here):
    """The same, by a way on which nothing goes on while the current folder holds a file `cut`."""

    @contextmanager
    def _order(self, slot: ClusterSlot) -> Iterator[Order]:
        with super()._order(slot) as order, socket.create_server(("127.0.0.1", 0)) as door:
            threading.Thread(target=_carry, args=(door, order.address), daemon=True).start()
            yield replace(order, address=door.getsockname())


def _carry(door: socket.socket, address: Address) -> None:
    near, _ = door.accept()
    far = socket.create_connection(address)
    for source, target in ((near, far), (far, near)):
        threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            while Path("cut").exists():
                time.sleep(0.02)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
