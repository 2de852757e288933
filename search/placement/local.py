"""Workers as child processes of this machine, one thread per slot, each catching everything.

A thread, since Linux ends a worker with the *thread* that started it (PR_SET_PDEATHSIG). A slot starts its worker in a session
of its own and starts another when it has ended. Never decides about trials.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from search import guard
from search.devices import Slot
from search.placement import Broken, Event, Joined, Left
from search.wire import Link


class LocalPlacement:
    """`search.placement.Placement` on this machine. `post` hands an event to the conductor, from any thread."""

    def __init__(self, slots: Sequence[Slot], *, logs: Path, post: Callable[[Event], None]) -> None:
        self._slots, self._logs, self._post = slots, logs, post
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads: list[threading.Thread] = []
        self._ending = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Starts a worker in every slot."""
        self._logs.mkdir(exist_ok=True)
        for slot in self._slots:
            self._threads.append(threading.Thread(target=self._keep, args=(slot,), name=f"slot {slot.number}"))
            self._threads[-1].start()

    def kill(self, slot: Slot) -> None:
        """Ends the slot's worker now."""
        with self._lock:
            process = self._processes.get(slot.number)
        if process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Starts no more workers."""
        self._ending.set()

    def stop(self, *, grace: float) -> None:
        """Ends all workers: those that do not end by themselves within `grace` seconds are killed."""
        self.close()
        deadline = time.monotonic() + grace
        while self._alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        for slot in self._slots:
            self.kill(slot)
        for thread in self._threads:
            thread.join()

    def _alive(self) -> bool:
        with self._lock:
            return any(process.poll() is None for process in self._processes.values())

    def _keep(self, slot: Slot) -> None:
        """Life of a slot: a worker, and another when it has ended."""
        try:
            while not self._ending.is_set():
                self._serve(slot)
        except Exception as error:  # noqa: BLE001  # one slot's trouble must not end the others
            self._post(Broken(slot=slot, reason=f"{type(error).__name__}: {error}"))

    def _serve(self, slot: Slot) -> None:
        """One worker from start to end."""
        ours, theirs = socket.socketpair()
        lifeline, held = os.pipe()  # the worker's guard sees `held` close when this process dies
        mark = uuid.uuid4().hex
        try:
            with worker_log(self._logs, slot).open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-m", "search.worker", str(theirs.fileno()), str(lifeline)],
                    env={**os.environ, **slot.environment(), guard.MARK: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs.fileno(), lifeline],
                    start_new_session=True,
                )
            theirs.close()
            os.close(lifeline)
            with self._lock:
                self._processes[slot.number] = process
            if self._ending.is_set():  # `stop` may have looked for it already
                self.kill(slot)
            self._post(Joined(slot=slot, link=Link(ours), pid=process.pid))
            status = process.wait()
        finally:
            os.close(held)
        guard.kill_marked(mark)
        self._post(Left(slot=slot, pid=process.pid, status=status))


def worker_log(logs: Path, slot: Slot) -> Path:
    """Where a slot's workers print what belongs to no trial."""
    return logs / f"worker-{slot.number}.log"
