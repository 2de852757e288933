"""The conductor's end of all connections: which workers are there, what they say, who has ended.

One thread listens; any thread may post events. Knows workers, not the fate of trials.
"""

import os
import queue
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from search.config.text import one_line
from search.errors import RunError
from search.execution.link import Link
from search.execution.messages import LEFT, AskForWork, DryRunAnswer, Hello, Message, MessageError
from search.execution.placement import Event, SlotFailed, WorkerJoined, WorkerLeft
from search.execution.running_trial import SLOW_START, RunningTrial
from search.execution.slots import Slot
from trainers.command_end import raised, signal_name

MIDDLE = " in the middle of the trial"
PATIENCE = 1.0  # longest wait for events before the clocks are looked at [s]


@dataclass(kw_only=True, eq=False)
class WorkerHandle:
    """A worker.

    Attributes:
        has_asked: True once it has asked for work.
        waiting: True while it waits for work.
        room: its free seats.
        wants_candidates: True if it wants to know which trials could share a program.
        trials: the trials that it trains, by number.
        host: its machine.
        node: the cluster's name of it; empty without a cluster.
        device: its GPUs, where it has some.
        leave_by: when it is killed, once its slot is being freed; by the monotonic clock.
    """

    slot: Slot
    connection: Link
    has_asked: bool = False
    waiting: bool = False
    room: int = 0
    wants_candidates: bool = False
    trials: dict[int, RunningTrial] = field(default_factory=dict)
    host: str = ""
    node: str = ""
    device: str = ""
    leave_by: float | None = None

    @property
    def memory(self) -> str:
        """What it shares with other workers: a GPU's memory, or that of its machine."""
        return f"{self.device or 'cpu'} of {self.host}" if self.node else self.slot.label

    @property
    def place(self) -> str:
        """Where it is on a cluster, in words that go on a sentence."""
        return f" on {self.host or 'the node'} ({self.node})" if self.node else ""

    def greet(self, hello: Hello) -> None:
        """Its first message has come."""
        self.host = hello.host
        self.device = f"cuda:{hello.gpus}" if hello.gpus else ""


@dataclass(frozen=True, kw_only=True)
class MessageReceived:
    """A worker has sent a message."""

    worker: WorkerHandle
    message: Message


@dataclass(frozen=True, kw_only=True)
class ProtocolBroken:
    """A worker has sent something that is no message."""

    worker: WorkerHandle
    reason: str


@dataclass(frozen=True, kw_only=True)
class WorkerExited:
    """A worker has ended; its messages were delivered before, and all its processes are gone.

    `output`: what it printed before it knew its log. `placement_reason`: what the placement says
    of its end, where the status does not tell.
    """

    worker: WorkerHandle
    status: int
    output: bytes
    placement_reason: str = ""

    @property
    def was_told_to_leave(self) -> bool:
        """True if it ended because its machine is to be given back (SIGTERM)."""
        return self.status in (LEFT, -signal.SIGTERM)

    @property
    def was_killed(self) -> bool:
        """True if somebody has killed it, or its node has gone: its end says nothing about it.

        A worker that has lost its connection ends with status 0.
        """
        return bool(self.placement_reason) or self.status in (0, -signal.SIGKILL)

    @property
    def last_words(self) -> str:
        """Its error before it knew its log, or what it printed last; without any, how it ended."""
        lines = self.output.decode(errors="replace").strip().splitlines()
        return one_line(raised(lines) or lines[-1]) if lines else self.reason.partition(MIDDLE)[0]

    @property
    def reason(self) -> str:
        """How it ended, in words."""
        if self.placement_reason:
            return self.placement_reason
        if self.status >= 0:
            hint = "" if self.status else ", as by sys.exit before the last epoch"
            return f"its worker ended with exit status {self.status}{MIDDLE}{hint}"
        hint = " (out of memory?)" if -self.status == signal.SIGKILL else ""
        return f"its worker was killed by {signal_name(-self.status)}{hint}"


Happening = MessageReceived | ProtocolBroken | WorkerExited


class WorkerConnections:
    """All workers of a search."""

    def __init__(self) -> None:
        self._workers: dict[int, WorkerHandle] = {}
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._undelivered: list[Happening] = []
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    @property
    def workers(self) -> Iterable[WorkerHandle]:
        """Those that are connected."""
        return self._workers.values()

    def post(self, event: Event) -> None:
        """Takes an event from any thread."""
        self._inbox.put(event)
        self.wake()

    def wake(self) -> None:
        """Ends a wait, from any thread or signal handler."""
        with suppress(OSError):  # the pipe is full: the wait is ending already; or it is closed
            os.write(self._wake_write, b"x")

    def wait(self, seconds: float) -> list[Happening]:
        """What has happened, in order; empty after so many seconds of silence.

        Raises:
            RunError: a slot cannot start a worker.
        """
        happened, self._undelivered = self._undelivered, []
        for key, _ in self._selector.select(0 if happened else seconds):
            if key.data is None:
                os.read(self._wake_read, 4096)
            else:
                happened += self._listen(key.data)
        while not self._inbox.empty():
            happened += self._on_event(self._inbox.get())
        return happened

    def tell(self, worker: WorkerHandle, message: Message) -> None:
        """Sends a message; if the worker has died, `WorkerExited` will follow."""
        with suppress(OSError):
            worker.connection.send(message)

    def ask(
        self, message: Message, *, seconds: float, slow: Callable[[], None]
    ) -> DryRunAnswer | None:
        """As `dry_run.Early.ask`, of the first worker before it is set up; the next `wait` delivers
        what else happens.
        """
        asked_at, is_slow = time.monotonic(), False
        worker: WorkerHandle | None = None
        answer: DryRunAnswer | None = None
        others: list[Happening] = []
        while answer is None:
            waited = time.monotonic() - asked_at
            if waited > seconds:
                raise TimeoutError
            if waited > SLOW_START and not is_slow:
                is_slow = True
                slow()
            if worker is None and self._workers:
                worker = next(iter(self._workers.values()))
                self.tell(worker, message)
            for happened in self.wait(min(PATIENCE, seconds)):
                match happened:
                    case MessageReceived(message=DryRunAnswer() as answer):
                        pass
                    case _:
                        others.append(happened)
            exited = [each.worker for each in others if isinstance(each, WorkerExited)]
            if worker in exited or (exited and not self._workers):
                break
        self._undelivered = others
        return answer

    def dismiss(self, message: Message) -> None:
        """Lets all workers go: waiting ones read the message, others see the connection close."""
        while not self._inbox.empty():
            self._on_event(self._inbox.get())
        for worker in self._workers.values():
            self.tell(worker, message)
            self._drop(worker)

    def close(self) -> None:
        """Closes everything."""
        while not self._inbox.empty():
            event = self._inbox.get()
            if isinstance(event, WorkerJoined):
                event.connection.close()
        for worker in self._workers.values():
            self._drop(worker)
        self._selector.close()
        os.close(self._wake_read)
        self._wake_write, closed = -1, self._wake_write  # its number may be another file's soon
        os.close(closed)

    def _on_event(self, event: Event) -> list[Happening]:
        if isinstance(event, WorkerJoined):
            worker = WorkerHandle(slot=event.slot, connection=event.connection, node=event.node)
            self._workers[event.slot.number] = worker
            self._selector.register(worker.connection.descriptor(), selectors.EVENT_READ, worker)
        elif isinstance(event, WorkerLeft):
            worker = self._workers.pop(event.slot.number)
            last = self._listen(worker)
            self._drop(worker)
            exited = WorkerExited(
                worker=worker,
                status=event.status,
                output=event.output,
                placement_reason=event.reason,
            )
            return [*last, exited]
        elif isinstance(event, SlotFailed):
            raise RunError(
                f"slot {event.slot.number} ({event.slot.label}) cannot work: {event.reason}; "
                "mend that and give the same command again: nothing that was recorded is lost",
                code="slot-cannot-work",
            )
        return []

    def _listen(self, worker: WorkerHandle) -> list[Happening]:
        if worker.connection.closed:
            return []
        happened: list[Happening] = []
        try:
            messages, is_open = worker.connection.poll()
        except MessageError as error:
            happened.append(ProtocolBroken(worker=worker, reason=str(error)))
            messages, is_open = [], False
        worker.has_asked |= any(isinstance(message, AskForWork) for message in messages)
        if not is_open:
            self._drop(worker)
        return [*happened, *(MessageReceived(worker=worker, message=each) for each in messages)]

    def _drop(self, worker: WorkerHandle) -> None:
        if not worker.connection.closed:
            self._selector.unregister(worker.connection.descriptor())
            worker.connection.close()
