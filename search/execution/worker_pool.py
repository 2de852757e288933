"""Who trains, and where: slots, workers, and what starts them. Imports little, since workers are to start before all else.

Never hands out a trial.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from search.config.plan import Plan
from search.execution.connections import WorkerConnections
from search.execution.placement import Placement
from search.execution.placement.inline import InlinePlacement
from search.execution.placement.local import LocalPlacement
from search.execution.slots import Slot, find_slots


def slots_of(plan: Plan) -> tuple[Slot, ...]:
    """The slots that a plan's placement gives."""
    settings = plan.placement
    slots = 1 if settings.kind == "inline" else settings.slots
    return find_slots(
        slots=slots,
        slots_per_gpu=settings.slots_per_gpu,
        gpus=settings.gpus,
        threads=settings.threads,
        by_torch=str(plan.config.trainer._target_).startswith("trainers.stock."),
    )


@dataclass(frozen=True, kw_only=True)
class WorkerPool:
    """Those who train: the workers, and what starts them in which slots. `early`: whether they have started."""

    slots: tuple[Slot, ...]
    connections: WorkerConnections
    placement: Placement
    early: bool


@contextmanager
def started_workers(
    plan: Plan, *, logs: Path, slots: tuple[Slot, ...], early: bool
) -> Iterator[WorkerPool]:
    """A staff while the block runs. `early`: workers start at once, since they need as long as all that comes before trials."""
    connections = WorkerConnections()
    placement = _placement(plan, logs, slots, connections)
    try:
        started = early and placement.start(early=True)
        yield WorkerPool(slots=slots, connections=connections, placement=placement, early=started)
    finally:
        placement.stop(grace=0.0)
        connections.close()


def _placement(
    plan: Plan, logs: Path, slots: tuple[Slot, ...], connections: WorkerConnections
) -> Placement:
    if plan.placement.kind == "inline":
        return InlinePlacement(slots[0], post=connections.post)
    trainer = str(plan.config.trainer._target_)
    early = (
        trainer.rpartition(".")[0] if trainer.startswith("trainers.") else ""
    )  # a user's own is the first trial's affair
    return LocalPlacement(slots, logs=logs, early=early, post=connections.post)
