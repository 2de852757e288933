"""Workers as child processes of this machine, a thread for each.

A thread, since Linux ends a worker together with the *thread* that started it.
"""

import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import IO

from search.config.settings import PlacementSettings
from search.execution.link import Link
from search.execution.placement import Event, SlotFailed, WorkerJoined, WorkerLeft, early_module
from search.execution.placement.threads import AGAIN, ThreadedPlacement
from search.execution.process_guard import STILL_RUNS, STUCK, GuardedProcess, spawn_guarded
from search.execution.slots import Slot, find_slots

PROCESS = "search.execution.worker.process"


class LocalPlacement(ThreadedPlacement):
    """`search.execution.placement.Placement` on this machine."""

    starts_early = rehearses = True

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        super().__init__(slots, post=post)
        self._early = early_module(trainer)
        self._processes: dict[int, GuardedProcess] = {}

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        """GPUs or cores of this machine."""
        return find_slots(settings, by_torch=by_torch)

    def kill(self, slot: Slot) -> None:
        """Ends the slot's worker now; where the system cannot, the slot has failed."""
        with self._lock:
            process = self._processes.get(slot.number)
        if process is None:
            return
        if not process.killed:
            watch = threading.Timer(STUCK, self._check_ended, (slot, process))
            watch.daemon = True
            watch.start()
        process.kill()

    def _check_ended(self, slot: Slot, process: GuardedProcess) -> None:
        try:  # where all stood still meanwhile, its end comes only now
            process.wait(AGAIN)
        except subprocess.TimeoutExpired:
            self._post(SlotFailed(slot=slot, reason=f"its worker {STILL_RUNS}"))

    def _serve(self, slot: Slot) -> None:
        try:
            with tempfile.TemporaryFile() as printed:
                status = self._run(slot, printed)
                printed.seek(0)
                output = printed.read()
        except Exception as error:  # noqa: BLE001  # of a thread: it ends the search, in words
            self._post(SlotFailed(slot=slot, reason=f"{type(error).__name__}: {error}"))
        else:
            self._post(WorkerLeft(slot=slot, status=status, output=output))

    def _run(self, slot: Slot, printed: IO[bytes]) -> int:
        """Starts a worker and waits for its end; its exit status."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = spawn_guarded(
                PROCESS,
                str(theirs.fileno()),
                self._early,
                environment=slot.environment(),
                output=printed,
                inherited=[theirs.fileno()],
            )
        with process:
            with self._lock:
                self._processes[slot.number] = process
            if self._closing.is_set():  # `close` may have looked for it already
                process.kill()
            self._post(WorkerJoined(slot=slot, connection=Link(ours)))
            return process.wait()
