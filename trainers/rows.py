"""Rows of a trial's own: whatever a trainer does to them, nobody else sees it.

Rows on disk are mapped anew, copy-on-write, which costs less than a millisecond and no memory until
a row is changed; rows in memory are copied.
"""

import mmap
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.api import Data, Part


def own_rows(data: Data) -> Data:
    """The same rows, in memory that only the caller has."""
    return Data(
        train=_own_part(data.train),
        val=_own_part(data.val),
        test=None if data.test is None else _own_part(data.test),
    )


def own_array(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, in memory that only the caller has; it may be written to."""
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
        return np.memmap(
            str(array.filename),
            dtype=array.dtype,
            mode="c",
            offset=array.offset,
            shape=array.shape,
            order="C",
        )
    return np.array(array)


def _own_part(part: Part) -> Part:
    return replace(
        part,
        index=own_array(part.index),
        x=None if part.x is None else own_array(part.x),
        y=None if part.y is None else own_array(part.y),
        lengths=None if part.lengths is None else own_array(part.lengths),
    )
