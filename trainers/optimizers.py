"""Optimizers that torch does not have: AdaBound and SWATS (R40), which turn from Adam to SGD.

As in their papers, in torch's form; trials with them train one by one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

from trainers.settings import fits, least

# Parameters, their gradients with decay (L2), their states.
Reached = list[tuple[Tensor, Tensor, dict[str, Any]]]
# State of a SWATS group: running mean of the rate, its steps, and SGD's rate once it has settled.
RUNNING = ("rate", "counted", "settled")


class FromAdam(optim.Optimizer):
    """The common part: Adam's averages, and the first rate, relative to which schedules scale."""

    kept: tuple[str, ...] = ("exp_avg", "exp_avg_sq")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; also stores the group's first rate."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group.setdefault("base_lr", group["lr"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._move(group, self._reached(group))
        return loss

    def _move(self, group: dict[str, Any], reached: Reached) -> None:
        """The step of a group."""
        raise NotImplementedError

    def _reached(self, group: dict[str, Any]) -> Reached:
        """The parameters that have a gradient; creates their states at the first step."""
        reached = []
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state |= {"step": 0, **{name: torch.zeros_like(parameter) for name in self.kept}}
            reached.append(
                (parameter, parameter.grad.add(parameter, alpha=group["weight_decay"]), state)
            )
        return reached


class AdaBound(FromAdam):
    """Adam with a rate per weight between two bounds that converge to `final_lr`.

    Luo et al. 2019, algorithm 2, with the bias corrections of the authors' code.

    Args:
        params: to train.
        lr, betas, eps, weight_decay: as Adam's.
        final_lr: SGD's rate in the end, scaled as the schedule scales `lr`.
        gamma: how fast the bounds converge, per step.

    Raises:
        ValueError: a setting that cannot work.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        final_lr: float = 0.1,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        _check(
            betas,
            positive={"lr": lr, "final_lr": final_lr, "gamma": gamma},
            others={"eps": eps, "weight_decay": weight_decay},
        )
        settings = {
            "lr": lr,
            "betas": tuple(betas),
            "final_lr": final_lr,
            "gamma": gamma,
            "eps": eps,
        }
        super().__init__(params, {**settings, "weight_decay": weight_decay})

    def _move(self, group: dict[str, Any], reached: Reached) -> None:
        scale = group["lr"] / group["base_lr"]
        for weights, gradient, state in reached:
            size = _averaged(group, gradient, state)
            final, closing = group["final_lr"] * scale, group["gamma"] * state["step"]
            low, high = final * (1 - 1 / (closing + 1)), final * (1 + 1 / closing)
            weights.sub_(
                (size / state["exp_avg_sq"].sqrt().add_(group["eps"]))
                .clamp_(low, high)
                .mul_(state["exp_avg"])
            )


class SWATS(FromAdam):
    """Adam, which switches to SGD when the rate that SGD would need has settled.

    Keskar and Socher 2017, algorithm 1. Rates are measured without the schedule's scale, which the
    paper does not have, and used with it.

    Args:
        params: to train.
        lr, betas, eps, weight_decay: as Adam's.
        tolerance: greatest distance of a step's SGD rate from its running mean, for the switch.

    Raises:
        ValueError: a setting that cannot work.
    """

    kept = ("exp_avg", "exp_avg_sq", "momentum_buffer")

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-9,
        tolerance: float = 1e-9,
        weight_decay: float = 0.0,
    ) -> None:
        _check(
            betas,
            positive={"lr": lr},
            others={"eps": eps, "tolerance": tolerance, "weight_decay": weight_decay},
        )
        settings = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "tolerance": tolerance,
            "weight_decay": weight_decay,
        }
        super().__init__(params, settings)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As in torch; the running rate lies in the group, so that it is saved with it."""
        super().add_param_group(param_group)
        for name in RUNNING:
            self.param_groups[-1].setdefault(name, 0.0)

    def _move(self, group: dict[str, Any], reached: Reached) -> None:
        beta1, beta2 = group["betas"]
        scale = group["lr"] / group["base_lr"]
        if group["settled"] > 0:
            for weights, gradient, state in reached:
                state["momentum_buffer"].mul_(beta1).add_(gradient)
                weights.sub_(state["momentum_buffer"] * ((1 - beta1) * group["settled"] * scale))
            return
        along = length = 0.0
        for weights, gradient, state in reached:
            size = _averaged(group, gradient, state)
            change = state["exp_avg"] / state["exp_avg_sq"].sqrt().add_(group["eps"]) * -size
            weights.add_(change)
            along += float((change.double() * gradient.double()).sum())
            length += float(change.double().square().sum())
        group["counted"] += 1
        if along == 0:
            return
        sgd_rate = length / -along / scale
        group["rate"] = beta2 * group["rate"] + (1 - beta2) * sgd_rate
        mean = group["rate"] / (1 - beta2 ** group["counted"])
        if group["counted"] > 1 and mean > 0 and abs(mean - sgd_rate) < group["tolerance"]:
            group["settled"] = mean


def _averaged(group: dict[str, Any], gradient: Tensor, state: dict[str, Any]) -> float:
    """Updates Adam's averages; returns the rate with both bias corrections."""
    beta1, beta2 = group["betas"]
    state["step"] += 1
    state["exp_avg"].lerp_(gradient, 1 - beta1)
    state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    return float(group["lr"] * (1 - beta2 ** state["step"]) ** 0.5 / (1 - beta1 ** state["step"]))


def _check(
    betas: Sequence[float], *, positive: Mapping[str, float], others: Mapping[str, float]
) -> None:
    for name, value in {**positive, **others}.items():
        if not fits(value, positive=name in positive):
            rule = least(positive=name in positive)
            raise ValueError(f"optimizer.{name}: must be {rule}, but got {value!r}; change it")
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(
            "optimizer.betas: must be two numbers from 0 up to, but not, 1, "
            f"but got {list(betas)}; change them"
        )
