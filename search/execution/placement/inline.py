"""One worker as a thread of the conductor's own process, for debugging: breakpoints and print work.

Nothing can be killed. It gives a worker's numbers bit for bit, unless this process has imported
torch before.
"""

import os
import socket
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace

from search.config.settings import PlacementSettings
from search.execution.link import Link
from search.execution.messages import Hello, Setup
from search.execution.placement import Event, WorkerJoined, WorkerLeft
from search.execution.slots import Slot, find_slots
from search.execution.temporary_variables import variables_set
from search.execution.worker.worker import Worker


class InlinePlacement:
    """`search.execution.placement.Placement` within this process."""

    starts_early = rehearses = False  # this process imports everything itself

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        self._post = post
        self._thread: threading.Thread | None = None

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        """One slot."""
        return find_slots(replace(settings, slots=1, gpus_per_trial=None), by_torch=by_torch)

    def start(self, slot: Slot) -> None:
        """Starts the worker's thread."""
        self._thread = threading.Thread(
            target=self._serve, args=(slot,), name="worker", daemon=True
        )
        self._thread.start()

    def kill(self, slot: Slot) -> None:
        """Does nothing: a thread cannot be killed; the trial ends at its next epoch."""

    def avoid(self, node: str) -> bool:
        """There is no other place."""
        return False

    def close(self, *, grace: float) -> None:
        """Waits for the running epoch to end."""
        if self._thread is not None:
            self._thread.join(grace)

    def _serve(self, slot: Slot) -> None:
        """Life of one worker."""
        with variables_set(slot.arithmetic()):  # torch is imported within
            self._work(slot)

    def _work(self, slot: Slot) -> None:
        ours, theirs = (Link(end) for end in socket.socketpair())
        self._post(WorkerJoined(slot=slot, connection=ours))
        try:
            theirs.send(Hello(pid=os.getpid()))
            setup = theirs.receive()
            if isinstance(setup, Setup):
                Worker(theirs, setup=setup, log=None).serve()
        except (EOFError, OSError):  # the conductor has dismissed it
            return
        except BaseException:  # noqa: BLE001  # such as sys.exit, which must not end the search
            traceback.print_exc()
        finally:
            theirs.close()
            self._post(WorkerLeft(slot=slot, status=0))
