"""What recording costs: epochs with all records of layers, dead units and comparable losses, beside epochs without.

    python tests/benchmarks/records.py

Epochs of both kinds take turns, one core; the table tells the share of an epoch's time. Aim: at most 5 %.
"""

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from as_worker import as_worker
from omegaconf import OmegaConf
from torch import Tensor

from search.config.compose import compose_experiment
from search.contract.contract import prepare
from search.contract.metrics import read_metric
from trainers.checkpoint import Unsaved
from trainers.lanes import steps
from trainers.lanes.evaluation import Observation, evaluate
from trainers.lanes.group import Group
from trainers.lanes.program import Program
from trainers.seat import Seat
from trainers.stock import Stock

SETUPS = {
    "digits MLP (64, 64)": ["data=digits", "model.width=64", "model.depth=2"],
    "mnist1d MLP (100)": ["data=mnist1d", "model.width=100", "model.depth=1"],
    "mnist1d CNN": ["data=mnist1d", "model=cnn1d"],
    "digits CNN": ["data=digits", "model=cnn2d"],
}
EPOCHS = 40  # of each kind


def nothing(lanes: int) -> list[Any]:
    """What is put in place of the records."""
    if lanes == 1:
        return [
            patch.object(Seat, "_observe", lambda self: {}),
            patch.object(Seat, "_watched_step", lambda self: self.step() or {}),
        ]

    def evaluated(program: Program, *given: Any, sample: tuple[Tensor, Tensor]) -> Observation:
        losses, outputs = evaluate(program, *given)
        none = losses.new_zeros(len(losses), 0)
        return Observation(
            losses=losses, outputs=outputs, sample_losses=losses, dead=none, names=[]
        )

    return [
        patch.object(steps, "observe", evaluated),
        patch.object(Group, "_layers", lambda self, gradients, **rest: [{}] * len(gradients)),
    ]


def seconds(step: Callable[[], object]) -> float:
    """Processor time of one epoch."""
    begun = time.process_time()
    step()
    return time.process_time() - begun


def share(overrides: list[str], *, lanes: int) -> tuple[float, float]:
    """Seconds of an epoch without records, and what they add, as a share of it: medians over epochs that take turns."""
    config = compose_experiment(
        "lr_sweep",
        overrides=[*overrides, "trainer.epochs=1000", "optimizer.lr=0.01"],
        config_dir=None,
    )
    plain: Any = OmegaConf.to_container(config, resolve=True)
    metric = read_metric(plain["metric"], reported=False)
    seats = Stock(data=prepare(config, metric=metric).final, device="cpu")
    if lanes > 1:
        seats.fuse(seats.key(plain).name)
    for trial in range(lanes):
        seats.admit(trial, config={**plain, "seed": trial}, checkpoint=Unsaved())
    for _ in range(4):
        seats.step()
    with_records, without = [], []
    for _ in range(EPOCHS):
        with_records.append(seconds(seats.step))
        patches = nothing(lanes)
        for one in patches:
            one.start()
        without.append(seconds(seats.step))
        for one in patches:
            one.stop()
    ratios = np.array(with_records) / np.array(without)
    return float(np.median(without)), float(np.median(ratios)) - 1


def main() -> None:
    """The table."""
    as_worker()
    torch.set_num_threads(1)
    for name, overrides in SETUPS.items():
        for lanes in (1, 16):
            epoch, cost = share(overrides, lanes=lanes)
            print(
                f"{name:22} {lanes:3} lanes  {1000 * epoch:8.1f} ms an epoch  {100 * cost:+5.1f} %",
                flush=True,
            )


if __name__ == "__main__":
    main()
