"""Before the budget is spent: is the set-up sound? Data, batches, model, learning and speed, each
by small checks (R3, R7-R13).

What a training does is measured in a process of its own (`search.diagnostics.probe`), while this
one looks at the data. Only here, and only between sets, are test rows looked at. Decides nothing
but the outcome of each check.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from search.config.plan import Plan
from search.contract.contract import Prepared
from search.contract.dataset import Rows, load_rows
from search.contract.metric_functions import entropy
from search.diagnostics.preflight import features, labels, learning, loop, model, report, sets
from search.diagnostics.preflight.check import Check, Judge, excused
from search.diagnostics.probe import Answers, probed
from search.execution.slots import Slot

# Checks that need the rows themselves.
OF_ROWS = (
    "same_distribution",
    "shared_rows",
    "missing_values",
    "constant_features",
    "extreme_values",
    "feature_scales",
    "contradictions",
    "telltale_feature",
    "label_signal",
    "label_noise",
)


def preflight(
    plan: Plan, prepared: Prepared, *, place: Path, slots: tuple[Slot, ...], trainings: int
) -> tuple[Check, ...]:
    """All checks, in the order of a reader. `place` holds `arrays/`; `trainings`: of the search
    that is to follow.

    Raises:
        RunError: the training could not be looked at.
    """
    wanted = {
        "kind": "preflight",
        "stock": plan.stock,
        "gradcheck": plan.preflight.gradcheck and plan.stock,
    }
    with probed(plan, place, slot=slots[0], wanted=wanted) as answers:
        checks = list(of_data(plan, prepared))
        ordered = any(check.name == "label_order" and check.outcome == "note" for check in checks)
        checks += of_training(
            plan, prepared, answers(), ordered=ordered, slots=slots, trainings=trainings
        )
    return excused(checks)


def told_preflight(
    plan: Plan,
    prepared: Prepared,
    *,
    place: Path,
    slots: tuple[Slot, ...],
    trainings: int,
    since: float,
    console: Console,
) -> tuple[Check, ...]:
    """The same, written to `place` and shown.

    `since`: when it began, of the monotonic clock, seconds.
    """
    checks = preflight(plan, prepared, place=place, slots=slots, trainings=trainings)
    seconds = time.monotonic() - since
    report.write(checks, place, seconds=seconds)
    report.show(checks, console, seconds=seconds)
    return checks


def of_data(plan: Plan, prepared: Prepared) -> Iterator[Check]:
    """Checks of the data; where the trainer loads the data itself, only those of the labels."""
    classification = plan.config.data.task == "classification"
    fold, final = next(prepared.folds()).data, prepared.final
    parts = {"train": fold.train, "val": fold.val, "test": final.test}
    y = {name: part.y for name, part in parts.items() if part is not None and part.y is not None}
    if len(y) == len(parts) and classification:
        names = prepared.contract.data.get("classes", ())
        classes = 1 + max(int(labels.max()) for labels in y.values())
        yield sets.class_balance(y, classes=classes, names=names)
    if fold.train.x is None:
        for name in OF_ROWS:
            yield Judge(name=name, rule="R10").unknown(
                "the trainer loads its rows itself (data=own)"
            )
        return
    loaded = load_rows(plan.config.data)
    data = loaded.data
    index = {name: part.index for name, part in parts.items() if part is not None}
    groups, time = (
        None if column is None else {name: column[rows] for name, rows in index.items()}
        for column in (data.groups, data.time)
    )
    raw = {name: data.x[numbers] for name, numbers in index.items()}
    yield sets.same_distribution(raw, groups=groups, ordered=plan.config.split.kind == "ordered")
    yield sets.shared_rows(raw)
    yield sets.shared_groups(groups, time)
    train_x, train_y = fold.train.x, y["train"]
    yield features.missing_values(raw["train"])
    yield features.constant_features(
        raw["train"], channels=int(plan.config.model.get("channels") or 1)
    )
    yield features.extreme_values(train_x)
    whole = data.x.dtype.kind in "iub" and not plan.config.normalise.get("_target_")
    yield features.feature_scales(train_x, whole=whole)
    if not classification:
        yield labels.targets(train_y)
    yield labels.contradictions(train_x, train_y, chance=lambda: sets.by_chance(raw["train"]))
    yield labels.telltale_feature(train_x, train_y, classification=classification)
    signal = labels.label_signal(
        train_x, train_y, classification=classification, moved=_moved(loaded, index)
    )
    yield signal
    if classification:
        yield labels.label_noise(
            train_x, train_y, legible=signal.measured["score"] >= labels.READABLE
        )
    yield labels.label_order(train_y)


def _moved(
    loaded: Rows, index: Mapping[str, NDArray[np.int64]]
) -> dict[int, tuple[NDArray[Any], NDArray[Any]]]:
    """Train rows with the label of the next row of the file, and of the one before; no test label
    takes part.
    """
    open_rows = np.zeros(len(loaded.data.x), dtype=bool)
    open_rows[np.concatenate([index["train"], index["val"]])] = True
    moved = {}
    for step in (1, -1):
        train = index["train"]
        train = train[(train + step >= 0) & (train + step < len(open_rows))]
        train = train[open_rows[train + step]]
        moved[step] = loaded.data.x[train], loaded.data.y[train + step]
    return moved


def of_training(
    plan: Plan,
    prepared: Prepared,
    told: Answers,
    *,
    ordered: bool,
    slots: tuple[Slot, ...],
    trainings: int,
) -> Iterator[Check]:
    """Checks of what was measured of the training."""
    seen, train = told["watched"], next(prepared.folds()).data.train
    count, batch = len(train.index), int(plan.config.trainer.batch_size)
    classification = plan.config.data.task == "classification"
    expected, classes = None, 0
    if classification and train.y is not None:
        expected, classes = entropy(train.y), 1 + int(train.y.max())
    yield loop.trains(seen)
    yield loop.batches(seen)
    yield loop.shuffling(seen, ordered=ordered)
    yield model.output_layer(seen, classification=classification, classes=classes)
    yield model.first_loss(seen, entropy=expected, classes=classes)
    yield model.initial_weights(seen)
    yield model.gradients(seen)
    yield loop.optimizer_steps(seen)
    yield model.dead_units(seen)
    yield loop.evaluation_mode(seen)
    yield model.batch_norm(seen, rows=count, batch=batch if plan.stock else None)
    yield learning.learning_rate(seen, steps=_steps(plan, seen, rows=count), decay=_decay(plan))
    yield loop.repeatable(seen, exact=slots[0].gpu is None, metric=plan.metric.name)
    yield model.capacity(seen, rows=count)
    cause = {
        "cause": "the training raised"
        if seen["error"]
        else "no step of a torch optimizer was seen in this process"
    }
    yield learning.overfit(told.get("heart", cause))
    yield learning.labels_matter(told.get("labels", cause))
    speed = told.get("speed", cause)
    yield learning.speed(
        speed, epochs=plan.epochs, trainings=trainings, slots=len(slots), batch=batch
    )
    unasked = {} if plan.stock else {"cause": "a trainer of yours builds its model itself"}
    yield model.own_gradients(told.get("gradients", unasked))


def _decay(plan: Plan) -> float:
    """What a step of the optimizer takes off the weights, as a share."""
    rate, decay = (plan.config.optimizer.get(key) for key in ("lr", "weight_decay"))
    return (
        float(rate) * float(decay)
        if isinstance(rate, int | float) and isinstance(decay, int | float)
        else 0.0
    )


def _steps(plan: Plan, seen: Mapping[str, Any], *, rows: int) -> float:
    """Steps of the whole training, from those of the rows that were seen."""
    epochs = max(len(seen["epochs"]), 1)
    return float(seen["steps"] / epochs * rows / max(seen["rows"], 1) * plan.epochs)
