"""The stock trainer: torch's own model, loss, optimizer and schedule classes, named by `_target_`, trained seat by seat.

Every epoch is seeded by (trial seed, epoch), so a trial resumed from its checkpoint goes on with the same bits. The forward
strategy is `loop`: plain modules, one after the other. Knows no metric and decides nothing.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from trainers.api import Checkpoint, Config, Data, End, Epoch, Failure, Outcome, Part, Values
from trainers.schedules import COLUMNS, Schedule, apply

EVALUATION_ROWS = 4096  # rows of one forward pass without gradients


class Stock:
    """Seats for trials on the same data, trained one after the other within a step."""

    strategy = "loop"

    def __init__(self, *, data: Data, device: str) -> None:
        self._device = torch.device(device)
        self._train, self._val = _on_device(data.train, self._device), _on_device(data.val, self._device)
        self._seats: dict[int, Seat] = {}

    @staticmethod
    def rehearse(config: Config, shape: tuple[int, int, str]) -> str | None:
        """Builds everything that a config names, and trains a step on random rows: two configs of one description train alike.

        `shape`: inputs, outputs and task of the data. None where the model does not take rows of that shape.

        Raises:
            TypeError: a class that cannot be imported, or does not take its keys.
        """
        device, trainer, (inputs, outputs, task) = torch.device("cpu"), config["trainer"], shape
        _seed(0, device)
        model, loss, optimizer = _build(config, device)
        schedule = Schedule(config.get("schedule"), optimizer, epochs=int(trainer["epochs"]), steps=3)
        try:
            dice = torch.Generator().manual_seed(0)
            x = torch.randn(4, inputs, generator=dice)
            y = torch.arange(4) % outputs if task == "classification" else torch.randn(4, outputs, generator=dice)
            for step in range(2):  # the second step shows what an optimizer keeps of the first
                apply(schedule.at(1, step=step, losses=[]), optimizer)
                optimizer.zero_grad()
                loss(model(x), y).backward()
                optimizer.step()
        except Exception:  # noqa: BLE001  # a model of other rows, or one that needs a whole batch: nothing can be told
            return None
        weights = [(name, tensor.double().abs().sum().item()) for name, tensor in model.state_dict().items()]
        parts = [_described(module) for module in (*model.modules(), *loss.modules())]
        own = [trainer.get(key) for key in ("epochs", "batch_size", "l1", "clip")]
        settings = {key: value for key, value in optimizer.param_groups[0].items() if key not in ("params", *COLUMNS)}
        return repr((parts, weights, settings, schedule.describe(), own))

    def admit(self, trial: int, *, config: Config, checkpoint: Checkpoint) -> None:
        """Builds the trial's model, loss, optimizer and schedule from its config and seed."""
        self._seats[trial] = Seat(config, train=self._train, val=self._val, device=self._device, checkpoint=checkpoint)

    def step(self) -> list[Outcome]:
        """One epoch of every seat; the untrained model counts as epoch 0."""
        return [self._step(trial, seat) for trial, seat in self._seats.items()]

    def release(self, trial: int) -> None:
        """Forgets the trial's model."""
        self._seats.pop(trial, None)

    def _step(self, trial: int, seat: "Seat") -> Outcome:
        try:
            values = seat.next_epoch()
        except Exception as error:  # noqa: BLE001  # a user's model may raise anything, and costs its own trial only
            return Failure(trial=trial, error=error)
        return End(trial=trial) if values is None else Epoch(trial=trial, epoch=seat.epoch, values=values)


class Seat:
    """One training: model, loss, optimizer, its schedule, and how far it has come."""

    def __init__(
        self,
        config: Config,
        *,
        train: tuple[Tensor, Tensor],
        val: tuple[Tensor, Tensor],
        device: torch.device,
        checkpoint: Checkpoint,
    ) -> None:
        self._x, self._y = train
        self._val_x, self._val_y = val
        self._device, self._checkpoint = device, checkpoint
        self._seed, self._epochs = int(config["seed"]), int(config["trainer"]["epochs"])
        self._batch = min(int(config["trainer"]["batch_size"]), len(self._x))
        self._steps = -(-len(self._x) // self._batch)
        _seed(self._seed, device)
        self._model, self._loss, self._optimizer = _build(config, device)
        self._plain_loss = _plain_loss(config, self._loss, device)
        self._l1, self._clip = float(config["trainer"].get("l1") or 0.0), config["trainer"].get("clip")
        self._schedule = Schedule(config.get("schedule"), self._optimizer, epochs=self._epochs, steps=self._steps)
        self._val_losses: list[float] = []
        self._parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self.epoch = -1
        saved = checkpoint.load()
        if saved is not None:
            self._model.load_state_dict(saved["model"])
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
        _seed(int(np.random.SeedSequence([self._seed, self.epoch]).generate_state(1)[0]), self._device)
        self._model.train()
        order = torch.randperm(len(self._x)).to(self._device)
        total = torch.zeros((), device=self._device)
        watched: dict[str, float] = {}
        for step, rows in enumerate(torch.split(order, self._batch)):
            if self._schedule.per_step or step == 0:
                apply(self._schedule.at(self.epoch, step=step, losses=self._val_losses), self._optimizer)
            self._optimizer.zero_grad(set_to_none=True)
            outputs, targets = self._model(self._x[rows]), self._y[rows]
            loss = self._loss(outputs, targets)
            plain = loss.detach() if self._plain_loss is self._loss else self._plain_loss(outputs.detach(), targets)
            if self._l1:
                loss = loss + self._l1 * torch.stack([p.abs().sum() for p in self._model.parameters() if p.ndim > 1]).sum()
            loss.backward()
            if self._clip is not None:
                nn.utils.clip_grad_norm_(self._model.parameters(), float(self._clip))
            total += plain * len(rows)
            if step + 1 < self._steps:
                self._optimizer.step()
            else:
                watched = self._watched_step()
        return {"train_loss": float(total) / len(self._x), "lr": float(self._optimizer.param_groups[0]["lr"]), **watched}

    def _watched_step(self) -> dict[str, float]:
        """The epoch's last step, with its gradient norm and update ratio ‖Δw‖/‖w‖ (R24)."""
        parameters = [p for p in self._model.parameters() if p.grad is not None]
        gradient = _norm([p.grad for p in parameters if p.grad is not None])
        before = [p.detach().clone() for p in parameters]
        self._optimizer.step()
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


def _build(config: Config, device: torch.device) -> tuple[nn.Module, nn.Module, torch.optim.Optimizer]:
    model: nn.Module = _made(config, "model").to(device)
    loss: nn.Module = _made(config, "loss").to(device)
    optimizer: torch.optim.Optimizer = _made(config, "optimizer", model.parameters())
    return model, loss, optimizer


def _plain_loss(config: Config, loss: nn.Module, device: torch.device) -> nn.Module:
    """The loss without smoothing, by which trainings are compared; the loss itself where it has none."""
    if not config["loss"].get("label_smoothing"):
        return loss
    plain: nn.Module = _made({**config, "loss": {**config["loss"], "label_smoothing": 0.0}}, "loss").to(device)
    return plain


def _described(module: nn.Module) -> tuple[str, dict[str, Any]]:
    return type(module).__qualname__, {k: v for k, v in vars(module).items() if isinstance(v, int | float | str | tuple)}


def _made(config: Config, group: str, *arguments: Any) -> Any:
    """An object of the class that a group names.

    Raises:
        TypeError: it cannot be imported, or does not take the group's keys; the group and the cause are told.
    """
    try:
        return instantiate(config[group], _partial_=True)(*arguments)
    except Exception as error:
        target = config[group].get("_target_")
        raise TypeError(
            f"{group}._target_: {target!r} must be a class that takes the keys of {group}, but got {type(error).__name__}: "
            f"{error.__cause__ or error}; mend {group}"
        ) from error


def predict(config: Config, data: Data, device: str, weights: Path) -> Values:
    """`trainers.api.Predict` of the stock trainer: logits [n_test, classes] or outputs [n_test, outputs]."""
    if data.test is None:
        raise ValueError("predict: needs data.test, but got None; open the test set first")
    model: nn.Module = _made(config, "model").to(device)
    model.load_state_dict(load_file(weights, device=device))
    model.eval()
    x, _ = _on_device(data.test, torch.device(device))
    with torch.no_grad():
        outputs = torch.cat([model(rows) for rows in torch.split(x, EVALUATION_ROWS)])
    return {"predictions": outputs.float().cpu().numpy(), "parameters": sum(p.numel() for p in model.parameters())}


def _on_device(part: Part, device: torch.device) -> tuple[Tensor, Tensor]:
    if part.x is None or part.y is None:
        raise ValueError(
            "the stock trainer needs rows, but data=own gives row numbers only; choose a data set or your own trainer"
        )
    return _tensor(part.x, torch.float32).to(device), _tensor(
        part.y, torch.long if part.y.dtype.kind in "iu" else torch.float32
    ).to(device)


def _tensor(array: NDArray[Any], dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.asarray(array)).to(dtype)


def _seed(seed: int, device: torch.device) -> None:
    """The generators that this device draws from; `torch.manual_seed` would look for every kind of device there is."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.nn.utils.get_total_norm(tensors)) if tensors else 0.0
