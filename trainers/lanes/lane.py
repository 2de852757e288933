"""One training among others: its numbers and its progress; the tables of an epoch of several lanes.

Trains nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor, nn, optim

from trainers.api import Checkpoint, Config
from trainers.build import epoch_seeds
from trainers.lanes.key import smoothing_of
from trainers.lanes.masks import rates_of
from trainers.lanes.optimizers import numbers
from trainers.lanes.rows import Numbers, Rows
from trainers.penalties import Penalties, read_penalties
from trainers.schedules import METRIC, Schedule

# Constants that have no effect where they are 0 in all lanes: they get no column then.
WITHOUT_EFFECT_AT_ZERO = ("weight_decay", "dampening")


@dataclass(kw_only=True, eq=False)
class Lane:
    """One training. `epoch` is -1 before the untrained model was evaluated.

    `tells`: whether the outputs of some train rows are yielded. `watched`: by the schedule, epoch
    by epoch; lower is better.
    """

    trial: int
    seed: int
    epochs: int
    schedule: Schedule
    checkpoint: Checkpoint
    constants: dict[str, float]
    rates: list[float]
    smoothing: float
    penalties: Penalties
    tells: bool = False
    watched: list[float] = field(default_factory=list)
    epoch: int = -1

    def hear(self, score: float) -> None:
        """The metric of the epoch just trained, the higher the better."""
        if self.schedule.watches == METRIC and self.epoch > 0:
            self.watched.append(-score)

    def columns(self, steps: int) -> dict[str, list[float]]:
        """The optimizer's constants at every step of the epoch; one value where they stay."""
        count = steps if self.schedule.per_step else 1
        settings = [
            self.schedule.at(self.epoch, step=step, watched=self.watched)[0]
            for step in range(count)
        ]
        scheduled = {
            name: [float(row[name]) for row in settings] for name in settings[0] if name != "betas"
        }
        for index, name in enumerate(("beta1", "beta2")) if "betas" in settings[0] else ():
            scheduled[name] = [float(row["betas"][index]) for row in settings]
        return {name: scheduled.get(name, [value]) for name, value in self.constants.items()}


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
        tells=bool(trainer.get("train_metric", False)),
    )


@dataclass(frozen=True, kw_only=True)
class LaneEpoch:
    """The tables of one epoch of some lanes, on their device.

    `order` [lanes, rows]: which row comes when. `keys` [steps, lanes]: of dropout masks; `rates`
    [lanes, layers]: of dropout; `smoothing` [lanes]: of labels. `tables`: the optimizer's constants
    by name, [steps, lanes, 1]. `l1`, `flood`, `clip`, `max_norm` [lanes, 1], or None where no lane
    has it. `clipped` [lanes]: how many steps were.
    """

    order: Tensor
    keys: Tensor
    rates: Tensor
    smoothing: Tensor
    tables: dict[str, Tensor]
    l1: Tensor | None
    flood: Tensor | None
    clip: Tensor | None
    max_norm: Tensor | None
    clipped: Tensor

    def numbers(self, step: int | Tensor) -> Numbers:
        """What the forward pass of a step needs; a step in a tensor [1] is not read by the host."""
        return Numbers(key=_row(self.keys, step), rates=self.rates, smoothing=self.smoothing)

    def columns(self, step: int | Tensor) -> Rows:
        """The optimizer's constants of a step, [lanes, 1]."""
        return {name: _row(table, step) for name, table in self.tables.items()}

    def tensors(self) -> dict[str, Tensor]:
        """All tables by name."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **{name: part for name, part in parts.items() if isinstance(part, Tensor)},
            **{f"tables.{name}": table for name, table in self.tables.items()},
        }

    def copy(self) -> "LaneEpoch":
        """The same tables in other memory."""
        parts = {name: tensor.clone() for name, tensor in self.tensors().items()}
        tables = {name: parts.pop(f"tables.{name}") for name in self.tables}
        return replace(self, tables=tables, **parts)


def lane_epoch(lanes: Sequence[Lane], *, steps: int, rows: int, like: Tensor) -> LaneEpoch:
    """The tables of the epoch that the lanes are in, for `steps` over `rows` of data."""
    orders, keys = [], []
    for lane in lanes:
        seeds = epoch_seeds(lane.seed, lane.epoch, count=steps + 1)
        orders.append(torch.randperm(rows, generator=torch.Generator().manual_seed(int(seeds[0]))))
        keys.append(seeds[1:].view(np.int32))
    smoothing = torch.tensor([lane.smoothing for lane in lanes], dtype=like.dtype)
    penalties = [lane.penalties for lane in lanes]
    return LaneEpoch(
        order=torch.stack(orders).to(like.device),
        keys=torch.from_numpy(np.stack(keys, axis=1).copy()).to(like.device),
        rates=dropout_rates(lanes, like),
        smoothing=smoothing.to(like.device),
        tables=_tables([lane.columns(steps) for lane in lanes], like, steps=steps),
        l1=_penalty([one.l1 or None for one in penalties], like, none=0.0),
        flood=_penalty([one.flood for one in penalties], like, none=-math.inf),
        clip=_penalty([one.clip for one in penalties], like, none=math.inf),
        max_norm=_penalty([one.max_norm for one in penalties], like, none=math.inf),
        clipped=torch.zeros(len(lanes), dtype=torch.float64, device=like.device),
    )


def dropout_rates(lanes: Sequence[Lane], like: Tensor) -> Tensor:
    """Dropout rates [lanes, layers], with the type and device of `like`."""
    return torch.tensor([lane.rates for lane in lanes], dtype=like.dtype, device=like.device)


def _row(table: Tensor, step: int | Tensor) -> Tensor:
    return table[step] if isinstance(step, int) else table.index_select(0, step)[0]


def _tables(
    constants: Sequence[dict[str, list[float]]], like: Tensor, *, steps: int
) -> dict[str, Tensor]:
    """The constants of all steps, [steps, lanes, 1] each; one transfer to the device for each."""
    tables = {}
    for name in constants[0]:
        if name in WITHOUT_EFFECT_AT_ZERO and not any(any(lane[name]) for lane in constants):
            continue
        table = np.empty((steps, len(constants), 1))
        for place, lane in enumerate(constants):
            table[:, place, 0] = lane[name]
        tables[name] = torch.from_numpy(table).to(like.device, like.dtype)
    return tables


def _penalty(values: Sequence[float | None], like: Tensor, *, none: float) -> Tensor | None:
    """A column [lanes, 1], with `none` for a lane without; None where no lane has it."""
    if values == [None] * len(values):
        return None
    column = [none if value is None else value for value in values]
    return torch.tensor(column, dtype=torch.float64).to(like.device, like.dtype)[:, None]
