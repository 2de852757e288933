"""How fast lanes are: measured in processor time, in pairs, until the times agree."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from company import config_of

from search.config.compose import compose_experiment
from search.contract.contract import prepare
from search.contract.metrics import Metric
from search.execution.lanes import decide
from trainers.api import Data
from trainers.lanes.pace import MOST_PAIRS, PAIRS, clock_of, timed_pairs
from trainers.stock import Stock

BUSY = "while True: pass"


class Machine:
    """Two steps of known length on a clock that others' work holds up."""

    def __init__(self, delays):
        self.now, self.delays, self.steps = 0.0, iter(delays), 0

    def step(self, seconds):
        def stepped():
            self.steps += 1
            self.now += seconds * (1 + next(self.delays))

        return stepped

    def clock(self):
        return self.now


def test_steady_times_take_few_pairs_and_are_sure():
    machine = Machine(itertools.repeat(0.0))
    timing = timed_pairs(machine.step(1.0), machine.step(3.0), clock=machine.clock)
    assert (timing.alone, timing.lanes) == (pytest.approx(1), pytest.approx(3))
    assert not timing.doubtful
    assert machine.steps == 2 * (1 + PAIRS)


def test_one_step_that_is_held_up_is_measured_again_and_changes_nothing():
    machine = Machine(itertools.chain([0, 0, *[9, 0, 5, 0] * 2, 3, 0], itertools.repeat(0.0)))
    timing = timed_pairs(machine.step(1.0), machine.step(3.0), clock=machine.clock)
    assert timing.lanes / timing.alone == pytest.approx(3)
    assert not timing.doubtful
    assert 2 * (1 + PAIRS) < machine.steps < 2 * (1 + MOST_PAIRS)


def test_times_that_never_agree_are_doubtful():
    delays = (3.0**number for number in itertools.count())
    machine = Machine(delays)
    assert timed_pairs(machine.step(1.0), machine.step(3.0), clock=machine.clock).doubtful
    assert machine.steps == 2 * (1 + MOST_PAIRS)


def test_delays_of_a_third_of_the_steps_leave_the_ratio_or_a_doubt():
    wrong = 0
    for seed in range(400):
        dice = np.random.default_rng(seed)
        delays = np.where(dice.random(99) < 1 / 3, dice.exponential(size=99), 0)
        machine, ratio = Machine(delays), dice.uniform(1.2, 30)
        timing = timed_pairs(machine.step(1.0), machine.step(ratio), clock=machine.clock)
        wrong += not timing.doubtful and abs(timing.lanes / timing.alone / ratio - 1) > 0.2
    assert wrong <= 4  # sure and wrong: 1 %


def test_processor_time_stands_still_while_others_have_the_core():
    clock = clock_of(torch.device("cpu"))
    begun = clock()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert clock() - begun < 0.01


@pytest.fixture
def busy():
    """A busy process per core of the machine."""
    count = torch.multiprocessing.cpu_count()
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    yield
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def seats():
    config = compose_experiment("lr_sweep", overrides=["trainer.epochs=3"], config_dir=None)
    data = prepare(config, metric=Metric(name="accuracy", direction="maximize")).final
    return Stock(data=Data(train=data.train, val=data.val), device="cpu")


def test_lanes_are_taken_also_beside_busy_processes(busy, seats):
    pace = seats.measure(config_of("model.width=16"), trials=1000)
    fusion = decide(pace, candidates=16, most=None)
    assert fusion.strategy == "vmap", (pace, fusion)


def test_lanes_are_not_measured_where_all_trainings_are_over_sooner(seats):
    config = config_of("model.width=16")
    few, many = (seats.measure(config, trials=trials) for trials in (1, 1000))
    assert (few.lanes, few.cause) == ({}, "these trainings are over before lanes are tried")
    assert decide(few, candidates=1000, most=None).strategy == "loop"
    assert many.cause == ""
    assert 2 in many.lanes
