"""Trials of one key that sit together: they train in step, epoch by epoch, and come and go at epoch ends.

A trial alone gets a ghost beside it, its own double, since one lane has other bits than two. Decides nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn, optim

from trainers.api import Checkpoint, Config, Epoch, Values
from trainers.build import Sets, epoch_seeds, restore_unsaved
from trainers.lanes.key import smoothing_of
from trainers.lanes.masks import rates_of
from trainers.lanes.optimizers import Rows, numbers
from trainers.lanes.program import STATE, WEIGHTS, Numbers, Program, joined, taken
from trainers.penalties import Penalties, read_penalties
from trainers.records import dead, fared, merged, sample
from trainers.schedules import Schedule

IDLE = (
    "weight_decay",
    "dampening",
)  # constants without effect where they are 0 in all lanes: no columns


@dataclass(kw_only=True, eq=False)
class Lane:
    """One training among others: its numbers, and how far it has come. `epoch` is −1 before the untrained model was seen."""

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


class Group:
    """All lanes of a program, in one worker."""

    def __init__(self, program: Program, *, sets: Sets, batch: int) -> None:
        self._program, self._batch = program, batch
        (self._x, self._y), (self._val_x, self._val_y) = sets
        self._steps = -(-len(self._x) // batch)
        index = torch.tensor(sample(len(self._x), val=len(self._val_x)), device=self._x.device)
        self._sample = self._x[index], self._y[index]
        self._rows: Rows = {}
        self._start = torch.empty(0)  # weights [lanes, …] that the lanes began with
        self._lanes: list[Lane] = []

    @property
    def trials(self) -> list[int]:
        """Who sits here."""
        return [lane.trial for lane in self._lanes]

    def admit(self, lane: Lane, model: nn.Module, optimizer: optim.Optimizer) -> None:
        """From its checkpoint, where there is one."""
        rows = self._program.rows_of(model, optimizer)
        start = rows[WEIGHTS].clone()
        saved = lane.checkpoint.load()
        if saved is not None:
            model.load_state_dict(saved["model"])
            restore_unsaved(model, saved["unsaved"])
            device = self._x.device
            rows = self._program.rows_of(model, optimizer) | {
                STATE + name: torch.as_tensor(value, device=device)[None].clone()
                for name, value in saved["optimizer"].items()
            }
            lane.losses, lane.epoch = list(saved["val_losses"]), lane.checkpoint.epoch
        self._rows = joined([self._rows, rows]) if self._lanes else rows
        self._start = torch.cat([self._start, start]) if self._lanes else start
        self._lanes.append(lane)

    def release(self, trial: int) -> None:
        """Frees the trial's lane at once."""
        staying = [index for index, lane in enumerate(self._lanes) if lane.trial != trial]
        self._rows = taken(self._rows, staying) if staying else {}
        self._start = self._start[staying]
        self._lanes = [self._lanes[index] for index in staying]

    def finished(self) -> list[int]:
        """Trials that have had their last epoch."""
        return [lane.trial for lane in self._lanes if lane.epoch >= lane.epochs]

    def step(self) -> list[Epoch]:
        """One epoch of every lane; those that have just come are first seen untrained, while the others wait."""
        new = [index for index, lane in enumerate(self._lanes) if lane.epoch < 0]
        chosen = new or [
            index for index, lane in enumerate(self._lanes) if lane.epoch < lane.epochs
        ]
        if not chosen:
            return []
        lanes = [self._lanes[index] for index in chosen]
        everyone = len(chosen) == len(self._lanes) > 1
        seats = [*chosen, *(chosen if len(chosen) == 1 else ())]
        rows, seated = (
            self._rows if everyone else taken(self._rows, seats),
            [self._lanes[index] for index in seats],
        )
        for lane in lanes:
            lane.epoch += 1
        watched = (
            self._untrained(rows, seated)
            if new
            else self._train(rows, seated, start=self._start if everyone else self._start[seats])
        )
        rates = _rates(seated, rows[WEIGHTS])
        losses, outputs, seen = self._program.observe(
            rows, self._val_x, self._val_y, rates, sample=self._sample
        )
        if not everyone and not new:
            for name, tensor in rows.items():
                self._rows[name][chosen] = tensor[: len(chosen)]
        of_train = [
            {"train_eval_loss": loss, **dead(seen.names, share)}
            for loss, share in zip(seen.losses, seen.dead, strict=True)
        ]
        watched = [merged(*parts) for parts in zip(watched, of_train, strict=True)]
        told = zip(
            lanes, chosen, watched, losses.tolist(), outputs.float().cpu().numpy(), strict=False
        )
        return [self._outcome(*one) for one in told]

    def _outcome(
        self, lane: Lane, row: int, watched: Values, val_loss: float, outputs: Any
    ) -> Epoch:
        if lane.epoch > 0:
            lane.losses.append(val_loss)
            state = {
                "model": self._program.model_of(self._rows, row),
                "optimizer": self._program.optimizer_of(self._rows, row),
                "val_losses": lane.losses,
                "unsaved": self._program.unsaved_of(self._rows, row),
            }
            lane.checkpoint.save(state, epoch=lane.epoch)
        values = {
            **watched,
            "val_loss": val_loss,
            "step": lane.epoch * self._steps,
            "parameters": self._program.parameters,
            "predictions": outputs,
        }
        return Epoch(trial=lane.trial, epoch=lane.epoch, values=values)

    def _untrained(self, rows: Rows, lanes: Sequence[Lane]) -> list[Values]:
        """Epoch 0; the rate is the one that the first step will use."""
        losses, _ = self._program.evaluate(rows, self._x, self._y, _rates(lanes, rows[WEIGHTS]))
        first = [float(lane.schedule.at(1, step=0, losses=[])["lr"]) for lane in lanes]
        return [
            {"train_loss": loss, "lr": rate}
            for loss, rate in zip(losses.tolist(), first, strict=True)
        ]

    def _train(self, rows: Rows, lanes: Sequence[Lane], *, start: Tensor) -> list[Values]:
        epoch = LaneEpoch(lanes, steps=self._steps, rows=len(self._x), like=rows[WEIGHTS])
        total = torch.zeros(len(lanes), device=self._x.device, dtype=torch.float64)
        watched: list[Values] = []
        for step in range(self._steps):
            index = epoch.order[:, step * self._batch : (step + 1) * self._batch]
            before = rows[WEIGHTS].clone() if step + 1 == self._steps else None
            plain, gradients = self.batch(rows, index, epoch, step=step)
            total += plain.double() * index.shape[1]
            if before is None:
                del gradients  # or they would stay while the next ones are made
            else:
                watched = self._watched(gradients, before=before, after=rows[WEIGHTS], start=start)
        losses, rates = (
            (total / len(self._x)).tolist(),
            epoch.columns[-1]["lr"].double().flatten().tolist(),
        )
        clipped = (epoch.clipped / self._steps).tolist()
        return [
            {
                "train_loss": loss,
                "lr": rate,
                **told,
                **({} if lane.penalties.clip is None else {"clipped": share}),
            }
            for lane, loss, rate, share, told in zip(
                lanes, losses, rates, clipped, watched, strict=True
            )
        ]

    def _watched(
        self, gradients: Tensor, *, before: Tensor, after: Tensor, start: Tensor
    ) -> list[Values]:
        """What the epoch's last step did to the layers. `before` is used up: fresh memory would cost more than the sums."""
        norms, moved = self._program.norms, before
        size = norms(before)
        update = norms(torch.sub(after, before, out=moved))
        way = norms(torch.sub(after, start, out=moved))
        trained, shapes = self._program.trained, self._program.shapes
        return fared(
            trained,
            shapes,
            gradient=norms(gradients),
            update=update,
            before=size,
            way=way,
            start=norms(start),
        )

    def batch(
        self, rows: Rows, index: Tensor, epoch: "LaneEpoch", *, step: int
    ) -> tuple[Tensor, Tensor]:
        """One step of all lanes: plain losses [lanes], and the gradients [lanes, …] that it was made with."""
        weights = rows[WEIGHTS]
        plain, objective, gradients = self._program.gradients(
            rows, self._x[index], self._y[index], epoch.numbers(step)
        )
        if epoch.flood is not None:
            gradients = gradients * torch.where(
                objective[:, None] < epoch.flood, -1.0, 1.0
            )  # the slope of what is flooded
        if epoch.l1 is not None:
            gradients = gradients.addcmul(torch.sign(weights) * self._program.penalised, epoch.l1)
        if epoch.clip is not None:
            norm = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            factors = (epoch.clip / (norm + 1e-6)).clamp(max=1.0)
            gradients = gradients * torch.where(epoch.clip.isinf(), 1.0, factors)
            epoch.clipped += (norm > epoch.clip).flatten()
        self._program.step(rows, gradients, epoch.columns[step])
        if epoch.max_norm is not None:
            self._program.hold(weights, epoch.max_norm)
        return plain, gradients


class LaneEpoch:
    """The numbers of one epoch of some lanes: order [lanes, rows], and per step the optimizer's columns [lanes, 1]."""

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
        self._rates = _rates(lanes, like)
        self._smoothing = torch.tensor(
            [lane.smoothing for lane in lanes], dtype=like.dtype, device=device
        )
        constants = [lane.columns(steps) for lane in lanes]
        idle = [
            name for name in IDLE if not any(any(columns.get(name, ())) for columns in constants)
        ]
        tables = {
            name: torch.tensor([columns[name] for columns in constants], dtype=torch.float64)
            .T.unsqueeze(2)
            .to(device, like.dtype)
            for name in constants[0]
            if name not in idle
        }
        self.columns = [
            {name: table[step] for name, table in tables.items()} for step in range(steps)
        ]
        told = [lane.penalties for lane in lanes]
        self.l1 = _penalty([one.l1 or None for one in told], like, none=0.0)
        self.flood = _penalty([one.flood for one in told], like, none=-math.inf)
        self.clip = _penalty([one.clip for one in told], like, none=math.inf)
        self.max_norm = _penalty([one.max_norm for one in told], like, none=math.inf)
        self.clipped = torch.zeros(len(lanes), dtype=torch.float64, device=device)  # steps

    def numbers(self, step: int) -> Numbers:
        """What the forward pass needs."""
        return Numbers(key=self._keys[step], rates=self._rates, smoothing=self._smoothing)


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
    """The numbers that a config and what was built from it give to a lane."""
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


def _rates(lanes: Sequence[Lane], like: Tensor) -> Tensor:
    """Of dropout, [lanes, layers]."""
    return torch.tensor([lane.rates for lane in lanes], dtype=like.dtype, device=like.device)


def _penalty(values: Sequence[float | None], like: Tensor, *, none: float) -> Tensor | None:
    """A column [lanes, 1], `none` for a lane without; None where no lane has it."""
    if values == [None] * len(values):
        return None
    column = [none if value is None else value for value in values]
    return torch.tensor(column, dtype=torch.float64).to(like.device, like.dtype)[:, None]
