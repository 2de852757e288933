"""How fast a number of lanes trains beside one training alone: steps of real batches, timed.

On a CPU the clock is the training thread's processor time, which stands still while other programs
have the core; on a GPU it is the time until the device has finished. Each measurement of lanes is
paired with one of a training alone, and both are repeated until they scatter little. Decides
nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from trainers.api import Config, Pace
from trainers.build import Sets, build, seed_all
from trainers.checkpoint import Unsaved
from trainers.lanes.graphs import lane_steps
from trainers.lanes.lane import lane_epoch, lane_of
from trainers.lanes.program import Program
from trainers.lanes.rows import WEIGHTS, joined
from trainers.seat import Seat

MOST = {"cpu": 64, "cuda": 512}  # most lanes that are tried
# Steps that are timed as one: on a GPU, rows are copied to a recording and back once an epoch.
AT_ONCE = {"cpu": 1, "cuda": 16}
PAIRS, MOST_PAIRS = 5, 25  # pairs of timed steps, alone and in lanes: at least, and at most
STEADY = 1.15  # the least time is trusted if the lower quartile is within this factor of it
# What a doubling must gain for the next to be tried: measuring takes time from a small search.
WORTH = 1.1
LONG = 1.0  # seconds for a step, beyond which there is no further doubling
# Training time of all trials [s] below which nothing is measured: that takes 0.2 to 0.4 s itself,
# and lanes save about half of the time.
SHORT = 0.5
Step = Callable[[], object]
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of a step of one training alone and of several in lanes; whether they scattered."""

    alone: float
    lanes: float
    doubtful: bool


def measure(
    program: Program, config: Config, *, sets: Sets, batch: int, device: torch.device, trials: int
) -> Pace:
    """Seconds per step of 2, 4, 8 … lanes, until more lanes are no faster or memory runs out.

    Nothing where so many `trials` are trained sooner than lanes are measured.
    """
    index = torch.arange(batch, device=device)
    seat = Seat(config, sets=sets, device=device, checkpoint=Unsaved())
    steps = min(AT_ONCE[device.type], len(sets[0][0]) // batch)

    def alone() -> None:
        for _ in range(steps):
            seat.gradients(index)
            seat.step()

    alone()  # a first step prepares memory and kernels
    rounds = trials * int(config["trainer"]["epochs"]) * len(sets[0][0]) / batch / steps
    if _seconds(alone, clock_of(device)) * rounds < SHORT:
        return Pace(cause="these trainings are over before lanes are tried")
    count, before = 2, 0.0
    timings: dict[int, Timing] = {}
    while count <= MOST[device.type]:
        try:
            lanes = _steps_of(
                program, config, count, sets=sets, batch=batch, device=device, steps=steps
            )
            timings[count] = timed_pairs(alone, lanes, clock=clock_of(device))
        except torch.OutOfMemoryError:
            break
        gain = count * timings[count].alone / timings[count].lanes
        if gain < WORTH * before or timings[count].lanes > LONG * steps:
            break
        before = gain
        count *= 2
    least = min((timing.alone for timing in timings.values()), default=0.0) / steps
    return Pace(
        alone=least,
        lanes={count: timing.lanes / timing.alone * least for count, timing in timings.items()},
        doubtful=any(timing.doubtful for timing in timings.values()),
    )


def timed_pairs(alone: Step, lanes: Step, *, clock: Clock) -> Timing:
    """Times both steps in turn; the least time of each counts, since others can only add to it."""
    pairs: list[tuple[float, float]] = []
    alone()
    lanes()  # a first step of each prepares memory and kernels
    while len(pairs) < PAIRS or (_scatters(pairs) and len(pairs) < MOST_PAIRS):
        pairs.append((_seconds(alone, clock), _seconds(lanes, clock)))
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    return Timing(alone=ours, lanes=theirs, doubtful=_scatters(pairs))


def clock_of(device: torch.device) -> Clock:
    """Seconds of this thread on a CPU; of the wall, with the device's work done, on a GPU."""
    if device.type != "cuda":
        return time.thread_time

    def finished() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return finished


def _scatters(pairs: list[tuple[float, float]]) -> bool:
    """Whether the least times of either column differ by more than on a quiet machine."""
    columns = [sorted(column) for column in zip(*pairs, strict=True)]
    return any(column[len(column) // 4] > STEADY * column[0] for column in columns)


def _steps_of(
    program: Program,
    config: Config,
    count: int,
    *,
    sets: Sets,
    batch: int,
    device: torch.device,
    steps: int,
) -> Step:
    """Training steps of so many lanes."""
    seed_all(int(config["seed"]), device)
    model, loss, optimizer = build(config, device)
    trained = lane_steps(program, sets=sets, batch=batch)
    lane = lane_of(
        0,
        config,
        model=model,
        loss=loss,
        optimizer=optimizer,
        steps=trained.count,
        checkpoint=Unsaved(),
    )
    lane.epoch = 1
    rows = joined([program.rows_of(model, optimizer)] * count)
    epoch = lane_epoch(
        [lane] * count, steps=trained.count, rows=len(sets[0][0]), like=rows[WEIGHTS]
    )
    total = torch.zeros(count, device=device, dtype=torch.float64)
    return lambda: trained.advance(rows, epoch, range(steps), total)


def _seconds(step: Step, clock: Clock) -> float:
    begun = clock()
    step()
    return clock() - begun
