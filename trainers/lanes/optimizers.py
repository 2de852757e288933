"""Optimizer steps over rows: one lane per row, with its own constants in columns (R38, R40, R41).

Each is written as in torch.optim, and compared with it step by step in the tests. Weights,
gradients and state are [lanes, parameters], constants [lanes, 1]. All is elementwise, so lanes
cannot influence each other. Trials with another optimizer train one by one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, optim

from trainers.lanes.rows import Rows

Columns = Mapping[str, Tensor]
Rule = Callable[[Tensor, Tensor, Rows, Columns], None]

SPEED = ("foreach", "fused", "capturable", "differentiable")  # how torch computes, not what


def numbers(optimizer: optim.Optimizer) -> dict[str, float]:
    """The constants of an optimizer's only group that may differ between lanes.

    Betas are given as beta1 and beta2.
    """
    group = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    betas = group.pop("betas", None)
    if betas is not None:
        group |= {"beta1": betas[0], "beta2": betas[1]}
    return {
        key: float(value)
        for key, value in group.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def switches(optimizer: optim.Optimizer) -> dict[str, Any]:
    """The rest of its settings, which lanes must share."""
    shared = {*numbers(optimizer), "params", "betas", *SPEED, "initial_lr"}
    return {key: value for key, value in optimizer.param_groups[0].items() if key not in shared}


def rule_of(optimizer: optim.Optimizer) -> Rule | None:
    """The optimizer's step over rows; None for a class that has no such form."""
    step = RULES.get(type(optimizer))
    if step is None:
        return None
    settings = switches(optimizer)

    def rule(weights: Tensor, gradients: Tensor, state: Rows, columns: Columns) -> None:
        uphill = settings.get("maximize")
        step(weights, -gradients if uphill else gradients, state, columns, settings)

    return rule


def fresh_state(optimizer: optim.Optimizer, weights: Tensor) -> Rows:
    """The state before the first step, with as many rows as `weights`; `steps` counts steps."""
    settings, constants = switches(optimizer), numbers(optimizer)
    names = {
        optim.SGD: ["momentum_buffer"],
        optim.Adam: [
            "exp_avg",
            "exp_avg_sq",
            *(["max_exp_avg_sq"] if settings.get("amsgrad") else []),
        ],
        optim.Adagrad: ["sum"],
        optim.Adadelta: ["square_avg", "acc_delta"],
        optim.RMSprop: [
            "square_avg",
            "momentum_buffer",
            *(["grad_avg"] if settings.get("centered") else []),
        ],
    }
    names[optim.AdamW] = names[optim.Adam]
    state = {name: torch.zeros_like(weights) for name in names[type(optimizer)]}
    if "sum" in state:
        state["sum"] += constants["initial_accumulator_value"]
    steps = torch.zeros(len(weights), 1, dtype=torch.float64, device=weights.device)
    return {**state, "steps": steps}


def _decayed(gradients: Tensor, weights: Tensor, c: Columns) -> Tensor:
    """Gradients with that of the L2 penalty; where no lane decays, there is no such column."""
    return gradients.addcmul(weights, c["weight_decay"]) if "weight_decay" in c else gradients


def _sgd(
    weights: Tensor, gradients: Tensor, state: Rows, c: Columns, settings: Mapping[str, Any]
) -> None:
    gradients = _decayed(gradients, weights, c)
    kept = state["momentum_buffer"].mul_(c["momentum"])
    if "dampening" in c:
        # As in torch: never the first gradient, nor without momentum.
        dampened = (state["steps"] > 1) & (c["momentum"] != 0)
        kept.addcmul_(
            gradients, torch.where(dampened, 1 - c["dampening"].double(), 1.0).to(weights.dtype)
        )
    else:
        kept.add_(gradients)
    weights.addcmul_(
        gradients.addcmul(kept, c["momentum"]) if settings["nesterov"] else kept, -c["lr"]
    )


def _averaged(gradients: Tensor, state: Rows, c: Columns) -> tuple[Tensor, Tensor]:
    """Adam's averages, with one more gradient in them."""
    mean, square = state["exp_avg"], state["exp_avg_sq"]
    mean.lerp_(gradients, 1 - c["beta1"])
    square.mul_(c["beta2"]).addcmul_(gradients * gradients, 1 - c["beta2"])
    return mean, square


def _adam(
    weights: Tensor, gradients: Tensor, state: Rows, c: Columns, settings: Mapping[str, Any]
) -> None:
    if not settings["decoupled_weight_decay"]:
        gradients = _decayed(gradients, weights, c)
    elif "weight_decay" in c:
        weights.mul_(1 - c["lr"] * c["weight_decay"])
    mean, square, steps = *_averaged(gradients, state, c), state["steps"]
    if settings["amsgrad"]:
        square = torch.maximum(state["max_exp_avg_sq"], square, out=state["max_exp_avg_sq"])
    size = c["lr"].double() / (1 - c["beta1"].double() ** steps)
    spread = (1 - c["beta2"].double() ** steps).sqrt().to(weights.dtype)
    weights.addcdiv_(mean * -size.to(weights.dtype), square.sqrt().div_(spread).add_(c["eps"]))


def _adagrad(
    weights: Tensor, gradients: Tensor, state: Rows, c: Columns, settings: Mapping[str, Any]
) -> None:
    gradients = _decayed(gradients, weights, c)
    size = c["lr"].double() / (1 + (state["steps"] - 1) * c["lr_decay"].double())
    state["sum"].addcmul_(gradients, gradients)
    weights.addcdiv_(gradients * -size.to(weights.dtype), state["sum"].sqrt().add_(c["eps"]))


def _adadelta(
    weights: Tensor, gradients: Tensor, state: Rows, c: Columns, settings: Mapping[str, Any]
) -> None:
    gradients = _decayed(gradients, weights, c)
    square, moved = state["square_avg"], state["acc_delta"]
    square.mul_(c["rho"]).addcmul_(gradients * gradients, 1 - c["rho"])
    delta = moved.add(c["eps"]).sqrt_().div_(square.add(c["eps"]).sqrt_()).mul_(gradients)
    moved.mul_(c["rho"]).addcmul_(delta * delta, 1 - c["rho"])
    weights.addcmul_(delta, -c["lr"])


def _rmsprop(
    weights: Tensor, gradients: Tensor, state: Rows, c: Columns, settings: Mapping[str, Any]
) -> None:
    gradients = _decayed(gradients, weights, c)
    square = state["square_avg"]
    square.mul_(c["alpha"]).addcmul_(gradients * gradients, 1 - c["alpha"])
    if settings["centered"]:
        average = state["grad_avg"].lerp_(gradients, 1 - c["alpha"])
        square = square - average * average
    kept = state["momentum_buffer"].mul_(c["momentum"])
    kept.addcdiv_(gradients, square.sqrt().add_(c["eps"]))
    weights.addcmul_(kept, -c["lr"])


RULES: dict[type[optim.Optimizer], Callable[..., None]] = {
    optim.SGD: _sgd,
    optim.Adam: _adam,
    optim.AdamW: _adam,
    optim.Adagrad: _adagrad,
    optim.Adadelta: _adadelta,
    optim.RMSprop: _rmsprop,
}
