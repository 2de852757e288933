"""The seam between a running search and whoever shows it. Imports nothing that shows."""

from typing import Any, Protocol

from search.execution.early_stopping import EarlyStopping
from search.execution.slots import Slot
from search.storage.trials import TrialRecord, TrialSpec


class Callback(Protocol):
    """Whoever shows the search's progress. Called by the conductor's thread; must return at once."""

    def foreseen(self, total: int) -> None:
        """There will be so many trials in all, as far as can be told."""

    def began(self, slot: Slot, ask: TrialSpec) -> None:
        """A trial sits down."""

    def heard(self, slot: Slot, early_stopping: EarlyStopping, record: dict[str, Any]) -> None:
        """An epoch has been recorded."""

    def left(self, slot: Slot, ask: TrialSpec) -> None:
        """The trial is no longer there."""

    def finished(self, row: TrialRecord) -> None:
        """A trial has its row."""

    def note(self, text: str) -> None:
        """Something worth a line."""
