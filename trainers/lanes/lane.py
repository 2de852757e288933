"""One training among others: its numbers and its progress; the tables of an epoch of several lanes.

Trains nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn, optim

from trainers.api import Checkpoint, Config
from trainers.build import epoch_seeds
from trainers.lanes.key import smoothing_of
from trainers.lanes.masks import rates_of
from trainers.lanes.optimizers import numbers
from trainers.lanes.rows import Numbers
from trainers.penalties import Penalties, read_penalties
from trainers.schedules import Schedule

# Constants that have no effect where they are 0 in all lanes: they get no column then.
WITHOUT_EFFECT_AT_ZERO = ("weight_decay", "dampening")


@dataclass(kw_only=True, eq=False)
class Lane:
    """One training. `epoch` is -1 before the untrained model was evaluated."""

    trial: int
    seed: int
    epochs: int
    schedule: Schedule
    checkpoint: Checkpoint
    constants: dict[str, float]
    rates: list[float]
    smoothing: float
    penalties: Penalties
    losses: list[float] = field(default_factory=list)
    epoch: int = -1

    def columns(self, steps: int) -> dict[str, list[float]]:
        """The optimizer's constants at every step of the epoch."""
        if self.schedule.per_step:
            settings = [
                self.schedule.at(self.epoch, step=step, losses=self.losses) for step in range(steps)
            ]
        else:
            settings = [self.schedule.at(self.epoch, step=0, losses=self.losses)] * steps
        scheduled = {
            name: [float(row[name]) for row in settings] for name in settings[0] if name != "betas"
        }
        for index, name in enumerate(("beta1", "beta2")) if "betas" in settings[0] else ():
            scheduled[name] = [float(row["betas"][index]) for row in settings]
        return {
            name: scheduled.get(name, [value] * steps) for name, value in self.constants.items()
        }


def lane_of(
    trial: int,
    config: Config,
    *,
    model: nn.Module,
    loss: nn.Module,
    optimizer: optim.Optimizer,
    steps: int,
    checkpoint: Checkpoint,
) -> Lane:
    """The numbers that a config, and what was built from it, give to a lane."""
    trainer = config["trainer"]
    return Lane(
        trial=trial,
        seed=int(config["seed"]),
        epochs=int(trainer["epochs"]),
        schedule=Schedule(
            config.get("schedule"), optimizer, epochs=int(trainer["epochs"]), steps=steps
        ),
        checkpoint=checkpoint,
        constants=numbers(optimizer),
        rates=rates_of(model),
        smoothing=smoothing_of(loss),
        penalties=read_penalties(trainer),
    )


class LaneEpoch:
    """The tables of one epoch of some lanes, on their device.

    `order` [lanes, rows]: which row comes when. `columns`: per step, the optimizer's constants
    [lanes, 1]. `l1`, `flood`, `clip`, `max_norm` [lanes, 1], or None where no lane has it.
    """

    def __init__(self, lanes: Sequence[Lane], *, steps: int, rows: int, like: Tensor) -> None:
        device = like.device
        orders, keys = [], []
        for lane in lanes:
            seeds = epoch_seeds(lane.seed, lane.epoch, count=steps + 1)
            orders.append(
                torch.randperm(rows, generator=torch.Generator().manual_seed(int(seeds[0])))
            )
            keys.append(seeds[1:].view(np.int32))
        self.order = torch.stack(orders).to(device)
        self._keys = torch.from_numpy(np.stack(keys, axis=1).copy()).to(device)  # [steps, lanes]
        self._rates = dropout_rates(lanes, like)
        self._smoothing = torch.tensor(
            [lane.smoothing for lane in lanes], dtype=like.dtype, device=device
        )
        self.columns = _columns([lane.columns(steps) for lane in lanes], like, steps=steps)
        penalties = [lane.penalties for lane in lanes]
        self.l1 = _penalty([one.l1 or None for one in penalties], like, none=0.0)
        self.flood = _penalty([one.flood for one in penalties], like, none=-math.inf)
        self.clip = _penalty([one.clip for one in penalties], like, none=math.inf)
        self.max_norm = _penalty([one.max_norm for one in penalties], like, none=math.inf)
        self.clipped = torch.zeros(len(lanes), dtype=torch.float64, device=device)  # steps

    def numbers(self, step: int) -> Numbers:
        """What the forward pass of a step needs."""
        return Numbers(key=self._keys[step], rates=self._rates, smoothing=self._smoothing)


def dropout_rates(lanes: Sequence[Lane], like: Tensor) -> Tensor:
    """Dropout rates [lanes, layers], with the type and device of `like`."""
    return torch.tensor([lane.rates for lane in lanes], dtype=like.dtype, device=like.device)


def _columns(
    constants: Sequence[dict[str, list[float]]], like: Tensor, *, steps: int
) -> list[dict[str, Tensor]]:
    """The constants of every step, [lanes, 1] each; one transfer to the device per constant."""
    tables = {
        name: torch.tensor([columns[name] for columns in constants], dtype=torch.float64)
        .T.unsqueeze(2)
        .to(like.device, like.dtype)
        for name in constants[0]
        if name not in WITHOUT_EFFECT_AT_ZERO or any(any(columns[name]) for columns in constants)
    }
    return [{name: table[step] for name, table in tables.items()} for step in range(steps)]


def _penalty(values: Sequence[float | None], like: Tensor, *, none: float) -> Tensor | None:
    """A column [lanes, 1], with `none` for a lane without; None where no lane has it."""
    if values == [None] * len(values):
        return None
    column = [none if value is None else value for value in values]
    return torch.tensor(column, dtype=torch.float64).to(like.device, like.dtype)[:, None]
