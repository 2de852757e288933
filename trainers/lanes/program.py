"""One program for many models of one key: stacked weights, and `torch.func` over them (HFTA).

Every lane's numbers come in as columns [lanes, …]; nothing here knows a trial, an epoch or a
schedule. Needs at least two lanes: with one, torch uses other kernels, which give other bits.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.func import functional_call, vmap
from torch.nn import functional

from trainers.lanes.key import Unfusable, smoothing_of, smooths, tied
from trainers.lanes.masks import LAYERS, counted_dropout, in_place_of_torchs
from trainers.lanes.optimizers import fresh_state, rule_of
from trainers.lanes.rows import BUFFER, HELD, STATE, WEIGHTS, Numbers, Rows, under
from trainers.lanes.traced import Traced
from trainers.penalties import held

LINEAR = functional.linear


class Program:
    """Losses, gradients and steps of all lanes at once.

    Args:
        model, loss, optimizer: those of any of its lanes.
        plain: the loss by which trainings are compared.
        x, y: a batch, to find out which parameters are trained at all.

    Raises:
        Unfusable: a weight that requires a gradient gets none.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        optimizer: optim.Optimizer,
        *,
        plain: nn.Module,
        x: Tensor,
        y: Tensor,
    ) -> None:
        rule = rule_of(optimizer)
        if rule is None:
            raise TypeError(f"{type(optimizer).__name__} has no form for lanes")
        self.optimize = rule
        self.template = copy.deepcopy(model)
        self._loss, self.plain = loss, plain
        self._smooths = smooths(loss) and not y.dtype.is_floating_point
        self._smoothed = smoothing_of(loss) > 0
        self._layers: list[Any] = [
            module for module in self.template.modules() if type(module) in LAYERS
        ]
        trained = _trained(model, loss, x, y)
        parameters = dict(model.named_parameters())
        self.trained = [name for name in parameters if name in trained]
        self.shapes = [parameters[name].shape for name in self.trained]
        self._sizes = [shape.numel() for shape in self.shapes]
        self._held = [name for name in parameters if name not in trained]
        self._buffers = [name for name, _ in model.named_buffers()]
        self._first = tied(model)
        self._saved = list(model.state_dict())
        unreached = [
            n for n, p in parameters.items() if p.requires_grad and n not in trained and p.ndim > 1
        ]
        if unreached:  # a penalty would train it nevertheless
            raise Unfusable(f"no training step reaches {unreached[0]}")
        matrix = [
            torch.full((size,), float(len(shape) > 1))
            for size, shape in zip(self._sizes, self.shapes, strict=True)
        ]
        self.penalised = (
            torch.cat(matrix).to(x.device) if matrix else torch.zeros(0, device=x.device)
        )
        # On a GPU steps become graphs instead (`graphs.py`).
        self._traced = Traced(self._gradients) if x.device.type == "cpu" else self._gradients
        self.parameters = sum(parameter.numel() for parameter in parameters.values())

    # Lanes as rows

    def rows_of(self, model: nn.Module, optimizer: optim.Optimizer) -> Rows:
        """A new lane: one row of every tensor, with the optimizer's state before its first step."""
        parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
        weights = torch.cat(
            [parameters[name].detach().reshape(1, -1) for name in self.trained], dim=1
        )
        rows = {WEIGHTS: weights}
        rows |= {HELD + name: parameters[name].detach()[None].clone() for name in self._held}
        rows |= {BUFFER + name: buffers[name].detach()[None].clone() for name in self._buffers}
        return rows | {
            STATE + name: value for name, value in fresh_state(optimizer, weights).items()
        }

    def model_of(self, rows: Rows, lane: int) -> dict[str, Tensor]:
        """A lane's `state_dict`, as the plain model would give it."""
        parts = dict(zip(self.trained, torch.split(rows[WEIGHTS][lane], self._sizes), strict=True))
        shaped = {
            name: part.view(shape)
            for (name, part), shape in zip(parts.items(), self.shapes, strict=True)
        }
        shaped |= {
            name: tensor[lane]
            for prefix in (HELD, BUFFER)
            for name, tensor in under(prefix, rows).items()
        }
        return {name: shaped[self._first[name]] for name in self._saved}

    def unsaved_of(self, rows: Rows, lane: int) -> dict[str, Tensor]:
        """A lane's buffers that are not in its `state_dict`."""
        return {
            name: rows[BUFFER + name][lane] for name in self._buffers if name not in self._saved
        }

    def optimizer_of(self, rows: Rows, lane: int) -> dict[str, Tensor]:
        """A lane's optimizer state."""
        return {name: tensor[lane] for name, tensor in under(STATE, rows).items()}

    # Steps

    def gradients(
        self, rows: Rows, x: Tensor, y: Tensor, numbers: Numbers
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Losses and gradients of a batch per lane; buffers are updated in place.

        Args:
            rows: of all lanes.
            x, y: a batch per lane, [lanes, batch, …].
            numbers: what the lanes differ in.

        Returns:
            Plain losses and training losses [lanes], and the gradients of the latter
            [lanes, parameters].
        """
        model = {name: tensor for name, tensor in rows.items() if not name.startswith(STATE)}
        plain, objective, gradients = self._traced(
            model, x, y, numbers.key, numbers.rates, numbers.smoothing
        )
        return plain, objective, gradients

    def step(self, rows: Rows, gradients: Tensor, columns: Rows) -> None:
        """The optimizer's step, in place."""
        state = under(STATE, rows)
        state["steps"] += 1
        self.optimize(rows[WEIGHTS], gradients, state, columns)

    def hold(self, weights: Tensor, limit: Tensor) -> None:
        """Keeps every unit's incoming weights within a norm, `limit` [lanes, 1], in place."""
        for part, shape in zip(torch.split(weights, self._sizes, dim=1), self.shapes, strict=True):
            if len(shape) > 1 and shape.numel():
                units = part.view(len(weights), shape[0], -1)
                units.mul_(held(units, limit[:, :, None]))

    def norms(self, rows: Tensor) -> Tensor:
        """Norms of each trained tensor in rows of weights [lanes, …]: [lanes, tensors], float64."""
        parts = torch.split(rows, self._sizes, dim=1)
        return torch.stack(
            [torch.linalg.vector_norm(part, dim=1) for part in parts], dim=1
        ).double()

    def tensors(self, weights: Tensor, rows: Rows) -> dict[str, Tensor]:
        """All that a model holds, by name, with lanes in front."""
        lanes = len(weights)
        parts = zip(
            self.trained, torch.split(weights, self._sizes, dim=1), self.shapes, strict=True
        )
        return {
            **{name: part.view(lanes, *shape) for name, part, shape in parts},
            **{name: rows[HELD + name] for name in self._held},
            **{name: rows[BUFFER + name] for name in self._buffers},
        }

    def _gradients(self, rows: Rows, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Losses and gradients by x, y, key, rates and smoothing, all with lanes in front."""
        self.template.train()
        leaf = rows[WEIGHTS].detach().requires_grad_()
        plain, objective = vmap(self._losses, randomness="error")(
            self.tensors(leaf, rows), *tensors
        )
        (gradients,) = torch.autograd.grad(objective, leaf, torch.ones_like(objective))
        return plain.detach(), objective.detach(), gradients

    def _losses(
        self,
        tensors: dict[str, Tensor],
        x: Tensor,
        y: Tensor,
        key: Tensor,
        rates: Tensor,
        smoothing: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """One lane's plain loss, and the loss that it is trained on."""
        with in_place_of_torchs({**counted_dropout(key), "linear": _linear}):
            outputs = self.outputs(tensors, x, rates)
        if not self._smooths or outputs.ndim != 2:
            plain = self.plain(outputs, y)
            return plain, plain if self._loss is self.plain else self._loss(outputs, y)
        logs = functional.log_softmax(outputs, dim=1)
        plain = -logs.gather(1, y[:, None]).mean()
        return plain, plain * (1 - smoothing) - logs.mean() * smoothing if self._smoothed else plain

    def outputs(self, tensors: dict[str, Tensor], x: Tensor, rates: Tensor) -> Tensor:
        """One lane's outputs, with its own dropout rates in place of the template's."""
        kept = [layer.p for layer in self._layers]
        for layer, rate in zip(self._layers, rates.unbind() if self._layers else (), strict=True):
            layer.p = rate
        try:
            outputs: Tensor = functional_call(self.template, tensors, (x,))
        finally:
            for layer, rate in zip(self._layers, kept, strict=True):
                layer.p = rate
        return outputs


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer with the weight in front, so that its gradient has the weight's memory order.

    A fifth faster for 64 lanes of 64 units.
    """
    if x.ndim != 2:
        return LINEAR(x, weight, bias)
    product = torch.mm(weight, x.t()).t()
    return product if bias is None else product + bias


def _trained(model: nn.Module, loss: nn.Module, x: Tensor, y: Tensor) -> set[str]:
    """Names of the parameters that a backward pass reaches; an optimizer skips the others."""
    probe = copy.deepcopy(model).train()
    loss(probe(x.clone()), y.clone()).backward()  # forward may write into its input
    return {name for name, parameter in probe.named_parameters() if parameter.grad is not None}
