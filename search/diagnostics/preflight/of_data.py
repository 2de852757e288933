"""Checks of the data, the test rows included: they are looked at only here, and only between sets.

Of sequences, features are looked at step by step, and padding takes no part.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.config.plan import Plan
from search.contract.contract import Prepared
from search.contract.sequences import real_rows
from search.diagnostics.preflight import features, labels, sets
from search.diagnostics.preflight.by_chance import by_chance
from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.column_names import shown
from search.diagnostics.preflight.label_noise import label_noise
from search.diagnostics.preflight.leaking_rows_around import made_of_targets
from search.diagnostics.preflight.reading import Reading
from search.diagnostics.preflight.target_leakage import telltale_feature, telltale_word
from search.diagnostics.preflight.validation_labels import validation_labels
from trainers.api import IGNORED, Part
from trainers.data import DataSet
from trainers.probes.limits import Budget, OutOfTime

APART = ("ordered", "grouped")  # splits whose sets are not drawn alike
# Checks that need the rows themselves.
OF_FEATURES = ("missing_values", "constant_features", "extreme_values", "feature_scales")
OF_ROWS = (
    "same_distribution", "shared_rows", *OF_FEATURES, "contradictions", "telltale_feature",
    "label_signal", "label_noise", "validation_labels",
)  # fmt: skip
OF_LABELS = (
    "contradictions", "telltale_feature", "label_signal", "label_noise", "label_order",
    "validation_labels",
)  # fmt: skip


def of_data(plan: Plan, prepared: Prepared, *, budget: Budget) -> Iterator[Check]:
    """Checks of the data; where the trainer loads the data itself, only those of the labels."""
    task = plan.config.data.task
    fold, final = next(prepared.folds()).data, prepared.final
    parts = {"train": fold.train, "val": fold.val, "test": final.test}
    y = {name: part.y for name, part in parts.items() if part is not None and part.y is not None}
    if len(y) == len(parts) and task in ("classification", "tagging"):
        names = prepared.contract.data.get("classes", ())
        answers = {name: part[part != IGNORED] for name, part in y.items()}
        classes = 1 + max(int(part.max()) for part in answers.values())
        yield sets.class_balance(answers, classes=classes, names=names, metric=plan.metric.name)
    if fold.train.x is None or prepared.rows is None:
        yield from _unknown(OF_ROWS, "the trainer loads its rows itself (data=own)")
        return
    data = prepared.rows.data
    index = {name: part.index for name, part in parts.items() if part is not None}
    groups, time = (
        None if column is None else {name: column[rows] for name, rows in index.items()}
        for column in (data.groups, data.time)
    )
    raw = {name: _with_length(data, numbers) for name, numbers in index.items()}
    train_lengths, ordered = fold.train.lengths, plan.config.split.kind == "ordered"
    yield in_time(
        budget,
        "same_distribution",
        lambda: sets.same_distribution(
            raw, groups=groups, ordered=ordered, names=_names(data, raw["train"])
        ),
    )
    yield in_time(
        budget,
        "shared_rows",
        lambda: sets.shared_rows(raw, lengths=train_lengths, numbers=not fold.train.tokens),
    )
    yield sets.shared_groups(groups, time)
    yield from _of_features(plan, data, fold.train, budget)
    train_x, train_y = fold.train.x, y["train"]
    if task in ("regression", "step_regression"):
        known = train_y[np.isfinite(train_y)] if train_y.ndim == 3 else train_y
        raw_y = data.y[index["train"]] if task == "regression" else None
        yield in_time(budget, "targets", lambda: labels.targets(known, raw=raw_y))
    if task in ("tagging", "transduction", "step_regression"):
        yield from _unknown(OF_LABELS, "labels of a sequence depend on the steps around them")
        return
    val = fold.val.x, y["val"]
    words = fold.train.tokens
    yield from _of_labels(plan, data, index, (train_x, train_y), val, budget, tokens=words)


def _of_labels(
    plan: Plan,
    data: DataSet,
    index: Mapping[str, NDArray[np.int64]],
    train: tuple[NDArray[Any], NDArray[Any]],
    val: tuple[NDArray[Any] | None, NDArray[Any]],
    budget: Budget,
    *,
    tokens: bool,
) -> Iterator[Check]:
    (train_x, train_y), rows = train, index["train"]
    classification = plan.config.data.task == "classification"
    lengths = None if data.lengths is None else data.lengths[rows]

    def chance() -> float:
        return by_chance(_with_length(data, rows), lengths=lengths)

    def telling() -> Check:
        by_words = tokens and classification
        words = telltale_word(train_x, train_y, lengths=lengths) if by_words else None
        check = words or telltale_feature(
            train_x,
            train_y,
            raw=data.x[rows],
            targets=data.y[rows],
            classification=classification,
            names=_names(data, train_x),
        )
        around = check.outcome == "pass" and not tokens and lengths is None
        return (_of_rows_around(data, index) if around else None) or check

    made = partial(in_time, budget)
    yield made("contradictions", lambda: labels.contradictions(train_x, train_y, chance=chance))
    yield made("telltale_feature", telling)
    reading = Reading.of(train_x, train_y, classification=classification)
    held, val_y = val
    assert held is not None
    asked, alike = (held, val_y), plan.config.split.kind not in APART
    signal = made(
        "label_signal",
        lambda: labels.label_signal(reading, moved=_moved(data, index), val=asked, alike=alike),
    )
    yield signal
    if classification:
        legible = signal.measured.get("score", 1.0) >= labels.READABLE
        yield made("label_noise", lambda: label_noise(reading, legible=legible))
    yield labels.label_order(train_y)
    yield made("validation_labels", lambda: validation_labels(reading, asked, alike=alike))


def in_time(budget: Budget, name: str, make: Callable[[], Check]) -> Check:
    """What `make` gives, or that there was no time for it."""
    try:
        with budget.asking(name):
            return make()
    except OutOfTime as over:
        return Judge(name=name, rule="R10").unknown(str(over))


def _of_rows_around(data: DataSet, index: Mapping[str, NDArray[np.int64]]) -> Check | None:
    """A feature made of the targets of the rows around; no test label takes part."""
    known = _open_rows(data, index)
    ordered = data.time is not None and bool((np.diff(data.time) >= 0).all())
    targets = data.y.reshape(len(data.y), -1)[:, 0]
    found = made_of_targets(data.x, targets, index["train"], known=known, ordered=ordered)
    if found is None:
        return None
    feature, told = found
    text = f"feature {shown(feature, _names(data, data.x))} is made of targets {told}, to the digit"
    remedy = "make it of rows before alone: shift first, then roll, and do not centre"
    return Judge(name="telltale_feature", rule="R10").warn(text, remedy, feature=feature)


def _open_rows(data: DataSet, index: Mapping[str, NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Of all rows, whether their label may be looked at."""
    return np.isin(np.arange(len(data.x)), np.concatenate([index["train"], index["val"]]))


def _of_features(plan: Plan, data: DataSet, train: Part, budget: Budget) -> Iterator[Check]:
    if train.tokens:
        yield from _unknown(OF_FEATURES, "inputs are token ids, whose size means nothing")
        return
    assert train.x is not None
    raw, x = real_rows(data.x[train.index], train.lengths), real_rows(train.x, train.lengths)
    # Plain dicts: a missing key of a DictConfig leaves a traceback that holds these rows.
    model, scaler = dict(plan.config.model), dict(plan.config.normalise)
    channels = int(model.get("channels") or 1) if train.lengths is None else 1
    whole = data.x.dtype.kind in "iub" and not scaler.get("_target_")
    checks: dict[str, Callable[[], Check]] = {
        "missing_values": lambda: features.missing_values(raw),
        "constant_features": lambda: features.constant_features(raw, channels=channels),
        "extreme_values": lambda: features.extreme_values(x, raw=raw, names=_names(data, x)),
        "feature_scales": lambda: features.feature_scales(x, whole=whole),
    }
    for name in OF_FEATURES:
        yield in_time(budget, name, checks[name])


def _names(data: DataSet, x: NDArray[Any]) -> tuple[str, ...]:
    """Names of the features; none where these are made of the columns that have names."""
    return data.names if len(data.names) == x[0].size else ()


def _unknown(names: tuple[str, ...], cause: str) -> Iterator[Check]:
    for name in names:
        yield Judge(name=name, rule="R10").unknown(cause)


def _with_length(data: DataSet, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Rows as sets are compared by: of sequences, the length in front of the steps."""
    if data.lengths is None:
        return data.x[rows]
    flat = data.x[rows].reshape(len(rows), -1)
    return np.column_stack([data.lengths[rows], flat]).astype(np.float64)


def _moved(
    data: DataSet, index: Mapping[str, NDArray[np.int64]]
) -> dict[int, tuple[NDArray[Any], NDArray[Any]]]:
    """Train rows with the label of the next row, and of the one before; never a test label."""
    open_rows = _open_rows(data, index)
    moved = {}
    for step in (1, -1):
        train = index["train"]
        train = train[(train + step >= 0) & (train + step < len(open_rows))]
        train = train[open_rows[train + step]]
        moved[step] = data.x[train], data.y[train + step]
    return moved
