"""What placements have in common that watch each slot from a thread of its own."""

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from search.execution.placement import Event
from search.execution.process_guard import STILL_RUNS, STUCK
from search.execution.slots import Slot

AGAIN = 0.5  # seconds after which a worker that is still there is killed once more


class ThreadedPlacement(ABC):
    """A thread for each slot, which starts its worker and waits for its end."""

    def __init__(self, slots: Sequence[Slot], *, post: Callable[[Event], None]) -> None:
        self._slots, self._post = list(slots), post
        self._threads: dict[int, threading.Thread] = {}
        self._closing = threading.Event()
        self._lock = threading.Lock()

    def start(self, slot: Slot) -> None:
        """Starts a worker for the slot."""
        thread = threading.Thread(
            target=self._serve, args=(slot,), name=f"slot {slot.number}", daemon=True
        )
        thread.start()  # raises where the machine lets no thread begin
        self._threads[slot.number] = thread

    @abstractmethod
    def kill(self, slot: Slot) -> None:
        """Ends the slot's worker now."""

    def avoid(self, node: str) -> bool:
        """On one machine there is no other place."""
        return False

    def close(self, *, grace: float) -> None:
        """Ends all workers: those that are there after `grace` seconds are killed, and so are those
        that begin only then, of which a first kill finds nothing. Whom nobody can end is left.
        """
        self._closing.set()
        staying, until = self._after(grace), time.monotonic() + STUCK
        while staying and time.monotonic() < until:
            for slot in self._slots:
                if slot.number in staying:
                    self.kill(slot)
            staying = self._after(AGAIN)
        for number in staying:
            del self._threads[number]
            text = f"the worker of slot {number} is left behind: it {STILL_RUNS}"
            print(text, file=sys.stderr, flush=True)

    def _after(self, seconds: float) -> set[int]:
        """The slots whose worker is still there, after as long as that at most."""
        deadline = time.monotonic() + seconds
        for thread in self._threads.values():
            thread.join(max(0.0, deadline - time.monotonic()))
        return {number for number, thread in self._threads.items() if thread.is_alive()}

    @abstractmethod
    def _serve(self, slot: Slot) -> None:
        """Life of one worker; one slot's trouble must not end the others."""
