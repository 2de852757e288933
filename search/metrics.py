"""Metrics, computed by the program from what a trainer yields, so that a trainer cannot grade itself (R4).

Runs in workers: numpy only. Never picks the metric; the contract does.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from search.errors import UsageError, broken_rule, unknown

TAKEN = ("trial", "fold", "epoch", "step", "seconds", "lr", "grad_norm", "update_ratio")
OUTPUTS = ("predictions", "probabilities", "labels")
Direction = Literal["maximize", "minimize"]
Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The one number that ranks trials, and its column in the curves."""

    name: str
    direction: Direction

    def better(self, a: float, b: float) -> bool:
        """Whether a is strictly better than b."""
        return a > b if self.direction == "maximize" else a < b

    @property
    def worst(self) -> float:
        """What every value is better than."""
        return -math.inf if self.direction == "maximize" else math.inf


def read_metric(node: Mapping[str, Any], *, reported: bool) -> Metric:
    """The metric of a config. `reported`: the trainer's own number is allowed, so any name is.

    Raises:
        UsageError: an unknown name or direction.
    """
    name, direction = str(node["name"]), node["direction"]
    if direction not in get_args(Direction):
        raise UsageError(
            broken_rule("metric.direction", rule="must be maximize or minimize", got=repr(direction), remedy="choose one")
        )
    if name in TAKEN:
        raise UsageError(
            broken_rule("metric.name", rule=f"{', '.join(TAKEN)} are columns of their own", got=repr(name), remedy="rename it")
        )
    if name not in METRICS and not reported:
        raise UsageError(unknown("metric", name=name, known=METRICS))
    return Metric(name=name, direction=direction)


def output_of(values: Mapping[str, Any]) -> tuple[str, Array] | None:
    """The outputs among a trainer's values, as (kind, array); None where it reports the metric itself.

    Raises:
        ValueError: more than one kind.
    """
    kinds = [kind for kind in OUTPUTS if kind in values]
    if len(kinds) > 1:
        raise ValueError(f"yield one of {', '.join(OUTPUTS)}, but got {' and '.join(kinds)}; drop all but one")
    if not kinds:
        return None
    value = values[kinds[0]]
    if hasattr(value, "detach"):  # a torch tensor, told apart without importing torch
        value = value.detach().cpu()
    return kinds[0], np.asarray(value)


def score(metric: Metric, *, targets: Array, kind: str, output: Array) -> float:
    """The metric of outputs against targets [n] or [n, outputs]; NaN where the outputs are not finite.

    Raises:
        ValueError: outputs of a wrong shape, or a metric that this kind of output cannot give.
    """
    if metric.name not in METRICS:
        raise ValueError(
            f"metric {metric.name!r} cannot be computed from {kind}; yield {metric.name!r} itself, or choose from "
            f"{', '.join(sorted(METRICS))}"
        )
    if output.shape[:1] != targets.shape[:1]:
        raise ValueError(f"{kind} must have one row per validation row ({len(targets)}), but got shape {output.shape}")
    if output.dtype.kind == "f" and not np.isfinite(output).all():
        return math.nan
    return METRICS[metric.name](targets, kind, output)


def constant_score(metric: Metric, *, task: str, train: Array, val: Array) -> float | None:
    """`floor`: the score of the best constant prediction, the most frequent class or the mean of train, on validation."""
    if metric.name not in METRICS:
        return None
    if task == "classification":
        return score(metric, targets=val, kind="labels", output=np.full(len(val), np.bincount(train).argmax()))
    return score(metric, targets=val, kind="predictions", output=np.broadcast_to(train.mean(axis=0), val.shape))


def _accuracy(targets: Array, kind: str, output: Array) -> float:
    if kind == "labels":
        labels = output
    elif output.ndim == 2:
        labels = output.argmax(axis=1)
    else:
        raise ValueError(f"{kind} must have shape [rows, classes], but got {output.shape}; yield a column per class")
    return float((labels == targets).mean())


def _mse(targets: Array, kind: str, output: Array) -> float:
    if output.size != targets.size:
        raise ValueError(f"{kind} must have shape {targets.shape}, but got {output.shape}; yield a number per target")
    return float(np.square(output.reshape(targets.shape).astype(np.float64) - targets).mean())


METRICS: dict[str, Callable[[Array, str, Array], float]] = {"accuracy": _accuracy, "mse": _mse}
