"""Trials of one key that train together, epoch by epoch, and come and go at epoch ends.

A single remaining trial is padded with a copy of itself: one lane uses other kernels, which would
change the results. On a GPU, a group is padded to a capacity. Decides nothing.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

from trainers.api import Epoch, Values
from trainers.build import Sets, restore_unsaved
from trainers.lanes.evaluation import Observation, losses_of
from trainers.lanes.graphs import capacity, lane_steps
from trainers.lanes.lane import Lane, dropout_rates, lane_epoch
from trainers.lanes.program import Program
from trainers.lanes.rows import STATE, WEIGHTS, Rows, joined, on_host, taken
from trainers.layer_series import dead, merged, of_step
from trainers.schedules import VAL_LOSS


class Group:
    """All lanes of a program, in one worker."""

    def __init__(self, program: Program, *, sets: Sets, batch: int) -> None:
        self._program = program
        self._steps = lane_steps(program, sets=sets, batch=batch)
        self._rows: Rows = {}
        self._start = torch.empty(0)  # weights [lanes, …] that the lanes began with
        self._lanes: list[Lane] = []
        self._arrivals: list[tuple[Rows, Tensor]] = []  # rows and first weights of new lanes

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
            device = start.device
            rows = self._program.rows_of(model, optimizer) | {
                STATE + name: torch.as_tensor(value, device=device)[None].clone()
                for name, value in saved["optimizer"].items()
            }
            lane.watched, lane.epoch = list(saved["val_losses"]), lane.checkpoint.epoch
        self._arrivals.append((rows, start))
        self._lanes.append(lane)

    def release(self, trial: int) -> None:
        """Frees the trial's lane at once."""
        self._seat_arrivals()
        staying = [index for index, lane in enumerate(self._lanes) if lane.trial != trial]
        self._rows = taken(self._rows, staying) if staying else {}
        self._start = self._start[staying]
        self._lanes = [self._lanes[index] for index in staying]

    def hear(self, trial: int, *, score: float) -> None:
        """The metric of a trial's last epoch, the higher the better."""
        for lane in self._lanes:
            if lane.trial == trial:
                lane.hear(score)

    def finished(self) -> list[int]:
        """Trials that have had their last epoch."""
        return [lane.trial for lane in self._lanes if lane.epoch >= lane.epochs]

    def step(self) -> list[Epoch]:
        """One epoch of every lane. New lanes are first evaluated untrained; the others wait."""
        self._seat_arrivals()
        new = [index for index, lane in enumerate(self._lanes) if lane.epoch < 0]
        chosen = new or [
            index for index, lane in enumerate(self._lanes) if lane.epoch < lane.epochs
        ]
        if not chosen:
            return []
        lanes, device = [self._lanes[index] for index in chosen], self._start.device
        places = [*chosen, *chosen[:1] * (capacity(len(chosen), device) - len(chosen))]
        all_chosen = places == list(range(len(self._lanes)))
        padded = [self._lanes[index] for index in places]
        rows = self._rows if all_chosen else taken(self._rows, places)
        start = self._start if all_chosen else self._start[places]
        for lane in lanes:
            lane.epoch += 1
        trained = self._untrained(rows, padded) if new else self._train(rows, padded, start=start)
        observation = self._steps.observe(rows, dropout_rates(padded, rows[WEIGHTS]))
        if not all_chosen and not new:
            for name, tensor in rows.items():
                self._rows[name][chosen] = tensor[: len(chosen)]
        evaluated = self._evaluated(padded, observation)
        values = [merged(*parts) for parts in zip(trained, evaluated, strict=True)]
        losses, outputs = observation.losses.tolist(), observation.outputs.float().cpu().numpy()
        kept = on_host(self._rows)
        results = zip(lanes, chosen, values, losses, outputs, strict=False)
        return [self._outcome(*result, kept=kept) for result in results]

    def _evaluated(self, lanes: Sequence[Lane], observation: Observation) -> list[Values]:
        """What a sample of train shows of each lane, and its outputs where they are wanted."""
        losses, shares = observation.sample_losses.tolist(), observation.dead.tolist()
        values: list[Values] = [
            {"train_eval_loss": loss, **dead(observation.names, share)}
            for loss, share in zip(losses, shares, strict=True)
        ]
        if not any(lane.tells for lane in lanes):
            return values
        sampled, outputs = self._steps.sampled, observation.sample_outputs.float().cpu().numpy()
        return [
            {**own, "train_outputs": {"rows": sampled, "predictions": of_lane}}
            if lane.tells
            else own
            for lane, own, of_lane in zip(lanes, values, outputs, strict=True)
        ]

    def _seat_arrivals(self) -> None:
        """Joins the rows of new lanes, all at once: one by one, each would copy all before it."""
        if not self._arrivals:
            return
        parts, starts = zip(*self._arrivals, strict=True)
        seated = len(self._lanes) > len(parts)
        self._rows = joined([self._rows, *parts] if seated else parts)
        self._start = torch.cat([self._start, *starts] if seated else starts)
        self._arrivals = []

    def _outcome(
        self, lane: Lane, row: int, values: Values, val_loss: float, outputs: Any, *, kept: Rows
    ) -> Epoch:
        if lane.epoch > 0:
            if lane.schedule.watches == VAL_LOSS:
                lane.watched.append(val_loss)
            state = {
                "model": self._program.model_of(kept, row),
                "optimizer": self._program.optimizer_of(kept, row),
                "val_losses": lane.watched,
                "unsaved": self._program.unsaved_of(kept, row),
            }
            lane.checkpoint.save(state, epoch=lane.epoch)
        values = {
            **values,
            "val_loss": val_loss,
            "step": lane.epoch * self._steps.count,
            "parameters": self._program.parameters,
            "predictions": outputs,
        }
        return Epoch(trial=lane.trial, epoch=lane.epoch, values=values)

    def _untrained(self, rows: Rows, lanes: Sequence[Lane]) -> list[Values]:
        """Epoch 0; the learning rate is that of the first step."""
        rates = dropout_rates(lanes, rows[WEIGHTS])
        losses = losses_of(self._program, rows, self._steps.x, self._steps.y, rates)
        first = [float(lane.schedule.at(1, step=0, watched=[])[0]["lr"]) for lane in lanes]
        return [
            {"train_loss": loss, "lr": rate}
            for loss, rate in zip(losses.tolist(), first, strict=True)
        ]

    def _train(self, rows: Rows, lanes: Sequence[Lane], *, start: Tensor) -> list[Values]:
        steps, data = self._steps, len(self._steps.x)
        epoch = lane_epoch(lanes, steps=steps.count, rows=data, like=rows[WEIGHTS])
        total = torch.zeros(len(lanes), device=start.device, dtype=torch.float64)
        last = steps.count - 1
        steps.advance(rows, epoch, range(last), total)
        before = rows[WEIGHTS].clone()
        gradients = steps.advance(rows, epoch, range(last, last + 1), total)
        layers = self._layers(gradients, before=before, after=rows[WEIGHTS], start=start)
        losses = (total / data).tolist()
        rates = epoch.columns(last)["lr"].double().flatten().tolist()
        clipped = (epoch.clipped / steps.count).tolist()
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
        return of_step(
            self._program.trained,
            self._program.shapes,
            gradient=norms(gradients),
            update=update,
            before=size,
            way=way,
            start=norms(start),
        )
