"""Where workers run. A placement starts a worker for a slot and reports what becomes of it.

A placement is a class with the members of `Placement`; its import path is `placement._target_`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from search.config.settings import PlacementSettings
from search.execution.link import Link
from search.execution.slots import Slot

OWN_TRAINERS = "trainers."  # import paths that begin so are ours


def early_module(trainer: str) -> str:
    """The module that workers import before anything is said; empty for none.

    A user's own module is imported by the first trial, which it costs if it fails. `trainer`: the
    import path in `trainer._target_`.
    """
    return trainer.rpartition(".")[0] if trainer.startswith(OWN_TRAINERS) else ""


@dataclass(frozen=True, kw_only=True)
class WorkerJoined:
    """A worker has been started for a slot and will say hello over `connection`.

    `node`: a cluster's name of the node where it is.
    """

    slot: Slot
    connection: Link
    node: str = ""


@dataclass(frozen=True, kw_only=True)
class WorkerLeft:
    """The worker of a slot has ended, and all its processes are gone.

    `status`: as `subprocess` counts it, negative for a signal. `output`: what it printed before it
    knew its log. `reason`: how it ended, where the status does not tell.
    """

    slot: Slot
    status: int
    output: bytes = b""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SlotFailed:
    """No worker can be started for the slot."""

    slot: Slot
    reason: str


@dataclass(frozen=True, kw_only=True)
class SlotFound:
    """The cluster has grown: there is room for one more worker."""

    slot: Slot


Event = WorkerJoined | WorkerLeft | SlotFailed | SlotFound


class Placement(Protocol):
    """Called by the conductor's one thread; it posts events from any thread.

    It is made with `slots`, `trainer` (the import path in `trainer._target_`) and `post`. After
    `start`, `WorkerJoined` follows, and in the end `WorkerLeft`; or `SlotFailed`.
    """

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None: ...

    @property
    def starts_early(self) -> bool:
        """True if workers may start, and import, before there is a search."""

    @property
    def rehearses(self) -> bool:
        """True if the first worker that started early is surely there soon, for the dry run."""

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        """The slots that the settings give. `by_torch`: torch must be able to use their GPUs.

        Raises:
            UsageError: they ask for what is not there.
        """

    def start(self, slot: Slot) -> None:
        """Starts a worker for a slot that has none."""

    def kill(self, slot: Slot) -> None:
        """Ends the slot's worker and all that it started, at once."""

    def avoid(self, node: str) -> bool:
        """Starts no more workers on a node; False if there is no other place for them."""

    def close(self, *, grace: float) -> None:
        """Ends all workers; those that do not end by themselves within `grace` seconds are killed.

        Returns when all are gone but those that nobody can end. It may be called without `start`,
        and again.
        """
