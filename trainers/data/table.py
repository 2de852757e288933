"""A table of one's own, .csv or .parquet: numeric columns as they are, categorical ones one-hot."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainers.data import DataSet, broken


def load(
    *,
    path: str,
    target: str | Sequence[str],
    categorical: Sequence[str] = (),
    drop: Sequence[str] = (),
    groups: str | None = None,
    time: str | None = None,
) -> DataSet:
    """x [n, features]: the numeric columns in the file's order, then a column per category.

    y is as it stands in the file; missing features are NaN.

    Raises:
        DataError: a file that is no such table, a column that does not exist, text in a numeric
            column, or a missing target.
    """
    frame = _read(Path(path))
    targets = [target] if isinstance(target, str) else list(target)
    special = [name for name in (groups, time) if name]
    for key, names in (
        ("target", targets),
        ("categorical", categorical),
        ("drop", drop),
        ("groups or time", special),
    ):
        unknown = [name for name in names if name not in frame]
        if unknown:
            raise broken(
                f"data.{key}",
                rule="must name columns of the table",
                got=unknown[0],
                remedy=f"there are: {', '.join(map(str, frame))}",
            )
    missing = frame[targets].isna().any(axis=1)
    if missing.any():
        raise broken(
            path,
            rule="every row needs its target",
            got=f"none in row {int(missing.argmax())}",
            remedy="drop such rows",
        )
    features = frame.drop(columns=list(dict.fromkeys([*targets, *special, *drop])))
    numeric = [name for name in features if name not in categorical]
    for name in numeric:
        _check_numeric(features[name], path)
    whole = features[numeric].astype(float)
    if categorical:
        coded = pd.get_dummies(features[list(categorical)], columns=list(categorical), dtype=float)
        whole = pd.concat([whole, coded], axis=1)
    if not len(whole.columns):
        raise broken(
            path,
            rule="a table needs features beside its target",
            got=", ".join(map(str, frame)),
            remedy="drop fewer columns",
        )
    y = frame[targets[0]] if len(targets) == 1 else frame[targets]
    return DataSet(
        x=whole.to_numpy(dtype=np.float32),
        y=np.asarray(y),
        groups=_column(frame, groups),
        time=_moments(frame, time, path),
        names=tuple(whole.columns),
    )


def _read(path: Path) -> pd.DataFrame:
    readers: dict[str, Any] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix not in readers:
        raise broken(
            "data.path",
            rule="a table is a .csv or .parquet file",
            got=str(path),
            remedy="convert it",
        )
    if not path.is_file():
        raise broken(
            "data.path",
            rule="must be a file",
            got=f"{path}, where there is none",
            remedy="mend the path",
        )
    try:
        header = _header(path) if path.suffix == ".csv" else []
        frame: pd.DataFrame = readers[path.suffix](path)
    except Exception as error:  # each reader has a tree of errors of its own
        raise broken(
            str(path),
            rule=f"must be a readable {path.suffix} table",
            got=str(error),
            remedy="mend the file",
        ) from error
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:  # pandas has renamed the second one
        raise broken(
            str(path),
            rule="a column's name stands once",
            got=f"{twice[0]!r} twice",
            remedy="rename one of them",
        )
    if frame.empty:
        raise broken(
            str(path), rule="a table has rows", got="none", remedy="give the file that has them"
        )
    return frame


def _header(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return next(csv.reader(file), [])


def _check_numeric(column: "pd.Series[Any]", path: str) -> None:
    if pd.api.types.is_numeric_dtype(column):
        return
    bad = pd.to_numeric(column, errors="coerce").isna() & column.notna()
    row = int(bad.argmax())
    raise broken(
        f"{path}: column {column.name!r}",
        rule="a column is numeric unless data.categorical names it",
        got=f"{column.iloc[row]!r} in row {row}",
        remedy=f"say data.categorical=[{column.name}] or data.drop=[{column.name}]",
    )


def _moments(frame: pd.DataFrame, name: str | None, path: str) -> NDArray[Any] | None:
    """A column of numbers, or of dates as numbers; text must be ISO 8601, which has one order."""
    if name is None:
        return None
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column):
        try:
            column = pd.to_datetime(column, format="ISO8601", utc=True)
        except (ValueError, TypeError) as error:
            raise broken(
                f"{path}: column {name!r}",
                rule="time is a number or a date such as 2026-01-31",
                got=str(error),
                remedy="convert it",
            ) from error
    if column.isna().any():
        row = int(column.isna().argmax())
        raise broken(
            f"{path}: column {name!r}",
            rule="every row needs its time",
            got=f"none in row {row}",
            remedy="drop such rows",
        )
    return np.asarray(
        column.astype("int64") if pd.api.types.is_datetime64_any_dtype(column) else column
    )


def _column(frame: pd.DataFrame, name: str | None) -> NDArray[Any] | None:
    return np.asarray(frame[name]) if name else None
