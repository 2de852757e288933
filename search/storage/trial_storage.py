"""The seam between a search and the place where Optuna keeps its trials."""

from collections.abc import Callable

from optuna.storages import BaseStorage

from search.errors import RunError

WRITER = "writer"  # study attribute by which a conductor claims its records
# The value of WRITER as set; the storage replaces it by the name of its writer.
CLAIM = "claimed"
CONDUCTOR = "conductor"  # study attribute of a database: the process that writes now
SUPERSEDED = "superseded"  # trial attribute: another one is in its place, and no search has it


class ServerAway(RunError):
    """A server did not come back in time, or the search was interrupted while it waited."""


class TrialStorage:
    """Where the trials of one search lie. What a place need not do, it leaves as it is here.

    `Folder` chooses the class by `storage.url`. `open` puts a file into the search's folder that
    `TRIALS` of `search.storage.folder` names: it tells later starts that trials were recorded.

    Attributes:
        url: the place in words, without a password.
        repaired: what `open` had to repair, if anything.
    """

    url: str
    repaired = ""

    def check(self, *, name: str) -> None:
        """Whether a search of this name may use it, before anything is written.

        Raises:
            UsageError: it cannot be reached, or another search has this name there.
        """

    def holds_records(self) -> bool:
        """True if something was recorded in it."""
        raise NotImplementedError

    def open(self, *, name: str) -> BaseStorage:
        """The storage for its one writer, repaired where a kill has left it incomplete.

        Raises:
            UsageError: it is damaged, or somebody else has written to it; it is left as it is.
        """
        raise NotImplementedError

    def read(self) -> BaseStorage:
        """The storage as it stands, also while a conductor writes; it refuses to write."""
        raise NotImplementedError

    def flush(self) -> None:
        """All records survive a kill of this process from now on."""

    def sync(self) -> None:
        """Makes all records durable."""

    def put_back(self) -> str:
        """Puts back what somebody has removed while the search runs; says so in words.

        Raises:
            RunError: something else is in its place.
        """
        return ""

    def on_wait(self, say: Callable[[str], None]) -> None:
        """Who is told that a write waits for a server that is away."""

    def end_wait(self) -> None:
        """No write waits any more: it succeeds at once, or raises."""

    def clear(self) -> None:
        """Forgets all trials: the search begins anew."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the writing."""
        raise NotImplementedError
