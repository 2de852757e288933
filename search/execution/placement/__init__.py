"""Where workers run. A placement starts a worker for a slot and tells the conductor what became of it."""

from dataclasses import dataclass
from typing import Protocol

from search.execution.messages import Link
from search.execution.slots import Slot


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A worker has been started for a slot and will say hello over `link`."""

    slot: Slot
    link: Link
    pid: int


@dataclass(frozen=True, kw_only=True)
class Left:
    """The worker `pid` of a slot has ended. `status` as of `subprocess`: negative for a signal. All its processes are gone."""

    slot: Slot
    pid: int
    status: int


@dataclass(frozen=True, kw_only=True)
class Broken:
    """The slot has given up, and says why."""

    slot: Slot
    reason: str


Event = Joined | Left | Broken


class Placement(Protocol):
    """Called by the conductor's one thread; events may be put into its inbox from any thread.

    After `start` a worker that has ended is replaced; after an early one, only once `start` is called again. `kill` ends a
    slot's worker and all it started, at once; `Left` follows. After `close` none is replaced. `stop` lets workers end by
    themselves for `grace` seconds, kills the rest, and returns when all are gone; it may be called without `start`, and again.
    """

    def start(self, *, early: bool = False) -> bool:
        """Starts a worker in every slot; whether it has. `early`: before there is a search, which they wait for."""

    def kill(self, slot: Slot) -> None:
        """Ends the slot's worker now."""

    def close(self) -> None:
        """Starts no more workers."""

    def stop(self, *, grace: float) -> None:
        """Ends all workers."""
