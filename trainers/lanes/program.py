"""One program for many models of one key: forward passes, losses and gradients of stacked weights by `torch.func` (HFTA).

Every lane's numbers come in as columns [lanes, …]; nothing here knows a trial, an epoch or a schedule. To be given two lanes at
least: with one, torch takes other kernels, and other bits come out.
"""

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.func import functional_call, vmap
from torch.nn import functional

from trainers.lanes.key import Unfusable, smoothing_of, smooths, tied
from trainers.lanes.masks import LAYERS, counted_dropout, in_place_of_torchs
from trainers.lanes.optimizers import Rows, fresh_state, rule_of
from trainers.lanes.traced import Traced
from trainers.penalties import held
from trainers.records import Activations

ROWS = 512  # of one evaluation pass; not more for fewer lanes: a lane's bits would depend on its company
LOSS_ROWS = 4096  # of one loss, as in a seat
LINEAR = functional.linear
WEIGHTS, HELD, BUFFER, STATE = "weights", "held.", "buffer.", "state."


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What the lanes of one step differ in. `key` [lanes] int32; `rates` [lanes, layers]; `smoothing` [lanes]."""

    key: Tensor
    rates: Tensor
    smoothing: Tensor


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the lanes make of some rows: plain losses [lanes], and of every activation's units the share that is dead."""

    losses: list[float]
    names: list[str]
    dead: list[list[float]]


class Program:
    """`model`, `loss`, `optimizer`: those of any of its lanes; `plain`: the loss by which trainings are compared.

    `x`, `y`: a batch, to find out which parameters are trained at all.

    Raises:
        Unfusable: a weight that asks to be trained is not.
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
        self._traced = Traced(self._gradients)
        self.parameters = sum(parameter.numel() for parameter in parameters.values())

    # Lanes as rows

    def rows_of(self, model: nn.Module, optimizer: optim.Optimizer) -> Rows:
        """A new lane: one row of weights, what is not trained, buffers, and an optimizer's state before its first step."""
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
        """Of a batch per lane, x [lanes, batch, …]: plain losses and losses that are trained on [lanes], and the gradients of
        these [lanes, parameters]. Buffers move on.
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

    def evaluate(self, rows: Rows, x: Tensor, y: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
        """Mean plain losses [lanes] and outputs [lanes, n, …] in evaluation mode, of rows that all lanes see.

        `rates` [lanes, layers]: of dropout, for models that read them.
        """
        outputs = torch.cat(self._seen(self._outputs, rows, torch.split(x, ROWS), rates), dim=1)
        return self._mean_loss(outputs, y), outputs

    def observe(
        self, rows: Rows, x: Tensor, y: Tensor, rates: Tensor, *, sample: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Observed]:
        """As `evaluate`, with what the lanes make of a sample of other rows: in the same pass, since one more costs double."""
        (more, targets), (*parts, last) = sample, torch.split(x, ROWS)
        names: list[str] = []

        def look(tensors: dict[str, Tensor], part: Tensor, rates: Tensor) -> tuple[Tensor, Tensor]:
            with Activations(last=len(more), rows=len(part)) as seen:
                outputs = self._outputs(tensors, part, rates)
            names[:] = seen.names
            shares = seen.together
            return outputs, outputs.new_zeros(0) if shares is None else shares

        head = self._seen(self._outputs, rows, parts, rates)
        ((tail, shares),) = self._seen(look, rows, [torch.cat([last, more])], rates)
        outputs = torch.cat([*head, tail[:, : len(last)]], dim=1)
        losses = self._mean_loss(tail[:, len(last) :], targets).tolist()
        return (
            self._mean_loss(outputs, y),
            outputs,
            Observed(losses=losses, names=names, dead=shares.tolist()),
        )

    def norms(self, rows: Tensor) -> Tensor:
        """Of each trained tensor in rows of weights [lanes, …]: [lanes, tensors], in float64."""
        parts = torch.split(rows, self._sizes, dim=1)
        return torch.stack(
            [torch.linalg.vector_norm(part, dim=1) for part in parts], dim=1
        ).double()

    def _seen(
        self, look: Callable[..., Any], rows: Rows, parts: Sequence[Tensor], rates: Tensor
    ) -> list[Any]:
        """What each part of some rows gives, lanes in front, in evaluation mode."""
        self.template.eval()
        tensors, each, lanes = (
            self._tensors(rows[WEIGHTS], rows),
            vmap(look, randomness="error"),
            len(rows[WEIGHTS]),
        )
        with torch.no_grad(), _quiet(rates.device):
            return [each(tensors, part.expand(lanes, *part.shape), rates) for part in parts]

    def _mean_loss(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Plain losses [lanes], in float64."""
        total = torch.zeros(len(outputs), dtype=torch.float64, device=y.device)
        with torch.no_grad():
            for found, targets in zip(
                torch.split(outputs, LOSS_ROWS, dim=1), torch.split(y, LOSS_ROWS), strict=True
            ):
                total += vmap(self.plain, in_dims=(0, None))(found, targets).double() * len(targets)
        return total / len(y)

    def _tensors(self, weights: Tensor, rows: Rows) -> dict[str, Tensor]:
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
        """Of x, y, key, rates and smoothing, all with lanes in front."""
        self.template.train()
        leaf = rows[WEIGHTS].detach().requires_grad_()
        plain, objective = vmap(self._losses, randomness="error")(
            self._tensors(leaf, rows), *tensors
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
        """One lane's plain loss, and what its gradient is taken of."""
        with in_place_of_torchs({**counted_dropout(key), "linear": _linear}):
            outputs = self._outputs(tensors, x, rates)
        if not self._smooths or outputs.ndim != 2:
            plain = self.plain(outputs, y)
            return plain, plain if self._loss is self.plain else self._loss(outputs, y)
        logs = functional.log_softmax(outputs, dim=1)
        plain = -logs.gather(1, y[:, None]).mean()
        return plain, plain * (1 - smoothing) - logs.mean() * smoothing if self._smoothed else plain

    def _outputs(self, tensors: dict[str, Tensor], x: Tensor, rates: Tensor) -> Tensor:
        """One lane's, its own rates in place of the template's."""
        kept = [layer.p for layer in self._layers]
        for layer, rate in zip(self._layers, rates.unbind() if self._layers else (), strict=True):
            layer.p = rate
        try:
            outputs: Tensor = functional_call(self.template, tensors, (x,))
        finally:
            for layer, rate in zip(self._layers, kept, strict=True):
                layer.p = rate
        return outputs


def _quiet(device: torch.device) -> AbstractContextManager[None]:
    """Dropout that takes rates of lanes, and does nothing."""
    return in_place_of_torchs(counted_dropout(torch.zeros((), dtype=torch.int32, device=device)))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """With the weight in front, so that its gradient comes out in its own order: a fifth faster for 64 lanes of 64 units."""
    if x.ndim != 2:
        return LINEAR(x, weight, bias)
    product = torch.mm(weight, x.t()).t()
    return product if bias is None else product + bias


def _trained(model: nn.Module, loss: nn.Module, x: Tensor, y: Tensor) -> set[str]:
    """Names of the parameters that a backward pass reaches: an optimizer leaves the others as they are."""
    probe = copy.deepcopy(model).train()
    loss(probe(x), y).backward()
    return {name for name, parameter in probe.named_parameters() if parameter.grad is not None}


def under(prefix: str, rows: Rows) -> Rows:
    """The rows of one kind, by their own names."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in rows.items()
        if name.startswith(prefix)
    }


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows one below the other."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def taken(rows: Rows, lanes: Sequence[int]) -> Rows:
    """Some of the rows, in memory of their own."""
    index = torch.tensor(list(lanes), device=rows[WEIGHTS].device)
    return {name: tensor.index_select(0, index) for name, tensor in rows.items()}
