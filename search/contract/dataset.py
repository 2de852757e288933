"""Loads and checks the rows that a config names. Never splits or scales them."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf, open_dict

from search.contract.arrays import data_refused, trained_type
from search.contract.auxiliary import further_targets
from search.contract.sequences import checked_sequences
from search.contract.targets import (
    LoadedRows,
    check_finite,
    check_given,
    number_classes,
    rows_of_task,
)
from search.errors import UsageError, refused
from trainers.data import DataError, DataSet

MEASURED = ("inputs", "outputs", "features", "steps", "target_steps", "heads")  # what the rows say
# keys of `data` that the loading function does not take
OURS = ("task", "impute", "dimensions", "vocabulary", *MEASURED)


def load_rows(node: DictConfig) -> LoadedRows:
    """All rows of `data`, checked.

    Raises:
        UsageError: they cannot be loaded, hold NaN or inf, or do not fit the task.
    """
    settings = dict(node)  # plain, as in `contract.prepare`
    data = _with_arrays(_load(node))
    _check_columns(data)
    if data.x.dtype.kind not in "fiub":
        raise data_refused(
            "x",
            "features must be numbers",
            f"dtype {data.x.dtype}",
            "encode them",
            code="features-not-numbers",
        )
    data = checked_sequences(data, vocabulary=settings.get("vocabulary"))
    check_finite("x", data.x, missing_allowed=bool(settings.get("impute")), columns=data.names)
    task = str(settings["task"])
    further, heads = further_targets(data.auxiliary, settings.get("auxiliary") or {}, task=task)
    rows = replace(rows_of_task(data, task=task), further=further, heads=heads or None)
    for key in MEASURED:
        got = getattr(rows, key)
        if settings.get(key) is not None and settings[key] != got:
            raise refused(
                f"data.{key}",
                code="shape-differs-from-rows",
                rule=f"must be {got}, as in the rows",
                got=settings[key],
                remedy=f"say data.{key}={got}",
            )
    return rows


def _with_arrays(data: DataSet) -> DataSet:
    """The same, its columns no series of pandas: these would give other rows, by their index."""
    columns = {name: getattr(data, name) for name in ("groups", "time", "lengths")}
    arrays = {name: np.asarray(each) for name, each in columns.items() if hasattr(each, "shape")}
    return replace(data, **dict[str, Any](arrays))


def _check_columns(data: DataSet) -> None:
    """Whether every row has its target, and its group and time, if any.

    Raises:
        UsageError: one is missing, or an array is none of rows.
    """
    for name, array in (("x", data.x), ("y", data.y)):
        if (
            not isinstance(array, np.ndarray)
            or array.ndim < (2 if name == "x" else 1)
            or not len(array)
        ):
            raise data_refused(
                name,
                "must be an array of rows",
                getattr(array, "shape", type(array).__name__),
                "mend the data",
                code="data-not-rows",
            )
    if len(data.x) != len(data.y):
        raise data_refused(
            "y",
            f"must have a row per row of x ({len(data.x)})",
            len(data.y),
            "make them agree",
            code="targets-differ-from-rows",
        )
    for name, noun in (("groups", "group"), ("time", "time")):
        if (column := getattr(data, name)) is not None:
            _check_column(column, name=name, noun=noun, rows=len(data.x))


def _check_column(column: Any, *, name: str, noun: str, rows: int) -> None:
    """Whether a column has a value of one type per row.

    Args:
        noun: what one value is, in words.
    """
    shape = getattr(column, "shape", type(column).__name__)
    if shape != (rows,):
        raise data_refused(
            name,
            f"must be an array of one value per row ({rows})",
            f"shape {shape}",
            "make them agree",
            code="column-differs-from-rows",
        )
    code = "group-is-missing" if name == "groups" else "time-is-missing"
    check_given(name, column, noun=noun, code=code)
    try:
        np.sort(column)
    except TypeError as error:  # an array of objects, such as 7 and "p7"
        raise data_refused(
            name,
            "values must be of one type",
            str(error),
            f"write each {noun} as a text, or each as a number",
            code="column-of-several-types",
        ) from error


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


def _load(node: DictConfig) -> DataSet:
    arguments = {key: value for key, value in node.items() if key not in OURS}
    try:
        rows = instantiate(arguments, _convert_="all")
    except Exception as error:
        if isinstance(error.__cause__, DataError) or isinstance(error, DataError):
            raise UsageError(str(error.__cause__ or error), code="data-cannot-be-read") from error
        cause = error.__cause__ or error
        raise refused(
            "data._target_",
            code="data-not-from-function",
            rule="must name a function that returns a DataSet and takes the keys of data",
            got=f"{node._target_} ({type(cause).__name__}: {cause})",
            remedy=_remedy(str(cause), arguments),
        ) from error
    if not isinstance(rows, DataSet):
        raise refused(
            "data._target_",
            code="data-not-a-dataset",
            rule="must return trainers.data.DataSet",
            got=type(rows).__name__,
            remedy="say return DataSet(x=x, y=y)",
        )
    return rows


def _remedy(cause: str, arguments: Mapping[Any, Any]) -> str:
    """What mends a function that could not be called, or that built its DataSet wrongly."""
    if "DataSet.__init__()" in cause:
        takes = ", ".join(f"{field.name}=" for field in fields(DataSet))
        return f"a DataSet takes {takes}; the task is data.task"
    foreign = re.search(r"unexpected keyword argument '(\w+)'", cause)
    return f"leave it out: ~data.{foreign[1]}" if foreign and foreign[1] in arguments else "mend it"


def read_labels(path: Path, rows: int, *, task: str) -> tuple[NDArray[Any], tuple[Any, ...]]:
    """`data.labels` of `data=own`, a .npy file: classes numbered, with their names, or numbers.

    Raises:
        UsageError: it is no such file, of another length, or does not fit the task.
    """
    try:
        with path.open("rb") as file:
            labels = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise refused(
            "data.labels",
            code="labels-not-npy",
            rule="must be a .npy file",
            got=f"{path} ({error})",
            remedy="save it with numpy.save",
        ) from error
    if labels.shape[:1] != (rows,):
        raise refused(
            "data.labels",
            code="labels-differ-from-rows",
            rule=f"must hold data.rows={rows} labels",
            got=f"shape {labels.shape}",
            remedy="make them agree",
        )
    if task == "classification":
        return number_classes(labels, where="labels")
    if labels.dtype.kind not in "fiu":
        raise data_refused(
            "labels",
            "regression needs numbers",
            str(labels.dtype),
            "check the file",
            code="labels-not-numbers",
        )
    check_finite("y", labels, missing_allowed=False)
    numbers = labels.astype(np.float64)
    return numbers.astype(trained_type(numbers)), ()
