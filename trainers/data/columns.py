"""Columns of a table that are no features: times as numbers, lengths of sequences."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainers.data import broken


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
