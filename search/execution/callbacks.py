"""The seam between a running search and what shows or tracks it. Imports nothing that shows."""

from collections.abc import Sequence

from search.execution.early_stopping import EarlyStopping
from search.execution.slots import Slot
from search.storage.trials import EpochRecord, TrialRecord, TrialSpec


class Callback:
    """Receives a search's progress in the conductor's thread; must return at once. What a subclass
    does not take up passes it by.
    """

    def foreseen(self, total: int) -> None:
        """There will be so many trials in all, as far as can be foreseen."""

    def began(self, slot: Slot, spec: TrialSpec) -> None:
        """A trial begins."""

    def heard(self, slot: Slot, early_stopping: EarlyStopping, record: EpochRecord) -> None:
        """An epoch has been recorded."""

    def left(self, slot: Slot, spec: TrialSpec) -> None:
        """The trial is no longer in its slot."""

    def finished(self, row: TrialRecord, records: Sequence[EpochRecord]) -> None:
        """A trial has its row; `records`: its epochs."""

    def note(self, text: str, *, style: str = "") -> None:
        """Something worth a line."""


class Callbacks(Callback):
    """Several callbacks as one."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks

    def foreseen(self, total: int) -> None:
        """As `Callback`, and so are all the others."""
        for callback in self._callbacks:
            callback.foreseen(total)

    def began(self, slot: Slot, spec: TrialSpec) -> None:
        """See `Callback`."""
        for callback in self._callbacks:
            callback.began(slot, spec)

    def heard(self, slot: Slot, early_stopping: EarlyStopping, record: EpochRecord) -> None:
        """See `Callback`."""
        for callback in self._callbacks:
            callback.heard(slot, early_stopping, record)

    def left(self, slot: Slot, spec: TrialSpec) -> None:
        """See `Callback`."""
        for callback in self._callbacks:
            callback.left(slot, spec)

    def finished(self, row: TrialRecord, records: Sequence[EpochRecord]) -> None:
        """See `Callback`."""
        for callback in self._callbacks:
            callback.finished(row, records)

    def note(self, text: str, *, style: str = "") -> None:
        """See `Callback`."""
        for callback in self._callbacks:
            callback.note(text, style=style)
