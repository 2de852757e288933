"""Who trains, and where: slots, workers, and the placement that starts them.

A worker's placement notices its death; here another one takes its slot. Imports little,
since workers are to start before all else.
"""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hydra.utils import get_class

from search.config.plan import Plan
from search.config.settings import PlacementSettings
from search.errors import RunError, refused
from search.execution.connections import WorkerConnections, WorkerExited
from search.execution.placement import Event, Placement, SlotFound
from search.execution.slots import Slot

STILLBORN = 3  # workers of a slot in a row that end before they ask for work, until the search ends
KILLED = 60.0  # killed workers count only so long after the first: anybody may kill one [s]


def slots_of(plan: Plan) -> tuple[Slot, ...]:
    """The slots that a plan's placement gives.

    Raises:
        UsageError: as `Placement.slots`; or seconds of GPUs are counted, and there is none.
    """
    by_torch = str(plan.config.trainer._target_).startswith("trainers.stock.")
    slots = _placement_class(plan.placement).slots(plan.placement, by_torch=by_torch)
    budget = plan.config.get("budget_gpu_seconds")
    if budget is not None and not any(slot.device == "cuda" for slot in slots):
        raise refused(
            "budget_gpu_seconds",
            code="gpu-budget-needs-gpu",
            rule="needs a slot with a GPU",
            got=f"{budget} and slots on {', '.join(sorted({s.device for s in slots}))}",
            remedy="say budget_hours=",
        )
    return slots


@dataclass
class FailedStarts:
    """Workers of a slot, one after the other, that ended without asking for work.

    `since`: when the first one did, by the monotonic clock. `number`: of all; `own`: of those that
    nobody has killed.
    """

    since: float
    number: int = 0
    own: int = 0

    def count(self, exited: WorkerExited) -> bool:
        """Takes one more; True if the slot will not get a worker that works."""
        self.number += 1
        self.own += not exited.was_killed
        is_long = time.monotonic() - self.since > KILLED
        return self.own >= STILLBORN or (self.number >= STILLBORN and is_long)


class WorkerPool:
    """A worker for every slot; one that has ended is replaced until the pool is closed.

    `rehearses`: True if a worker can be asked for the dry run. `freed`: numbers of slots that are
    not used at the moment.
    """

    def __init__(
        self, slots: tuple[Slot, ...], placement: type[Placement], *, trainer: str
    ) -> None:
        self.slots, self.rehearses = slots, False
        self.connections = WorkerConnections()
        self._found: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        self._placement = placement(slots, trainer=trainer, post=self._post)
        self._failed_starts: dict[int, FailedStarts] = {}  # by slot
        self._started = self._closed = False
        self.freed: set[int] = set()
        self._occupied: set[int] = set()  # slots with a worker, or where one is being started

    def start(self, *, early: bool = False) -> None:
        """Starts a worker in every slot, once. `early`: only where the placement can."""
        if self._started or (early and not self._placement.starts_early):
            return
        self._started, self.rehearses = True, early and self._placement.rehearses
        for slot in self.slots:
            self._start(slot)

    def grow(self) -> None:
        """Starts workers in slots that a growing cluster has room for now."""
        while not self._found.empty() and not self._closed:
            slot = self._found.get()
            self.slots = (*self.slots, slot)
            self._start(slot)

    def _post(self, event: Event) -> None:
        """Takes an event from any thread."""
        if isinstance(event, SlotFound):
            self._found.put(event.slot)
        else:
            self.connections.post(event)

    def free(self, slot: Slot) -> None:
        """The slot's worker, once it has ended, is not replaced."""
        self.freed.add(slot.number)

    def use(self, slot: Slot) -> None:
        """The slot is used again."""
        self.freed.discard(slot.number)
        if self._started and not self._closed and slot.number not in self._occupied:
            self._start(slot)

    def avoid(self, node: str) -> bool:
        """Starts no more workers on a node; False if there is no other place for them."""
        return self._placement.avoid(node)

    def _start(self, slot: Slot) -> None:
        self._occupied.add(slot.number)
        self._placement.start(slot)

    def kill(self, slot: Slot) -> None:
        """Ends the slot's worker, at once."""
        self._placement.kill(slot)

    def replace(self, exited: WorkerExited) -> None:
        """Starts another worker for the slot, unless the pool is closed.

        Raises:
            RunError: one worker after the other has ended without asking for work.
        """
        slot, worker = exited.worker.slot, exited.worker
        self._occupied.discard(slot.number)
        if worker.has_asked or exited.was_told_to_leave or worker.leave_by is not None:
            self._failed_starts.pop(slot.number, None)
        elif not self._closed:
            fresh = FailedStarts(since=time.monotonic())
            starts = self._failed_starts.setdefault(slot.number, fresh)
            if starts.count(exited):
                raise RunError(
                    f"slot {slot.number} ({slot.label}): {starts.number} workers in a row ended "
                    f"before they asked for work, the last one{worker.place} so: "
                    f"{exited.last_words}; see logs/{slot.log}, mend it, and give the same command "
                    "again",
                    code="workers-end-before-work",
                )
        if not self._closed and slot.number not in self.freed:
            self._start(slot)

    def close(self) -> None:
        """Replaces no more workers."""
        self._closed = True

    def stop(self, *, grace: float) -> None:
        """Ends all workers; those that are there after `grace` seconds are killed."""
        self.close()
        self._placement.close(grace=grace)


@contextmanager
def started_workers(plan: Plan, *, slots: tuple[Slot, ...], early: bool) -> Iterator[WorkerPool]:
    """A pool while the block runs.

    `early`: workers start at once, since they need as long as all that comes before trials.
    """
    pool = WorkerPool(
        slots, _placement_class(plan.placement), trainer=str(plan.config.trainer._target_)
    )
    try:
        if early:
            pool.start(early=True)
        yield pool
    finally:
        pool.stop(grace=0.0)
        pool.connections.close()


def _placement_class(settings: PlacementSettings) -> type[Placement]:
    """The class that `placement._target_` names.

    Raises:
        UsageError: it cannot be imported, or is no placement.
    """
    try:
        placement: type[Placement] = get_class(settings.target)
    except Exception as error:  # importing may run a user's module
        raise refused(
            "placement._target_",
            code="placement-not-importable",
            rule="must name a class of placements",
            got=f"{settings.target!r}: {error.__cause__ or error}",
            remedy="choose placement=local, inline, ray or dask, or mend the path",
        ) from error
    members = [name for name in vars(Placement) if not name.startswith("_")]
    if lacking := [name for name in members if not hasattr(placement, name)]:
        raise refused(
            "placement._target_",
            code="placement-lacks-members",
            rule=f"a placement has {', '.join(members)}",
            got=f"{settings.target} without {', '.join(lacking)}",
            remedy="add them, or derive it from search.execution.placement.local.LocalPlacement",
        )
    return placement
