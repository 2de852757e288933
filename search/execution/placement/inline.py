"""One worker as a thread of the conductor's own process, for debugging: breakpoints and print work. Nothing can be killed."""

import os
import socket
import threading
import traceback
from collections.abc import Callable

from search.execution.messages import Link
from search.execution.placement import Event, Joined, Left
from search.execution.slots import Slot
from search.execution.worker.worker import Worker


class InlinePlacement:
    """`search.execution.placement.Placement` within this process."""

    def __init__(self, slot: Slot, *, post: Callable[[Event], None]) -> None:
        self._slot, self._post = slot, post
        self._thread = threading.Thread(target=self._keep, name="worker", daemon=True)
        self._ending = threading.Event()

    def start(self, *, early: bool = False) -> bool:
        """Starts the one worker, once; not early, since this process imports everything itself."""
        if not early and self._thread.ident is None:
            self._thread.start()
        return not early

    def kill(self, slot: Slot) -> None:
        """A thread cannot be killed; the trial ends at its next epoch."""

    def close(self) -> None:
        """Starts no more workers."""
        self._ending.set()

    def stop(self, *, grace: float) -> None:
        """Waits for the running epoch to end."""
        self.close()
        if self._thread.is_alive():
            self._thread.join(grace)

    def _keep(self) -> None:
        while not self._ending.is_set():
            ours, theirs = (Link(end) for end in socket.socketpair())
            self._post(Joined(slot=self._slot, link=ours, pid=os.getpid()))
            try:
                theirs.send({"kind": "hello", "pid": os.getpid(), "environment": {}})
                setup = theirs.receive()
                if setup["kind"] == "setup":
                    Worker(theirs, setup=setup, log=None).serve()
            except (EOFError, OSError):
                return
            except BaseException:  # noqa: BLE001  # what would end a worker process, such as sys.exit, must not end the slot
                traceback.print_exc()
            finally:
                theirs.close()
                self._post(Left(slot=self._slot, pid=os.getpid(), status=0))
