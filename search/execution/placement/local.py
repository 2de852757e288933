"""Workers as child processes of this machine, one thread per slot, each catching everything.

A thread, since Linux ends a worker with the *thread* that started it (PR_SET_PDEATHSIG). A slot starts its worker in a session
of its own and starts another when it has ended. Never decides about trials.
"""

import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from search.execution import process_guard as guard
from search.execution.messages import Link
from search.execution.module_process import module_command
from search.execution.placement import Broken, Event, Joined, Left
from search.execution.slots import Slot

PAUSE = 0.05  # seconds between two looks at whether a search has begun


class LocalPlacement:
    """`search.execution.placement.Placement` on this machine. `post` hands an event to the conductor, from any thread.

    `logs` need not be there yet. `early`: a module that workers import before they are told anything.
    """

    def __init__(
        self, slots: Sequence[Slot], *, logs: Path, early: str, post: Callable[[Event], None]
    ) -> None:
        self._slots, self._logs, self._early, self._post = slots, logs, early, post
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._threads: list[threading.Thread] = []
        self._begun, self._ending = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def start(self, *, early: bool = False) -> bool:
        """Starts a worker in every slot, once. One that starts early and dies waits for the search to begin."""
        if not early:
            self._begun.set()
        for slot in () if self._threads else self._slots:
            self._threads.append(
                threading.Thread(target=self._keep, args=(slot,), name=f"slot {slot.number}")
            )
            self._threads[-1].start()
        return True

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
        with tempfile.TemporaryFile() as printed:  # until it is told where its log is
            try:
                process = subprocess.Popen(
                    module_command(
                        "search.execution.worker.worker",
                        str(theirs.fileno()),
                        str(lifeline),
                        self._early,
                    ),
                    env={**os.environ, **slot.environment(), guard.MARK: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=printed,
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
            while not (self._begun.is_set() or self._ending.is_set()):
                self._begun.wait(PAUSE)
            if self._begun.is_set():  # else there is no search whose log it could be
                self._keep_printed(slot, printed)
        self._post(Left(slot=slot, pid=process.pid, status=status))

    def _keep_printed(self, slot: Slot, printed: IO[bytes]) -> None:
        printed.seek(0)
        text = printed.read()
        if text:
            self._logs.mkdir(exist_ok=True)
            with (self._logs / slot.log).open("ab") as file:
                file.write(text)
