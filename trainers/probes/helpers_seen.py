"""What torch's helpers around the steps are told: schedules, scalers of gradients, states to load,
samplers with weights. Changes nothing; never judges.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import wraps
from typing import Any

from torch import nn
from torch.amp import GradScaler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import WeightedRandomSampler

MOST = 64  # most reports to a schedule that are noted
MOST_ROWS = 20_000  # most rows of a sampler that are noted
ENDS = ("total_steps", "T_max", "total_iters")  # how schedules name the step at which they end


@dataclass(kw_only=True)
class ScheduleSeen:
    """One schedule. `ends`: at which of its steps, if it says so; `steps`: taken; `idle`: of these,
    after no step of its optimizer; `told`: times it was given; `factor`: of a rate that falls in
    stairs.
    """

    kind: str
    ends: float | None
    factor: float | None
    steps: int = 0
    idle: int = 0
    told: list[float] = field(default_factory=list)


class HelpersSeen(AbstractContextManager["HelpersSeen"]):
    """A context in which these are noted.

    `plateaus`: every number that a schedule is given which waits for one, with its mode;
    `scaled`, `unscaled`: losses that a scaler scaled, and steps that it took; `unloaded`: how many
    tensors of a state were left where none found a place; `loaded`: states of which some found
    one; `drawn`: the weights of the rows that samplers drew, in order.
    """

    def __init__(self) -> None:
        self.plateaus: list[tuple[str, float]] = []
        self.scaled = self.unscaled = self.unloaded = self.loaded = 0
        self.drawn: list[float] = []
        self._schedules: dict[int, tuple[Any, ScheduleSeen]] = {}
        self._hooks = ExitStack()

    def __enter__(self) -> "HelpersSeen":
        for owner, name, note in (
            (ReduceLROnPlateau, "step", self._plateau),
            (LRScheduler, "step", self._scheduled),
            (GradScaler, "scale", self._scale),
            (GradScaler, "step", self._unscale),
            (nn.Module, "load_state_dict", self._loaded),
            (WeightedRandomSampler, "__iter__", self._drawing),
        ):
            self._hooks.enter_context(_noted(owner, name, note))
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.close()

    def told(self) -> dict[str, Any]:
        """All of it as plain numbers."""
        return {
            "plateaus": self.plateaus,
            "schedules": [asdict(schedule) for _, schedule in self._schedules.values()],
            "scaled": self.scaled,
            "unscaled": self.unscaled,
            "unloaded": self.unloaded,
            "loaded": self.loaded,
        }

    def _plateau(self, schedule: Any, args: Any, kwargs: Any, _: Any) -> None:
        heard = args[0] if args else kwargs.get("metrics")
        if len(self.plateaus) < MOST and heard is not None:
            self.plateaus.append((str(schedule.mode), float(heard)))

    def _scheduled(self, schedule: Any, args: Any, kwargs: Any, _: Any) -> None:
        if getattr(schedule, "_is_initial", False):
            return
        if id(schedule) not in self._schedules:
            ends = next((getattr(schedule, name) for name in ENDS if hasattr(schedule, name)), None)
            stairs = type(schedule).__name__ in ("StepLR", "MultiStepLR")
            note = ScheduleSeen(
                kind=type(schedule).__name__,
                ends=float(ends) if isinstance(ends, int | float) else None,
                factor=float(schedule.gamma) if stairs else None,
            )
            self._schedules[id(schedule)] = schedule, note
        noted = self._schedules[id(schedule)][1]
        noted.steps += 1
        mine = schedule.optimizer.param_groups
        followed = hasattr(schedule.optimizer.step, "_wrapped_by_lr_sched")  # torch notes its steps
        stepped = not followed or getattr(schedule.optimizer, "_opt_called", False)
        noted.idle += any(group["params"] for group in mine) and not stepped
        time = args[0] if args else kwargs.get("epoch")
        if time is not None and len(noted.told) < MOST:
            noted.told.append(float(time))

    def _scale(self, scaler: Any, args: Any, kwargs: Any, _: Any) -> None:
        self.scaled += bool(scaler.is_enabled())

    def _unscale(self, scaler: Any, args: Any, kwargs: Any, _: Any) -> None:
        self.unscaled += bool(scaler.is_enabled())

    def _loaded(self, module: Any, args: Any, kwargs: Any, left: Any) -> None:
        state = args[0] if args else kwargs.get("state_dict", {})
        own = len(module.state_dict())
        if state and len(left.unexpected_keys) == len(state) and len(left.missing_keys) == own:
            self.unloaded = max(self.unloaded, len(state))
        self.loaded += len(state) > len(left.unexpected_keys)

    def _drawing(self, sampler: Any, args: Any, kwargs: Any, rows: Iterator[int]) -> Iterator[int]:
        if self.drawn:
            return rows  # those of the first epoch tell
        weights = sampler.weights.tolist()

        def drawn() -> Iterator[int]:
            for row in rows:
                if len(self.drawn) < MOST_ROWS:
                    self.drawn.append(weights[row])
                yield row

        return drawn()


@contextmanager
def _noted(owner: Any, name: str, note: Callable[[Any, Any, Any, Any], Any]) -> Iterator[None]:
    """While it lasts, `note` is told of each call of a method, and what came out; what it returns,
    if anything, is taken instead.
    """
    inner = getattr(owner, name)

    @wraps(inner)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = inner(self, *args, **kwargs)
        other = note(self, args, kwargs, result)
        return result if other is None else other

    setattr(owner, name, call)
    try:
        yield
    finally:
        setattr(owner, name, inner)
