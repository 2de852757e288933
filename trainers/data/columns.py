"""Columns of a table: their names, texts and digits are checked; times and lengths are read."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainers.data import broken
from trainers.data.texts import as_seen

UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)?")  # a column without a name, or one saved so and again


def moments_of(column: "pd.Series[Any]", path: str) -> NDArray[Any]:
    """A column of numbers, or of dates as numbers; text must be ISO 8601, which has one order.

    Raises:
        DataError: text that is no date, or none in a row.
    """
    where = f"{path}: column {column.name!r}"
    if not pd.api.types.is_numeric_dtype(column):
        try:
            column = pd.to_datetime(column, format="ISO8601", utc=True)
        except (ValueError, TypeError) as error:
            raise broken(
                where,
                rule="time is a number or a date such as 2026-01-31",
                got=str(error),
                remedy="convert it",
            ) from error
    if column.isna().any():
        row = int(column.isna().to_numpy().argmax())
        raise broken(
            where,
            rule="every row needs its time",
            got=f"none in row {row}",
            remedy="drop such rows",
        )
    return np.asarray(
        column.astype("int64") if pd.api.types.is_datetime64_any_dtype(column) else column
    )


def lengths_of(column: "pd.Series[Any]", path: str) -> NDArray[Any]:
    """A column of whole numbers, one per row.

    Raises:
        DataError: a text, or none in a row.
    """
    if not pd.api.types.is_numeric_dtype(column) or column.isna().any():
        raise broken(
            f"{path}: column {column.name!r}",
            rule="a length is a whole number (data.length)",
            got=column.iloc[int(pd.to_numeric(column, errors="coerce").isna().argmax())],
            remedy="mend it",
        )
    return np.asarray(column)


def check_names(names: Sequence[str], path: str) -> None:
    """Whether every feature has a name in the file; pandas calls the others `Unnamed: 3`.

    Raises:
        DataError: one has none, such as the numbers of rows that pandas and R write first.
    """
    for name in names:
        if UNNAMED.fullmatch(name):
            raise broken(
                path,
                rule="every feature has a name in the first line",
                got=f"none for column {name.removeprefix('Unnamed: ')}",
                remedy=f"name it; or, where it holds numbers of rows: data.drop=['{name}']",
            )


def check_once(names: Sequence[str], path: str) -> None:
    """Raises DataError where the column of a category has the name of another column."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise broken(
            path,
            rule="the column of a category, NAME_CATEGORY, has a name of its own",
            got=f"{twice[0]!r} twice",
            remedy="rename one of them",
        )


def check_texts(column: "pd.Series[Any]", path: str) -> None:
    """Whether texts differ by more than blanks at their ends, or marks that nobody sees.

    Raises:
        DataError: two do not, and would be two classes, categories or groups.
    """
    _check_apart(
        sorted({text for text in column.dropna().unique() if isinstance(text, str)}),
        where=f"{path}: column {column.name!r}",
        bare=as_seen,
        rule="texts differ by more than blanks at their ends, or marks that nobody sees",
        remedy="mend the file",
    )


def check_zeros(texts: pd.DataFrame, path: str) -> None:
    """Whether numbers that name something differ by more than zeros in front.

    `texts`: the columns as they are written.

    Raises:
        DataError: two do not, and would be one class, category or group.
    """
    for name in texts:
        _check_apart(
            map(str, texts[name].unique()),
            where=f"{path}: column {name!r}",
            bare=lambda text: text.strip().lstrip("0") or "0",
            rule="numbers that name something differ by more than zeros in front",
            remedy="write one number in one way, or put a letter before each",
        )


def _check_apart(
    texts: Iterable[str], *, where: str, bare: Callable[[str], str], rule: str, remedy: str
) -> None:
    """Whether no two texts are one once they are `bare`."""
    first: dict[str, str] = {}
    for text in texts:
        other = first.setdefault(bare(text), text)
        if other != text:
            raise broken(where, rule=rule, got=f"{other!r} and {text!r}", remedy=remedy)


def check_digits(column: "pd.Series[Any]", numbers: "pd.Series[float]", path: str) -> None:
    """Whether all digits of whole numbers are kept: a float holds about sixteen.

    Raises:
        DataError: two whole numbers that differ became the same.
    """
    is_whole = column.dtype.kind in "iuO"
    if is_whole and column.nunique() != numbers.nunique():
        raise broken(
            f"{path}: column {column.name!r}",
            rule="a number has at most sixteen digits",
            got=f"numbers such as {column.max()}, some of which would become the same",
            remedy=f"take an offset away; or, where it numbers rows: data.drop=[{column.name}]",
        )
