"""Takes a training over from outside: its rate per step, its penalties off, its end after so many
steps.

By the hooks that `watch` uses. Structure (batch norm, residual blocks) stays as it is (R9). Never
judges.
"""

import math
import time
from collections.abc import Callable
from typing import Any
from weakref import ref

import torch
from torch.nn import functional as F  # noqa: N812  # the field's name for it
from torch.optim import Optimizer

from trainers.probes.hooks import DROPOUTS, Hooked, has_closure, is_idle, unwatched


class Enough(BaseException):  # no error; no `except Exception` of a user's loop may swallow it
    """The training has taken all the steps that were wanted."""


class Steer(Hooked):
    """A context in which a training goes as told. `losses`, `times`: of every step; seconds.

    `rate`: step, from 0 → learning rate of one group, the others keep their proportions; None: the
    training's own. That group is the first one that has the config's rate, `own`, else the first:
    where a head learns at the config's rate and the layers below at a tenth, a sweep turns the
    head's.
    `plain`: dropout, smoothing and weight decay are off (R9, R15). `most`: steps, then `Enough`;
    `until`: told every loss, says when it is enough. The loss of a step is the mean of its backward
    passes.
    """

    def __init__(
        self,
        *,
        rate: Callable[[int], float] | None = None,
        own: float | None = None,
        plain: bool = False,
        most: float = math.inf,
        until: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.times: list[float] = []
        self._rate, self._own = rate, own
        self._plain, self._most, self._until = plain, most, until
        self._waiting: list[float] = []  # losses of the step to come
        self._unit: float | None = None  # rate of that group, before any was set
        # of every group, which is kept so that its id stays its own
        self._proportions: dict[int, tuple[dict[str, Any], float]] = {}
        self._leading: ref[Optimizer] | None = None

    def _on_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self._plain and func in DROPOUTS:
            kwargs = {**kwargs, "training": False}
        elif self._plain and func is F.cross_entropy:
            kwargs = {**kwargs, "label_smoothing": 0.0}
        elif self._plain and func is F.scaled_dot_product_attention:
            kwargs = {**kwargs, "dropout_p": 0.0}
        return func(*args, **kwargs)

    def _on_backward(self, loss: torch.Tensor) -> None:
        self._waiting.append(float(loss))
        if self._until is not None and self._until(self._waiting[-1]):
            self._note_loss()
            raise Enough

    def _note_loss(self) -> None:
        if self._waiting:
            self.losses.append(sum(self._waiting) / len(self._waiting))
        self._waiting = []

    @unwatched
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if is_idle(optimizer):
            return
        if self._leading is None or self._leading() is None:
            # the first one, or a loop that makes one anew every epoch has let go of the last
            self._leading, self._unit = ref(optimizer), None
        if len(self.times) >= self._most:
            raise Enough
        for group in optimizer.param_groups:
            if self._plain and "weight_decay" in group:
                group["weight_decay"] = 0.0
        if self._rate is not None:
            if self._unit is None:
                self._unit = _unit(optimizer, self._own)
            for group in optimizer.param_groups:
                group["lr"] = self._rate(len(self.times)) * self._proportion(group)
        if self._leads(optimizer) and not has_closure(args, kwargs):
            self._note_loss()

    def _proportion(self, group: dict[str, Any]) -> float:
        """Of a group as it came: an optimizer around another one has the same groups."""
        if id(group) not in self._proportions:
            share = _base(group) / self._unit if self._unit else 1.0
            self._proportions[id(group)] = group, share
        return self._proportions[id(group)][1]

    def _leads(self, optimizer: Optimizer) -> bool:
        return self._leading is not None and optimizer is self._leading()

    @unwatched
    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self._leads(optimizer):
            self._note_loss()  # of a closure
            if optimizer.param_groups[0]["params"][0].is_cuda:
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())


def _base(group: dict[str, Any]) -> float:
    """A group's rate, that of before a schedule where it has one: a warm-up begins at 0."""
    return float(group.get("initial_lr", group["lr"]))


def _unit(optimizer: Optimizer, own: float | None) -> float:
    """The rate of the group that is the config's, else of the first one."""
    rates = [_base(group) for group in optimizer.param_groups]
    return next((rate for rate in rates if own and math.isclose(rate, own)), rates[0])
