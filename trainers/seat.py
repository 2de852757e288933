"""One training by itself: plain torch modules, step by step. The `loop` strategy, and what lanes are measured against.

Every epoch is seeded by (trial seed, epoch), so a trial resumed from its checkpoint goes on with the same bits.
"""

import torch
from torch import Tensor, nn

from trainers.api import Checkpoint, Config, Values
from trainers.build import Sets, build, epoch_seeds, plain_loss, restore_unsaved, seed_all, unsaved
from trainers.schedules import Schedule, apply

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
    ) -> None:
        (self._x, self._y), (self._val_x, self._val_y) = sets
        self._device, self._checkpoint = device, checkpoint
        self._seed, self._epochs = int(config["seed"]), int(config["trainer"]["epochs"])
        self._batch = min(int(config["trainer"]["batch_size"]), len(self._x))
        self._steps = -(-len(self._x) // self._batch)
        seed_all(self._seed, device)
        self._model, self._loss, self._optimizer = build(config, device)
        self._plain_loss = plain_loss(config, self._loss, device)
        self._l1, self._clip = float(config["trainer"].get("l1") or 0.0), config["trainer"].get("clip")
        self._schedule = Schedule(config.get("schedule"), self._optimizer, epochs=self._epochs, steps=self._steps)
        self._val_losses: list[float] = []
        self._parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self.epoch = -1
        saved = checkpoint.load()
        if saved is not None:
            self._model.load_state_dict(saved["model"])
            restore_unsaved(self._model, saved.get("unsaved", {}))
            self._optimizer.load_state_dict(saved["optimizer"])
            self._val_losses = list(saved["val_losses"])
            self.epoch = checkpoint.epoch

    def next_epoch(self) -> Values | None:
        """Trains one epoch and evaluates it; None after the last."""
        if self.epoch >= self._epochs:
            return None
        self.epoch += 1
        watched = self._train_epoch() if self.epoch > 0 else self._untrained()
        val_loss, predictions = self._evaluate(self._val_x, self._val_y)
        if self.epoch > 0:
            self._val_losses.append(val_loss)
            state = {
                "model": self._model.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "val_losses": self._val_losses,
                "unsaved": unsaved(self._model),
            }
            self._checkpoint.save(state, epoch=self.epoch)
        return {
            **watched,
            "val_loss": val_loss,
            "step": self.epoch * self._steps,
            "parameters": self._parameters,
            "predictions": predictions.float().cpu().numpy(),
        }

    def _untrained(self) -> dict[str, float]:
        """Epoch 0; the rate is the one that the first step will use."""
        return {"train_loss": self._evaluate(self._x, self._y)[0], "lr": float(self._schedule.at(1, step=0, losses=[])["lr"])}

    def _train_epoch(self) -> dict[str, float]:
        seed_all(int(epoch_seeds(self._seed, self.epoch)[0]), self._device)
        self._model.train()
        order = torch.randperm(len(self._x)).to(self._device)
        total = torch.zeros((), device=self._device)
        watched: dict[str, float] = {}
        for step, rows in enumerate(torch.split(order, self._batch)):
            if self._schedule.per_step or step == 0:
                apply(self._schedule.at(self.epoch, step=step, losses=self._val_losses), self._optimizer)
            total += self.gradients(rows) * len(rows)
            if step + 1 < self._steps:
                self.step()
            else:
                watched = self._watched_step()
        return {"train_loss": float(total) / len(self._x), "lr": float(self._optimizer.param_groups[0]["lr"]), **watched}

    def gradients(self, rows: Tensor) -> Tensor:
        """Plain loss of a batch; its gradients lie in the parameters, penalised and clipped."""
        self._optimizer.zero_grad(set_to_none=True)
        outputs, targets = self._model(self._x[rows]), self._y[rows]
        loss = self._loss(outputs, targets)
        plain: Tensor = loss.detach() if self._plain_loss is self._loss else self._plain_loss(outputs.detach(), targets)
        if self._l1:
            loss = loss + self._l1 * torch.stack([p.abs().sum() for p in self._model.parameters() if p.ndim > 1]).sum()
        loss.backward()
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self._model.parameters(), float(self._clip))
        return plain

    def step(self) -> None:
        """The optimizer's step."""
        self._optimizer.step()

    def _watched_step(self) -> dict[str, float]:
        """The epoch's last step, with its gradient norm and update ratio ‖Δw‖/‖w‖ (R24)."""
        parameters = [p for p in self._model.parameters() if p.grad is not None]
        gradient = _norm([p.grad for p in parameters if p.grad is not None])
        before = [p.detach().clone() for p in parameters]
        self.step()
        moved = _norm([p.detach() - old for p, old in zip(parameters, before, strict=True)])
        size = _norm(before)
        return {"grad_norm": gradient, "update_ratio": moved / size if size else 0.0}

    def _evaluate(self, x: Tensor, y: Tensor) -> tuple[float, Tensor]:
        """Mean loss and outputs in evaluation mode."""
        self._model.eval()
        outputs, total = [], 0.0
        with torch.no_grad():
            for rows, targets in zip(torch.split(x, EVALUATION_ROWS), torch.split(y, EVALUATION_ROWS), strict=True):
                outputs.append(self._model(rows))
                total += float(self._plain_loss(outputs[-1], targets)) * len(rows)
        return total / len(x), torch.cat(outputs)


def _norm(tensors: list[Tensor]) -> float:
    dense = [tensor.coalesce().values() if tensor.is_sparse else tensor for tensor in tensors]
    return float(torch.nn.utils.get_total_norm(dense)) if dense else 0.0
