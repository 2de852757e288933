"""Slots while the search runs: which are shown, freed, used again, and which nodes are drained.

A worker whose slot is freed finishes its epoch, hands its trials back with their checkpoints, and
ends.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from search.config.counted import count
from search.execution import messages
from search.execution.callbacks import Callback
from search.execution.connections import WorkerHandle
from search.execution.slots import Slot
from search.execution.worker_pool import WorkerPool
from search.storage.slot_orders import SlotOrder, SlotRow, answer_order, take_orders, write_slots

TICK = 0.5  # time between two looks at the orders [s]


class SlotControl:
    """The slots of one search.

    `folder`: of the search. `grace`: time that a worker has to finish its epoch [s].
    """

    def __init__(self, folder: Path, *, pool: WorkerPool, grace: float, callback: Callback) -> None:
        self._folder, self._pool, self._grace, self._callback = folder, pool, grace, callback
        self._looked_at = 0.0
        self._written: list[SlotRow] = []

    def look(self) -> None:
        """Carries out orders that have come, and writes the table where it has changed."""
        now = time.monotonic()
        if now - self._looked_at < TICK:
            return
        self._looked_at = now
        for path, order in take_orders(self._folder):
            text = self._carry_out(order)
            self._callback.note(text)
            answer_order(path, text)
        self._pool.grow()
        for worker in self._pool.connections.workers:
            if worker.leave_by is not None and now > worker.leave_by:
                self._pool.kill(worker.slot)
        rows = self._rows()
        if rows != self._written:
            self._written = rows
            write_slots(self._folder, rows)

    def close(self) -> None:
        """No slot is used any more."""
        write_slots(self._folder, [])

    def _carry_out(self, order: SlotOrder) -> str:
        """Carries out an order; what has been done, in words."""
        if order.verb == "drain":
            return self._drain(order.target)
        slots = [slot for slot in self._pool.slots if str(slot.number) == order.target]
        if not slots:
            return f"there is no slot {order.target}"
        if order.verb == "start":
            self._pool.use(slots[0])
            return f"slot {order.target} is used again"
        self._free(slots)
        return f"slot {order.target} is being freed; its trials continue in others"

    def _drain(self, node: str) -> str:
        workers = [
            worker
            for worker in self._pool.connections.workers
            if node in (worker.node, worker.host)
        ]
        moves = self._pool.avoid(node)
        if moves:
            for worker in workers:
                self._let_go(worker)
        else:
            self._free([worker.slot for worker in workers])
        if not workers:
            return f"no worker is on {node}" + ("; none will be" if moves else "")
        what = "to move to other nodes" if moves else "to be freed"
        return f"{node} is being drained: {count(len(workers), 'slot')} {what}"

    def _free(self, slots: Iterable[Slot]) -> None:
        """Takes slots out of use."""
        workers = self._by_slot()
        for slot in slots:
            self._pool.free(slot)
            if slot.number in workers:
                self._let_go(workers[slot.number])
            else:
                self._pool.kill(slot)  # it waits for room

    def _let_go(self, worker: WorkerHandle) -> None:
        """The worker finishes its epoch and ends."""
        worker.leave_by = time.monotonic() + self._grace
        if worker.waiting:
            worker.waiting = False
            self._pool.connections.tell(worker, messages.Quit())
        elif not worker.trials:
            self._pool.kill(worker.slot)

    def _by_slot(self) -> dict[int, WorkerHandle]:
        """The workers by the numbers of their slots."""
        return {worker.slot.number: worker for worker in self._pool.connections.workers}

    def _rows(self) -> list[SlotRow]:
        workers = self._by_slot()
        return [
            self._row(slot, workers.get(slot.number))
            for slot in sorted(self._pool.slots, key=lambda slot: slot.number)
        ]

    def _row(self, slot: Slot, worker: WorkerHandle | None) -> SlotRow:
        if worker is None:
            state = "freed" if slot.number in self._pool.freed else "starts"
            return SlotRow(
                slot=slot.number, device=slot.label, node="", state=state, trials=[], since=None
            )
        state = "trains" if worker.trials else "idle" if worker.has_asked else "starts"
        began = [trial.handed_out_at for trial in worker.trials.values()]
        return SlotRow(
            slot=slot.number,
            device=worker.device or slot.label,
            node=worker.node or worker.host,
            state=state if worker.leave_by is None else "leaves",
            trials=sorted(worker.trials),
            since=round(min(began), 1) if began else None,
        )
