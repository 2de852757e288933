"""Carries events to callbacks so that none of them can hurt the search.

Each callback has a thread and a queue. An exception is a warning; a callback that is too slow
misses epochs, never the begin or the end of a trial; one that hangs is left behind at the end.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue

from search.config.counted import count
from search.contract.metrics import KEYS
from search.execution.callbacks import Callback
from search.execution.early_stopping import EarlyStopping
from search.execution.events import (
    EpochEnded,
    Event,
    EventCallback,
    TrialBegun,
    TrialEnded,
    event_name,
)
from search.execution.slots import Slot
from search.storage.trials import EpochRecord, TrialRecord, TrialSpec

LIMIT = 10_000  # events in a queue from which epochs are dropped
IN_A_ROW = 5  # exceptions after which a callback is called no more
PATIENCE = 30.0  # seconds without progress after which a callback is left behind at the end
CLOSING = 120.0  # seconds that all callbacks get for what is in their queues at the end
NOTICE = 2.0  # seconds of waiting at the end after which that is said
JOIN = 0.1  # seconds between two looks at a callback that is waited for

Judge = Callable[[TrialRecord, Sequence[EpochRecord]], tuple[str, str]]


class EventStream(Callback):
    """Turns calls of the conductor into events. A trial that leaves its worker without a row posts
    no event: it will be trained again.
    """

    def __init__(
        self,
        callbacks: Mapping[str, Callable[[], EventCallback]],
        *,
        judge: Judge,
        warn: Callable[[str], None],
    ) -> None:
        """Starts a thread per callback.

        Args:
            callbacks: makers of callbacks, by name; called in the callback's thread.
            judge: the verdict on a finished trial's records and why, empty strings for none.
        """
        self._judge = judge
        self._deliveries = [_Delivery(name, make, warn) for name, make in callbacks.items()]
        self._inbox: SimpleQueue[Callable[[], Event] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._distribute, name="events", daemon=True)
        self._thread.start()

    def post(self, event: Event) -> None:
        """Queues an event."""
        self._inbox.put(lambda: event)

    def began(self, slot: Slot, spec: TrialSpec) -> None:
        """A trial begins."""
        self.post(
            TrialBegun(
                trial=spec.trial,
                stage=spec.stage,
                knobs=dict(spec.knobs),
                seed=spec.seed,
                device=slot.label,
            )
        )

    def heard(self, slot: Slot, early_stopping: EarlyStopping, record: EpochRecord) -> None:
        """An epoch has been recorded."""
        values = {
            name: float(number)
            for name, number in record.items()
            if name not in KEYS and isinstance(number, int | float)
        }
        self.post(EpochEnded(trial=record["trial"], epoch=record["epoch"], values=values))

    def finished(self, row: TrialRecord, records: Sequence[EpochRecord]) -> None:
        """A trial has its row; the verdict on it is found beside the conductor's thread."""
        self._inbox.put(lambda: self._ended(row, records))

    def close(self) -> None:
        """Waits until all is delivered, for a limited time; hanging callbacks are left behind."""
        deadline = time.monotonic() + CLOSING
        self._inbox.put(None)
        self._thread.join(CLOSING)
        for delivery in self._deliveries:
            delivery.close(deadline)

    def _distribute(self) -> None:
        while (make := self._inbox.get()) is not None:
            event = make()
            for delivery in self._deliveries:
                delivery.put(event)

    def _ended(self, row: TrialRecord, records: Sequence[EpochRecord]) -> TrialEnded:
        verdict, why = self._judge(row, records)
        spec = row.spec
        return TrialEnded(
            trial=spec.trial,
            stage=spec.stage,
            knobs=dict(spec.knobs),
            seed=spec.seed,
            state=row.state,
            value=row.value,
            best_epoch=row.best_epoch,
            epochs=row.epochs,
            seconds=row.seconds,
            reason=row.reason,
            verdict=verdict,
            why=why,
        )


class _Delivery:
    """One callback with its queue and thread."""

    def __init__(
        self, name: str, make: Callable[[], EventCallback], warn: Callable[[str], None]
    ) -> None:
        self._name, self._make, self._warn = name, make, warn
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        self._dropped, self._errors = 0, Counter[str]()
        self._off = False
        self._progress = time.monotonic()  # when it last came back from an event
        self._thread = threading.Thread(target=self._run, name=f"callback {name}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Queues an event; epochs are dropped while too many wait."""
        if self._off:
            return
        if isinstance(event, EpochEnded) and self._queue.qsize() >= LIMIT:
            if not self._dropped:
                self._say(f"is slower than the search; epochs are dropped above {LIMIT} in line")
            self._dropped += 1
            return
        self._queue.put(event)

    def close(self, deadline: float) -> None:
        """Waits until the callback has taken what is queued, at most to `deadline`."""
        self._queue.put(None)
        self._thread.join(NOTICE)
        if self._thread.is_alive():
            self._say(
                f"is waited for; {count(self._queue.qsize(), 'event')} left, Ctrl-C drops them"
            )
        while self._thread.is_alive():
            now = time.monotonic()
            if now > min(deadline, self._progress + PATIENCE):
                left = self._queue.qsize()
                self._say(
                    f"made no progress and is left behind; not delivered: {count(left, 'event')}"
                )
                break
            self._thread.join(JOIN)
        if self._dropped:
            self._say(f"missed {count(self._dropped, 'epoch')}")
        repeated = sum(self._errors.values()) - len(self._errors)
        if repeated:
            self._say(f"raised {count(repeated, 'more time')}")

    def _run(self) -> None:
        try:
            callback = self._make()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a user's code may raise anything
            self._off = True
            self._say(f"cannot be made: {_said(error)}; the search goes on without it")
            return
        in_a_row = 0
        self._progress = time.monotonic()
        while (event := self._queue.get()) is not None:
            try:
                callback(event)
                in_a_row = 0
            except (Exception, SystemExit) as error:  # noqa: BLE001  # likewise
                in_a_row += 1
                self._failed(event, error)
                if in_a_row == IN_A_ROW:
                    self._off = True
                    self._say(f"raised {IN_A_ROW} times in a row and is called no more")
                    return
            self._progress = time.monotonic()

    def _failed(self, event: Event, error: BaseException) -> None:
        """Only the first exception of each kind of event is a line of its own."""
        name = event_name(event)
        self._errors[name] += 1
        if self._errors[name] == 1:
            self._say(f"raised at {name}: {_said(error)}; the search goes on")

    def _say(self, text: str) -> None:
        self._warn(f"callback {self._name} {text}")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
