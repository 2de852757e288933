"""One training by itself: plain torch modules, step by step; the reference for lanes.

Every epoch is seeded by (trial seed, epoch), so a trial resumed from its checkpoint goes on with
the same bits.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainers.api import Checkpoint, Config, Values
from trainers.augment import Mixup, check_fits, read_augmentation
from trainers.build import (
    RowSet,
    Sets,
    batches,
    chances,
    drawn_rows,
    epoch_seeds,
    plain_loss,
    restore_unsaved,
    seed_all,
    seeded,
    share_of_train,
    take_step,
    taken,
    unsaved,
)
from trainers.distillation import read_distillation
from trainers.heads import has_heads, own_outputs
from trainers.layer_series import Activations, dead, merged, norms, of_step, sample, with_values
from trainers.penalties import flooded, held, read_penalties
from trainers.rows import share_of_rows
from trainers.schedules import METRIC, VAL_LOSS, Schedule, apply, rates
from trainers.sequences import (
    answers,
    answers_of_rows,
    as_yielded,
    check_reads_lengths,
    is_forced,
    loss_of,
    outputs_of,
)

EVALUATION_ROWS = 4096  # rows of one forward pass without gradients


class Seat:
    """One training: model, loss, optimizer, its schedule, and how far it has come."""

    def __init__(
        self,
        config: Config,
        *,
        sets: Sets,
        device: torch.device,
        checkpoint: Checkpoint,
        soft: Tensor | None = None,
    ) -> None:
        self._train, self._val = share_of_train(config, sets)
        chosen = None if soft is None else share_of_rows(config, len(soft))
        self._soft = soft if soft is None or chosen is None else soft[torch.from_numpy(chosen)]
        self._device, self._checkpoint = device, checkpoint
        self._seed, self._epochs = int(config["seed"]), int(config["trainer"]["epochs"])
        rows, val_rows = len(self._train[0]), len(self._val[0])
        self._chances = chances(config, self._train[1])
        self._batch = min(int(config["trainer"]["batch_size"]), rows)
        self._steps = -(-rows // self._batch)
        self.model, self._loss, self._optimizer = seeded(config, self._seed, device)
        if len(self._train) > 2:
            check_reads_lengths(self.model)
        self._forced = is_forced(self.model)
        self._plain_loss = plain_loss(config, self._loss, device)
        self._answers = answers_of_rows(self._loss, self._train[1])
        self._penalties = read_penalties(config["trainer"])
        self._distillation = read_distillation(
            config, classes=not self._train[1].is_floating_point()
        )
        self._augment = read_augmentation(config)
        check_fits(self._augment, self._train)
        self._schedule = Schedule(
            config.get("schedule"), self._optimizer, epochs=self._epochs, steps=self._steps
        )
        self._watched: list[float] = []  # by the schedule, epoch by epoch; lower is better
        self._weights = list(self.model.parameters())
        self._parameters = sum(parameter.numel() for parameter in self._weights)
        self._start = with_values(self.model)  # before any training
        sampled = np.array(sample(rows, val=val_rows), dtype=int)
        self._sample = taken(self._train, torch.from_numpy(sampled).to(device))
        self._tells = bool(config["trainer"].get("train_metric", False))
        share = share_of_rows(config, len(sets[0][0]))
        self._sample_rows = sampled if share is None else share[sampled]
        self._clipped = torch.zeros((), device=device)
        self._one = torch.ones((), device=device)  # the loss's own gradient, made once
        self.epoch = -1
        if (saved := checkpoint.load()) is not None:
            self._restore(saved)

    def _restore(self, saved: Mapping[str, Any]) -> None:
        """What a checkpoint holds."""
        self.model.load_state_dict(saved["model"])
        restore_unsaved(self.model, saved.get("unsaved", {}))
        self._optimizer.load_state_dict(saved["optimizer"])
        self._watched = list(saved["val_losses"])
        self.epoch = self._checkpoint.epoch

    def next_epoch(self) -> Values | None:
        """Trains one epoch and evaluates it; None after the last."""
        if self.epoch >= self._epochs:
            return None
        self.epoch += 1
        watched = self._train_epoch() if self.epoch > 0 else self._untrained()
        self.model.eval()
        val_loss, outputs = self._evaluate(self._val)
        watched = merged(watched, self._observe())
        if self.epoch > 0:
            if self._schedule.watches == VAL_LOSS:
                self._watched.append(val_loss)
            saved = self.model.state_dict()
            state = {
                "model": saved,
                "optimizer": self._optimizer.state_dict(),
                "val_losses": self._watched,
                "unsaved": unsaved(self.model, saved=saved),
            }
            self._checkpoint.save(state, epoch=self.epoch)
        return {
            **watched,
            "val_loss": val_loss,
            **self._by_head(outputs),
            "step": self.epoch * self._steps,
            "parameters": self._parameters,
            **as_yielded(self._loss, outputs, self._val[2:]),
        }

    def _by_head(self, outputs: Tensor) -> Values:
        """Validation loss and score of each head by itself, where there are several (R6)."""
        if not has_heads(self._plain_loss):
            return {}
        with torch.no_grad():
            parts = self._plain_loss.parts(outputs, self._val[1])
            scores = self._plain_loss.scores(outputs, self._val[1])
        return {f"val_loss_{name}": float(loss) for name, loss in parts.items()} | scores

    def hear(self, score: float) -> None:
        """The metric of the epoch just trained, the higher the better."""
        if self._schedule.watches == METRIC and self.epoch > 0:
            self._watched.append(-score)

    def _untrained(self) -> Values:
        """Epoch 0; the rate is the one that the first step will use."""
        self.model.eval()
        return {
            "train_loss": self._evaluate(self._train)[0],
            **rates(self._schedule.at(1, step=0, watched=[])),
        }

    def _train_epoch(self) -> Values:
        seed_all(int(epoch_seeds(self._seed, self.epoch)[0]), self._device)
        self.model.train()
        order = drawn_rows(self._chances, len(self._train[0])).to(self._device)
        losses, counts = [], []
        self._clipped.zero_()
        watched: Values = {}
        for step, (rows, batch) in enumerate(batches(self._train, order, size=self._batch)):
            if self._schedule.per_step or step == 0:
                apply(
                    self._schedule.at(self.epoch, step=step, watched=self._watched), self._optimizer
                )
            losses.append(self.gradients(rows, batch))
            counts.append(len(rows) if self._answers is None else self._answers[rows].sum())
            if step + 1 < self._steps:
                self.step()
            else:
                watched = self._watched_step()
        clipped = (
            {} if self._penalties.clip is None else {"clipped": float(self._clipped) / self._steps}
        )
        return {
            "train_loss": _total(losses, counts) / float(answers(self._loss, self._train[1])),
            **rates(self._optimizer.param_groups),
            **watched,
            **clipped,
        }

    def gradients(self, rows: Tensor, batch: RowSet | None = None) -> Tensor:
        """Plain loss of a batch; its gradients lie in the parameters, penalised and clipped."""
        batch = taken(self._train, rows) if batch is None else batch
        for parameter in self._weights:  # as `zero_grad`, which also tells the profiler each time
            parameter.grad = None
        if self._augment is not None:
            batch = self._augment(batch[0]), *batch[1:]
        outputs = outputs_of(self.model, batch, forced=self._forced)
        loss = self._mixed(self._loss, outputs, batch)
        plain: Tensor = (
            loss.detach()
            if self._plain_loss is self._loss
            else self._mixed(self._plain_loss, outputs.detach(), batch)
        )
        if self._distillation is not None and self._soft is not None:
            against_teacher = partial(self._distillation.mixed, loss)
            own = own_outputs(self._loss, outputs)
            loss = self._mixed(against_teacher, own, (batch[0], self._soft[rows]))
        penalties = self._penalties
        if penalties.flood is not None:
            loss = flooded(loss, penalties.flood)
        if penalties.l1:
            sums = [p.abs().sum() for p in self.model.parameters() if p.ndim > 1]
            loss = loss + penalties.l1 * torch.stack(sums).sum()
        # A loss of a user's own may have the shape [1], for which torch finds the gradient itself.
        torch.autograd.backward(loss, None if loss.ndim else self._one)
        if penalties.clip is not None:
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), penalties.clip)
            self._clipped += norm > penalties.clip
        return plain

    def _mixed(
        self, loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, rows: RowSet
    ) -> Tensor:
        """A loss of the batch, of mixed targets where its inputs are mixed."""
        if isinstance(self._augment, Mixup):
            return self._augment.loss(loss, outputs, rows[1])
        return loss_of(loss, outputs, rows)

    def step(self) -> None:
        """The optimizer's step, and no unit's weights longer than they may be."""
        take_step(self._optimizer)
        if self._penalties.max_norm is None:
            return
        with torch.no_grad():
            for weights in self.model.parameters():
                if weights.ndim > 1 and weights.requires_grad:
                    factors = held(weights.flatten(1), self._penalties.max_norm)
                    weights.mul_(factors.view(-1, *(1,) * (weights.ndim - 1)))

    def _watched_step(self) -> Values:
        """The epoch's last step, and what it did to the layers."""
        reached = [name for name, (p, _) in self._start.items() if p.grad is not None]
        if not reached:
            self.step()
            return {"grad_norm": 0.0, "update_ratio": 0.0}
        weights, starts = zip(*(self._start[name] for name in reached), strict=True)
        gradients = [p.grad for p in weights if p.grad is not None]
        moved = [p.detach().clone() for p in weights]
        gradient, before = norms([*gradients, *moved]).chunk(2, dim=1)
        self.step()
        stepped = [p.detach() for p in weights]
        torch._foreach_sub_(moved, stepped)
        update = norms(moved)
        torch._foreach_copy_(moved, stepped)  # into the memory that there is already
        torch._foreach_sub_(moved, starts)
        way, start = norms([*moved, *starts]).chunk(2, dim=1)
        shapes = [p.shape for p in weights]
        (values,) = of_step(
            reached, shapes, gradient=gradient, update=update, before=before, way=way, start=start
        )
        return values

    def _observe(self) -> Values:
        """Plain loss of some train rows in evaluation mode, maybe their outputs; dead units."""
        rows = tuple(tensor.clone() for tensor in self._sample)
        with torch.no_grad():
            with Activations() as seen:
                outputs = outputs_of(self.model, rows)
            loss = loss_of(self._plain_loss, outputs, rows)
        shares = seen.together
        own = as_yielded(self._loss, outputs, rows[2:]) if self._tells else None
        return {
            "train_eval_loss": float(loss),
            **({} if own is None else {"train_outputs": {"rows": self._sample_rows, **own}}),
            **dead(seen.names, shares.tolist() if shares is not None else ()),
        }

    def _evaluate(self, rows: RowSet) -> tuple[float, Tensor]:
        """Mean loss and outputs, with the model in evaluation mode."""
        outputs, total = [], 0.0
        with torch.no_grad():
            parts = zip(*(torch.split(part, EVALUATION_ROWS) for part in rows), strict=True)
            for part in parts:
                # Copies: a model or loss that changes its inputs in place must not change the data.
                copies = tuple(tensor.clone() for tensor in part)
                outputs.append(outputs_of(self.model, copies))
                loss = float(loss_of(self._plain_loss, outputs[-1], copies))
                total += loss * float(answers(self._loss, part[1]))
        return total / float(answers(self._loss, rows[1])), torch.cat(outputs)


def _total(losses: Sequence[Tensor], counts: Sequence[int | Tensor]) -> float:
    """The sum of mean losses, each times its number of answers: once, not as part of each step."""
    means = torch.stack(list(losses)).detach().flatten().float().cpu().numpy()
    weighted = means * np.array([float(count) for count in counts], dtype=np.float32)
    return float(np.cumsum(weighted)[-1])  # one by one, not in pairs as `sum` would
