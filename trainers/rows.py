"""Rows of a trial's own: whatever a trainer does to them, nobody else sees it.

Rows on disk are mapped anew, copy-on-write, which costs less than a millisecond and no memory until
a row is changed; rows in memory are copied.
"""

import math
import mmap
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.api import END, Config, Data, Part

SMALL = 2**16  # size up to which whole numbers are copied, which then takes less than a map [bytes]


def own_rows(data: Data) -> Data:
    """The same rows, in memory that only the caller has."""
    return Data(
        train=_own_part(data.train),
        val=_own_part(data.val),
        test=None if data.test is None else _own_part(data.test),
    )


def _own_array(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, in memory that only the caller has; it may be written to.

    Sums of fractions may depend on where in memory these lie, so they stay mapped, however few.
    """
    is_small = array.dtype.kind in "iu" and array.nbytes <= SMALL
    if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap) and not is_small:
        return np.memmap(
            str(array.filename),
            dtype=array.dtype,
            mode="c",
            offset=array.offset,
            shape=array.shape,
            order="C",
        )
    return np.array(array)


def share_of_rows(config: Config, count: int) -> NDArray[np.int64] | None:
    """Which of `count` train rows `trainer.fraction` leaves, drawn by the trial's seed (R55).

    For one seed, a smaller share is part of each greater one. None: all rows.
    """
    fraction = config["trainer"].get("fraction", 1.0)
    if fraction == 1:
        return None
    order = np.random.default_rng([int(config["seed"]), count]).permutation(count)
    return np.sort(order[: max(1, round(fraction * count))])


def side_of(shape: Sequence[int], *, dimensions: int, channels: int) -> int:
    """The length of a sequence, or the side of a square image, that rows of one shape hold.

    Raises:
        ValueError: they are neither.
    """
    if len(shape) == dimensions + 1:
        return shape[-1]
    inputs: int = math.prod(shape)
    side: int = round((inputs / channels) ** (1 / dimensions))
    if side**dimensions * channels != inputs:
        raise ValueError(
            f"augment: rows must be channels × a {'sequence' if dimensions == 1 else 'square'}, "
            f"but got {inputs} inputs and {channels} channels; set augment.channels, "
            "or say augment=noise or mask, which take any rows"
        )
    return side


def _own_part(part: Part) -> Part:
    return replace(
        part,
        index=_own_array(part.index),
        x=None if part.x is None else _own_array(part.x),
        y=None if part.y is None else _own_array(part.y),
        lengths=None if part.lengths is None else _own_array(part.lengths),
        auxiliary=None if part.auxiliary is None else _own_array(part.auxiliary),
    )


def of_one_width(labels: NDArray[Any], targets: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels of sequences that `END` pads, as long as the longer of the two."""
    width = max(labels.shape[1], targets.shape[1])
    one, other = (
        np.pad(array, ((0, 0), (0, width - array.shape[1])), constant_values=END)
        for array in (labels, targets)
    )
    return one, other
