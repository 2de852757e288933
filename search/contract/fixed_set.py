"""Which rows a set has that came with the data or stands in a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import UsageError, refused

Rows = NDArray[np.int64]


def fixed_set(
    node: Mapping[str, Any], key: str, rows: int, given: Mapping[str, Rows]
) -> Rows | None:
    """A set that came with the data or stands in a file; None where it is to be drawn."""
    source = node.get(key)
    if source == "given":
        if key not in given:
            raise split_refused(
                key,
                f"`given` means a {key} set that came with the data",
                "none",
                "give a file or a share",
                code="no-set-is-given",
            )
        return _row_numbers(given[key], key, rows, where="the data")
    if isinstance(source, str):
        return _row_numbers(_read_file(Path(source), key), key, rows, where=source)
    if key in given:
        rule = f"these data came with a {key} set, which counts"
        raise split_refused(
            key, rule, repr(source), f"say split.{key}=given", code="given-set-is-ignored"
        )
    return None


def _read_file(path: Path, key: str) -> NDArray[Any]:
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        return np.loadtxt(path, dtype=np.int64, ndmin=1)
    except (OSError, ValueError, EOFError) as error:
        raise split_refused(
            key,
            "must be a .npy or .txt file of row numbers",
            f"{path} ({error})",
            "mend it",
            code="row-numbers-not-readable",
        ) from error


def _row_numbers(numbers: Any, key: str, rows: int, *, where: str) -> Rows:
    """Row numbers, ascending; of a mask, those of the rows where it is true."""
    numbers = np.asarray(numbers)
    if numbers.dtype == bool and numbers.shape == (rows,):
        numbers = np.flatnonzero(numbers)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not len(numbers):
        raise split_refused(
            key,
            "must hold one row of whole numbers",
            f"{numbers.dtype} of shape {numbers.shape} in {where}",
            "mend it",
            code="row-numbers-have-wrong-shape",
        )
    numbers = numbers.astype(np.int64)
    outside = numbers[(numbers < 0) | (numbers >= rows)]
    if len(outside):
        raise split_refused(
            key,
            f"rows are numbered from 0 to {rows - 1}",
            f"{outside[0]} in {where}",
            "mend it",
            code="row-number-outside-data",
        )
    if len(np.unique(numbers)) < len(numbers):
        raise split_refused(
            key,
            "a row stands in a set once",
            f"a number twice in {where}",
            "mend it",
            code="row-twice-in-set",
        )
    return np.sort(numbers)


def split_refused(key: str, rule: str, got: object, remedy: str, *, code: str) -> UsageError:
    """The error for a key of the split, or, without a name, for the split as a whole."""
    return refused(f"split.{key}" if key else "split", code=code, rule=rule, got=got, remedy=remedy)
