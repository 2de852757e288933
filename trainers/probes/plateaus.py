"""What schedules that wait for a plateau are told, and what they take for better. Never judges."""

from contextlib import AbstractContextManager
from typing import Any

from torch.optim.lr_scheduler import ReduceLROnPlateau

MOST = 64  # most reports to a schedule that are noted


class Plateaus(AbstractContextManager[None]):
    """A context in which `told` notes every number that such a schedule is given, with `min` or
    `max` as its mode.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []
        self._step = ReduceLROnPlateau.step

    def __enter__(self) -> None:
        inner, told = ReduceLROnPlateau.step, self.told
        self._step = inner

        def step(schedule: Any, metrics: Any, *args: Any, **kwargs: Any) -> None:
            if len(told) < MOST:
                told.append((str(schedule.mode), float(metrics)))
            inner(schedule, metrics, *args, **kwargs)

        ReduceLROnPlateau.step = step  # type: ignore[assignment,method-assign]

    def __exit__(self, *error: object) -> None:
        ReduceLROnPlateau.step = self._step  # type: ignore[method-assign]
