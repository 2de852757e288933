"""What a training yields of one epoch as plain numbers, the metric among them (R4, R36).

The worker sends them to the conductor, whose `Recorder.record_epoch` writes them.
"""

import math
import re
from collections.abc import Mapping
from difflib import SequenceMatcher

import numpy as np

from search.contract.arrays import FoldData
from search.contract.metric_functions import REGRESSION, confidence
from search.contract.metrics import KEYS, Metric, output_of, scores
from search.execution.messages import EpochTrained
from trainers.api import OUTPUTS, Epoch, Values

LAYERS, REMARK, TRAIN = "layers", "remark", "train_outputs"
RENAME = "{} of the trainer is left out, since the curves have a column of that name; rename it"
OF_VALIDATION = re.compile(
    r"^(?:val|valid|validation|eval|dev)[_/. -]|[_/. -](?:val|valid|validation)$"
)
TWIN = (
    "the search compares {name!r}, and the trainer gives {twin!r} too: if {name!r} is of the rows "
    "that it trains on, begin anew with metric.name={twin}"
)


class TrialFailed(Exception):
    """The trainer broke a rule of its interface; the text says which."""


def epoch_message(outcome: Epoch, fold: FoldData, *, metric: Metric) -> EpochTrained:
    """One fold's epoch as numbers: outputs become the metric here and leave no worker.

    Raises:
        TrialFailed, ValueError, TypeError: what was yielded cannot be read, or gives no metric.
    """
    values = outcome.values
    numbers, layers = _numbers(values, metric), _layers(values)
    numbers |= _on_train(values.get(TRAIN), fold, metric)
    output, targets = output_of(values), fold.data.val.y
    computed = output is not None and targets is not None
    if output is not None and targets is not None:
        kind, array = output
        numbers |= scores(
            metric, targets=np.asarray(targets), kind=kind, output=array, units=fold.units
        )
        if not set(metric.parts) & set(REGRESSION):
            sure = confidence(np.asarray(targets), kind=kind, output=array)
            if sure is not None:
                numbers = {"confidence": sure[0], **numbers}
                layers = {"confidence": sure[1], **layers}
    missing = [part for part in metric.parts if part not in numbers]
    if missing and output is not None and targets is None:
        raise TrialFailed(
            f"{missing[0]} cannot be computed from {output[0]} without labels; "
            f"name a file of them by data.labels=…, or yield {missing[0]!r} itself"
        )
    if missing:
        rule = f"a yield must hold {' or '.join(OUTPUTS)} or {missing[0]!r}"
        got = ", ".join(values) or "nothing"
        other = _likest(missing[0], values)
        or_say = f", or say metric=reported metric.name={other} metric.direction=…" if other else ""
        rare = "; where not every epoch has it, yield those that do, with their 'epoch'"
        raise TrialFailed(f"{rule}, but got {got}; add one of them{or_say}{rare if values else ''}")
    value = None if metric.formula else numbers.pop(metric.name)
    taken = ", ".join(name for name in KEYS if name in values)
    remark = values.get(REMARK) or (RENAME.format(taken) if taken else "")
    if not computed and value is not None:
        remark = remark or _twin(metric.name, numbers)
    return EpochTrained(
        trial=outcome.trial,
        epoch=outcome.epoch,
        value=value,
        values=numbers,
        seconds=0.0,
        source="computed" if computed else "reported",
        layers=layers,
        remark=remark if isinstance(remark, str) else "",
    )


def _twin(name: str, numbers: Mapping[str, float]) -> str:
    """A remark where the metric of validation stands beside the metric, as in programs that call
    the one of train by the plain name; else empty.
    """
    twin = next((each for each in numbers if OF_VALIDATION.sub("", each) == name), "")
    return TWIN.format(name=name, twin=twin) if twin else ""


def _likest(name: str, values: Values) -> str:
    """The other number that may be meant: of validation if one is, and most like it by its name."""
    others = [other for other in values if other not in ("epoch", LAYERS, REMARK, "train_loss")]

    def likeness(other: str) -> tuple[bool, float]:
        plain = OF_VALIDATION.sub("", other)
        alike = SequenceMatcher(None, plain.lower(), name.lower()).ratio()
        return plain != other, alike

    return max(others, key=likeness, default="")


def _on_train(outputs: object, fold: FoldData, metric: Metric) -> dict[str, float]:
    """The metric on the train rows whose outputs a trainer yields (R16)."""
    targets = fold.data.train.y
    if not isinstance(outputs, Mapping) or targets is None:
        return {}
    output = output_of(outputs)
    if output is None or "rows" not in outputs:
        rule = f"{TRAIN} must hold rows and {' or '.join(OUTPUTS)}"
        got = ", ".join(map(str, outputs))
        raise TrialFailed(f"{rule}, but got {got}; add what is missing")
    (kind, array), rows = output, np.asarray(outputs["rows"], dtype=np.int64)
    if len(array) != len(rows):
        rule = f"{TRAIN} must have one output per row"
        raise TrialFailed(f"{rule}, but got {len(array)} for {len(rows)}; mend it")
    chosen = np.asarray(targets)[rows]
    try:
        on_train = scores(metric, targets=chosen, kind=kind, output=array, units=fold.units)
    except ValueError:  # such as an area under the curve of rows of one class
        on_train = dict.fromkeys(metric.parts, math.nan)
    return {f"train_{name}": score for name, score in on_train.items()}


def _numbers(values: Values, metric: Metric) -> dict[str, float]:
    """What a trainer yields besides outputs, layers and a remark."""
    numbers = {}
    for name, value in values.items():
        is_text = name in (LAYERS, REMARK, TRAIN) and isinstance(value, Mapping | str)
        is_count = name == "parameters" and name not in metric.names
        if name in OUTPUTS or name in KEYS or is_text or is_count:
            continue
        try:
            numbers[name] = float(value)
        except OverflowError:  # a whole number beyond all floats
            numbers[name] = math.inf if value > 0 else -math.inf
        except (TypeError, ValueError) as error:
            got = f"{name}={value!r:.60}"
            raise TrialFailed(
                f"what a trainer yields must be numbers, but got {got}; drop it"
            ) from error
    return numbers


def _layers(values: Values) -> dict[str, dict[str, float]]:
    """Series by layer that a trainer yields: `{"layers": {"grad_norm": {"0": 0.1, …}}}`."""
    layers = values.get(LAYERS)
    if not isinstance(layers, Mapping):
        return {}
    try:
        return {
            str(name): {str(key): float(value) for key, value in series.items()}
            for name, series in layers.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise TrialFailed(
            "layers must be numbers by name of series and layer, "
            f"but got {layers!r:.60}; mend or drop it"
        ) from error
