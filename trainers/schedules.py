"""torch's own schedulers, read out before the start into a table of learning rate and momentum per step (DESIGN §9).

A table needs no state: a resumed trial reads on where it was. Never steps a scheduler during training.
"""

from typing import Any

from hydra.utils import instantiate
from torch import nn, optim

COLUMNS = ("lr", "momentum", "betas")
INTERVALS = ("epoch", "step")


def schedule_table(
    config: dict[str, Any] | None, optimizer: optim.Optimizer, *, epochs: int, steps: int
) -> list[dict[str, Any]]:
    """The optimizer's settings per step (`interval: step`) or per epoch: a list of {lr, momentum or betas}.

    `config` holds `_target_` of a torch scheduler, its arguments and `interval`; None or no `_target_` means constant.
    `steps`: optimizer steps per epoch. The real optimizer is left as it was.

    Raises:
        ValueError: an interval other than epoch or step.
        TypeError: the scheduler cannot be imported, or does not take the keys.
    """
    settings = dict(config or {})
    interval = settings.pop("interval", "epoch")
    if interval not in INTERVALS:
        raise ValueError(f"schedule.interval: must be one of {', '.join(INTERVALS)}, but got {interval!r}; choose one of them")
    twin = _twin(optimizer)
    count = epochs * steps if interval == "step" else epochs
    if not settings.get("_target_"):
        return [_settings(twin)] * count
    try:
        scheduler = instantiate(settings, _partial_=True)(twin)
    except Exception as error:
        raise TypeError(
            f"schedule._target_: {settings['_target_']!r} must be a scheduler that takes the keys of schedule, "
            f"but got {type(error).__name__}: {error.__cause__ or error}; mend schedule"
        ) from error
    table = []
    for _ in range(count):
        table.append(_settings(twin))
        twin.step()
        scheduler.step()
    return table


def apply(row: dict[str, Any], optimizer: optim.Optimizer) -> None:
    """Sets one row of the table in all parameter groups."""
    for group in optimizer.param_groups:
        group.update(row)


def _twin(optimizer: optim.Optimizer) -> optim.Optimizer:
    """The same class with the same settings over one idle parameter, for the scheduler to turn."""
    defaults = {key: value for key, value in optimizer.param_groups[0].items() if key in optimizer.defaults}
    return type(optimizer)([nn.Parameter()], **{key: defaults[key] for key in COLUMNS if key in defaults})


def _settings(optimizer: optim.Optimizer) -> dict[str, Any]:
    group = optimizer.param_groups[0]
    return {key: group[key] for key in COLUMNS if key in group}
