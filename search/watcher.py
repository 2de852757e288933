"""The seam between a running search and whoever shows it. Imports nothing that shows."""

from typing import Any, Protocol

from search.devices import Slot
from search.rows import Ask, Row
from search.stopping import Standing


class Watcher(Protocol):
    """Whoever shows the search's progress. Called by the conductor's thread; must return at once."""

    def foreseen(self, total: int) -> None:
        """There will be so many trials in all, as far as can be told."""

    def began(self, slot: Slot, ask: Ask) -> None:
        """A trial sits down."""

    def heard(self, slot: Slot, standing: Standing, record: dict[str, Any]) -> None:
        """An epoch has been recorded."""

    def left(self, slot: Slot, ask: Ask) -> None:
        """The trial is no longer there."""

    def finished(self, row: Row) -> None:
        """A trial has its row."""

    def note(self, text: str) -> None:
        """Something worth a line."""
