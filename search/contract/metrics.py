"""The one number that ranks trials, computed here, so that a trainer cannot grade itself (R4).

Runs in workers: numpy only. Never picks the metric; the contract does.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from hydra.utils import get_object

from search.contract.metric_formula import evaluate, names_of
from search.contract.metric_functions import Array, Average, Outputs
from search.contract.sequence_metrics import SEQUENCES
from search.contract.tasks import ERRORS, METRICS, TASKS
from search.errors import UsageError, refused, unknown
from trainers.api import END, IGNORED, OUTPUTS

KEYS = ("trial", "fold", "epoch", "source")  # of the curves' rows, which no trainer sets
TAKEN = (*KEYS, "step", "seconds", "lr", "grad_norm", "update_ratio", "parameters")
AVERAGED = ("precision", "recall", "f1")
MEASURED = ("seconds", "parameters")  # what a formula may name beside metrics
ROUNDING = 1e-4  # by which a probability may lie outside 0 to 1
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric; `name` is its column in the curves.

    `formula`: of a composite metric; `target`: import path of a user's own function.
    """

    name: str
    direction: Direction
    average: Average = "macro"
    formula: str = ""
    target: str = ""

    def better(self, a: float, b: float) -> bool:
        """Whether a is strictly better than b."""
        return a > b if self.direction == "maximize" else a < b

    @property
    def sign(self) -> float:
        """Turns values into scores of which the higher is the better."""
        return 1.0 if self.direction == "maximize" else -1.0

    def value_of(self, score: float) -> float:
        """A score, or a mean of scores, in the metric's own direction; 0, never −0."""
        return self.sign * score + 0.0

    def words(self, score: float) -> str:
        """Four digits of it; of −∞, the mean of no score, that there is no result."""
        return "no result" if score == -math.inf else f"{self.value_of(score):.4g}"

    @property
    def ships(self) -> bool:
        """Whether it is one whose constant prediction and best score are known."""
        return not (self.formula or self.target) and self.name in METRICS

    @property
    def perfect(self) -> tuple[float, ...]:
        """Scores that nothing can better, also in percent; empty where nothing tells."""
        if not self.ships:
            return ()
        return (0.0,) if self.name in ERRORS else (1.0, 100.0)

    def unit(self, values: Iterable[float | None]) -> float:
        """What a whole counts in these values: 100 where a trainer gives a share in per cent."""
        in_percent = any(value is not None and value > 1 for value in values)
        return 100.0 if 100.0 in self.perfect and in_percent else 1.0

    def is_best(self, values: Sequence[float | None], *, unit: float) -> bool:
        """Whether there are some and none can be better, in this unit: 1 per cent is no best."""
        return bool(values) and {*values} <= {0.0, unit} & {*self.perfect}

    def room(self, value: float) -> float:
        """How much better than `value` a score can be; infinite where nothing tells."""
        distances = (self.sign * (perfect - value) for perfect in self.perfect)
        return min((distance for distance in distances if distance >= 0), default=math.inf)

    @property
    def definition(self) -> dict[str, str]:
        """What the contract must hold beside name and direction."""
        shown = asdict(self)
        return {key: shown[key] for key in ("formula", "target") if shown[key]} | (
            {"average": self.average} if self.name in AVERAGED else {}
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What a formula names; empty for a plain metric."""
        return (
            names_of(self.formula, allowed=frozenset((*METRICS, *MEASURED))) if self.formula else ()
        )

    @property
    def is_timed(self) -> bool:
        """Whether it counts seconds, which depend on the machine and the moment."""
        return "seconds" in self.names

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The metrics to compute from outputs: itself, or those that its formula names."""
        if not self.formula:
            return (self.name,)
        return tuple(name for name in self.names if name in METRICS)

    def combine(self, values: Mapping[str, float]) -> float:
        """A composite metric's value from its parts; NaN where one is missing, or is NaN: min() and
        max() would pass over it.
        """
        parts = {name: values.get(name, math.nan) for name in self.names}
        return math.nan if any(map(math.isnan, parts.values())) else evaluate(self.formula, parts)


def read_metric(node: Mapping[str, Any], *, reported: bool) -> Metric:
    """The metric of a config. `reported`: the trainer's own number is allowed, so any name is.

    Raises:
        UsageError: unknown metric, or a formula that is none.
    """
    name = str(node.get("name"))
    formula, target = str(node.get("formula") or ""), str(node.get("_target_") or "")
    _check_name(name, own=bool(formula or target), reported=reported)
    metric = Metric(
        name=name,
        direction=node["direction"],
        average=node.get("average", "macro"),
        formula=formula,
        target=target,
    )
    if formula and not metric.parts:
        raise refused(
            "metric.formula",
            code="formula-needs-metric",
            rule="must name a metric",
            got=repr(formula),
            remedy=f"one of {', '.join(METRICS)}",
        )
    return metric


def _check_name(name: str, *, own: bool, reported: bool) -> None:
    rule = ""
    if name in TAKEN or name in OUTPUTS:
        rule = f"{', '.join(TAKEN)} are columns of their own"
    elif own and name in METRICS:
        rule = "a metric of your own needs a name of its own"
    if rule:
        raise refused(
            "metric.name",
            code="metric-name-is-taken",
            rule=rule,
            got=repr(name),
            remedy="rename it",
        )
    if name not in METRICS and not (own or reported):
        raise UsageError(unknown("metric", name=name, known=METRICS), code="unknown-metric")


def tasks_of(metric: Metric) -> tuple[str, ...]:
    """The tasks that a metric fits: those of all its parts; a user's own fits any."""
    parts = [part for part in metric.parts if part in METRICS]
    return tuple(task for task, known in TASKS.items() if all(part in known for part in parts))


def output_of(values: Mapping[str, Any]) -> tuple[str, Array] | None:
    """The outputs among a trainer's values, as (kind, array).

    None where the trainer reports the metric itself.

    Raises:
        ValueError: more than one kind.
    """
    kinds = [kind for kind in OUTPUTS if kind in values]
    if len(kinds) > 1:
        raise ValueError(
            f"yield one of {', '.join(OUTPUTS)}, but got {' and '.join(kinds)}; drop all but one"
        )
    if not kinds:
        return None
    value = values[kinds[0]]
    if hasattr(value, "detach"):  # a torch tensor, told apart without importing torch
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value  # numpy has none
    return kinds[0], np.asarray(value)


def in_own_units(targets: Array, output: Array, units: Mapping[str, Any]) -> tuple[Array, Array]:
    """Scaled targets, and outputs for them, in the targets' own units: `mean` and `scale` (R6)."""
    mean, scale = np.array(units["mean"]), np.array(units["scale"])
    return targets * scale + mean, output.reshape(targets.shape) * scale + mean


def scores(
    metric: Metric,
    *,
    targets: Array,
    kind: str,
    output: Array,
    units: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """All parts of the metric of outputs against targets [n], [n, outputs] or [n, steps].

    NaN where the outputs are not finite. `units`: mean and scale of regression targets, by which
    both are mapped back to the target's own units (R6).

    Raises:
        ValueError: outputs of a wrong shape, or a metric that this kind of output cannot give.
    """
    if output.shape[:1] != targets.shape[:1]:
        raise ValueError(
            f"{kind} must have one row per validation row ({len(targets)}), "
            f"but got shape {output.shape}"
        )
    if output.dtype.kind not in "biuf":  # names of classes equal no number, so all would be wrong
        raise ValueError(
            f"{kind} must be numbers, but got {output.ravel().tolist()[0]!r}; yield the numbers of "
            "classes, as data.train.y has them"
        )
    whole = Outputs(targets=targets, kind=kind, array=output, average=metric.average)
    is_unaligned = kind == "labels" and set(metric.parts) <= set(SEQUENCES)
    steps = whole if is_unaligned else whole.steps
    if steps.array.dtype.kind == "f" and not np.isfinite(steps.array).all():
        return dict.fromkeys(metric.parts, math.nan)
    if kind == "probabilities":
        _check_probabilities(steps.array)
    if units is not None and output.size == targets.size:
        targets, output = in_own_units(targets, output, units)
        steps = Outputs(targets=targets, kind=kind, array=output, average=metric.average).steps
    if metric.target:
        if targets.dtype.kind == "f":
            shown = steps.numbers
        else:
            shown = steps.labels if kind == "labels" else steps.probabilities
        # Copies: the function may change its arguments, which others use after it.
        value = get_object(metric.target)(np.array(steps.targets), np.array(shown))
        return {metric.name: float(value)}
    strange = [part for part in metric.parts if part not in METRICS]
    if strange:
        raise ValueError(
            f"metric {strange[0]!r} cannot be computed from {kind}; "
            f"yield {strange[0]!r} itself, or choose from {', '.join(sorted(METRICS))}"
        )
    return {part: METRICS[part](whole if part in SEQUENCES else steps) for part in metric.parts}


def _check_probabilities(output: Array) -> None:
    """Logits under the name of probabilities would give wrong numbers without a word."""
    low, high = float(output.min(initial=0.0)), float(output.max(initial=0.0))
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(
            f"probabilities must lie between 0 and 1, but got {low if low < 0 else high:g}; "
            "yield logits as predictions"
        )


def constant_score(metric: Metric, *, task: str, train: Array, val: Array) -> float | None:
    """`floor`: the score of the best constant prediction on validation.

    The most frequent class, for probabilities the classes' shares in train; the mean of train for
    regression. None where there is no such score.
    """
    if not metric.ships:
        return None
    if task == "regression" or train.ndim == 3:
        steps = (0, 2) if train.ndim == 3 else 0  # of numbers per step, the mean of all of them
        constant = np.broadcast_to(np.nanmean(train, axis=steps, keepdims=True)[0], val.shape)
        return scores(metric, targets=val, kind="predictions", output=constant)[metric.name]
    if task == "transduction":  # an empty answer
        empty = np.full(val.shape, END)
        return scores(metric, targets=val, kind="labels", output=empty)[metric.name]
    counts = np.bincount(train[train != IGNORED], minlength=int(val.max()) + 1)
    if metric.name in ("roc_auc", "log_loss", "brier"):
        shares = np.zeros((len(val), len(counts), *val.shape[1:])).swapaxes(1, -1)
        shares = (shares + counts / counts.sum()).swapaxes(1, -1)
        return scores(metric, targets=val, kind="probabilities", output=shares)[metric.name]
    constant = np.full(val.shape, counts.argmax())
    return scores(metric, targets=val, kind="labels", output=constant)[metric.name]
