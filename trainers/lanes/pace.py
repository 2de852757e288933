"""How fast so many lanes train, measured: steps of real batches, alone and in company. Decides nothing."""

import time
from collections.abc import Callable

import torch

from trainers.api import Config, Pace
from trainers.build import Sets, build, seed_all
from trainers.checkpoint import Unsaved
from trainers.lanes.group import Group
from trainers.lanes.lane import LaneEpoch, lane_of
from trainers.lanes.program import Program
from trainers.lanes.rows import joined
from trainers.seat import Seat

MOST = {"cpu": 64, "cuda": 512}  # lanes that are tried
REPEATS = 3  # steps timed, after a warm one; the least of them counts
WORTH = 1.1  # what a doubling must gain for another one to be tried: measuring takes time from a small search
LONG = 1.0  # seconds for a step: no further doubling


def measure(
    program: Program, config: Config, *, sets: Sets, batch: int, device: torch.device
) -> Pace:
    """Seconds per step alone, and of 2, 4, 8 … lanes, until more lanes are no faster; memory that runs out ends it too."""
    index = torch.arange(batch, device=device)
    seat = Seat(config, sets=sets, device=device, checkpoint=Unsaved())

    def alone() -> None:
        seat.gradients(index)
        seat.step()

    pace, count, before = _seconds(alone, device), 2, 0.0
    lanes: dict[int, float] = {}
    while count <= MOST[device.type]:
        try:
            lanes[count] = _seconds(
                _company(program, config, count, sets=sets, batch=batch, device=device), device
            )
        except torch.OutOfMemoryError:
            break
        rate = count / lanes[count]
        if rate < WORTH * before or lanes[count] > LONG:
            break
        before = rate
        count *= 2
    return Pace(alone=pace, lanes=lanes)


def _company(
    program: Program, config: Config, count: int, *, sets: Sets, batch: int, device: torch.device
) -> Callable[[], object]:
    """A step of so many lanes."""
    seed_all(int(config["seed"]), device)
    model, loss, optimizer = build(config, device)
    group, steps = Group(program, sets=sets, batch=batch), -(-len(sets[0][0]) // batch)
    lane = lane_of(
        0, config, model=model, loss=loss, optimizer=optimizer, steps=steps, checkpoint=Unsaved()
    )
    lane.epoch = 1
    rows = joined([program.rows_of(model, optimizer)] * count)
    epoch = LaneEpoch([lane] * count, steps=steps, rows=len(sets[0][0]), like=rows["weights"])
    return lambda: group.batch(rows, epoch.order[:, :batch], epoch, step=0)


def _seconds(step: Callable[[], object], device: torch.device) -> float:
    """The least of some, after a warm one."""
    seconds = []
    for _ in range(1 + REPEATS):
        begun = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return min(seconds[1:])
