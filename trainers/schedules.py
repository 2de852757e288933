"""torch's schedulers as tables: learning rate and momentum at every step (R38).

A schedule has no state: it is a function of epoch, step and, for a plateau schedule, of what it
has watched so far, validation losses or scores; so a resumed trial continues where it was. Never
touches the real optimizer's state.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.utils import get_class, instantiate
from torch import nn, optim

COLUMNS = ("lr", "momentum", "betas")
INTERVALS = ("epoch", "step")
VAL_LOSS, METRIC = "val_loss", "metric"  # what a plateau schedule watches
Settings = dict[str, Any]
Groups = list[Settings]  # of each group of parameters, in the optimizer's order


class Schedule:
    """The optimizer's settings over a training of `epochs` × `steps`.

    `config` holds `_target_` of a torch scheduler, its arguments, `interval` (epoch or step) and
    `warmup` (epochs; fractions count): so long the rate rises linearly from nothing to what the
    scheduler says (P11). None or no `_target_` means constant. A `total_steps` of null becomes the
    training's length. `watch`: what a plateau schedule waits for, a lower val_loss or a better
    metric, by more than `threshold` in the metric's units.

    Raises:
        ValueError: an interval other than epoch or step, a warm-up below 0 or of no number, or a
            schedule that cannot watch the metric.
        TypeError: the scheduler cannot be imported, or does not take the keys.
    """

    def __init__(
        self, config: dict[str, Any] | None, optimizer: optim.Optimizer, *, epochs: int, steps: int
    ) -> None:
        settings = dict(config or {})
        interval = settings.pop("interval", "epoch")
        _check("interval", interval, INTERVALS)
        self.watches = settings.pop("watch", VAL_LOSS)
        _check("watch", self.watches, (VAL_LOSS, METRIC))
        self._warmup = _warmup(settings.pop("warmup", 0.0)) * steps
        self._config, self._groups, self._steps = settings, _settings(optimizer), steps
        self._moves_by_step = interval == "step"
        self.per_step = self._moves_by_step or self._warmup > 0
        count = epochs * steps if self._moves_by_step else epochs
        if settings.get("total_steps", 0) is None:
            settings["total_steps"] = count
        follows = self._follows()
        if self.watches == METRIC:
            if not follows:
                raise ValueError(
                    "schedule.watch: only a plateau schedule watches the metric, but got "
                    f"{settings.get('_target_')!r}; choose schedule=plateau or say val_loss"
                )
            # A share of a score below 0 would take an equal score for a better one.
            settings.setdefault("threshold_mode", "abs")
        self._table = [] if follows else self._read_out(count)

    def at(self, epoch: int, *, step: int, watched: Sequence[float]) -> Groups:
        """Learning rate, and momentum or betas, for a step (from 0) of an epoch (from 1).

        `watched`: of the epochs before, the validation losses, or the metric turned so that lower
        is better.
        """
        done = (epoch - 1) * self._steps + step
        if self._table:
            return self._warmed(self._table[done if self._moves_by_step else epoch - 1], done)
        twin = _Twin(self._groups)
        scheduler = self._made(twin)
        for number in watched:
            scheduler.step(number)
        return self._warmed(_settings(twin), done)

    def describe(self) -> str:
        """A text that is equal for two schedules that give the same settings."""
        followed = (self._config, self.watches, self._groups)
        return repr((self._table or followed, self._warmup))

    def _warmed(self, row: Groups, done: int) -> Groups:
        """The settings of a step, `done` steps from the start."""
        if done >= self._warmup:
            return row
        return [{**group, "lr": group["lr"] * (done + 1) / (self._warmup + 1)} for group in row]

    def _follows(self) -> bool:
        """Whether the rate depends on how the training goes."""
        target = self._config.get("_target_")
        if not target:
            return False
        try:
            return issubclass(get_class(target), optim.lr_scheduler.ReduceLROnPlateau)
        except Exception as error:
            raise self._refused(error) from error

    def _read_out(self, count: int) -> list[Groups]:
        if not self._config.get("_target_"):
            return [self._groups] * count
        twin = _Twin(self._groups)
        scheduler = self._made(twin)
        table = []
        for _ in range(count):
            table.append(_settings(twin))
            twin.step()
            scheduler.step()
        return table

    def _made(self, twin: optim.Optimizer) -> Any:
        try:
            return instantiate(self._config, _partial_=True, _convert_="all")(twin)
        except Exception as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> TypeError:
        return TypeError(
            f"schedule._target_: {self._config['_target_']!r} must be a scheduler that takes the "
            f"keys of schedule, but got {type(error).__name__}: {error.__cause__ or error}; "
            "mend schedule"
        )


class InverseSquareRoot(optim.lr_scheduler.LambdaLR):
    """The rate over √(t + 1), t epochs or steps from the start (R38)."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        super().__init__(optimizer, lambda done: 1 / math.sqrt(done + 1))


def apply(row: Groups, optimizer: optim.Optimizer) -> None:
    """Sets the row's settings in the groups of parameters."""
    for group, settings in zip(optimizer.param_groups, row, strict=True):
        group.update(settings)


def _check(key: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(
            f"schedule.{key}: must be one of {', '.join(allowed)}, but got {value!r}; "
            "choose one of them"
        )


def _warmup(epochs: object) -> float:
    if (
        isinstance(epochs, bool)
        or not isinstance(epochs, int | float)
        or not 0 <= epochs < math.inf
    ):
        raise ValueError(
            f"schedule.warmup: must be a number of epochs, at least 0, but got {epochs!r}; mend it"
        )
    return float(epochs)


class _Twin(optim.Optimizer):
    """An optimizer of the same settings that trains nothing, for the scheduler."""

    def __init__(self, groups: Groups) -> None:
        super().__init__([{"params": [nn.Parameter()], **each} for each in groups], groups[0])

    def step(self) -> None:  # type: ignore[override]
        """A scheduler wants to see it."""


def _settings(optimizer: optim.Optimizer) -> Groups:
    return [{k: group[k] for k in COLUMNS if k in group} for group in optimizer.param_groups]


def rates(groups: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`lr` of the first group of parameters; `lr_2` and so on of those with another rate."""
    first, *others = (float(group["lr"]) for group in groups)
    named = {f"lr_{number}": rate for number, rate in enumerate(others, 2) if rate != first}
    return {"lr": first, **named}
