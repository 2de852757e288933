"""The conductor's end of all connections: who is there, what they say, who has gone. One thread listens; any may post events.

Knows workers, not trials' fates.
"""

import os
import queue
import selectors
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field

from search.errors import RunError
from search.execution.messages import Link, Message, MessageError
from search.execution.placement import Broken, Event, Joined, Left
from search.execution.running_trial import RunningTrial
from search.execution.slots import Slot

PATIENCE = 1.0  # seconds of a wait after which it begins again
STILLBORN = 3  # workers of a slot that end, one after the other, without having asked for work


@dataclass(kw_only=True, eq=False)
class WorkerHandle:
    """A worker. `trials`: what it trains, `room`: its free seats.

    `waiting`: whether it asks for work, `has_asked`: whether it ever has.
    `wants_candidates`: whether it wants to know what else could train beside a trial.
    """

    slot: Slot
    link: Link
    has_asked: bool = False
    waiting: bool = False
    room: int = 0
    wants_candidates: bool = False
    trials: dict[int, RunningTrial] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MessageReceived:
    """A worker has spoken. A message that is none is told as kind `broken`."""

    worker: WorkerHandle
    message: Message


@dataclass(frozen=True, kw_only=True)
class WorkerExited:
    """A worker has ended, all that it said before has been told, and all its processes are gone."""

    worker: WorkerHandle
    status: int

    @property
    def how(self) -> str:
        """How it ended, in words."""
        if self.status >= 0:
            return f"its worker ended with exit status {self.status} in the middle of the trial"
        hint = " (out of memory?)" if -self.status == signal.SIGKILL else ""
        return f"its worker was killed by {signal.Signals(-self.status).name}{hint}"


class WorkerConnections:
    """All workers of a search."""

    def __init__(self) -> None:
        self._workers: dict[int, WorkerHandle] = {}
        self._stillborn: dict[int, int] = {}
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._unheard: list[MessageReceived | WorkerExited] = []
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    @property
    def workers(self) -> Iterable[WorkerHandle]:
        """Those that are there."""
        return self._workers.values()

    def post(self, event: Event) -> None:
        """Takes an event from any thread."""
        self._inbox.put(event)
        self.wake()

    def wake(self) -> None:
        """Ends a wait, from any thread or signal handler."""
        try:
            os.write(self._wake_write, b"x")
        except BlockingIOError:  # it is awake already
            return

    def wait(self, seconds: float) -> list[MessageReceived | WorkerExited]:
        """What has happened, in order; empty after so many seconds of silence.

        Raises:
            RunError: a slot cannot keep a worker.
        """
        happened, self._unheard = self._unheard, []
        for key, _ in self._selector.select(0 if happened else seconds):
            if key.data is None:
                os.read(self._wake_read, 4096)
            else:
                happened += self._listen(key.data)
        while not self._inbox.empty():
            happened += self._on_event(self._inbox.get())
        return happened

    def tell(self, worker: WorkerHandle, message: Message) -> None:
        """Sends a message; if the worker has died, `WorkerExited` will say so."""
        try:
            worker.link.send(message)
        except OSError:
            return

    def ask(self, message: Message) -> Message | None:
        """The answer of the first worker, which nobody has set up yet, to a message that gives one; None where it ends before.

        What is said meanwhile is there at the next wait. To be asked only while workers start.
        """
        meanwhile: list[MessageReceived | WorkerExited] = []
        while not self._workers:
            meanwhile += self.wait(PATIENCE)
        worker = next(iter(self._workers.values()))
        self.tell(worker, message)
        answer = None
        while answer is None and not worker.link.closed:
            for happened in self.wait(PATIENCE):
                if (
                    isinstance(happened, MessageReceived)
                    and happened.worker is worker
                    and happened.message["kind"] == "answer"
                ):
                    answer = happened.message
                else:
                    meanwhile.append(happened)
        self._unheard = meanwhile
        return answer

    def dismiss(self) -> None:
        """Lets all workers go: those that wait are told, the others see the connection close."""
        while not self._inbox.empty():
            self._on_event(self._inbox.get())
        for worker in self._workers.values():
            self.tell(worker, {"kind": "quit"})
            self._drop(worker)

    def close(self) -> None:
        """Closes everything."""
        while not self._inbox.empty():
            event = self._inbox.get()
            if isinstance(event, Joined):
                event.link.close()
        for worker in self._workers.values():
            self._drop(worker)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _on_event(self, event: Event) -> list[MessageReceived | WorkerExited]:
        if isinstance(event, Joined):
            worker = WorkerHandle(slot=event.slot, link=event.link)
            self._workers[event.slot.number] = worker
            self._selector.register(event.link.socket, selectors.EVENT_READ, worker)
        elif isinstance(event, Left):
            worker = self._workers.pop(event.slot.number)
            last_words = self._listen(worker)
            self._drop(worker)
            has_asked = worker.has_asked or any(
                said.message["kind"] == "ask" for said in last_words
            )
            self._count_stillborn(event.slot, has_asked=has_asked)
            return [*last_words, WorkerExited(worker=worker, status=event.status)]
        elif isinstance(event, Broken):
            raise RunError(
                f"slot {event.slot.number} ({event.slot.label}) cannot work: {event.reason}"
            )
        return []

    def _listen(self, worker: WorkerHandle) -> list[MessageReceived]:
        if worker.link.closed:
            return []
        try:
            messages, there = worker.link.poll()
        except MessageError as error:
            messages, there = [{"kind": "broken", "why": str(error)}], False
        if not there:
            self._drop(worker)
        return [MessageReceived(worker=worker, message=message) for message in messages]

    def _drop(self, worker: WorkerHandle) -> None:
        if not worker.link.closed:
            self._selector.unregister(worker.link.socket)
            worker.link.close()

    def _count_stillborn(self, slot: Slot, *, has_asked: bool) -> None:
        self._stillborn[slot.number] = 0 if has_asked else self._stillborn.get(slot.number, 0) + 1
        if self._stillborn[slot.number] >= STILLBORN:
            raise RunError(
                f"slot {slot.number} ({slot.label}): {STILLBORN} workers in a row ended before they asked for work; "
                f"see logs/{slot.log}"
            )
