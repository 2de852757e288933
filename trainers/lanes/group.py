"""Trials of one key that train together, epoch by epoch, and come and go at epoch ends.

A single remaining trial is padded with a copy of itself: one lane uses other kernels, which would
change the results. Decides nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

from trainers.api import Epoch, Values
from trainers.build import Sets, restore_unsaved
from trainers.lanes.evaluation import evaluate, observe
from trainers.lanes.lane import Lane, LaneEpoch, dropout_rates
from trainers.lanes.program import Program
from trainers.lanes.rows import STATE, WEIGHTS, Rows, joined, taken
from trainers.records import dead, fared, merged, sample


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
        """The trials that have a lane here."""
        return [lane.trial for lane in self._lanes]

    def admit(self, lane: Lane, model: nn.Module, optimizer: optim.Optimizer) -> None:
        """Gives a trial a lane; it resumes from its checkpoint, where there is one."""
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
        """One epoch of every lane. New lanes are first evaluated untrained; the others wait."""
        new = [index for index, lane in enumerate(self._lanes) if lane.epoch < 0]
        chosen = new or [
            index for index, lane in enumerate(self._lanes) if lane.epoch < lane.epochs
        ]
        if not chosen:
            return []
        lanes = [self._lanes[index] for index in chosen]
        all_chosen = len(chosen) == len(self._lanes) > 1
        places = [*chosen, *(chosen if len(chosen) == 1 else ())]
        padded = [self._lanes[index] for index in places]
        rows = self._rows if all_chosen else taken(self._rows, places)
        start = self._start if all_chosen else self._start[places]
        for lane in lanes:
            lane.epoch += 1
        trained = self._untrained(rows, padded) if new else self._train(rows, padded, start=start)
        losses, outputs, observed = observe(
            self._program,
            rows,
            self._val_x,
            self._val_y,
            dropout_rates(padded, rows[WEIGHTS]),
            sample=self._sample,
        )
        if not all_chosen and not new:
            for name, tensor in rows.items():
                self._rows[name][chosen] = tensor[: len(chosen)]
        evaluated = [
            {"train_eval_loss": loss, **dead(observed.names, share)}
            for loss, share in zip(observed.losses, observed.dead, strict=True)
        ]
        values = [merged(*parts) for parts in zip(trained, evaluated, strict=True)]
        results = zip(
            lanes, chosen, values, losses.tolist(), outputs.float().cpu().numpy(), strict=False
        )
        return [self._outcome(*result) for result in results]

    def _outcome(
        self, lane: Lane, row: int, values: Values, val_loss: float, outputs: Any
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
            **values,
            "val_loss": val_loss,
            "step": lane.epoch * self._steps,
            "parameters": self._program.parameters,
            "predictions": outputs,
        }
        return Epoch(trial=lane.trial, epoch=lane.epoch, values=values)

    def _untrained(self, rows: Rows, lanes: Sequence[Lane]) -> list[Values]:
        """Epoch 0; the learning rate is that of the first step."""
        rates = dropout_rates(lanes, rows[WEIGHTS])
        losses, _ = evaluate(self._program, rows, self._x, self._y, rates)
        first = [float(lane.schedule.at(1, step=0, losses=[])["lr"]) for lane in lanes]
        return [
            {"train_loss": loss, "lr": rate}
            for loss, rate in zip(losses.tolist(), first, strict=True)
        ]

    def _train(self, rows: Rows, lanes: Sequence[Lane], *, start: Tensor) -> list[Values]:
        epoch = LaneEpoch(lanes, steps=self._steps, rows=len(self._x), like=rows[WEIGHTS])
        total = torch.zeros(len(lanes), device=self._x.device, dtype=torch.float64)
        layers: list[Values] = []
        for step in range(self._steps):
            index = epoch.order[:, step * self._batch : (step + 1) * self._batch]
            before = rows[WEIGHTS].clone() if step + 1 == self._steps else None
            plain, gradients = self.batch(rows, index, epoch, step=step)
            total += plain.double() * index.shape[1]
            if before is None:
                del gradients  # or they would stay while the next ones are made
            else:
                layers = self._layers(gradients, before=before, after=rows[WEIGHTS], start=start)
        losses = (total / len(self._x)).tolist()
        rates = epoch.columns[-1]["lr"].double().flatten().tolist()
        clipped = (epoch.clipped / self._steps).tolist()
        return [
            {
                "train_loss": loss,
                "lr": rate,
                **values,
                **({} if lane.penalties.clip is None else {"clipped": share}),
            }
            for lane, loss, rate, share, values in zip(
                lanes, losses, rates, clipped, layers, strict=True
            )
        ]

    def _layers(
        self, gradients: Tensor, *, before: Tensor, after: Tensor, start: Tensor
    ) -> list[Values]:
        """What the epoch's last step did to the layers.

        Overwrites `before`: new memory would cost more than the sums.
        """
        norms, moved = self._program.norms, before
        size = norms(before)
        update = norms(torch.sub(after, before, out=moved))
        way = norms(torch.sub(after, start, out=moved))
        return fared(
            self._program.trained,
            self._program.shapes,
            gradient=norms(gradients),
            update=update,
            before=size,
            way=way,
            start=norms(start),
        )

    def batch(
        self, rows: Rows, index: Tensor, epoch: LaneEpoch, *, step: int
    ) -> tuple[Tensor, Tensor]:
        """One step of all lanes, on the rows of data `index` [lanes, batch].

        Returns:
            The plain losses [lanes], and the gradients [lanes, …] that the step was made with.
        """
        weights = rows[WEIGHTS]
        plain, objective, gradients = self._program.gradients(
            rows, self._x[index], self._y[index], epoch.numbers(step)
        )
        if epoch.flood is not None:  # the slope of a flooded loss is turned round
            gradients = gradients * torch.where(objective[:, None] < epoch.flood, -1.0, 1.0)
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
