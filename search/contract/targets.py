"""Targets as their task has them: classes numbered, numbers as columns, sequences padded (R1)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.contract.arrays import data_refused
from search.contract.sequences import one_label, padded_classes, step_labels, target_sequences
from trainers.api import END, IGNORED
from trainers.data import DataSet

PER_STEP = (  # what to do with a number per step
    "say data.task=step_regression for a number per step, or give one per sequence as y [n]; where "
    "y [n, outputs] are of whole sequences, pad x by a step"
)
SHOWN = 5  # columns that a refusal names


@dataclass(frozen=True, kw_only=True)
class LoadedRows:
    """`data.x` [n, …]; `data.y` [n] classes from 0, or [n, outputs] numbers; of tagging [n, steps]
    classes, `IGNORED` at padding; of step_regression [n, 1, steps] numbers, NaN at padding; of
    transduction [n, longest] classes from 1, padded by `END`.

    `classes`: the names of the classes, empty where the data hold the numbers themselves.
    `further`: targets of heads of their own [n, columns]; `heads`: the outputs of each by name.
    """

    data: DataSet
    classes: tuple[Any, ...] = ()
    further: NDArray[np.float64] | None = None
    heads: Mapping[str, int] | None = None

    @property
    def inputs(self) -> int:
        """Features per row."""
        return int(np.prod(self.data.x.shape[1:], dtype=int))

    @property
    def outputs(self) -> int:
        """Classes, or numbers per row, and the outputs of further heads."""
        y, further = self.data.y, sum((self.heads or {}).values())
        return (int(y.shape[1]) if y.dtype.kind == "f" else int(y.max()) + 1) + further

    @property
    def features(self) -> int | None:
        """Numbers per step of sequences that have lengths and several numbers per step."""
        is_several = self.data.lengths is not None and self.data.x.ndim == 3
        return int(self.data.x.shape[2]) if is_several else None

    @property
    def steps(self) -> int | None:
        """Steps of the longest sequence, where sequences have lengths."""
        return int(self.data.x.shape[1]) if self.data.lengths is not None else None

    @property
    def target_steps(self) -> int | None:
        """Labels of the longest target, where targets have lengths of their own."""
        return int(self.data.y.shape[1]) if self.data.target_lengths is not None else None


def rows_of_task(data: DataSet, *, task: str) -> LoadedRows:
    """The rows with targets as the task has them.

    Raises:
        UsageError: targets that do not fit the task.
    """
    return ROWS[task](data)


def number_classes(
    labels: NDArray[Any], *, where: str
) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Classes of any type as numbers from 0, with their names.

    The names are empty where the labels are the numbers 0, 1, 2, … already.

    Raises:
        UsageError: numbers that are no classes, or fewer than two classes.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        rule, got = "classification needs one class per row", f"shape {labels.shape}"
        raise data_refused(where, rule, got, "give one column", code="class-not-one-column")
    if labels.dtype.kind == "f":
        odd = labels[~np.isfinite(labels) | (labels != np.round(labels))]
        if len(odd):
            raise data_refused(
                where,
                "classes are whole numbers or names",
                odd[0],
                "mend them, or say data.task=regression",
                code="class-not-whole-or-name",
            )
    if labels.dtype.kind in "if" and (labels == IGNORED).any():
        raise data_refused(
            where,
            f"{IGNORED} means no label, as torch's losses take it",
            f"it in row {int((labels == IGNORED).argmax())}",
            "drop such rows, or number the classes from 0",
            code="class-means-no-label",
        )
    check_given(where, labels, noun="class", code="class-is-missing")
    labels = _as_texts(labels)
    names, numbers = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise data_refused(
            where,
            "classification needs at least two classes",
            f"only the class {names.tolist()[0]!r}",
            "check the target",
            code="needs-two-classes",
        )
    plain = names.dtype.kind in "iuf" and bool((names == np.arange(len(names))).all())
    return numbers.astype(np.int64), () if plain else tuple(names.tolist())


def _as_texts(labels: NDArray[Any]) -> NDArray[Any]:
    """Names and dates as texts, as files hold them; numbers as they are."""
    if labels.dtype.kind in "Mm":
        return labels.astype(str)
    if labels.dtype.kind not in "OS":
        return labels
    names = (
        each.decode(errors="backslashreplace") if isinstance(each, bytes) else str(each)
        for each in labels.tolist()
    )
    return np.array(list(names))


def _classes(data: DataSet) -> LoadedRows:
    data = one_label(data, remedy="say data.task=tagging, or mend the target")
    numbers, names = number_classes(data.y, where="y")
    return LoadedRows(data=replace(data, y=numbers), classes=names)


def _tags(data: DataSet) -> LoadedRows:
    """A label of `IGNORED` at a real step counts for nothing, as at padding."""
    labels, real = step_labels(data)
    if labels.dtype.kind in "if":
        real = real & (labels != IGNORED)
    empty = ~real.any(axis=1)
    if empty.any():
        raise data_refused(
            "y",
            "a sequence has at least one label",
            f"{IGNORED}, which means none, at every step of row {int(empty.argmax())}",
            "drop such sequences",
            code="sequence-without-labels",
        )
    numbers, names = number_classes(labels[real], where="y")
    return LoadedRows(
        data=replace(data, y=padded_classes(numbers, real, padding=IGNORED)), classes=names
    )


def _targets(data: DataSet) -> LoadedRows:
    """Labels are numbered from 1: `END` ends a sequence."""
    labels, real = target_sequences(data)
    numbers, names = number_classes(labels[real], where="y")
    return LoadedRows(
        data=replace(data, y=padded_classes(numbers + 1, real, padding=END)), classes=names
    )


def _no_number(y: NDArray[Any]) -> str:
    """What an array holds in place of numbers: its first text, if it holds texts."""
    texts = [value for value in y.ravel() if isinstance(value, str)]
    return f"{texts[0]!r} among {y.size}" if texts else f"{y.dtype} {y.shape}"


def _numbers(data: DataSet) -> LoadedRows:
    data = one_label(data, remedy=PER_STEP)
    if data.y.dtype.kind not in "fiu" or data.y.ndim > 2:
        raise data_refused(
            "y",
            "regression needs numbers [n] or [n, outputs]",
            _no_number(data.y),
            "check the target",
            code="targets-have-wrong-shape",
        )
    check_finite("y", data.y, missing_allowed=False)
    return LoadedRows(data=replace(data, y=data.y.reshape(len(data.y), -1).astype(np.float64)))


def _numbers_of_steps(data: DataSet) -> LoadedRows:
    labels, real = step_labels(data)
    if labels.dtype.kind not in "fiu":
        raise data_refused(
            "y",
            "regression needs numbers",
            str(labels.dtype),
            "check the target",
            code="step-targets-not-numbers",
        )
    y = np.full(labels.shape, np.nan)
    y[real] = labels[real]
    check_finite("y", np.where(real, y, 0.0), missing_allowed=False)
    return LoadedRows(data=replace(data, y=y[:, None, :]))


def untrained_classes(
    targets: Mapping[str, NDArray[Any] | None], *, task: str, classes: Sequence[Any]
) -> str:
    """Which classes of validation or test no train row has, in words; empty without such (R3).

    Args:
        targets: of the sets by their names, `train` among them; None where they are not known.
        task: of the contract.
        classes: names of the numbered classes; empty where the numbers are the names.
    """
    train = targets.get("train")
    if train is None or train.dtype.kind not in "iu":
        return ""
    first, padding = (1, END) if task == "transduction" else (0, IGNORED)
    seen = np.append(np.unique(train), padding)
    words = []
    for name, y in targets.items():
        numbers = () if y is None else (np.setdiff1d(y, seen) - first).tolist()
        labels = [str(classes[number]) if classes else str(number) for number in numbers]
        if labels:
            words.append(f"{', '.join(labels)} (in {name})")
    if not words:
        return ""
    return (
        f"no train row has the class {', '.join(words)}: none of its rows can be right (R3); "
        "mend the sets, change split.seed, or drop these rows"
    )


ROWS: dict[str, Callable[[DataSet], LoadedRows]] = {
    "classification": _classes,
    "regression": _numbers,
    "step_regression": _numbers_of_steps,
    "tagging": _tags,
    "transduction": _targets,
}


def _is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of these values [n], of any type, are None, NaN, NaT or pandas' NA."""
    if values.dtype.kind == "O":
        from pandas import isna  # takes half a second

        return np.asarray(isna(values))
    return np.asarray(values != values)  # NaN and NaT alone


def check_given(name: str, values: NDArray[Any], *, noun: str, code: str) -> None:
    """Every row has a value. `noun`: what one is, in words; `code`: of the error otherwise."""
    if (missing := _is_missing(values)).any():
        raise data_refused(
            name,
            f"every row needs its {noun}",
            f"{values[missing][0]} in row {int(missing.argmax())}",
            "drop such rows",
            code=code,
        )


def check_finite(
    name: str, array: NDArray[Any], *, missing_allowed: bool, columns: Sequence[str] = ()
) -> None:
    """Every number is finite, or missing where that is allowed. `columns`: their names, if any.

    Raises:
        UsageError: with the first row where one is not.
    """
    if array.dtype.kind != "f":
        return
    flat = array.reshape(len(array), -1)
    bad = np.isinf(flat) if missing_allowed else ~np.isfinite(flat)
    if bad.any():
        row = int(bad.any(axis=1).argmax())
        remedy = (
            "drop such rows"
            if missing_allowed or name == "y"
            else "drop them or say data.impute=mean (R10)"
        )
        of = columns if len(columns) == bad.shape[1] else ()
        named = [column for column, is_bad in zip(of, bad.any(axis=0), strict=False) if is_bad]
        more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
        where = f", in {', '.join(named[:SHOWN])}{more}" if named else ""
        raise data_refused(
            name,
            "must be finite",
            f"NaN or inf in {int(bad.any(axis=1).sum())} rows, first in row {row}{where}",
            remedy,
            code="data-not-finite",
        )
