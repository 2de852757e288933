"""Data sets as functions that return `DataSet`: all rows, unsplit and not normalised; splitting is the contract's business."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """All rows. `x` [n, features]; `y` [n] whole class numbers from 0, or [n, outputs] floats for regression."""

    x: NDArray[Any]
    y: NDArray[Any]
