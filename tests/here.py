"""A cluster without an engine: workers of this machine that connect by TCP, each in a folder of its own."""

import os
import sys
from collections.abc import Callable, Sequence

from search.config.settings import PlacementSettings
from search.execution.placement import Event
from search.execution.placement.cluster import ClusterPlacement, ClusterSlot, slots_wanted
from search.execution.placement.node import run_worker
from search.execution.process_guard import GuardedProcess
from search.execution.slots import Slot


class Here(ClusterPlacement):
    """`placement._target_=here.Here`; `KNOBWISE_PORT` sends the workers to another port than the conductor's."""

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        super().__init__(slots, trainer=trainer, post=post, host="127.0.0.1", engine="test")
        self._processes: dict[int, GuardedProcess] = {}
        print("port", self._listener.address[1], file=sys.stderr, flush=True)

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        return tuple(
            ClusterSlot(
                number=number,
                gpu=None,
                threads=settings.threads,
                gpus=0,
                shared=settings.shared,
                growing=False,
            )
            for number in range(slots_wanted(settings, rooms=2))
        )

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


os.environ.setdefault("TOY_PAUSE", "0.02")
