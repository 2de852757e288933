"""The seam between a search and the place where Optuna keeps its trials."""

from typing import Protocol

from optuna.storages import BaseStorage


class TrialStorage(Protocol):
    """Where the trials of one search lie.

    Attributes:
        url: the place in words, without a password.
        repaired: what `open` had to repair, if anything.
    """

    url: str
    repaired: str

    def exists(self) -> bool:
        """True if a search has opened it before."""

    def holds_records(self) -> bool:
        """True if something was recorded in it."""

    def open(self, *, name: str) -> BaseStorage:
        """The storage for its one writer, repaired where a kill has left it incomplete.

        Raises:
            UsageError: it is damaged, or somebody else has written to it; it is left as it is.
        """

    def read(self) -> BaseStorage:
        """The storage as it stands, also while a conductor writes; it refuses to write."""

    def sync(self) -> None:
        """Makes all records durable."""

    def close(self) -> None:
        """Ends the writing."""
