"""Loads and checks the rows that a config names; numbers classes. Never splits or scales them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf, open_dict

from search.contract.arrays import trained_type
from search.contract.sequences import (
    checked_sequences,
    one_label,
    padded_classes,
    step_labels,
)
from search.contract.tasks import check_task_name
from search.errors import UsageError, broken_rule
from trainers.data import DataError, DataSet

# keys of `data` that the loading function does not take
OURS = ("task", "inputs", "outputs", "impute", "dimensions", "vocabulary", "features", "steps")
MEASURED = ("inputs", "outputs", "features", "steps")  # of those, what the rows say themselves


@dataclass(frozen=True, kw_only=True)
class Rows:
    """`data.x` [n, …]; `data.y` [n] classes from 0, or [n, outputs] numbers; of tagging [n, steps]
    classes, `IGNORED` at padding.

    `classes`: the names of the classes, empty where the data hold the numbers themselves.
    """

    data: DataSet
    classes: tuple[Any, ...] = ()

    @property
    def inputs(self) -> int:
        """Features per row."""
        return int(np.prod(self.data.x.shape[1:], dtype=int))

    @property
    def outputs(self) -> int:
        """Classes, or numbers per row."""
        y = self.data.y
        return int(y.shape[1]) if y.dtype.kind == "f" else int(y.max()) + 1

    @property
    def features(self) -> int | None:
        """Numbers per step of sequences that have lengths and several numbers per step."""
        is_several = self.data.lengths is not None and self.data.x.ndim == 3
        return int(self.data.x.shape[2]) if is_several else None

    @property
    def steps(self) -> int | None:
        """Steps of the longest sequence, where sequences have lengths."""
        return int(self.data.x.shape[1]) if self.data.lengths is not None else None


def load_rows(node: DictConfig) -> Rows:
    """All rows of `data`, checked.

    Raises:
        UsageError: they cannot be loaded, hold NaN or inf, or do not fit the task.
    """
    check_task_name(node.get("task"))
    data = _load(node)
    for name, array in (("x", data.x), ("y", data.y)):
        if (
            not isinstance(array, np.ndarray)
            or array.ndim < (2 if name == "x" else 1)
            or not len(array)
        ):
            raise _refused(
                name,
                "must be an array of rows",
                getattr(array, "shape", type(array).__name__),
                "mend the data",
            )
    if len(data.x) != len(data.y):
        raise _refused(
            "y", f"must have a row per row of x ({len(data.x)})", len(data.y), "make them agree"
        )
    for name in ("groups", "time"):
        column = getattr(data, name)
        if column is not None and column.shape != (len(data.x),):
            raise _refused(
                name,
                f"must have one value per row ({len(data.x)})",
                f"shape {column.shape}",
                "make them agree",
            )
    if data.x.dtype.kind not in "fiub":
        raise _refused("x", "features must be numbers", f"dtype {data.x.dtype}", "encode them")
    data = checked_sequences(data, vocabulary=node.get("vocabulary"))
    _check_finite("x", data.x, missing_allowed=bool(node.get("impute")))
    made = {"classification": _classes, "regression": _numbers, "tagging": _tags}
    rows = made[str(node.task)](data)
    for key in MEASURED:
        got = getattr(rows, key)
        if node.get(key) is not None and node[key] != got:
            raise UsageError(
                broken_rule(
                    f"data.{key}",
                    rule=f"must be {got}, as in the rows",
                    got=node[key],
                    remedy=f"say data.{key}={got}",
                )
            )
    return rows


def completed(config: DictConfig) -> DictConfig:
    """The config with what the rows say of themselves, where `data.inputs` or `outputs` is null."""
    node = config.data
    if not node.get("_target_") or (
        node.get("inputs", 0) is not None and node.get("outputs", 0) is not None
    ):
        return config
    rows = load_rows(node)
    whole = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    assert isinstance(whole, DictConfig)
    with open_dict(whole):
        for key in MEASURED:
            if (value := getattr(rows, key)) is not None:
                whole.data[key] = value
    OmegaConf.set_readonly(whole, True)
    return whole


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
        raise _refused(
            where,
            "classification needs one class per row",
            f"shape {labels.shape}",
            "give one column",
        )
    if labels.dtype.kind == "f":
        odd = labels[~np.isfinite(labels) | (labels != np.round(labels))]
        if len(odd):
            raise _refused(
                where,
                "classes are whole numbers or names",
                odd[0],
                "mend them, or say data.task=regression",
            )
    if labels.dtype.kind == "O":
        labels = labels.astype(str)
    names, numbers = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise _refused(
            where,
            "classification needs at least two classes",
            f"only the class {names.tolist()[0]!r}",
            "check the target",
        )
    plain = names.dtype.kind in "iuf" and bool((names == np.arange(len(names))).all())
    return numbers.astype(np.int64), () if plain else tuple(names.tolist())


def _load(node: DictConfig) -> DataSet:
    arguments = {key: value for key, value in node.items() if key not in OURS}
    try:
        rows = instantiate(arguments, _convert_="all")
    except Exception as error:
        if isinstance(error.__cause__, DataError) or isinstance(error, DataError):
            raise UsageError(str(error.__cause__ or error)) from error
        cause = error.__cause__ or error
        raise UsageError(
            broken_rule(
                "data._target_",
                rule="must name a function that returns a DataSet and takes the keys of data",
                got=f"{node._target_} ({type(cause).__name__}: {cause})",
                remedy="mend it",
            )
        ) from error
    if not isinstance(rows, DataSet):
        raise UsageError(
            broken_rule(
                "data._target_",
                rule="must return trainers.data.DataSet",
                got=type(rows).__name__,
                remedy="wrap x and y in it",
            )
        )
    return rows


def _classes(data: DataSet) -> Rows:
    data = one_label(data)
    numbers, names = number_classes(data.y, where="y")
    return Rows(data=replace(data, y=numbers), classes=names)


def _tags(data: DataSet) -> Rows:
    labels, real = step_labels(data)
    numbers, names = number_classes(labels[real], where="y")
    return Rows(data=replace(data, y=padded_classes(numbers, real)), classes=names)


def _numbers(data: DataSet) -> Rows:
    data = one_label(data)
    if data.y.dtype.kind not in "fiu" or data.y.ndim > 2:
        raise _refused(
            "y",
            "regression needs numbers [n] or [n, outputs]",
            f"{data.y.dtype} {data.y.shape}",
            "check the target",
        )
    _check_finite("y", data.y, missing_allowed=False)
    return Rows(data=replace(data, y=data.y.reshape(len(data.y), -1).astype(np.float64)))


def _check_finite(name: str, array: NDArray[Any], *, missing_allowed: bool) -> None:
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
        raise _refused(
            name,
            "must be finite",
            f"NaN or inf in {int(bad.any(axis=1).sum())} rows, first in row {row}",
            remedy,
        )


def read_labels(path: Path, rows: int, *, task: str) -> tuple[NDArray[Any], tuple[Any, ...]]:
    """`data.labels` of `data=own`, a .npy file: classes numbered, with their names, or numbers.

    Raises:
        UsageError: it is no such file, of another length, or does not fit the task.
    """
    try:
        labels = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(
            broken_rule(
                "data.labels",
                rule="must be a .npy file",
                got=str(error),
                remedy="save it with numpy.save",
            )
        ) from error
    if not isinstance(labels, np.ndarray) or labels.shape[:1] != (rows,):
        got = (
            f"shape {labels.shape}"
            if isinstance(labels, np.ndarray)
            else f"{path}, which is no .npy"
        )
        raise UsageError(
            broken_rule(
                "data.labels",
                rule=f"must hold data.rows={rows} labels",
                got=got,
                remedy="make them agree",
            )
        )
    if task == "classification":
        return number_classes(labels, where="labels")
    if labels.dtype.kind not in "fiu":
        raise _refused("labels", "regression needs numbers", str(labels.dtype), "check the file")
    _check_finite("y", labels, missing_allowed=False)
    numbers = labels.astype(np.float64)
    return numbers.astype(trained_type(numbers)), ()


def _refused(name: str, rule: str, got: object, remedy: str) -> UsageError:
    return UsageError(broken_rule(f"data: {name}", rule=rule, got=got, remedy=remedy))
