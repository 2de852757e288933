"""Data sets as functions that return a `DataSet`: all rows, not split, not normalised."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """All rows.

    `x` [n, …]; `y` [n] classes of any one type, or [n] or [n, outputs] numbers for regression.
    `groups` [n]: rows of one group stay in one set (split=grouped). `time` [n]: the order of
    split=ordered. `given`: row numbers, or a mask, of a `test` or `val` set that came with
    the data (split=predefined). `names`: the names of the features, where they have names.

    `lengths` [n]: of sequences, whose x [n, steps] or [n, steps, features] is padded at the end.
    Labels per step are y [n, steps]. `stepwise`: whether y [n, steps] has a value per step although
    the task may ask for one per sequence, which is then the same at all of its steps.
    `target_lengths` [n]: of y [n, longest], where targets are sequences of lengths of their own.
    `auxiliary`: further targets [n] by name, which heads of their own learn (`loss=heads`).
    `notes`: what whoever begins a search on the rows should hear, a line each.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    groups: NDArray[Any] | None = None
    time: NDArray[Any] | None = None
    given: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    lengths: NDArray[Any] | None = None
    stepwise: bool = False
    target_lengths: NDArray[Any] | None = None
    auxiliary: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class DataError(Exception):
    """The data cannot be read as the config says; the text has place, rule, value and remedy."""


def broken(where: str, *, rule: str, got: object, remedy: str) -> DataError:
    """The error in the house form."""
    return DataError(f"{where}: {rule}, but got {got}; {remedy}")
