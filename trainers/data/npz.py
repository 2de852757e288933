"""Arrays of one's own in an .npz file: x and y, and what else a split may need."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.data import DataSet, broken

KNOWN = (
    "x", "y", "groups", "time", "lengths", "x_val", "y_val", "lengths_val", "x_test", "y_test",
    "lengths_test", "y_lengths", "y_lengths_val", "y_lengths_test",
)  # fmt: skip
NONE = np.empty(0, dtype=np.int64)


def load(*, path: str) -> DataSet:
    """The arrays `x` [n, …] and `y` [n] or [n, outputs] of a file.

    Optional: `lengths` [n], the real steps of sequences x [n, steps, …]; `y_lengths` [n], of
    targets y [n, longest] that are sequences of other lengths; `groups`, `time` [n]; `x_val`,
    `y_val`, `lengths_val`, `y_lengths_val` and the same of `test` as given sets.

    Raises:
        DataError: no such file, no .npz, an array missing or of another length.
    """
    arrays = _arrays_of(path)
    sets = ["", *(f"_{name}" for name in ("val", "test") if f"x_{name}" in arrays)]
    given, count = {}, len(arrays["x"])
    for name in sets[1:]:
        more = len(arrays[f"x{name}"])
        given[name.removeprefix("_")] = np.arange(count, count + more)
        count += more
    try:
        x = np.concatenate([arrays[f"x{name}"] for name in sets])
        y = np.concatenate([arrays.get(f"y{name}", arrays["y"][:0]) for name in sets])
        lengths, target_lengths = (_joined(arrays, key, sets) for key in ("lengths", "y_lengths"))
    except ValueError as error:
        raise broken(
            path,
            rule="sets of one data set have rows of one shape",
            got=str(error),
            remedy="mend them",
        ) from error
    groups, time = arrays.get("groups"), arrays.get("time")
    return DataSet(
        x=x,
        y=y,
        groups=groups,
        time=time,
        given=given,
        lengths=lengths,
        target_lengths=target_lengths,
    )


def _arrays_of(path: str) -> dict[str, NDArray[Any]]:
    """What the file holds, under names that are known."""
    if not Path(path).is_file():
        raise broken(
            "data.path",
            rule="must be a file",
            got=f"{path}, where there is none",
            remedy="mend the path",
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file.items())
    except (OSError, ValueError, AttributeError, EOFError) as error:
        raise broken(
            path,
            rule="must be an .npz file without pickles",
            got=str(error),
            remedy="write it by numpy.savez",
        ) from error
    strange = sorted(set(arrays) - set(KNOWN))
    if strange or not {"x", "y"} <= set(arrays):
        raise broken(
            path,
            rule=f"holds x and y, and may hold {', '.join(KNOWN[2:])}",
            got=", ".join(arrays),
            remedy="rename them",
        )
    return arrays


def _joined(
    arrays: Mapping[str, NDArray[Any]], key: str, sets: Sequence[str]
) -> NDArray[Any] | None:
    """An array that every set has, or None."""
    if not any(name.startswith(key) for name in arrays):
        return None
    return np.concatenate([arrays.get(f"{key}{name}", NONE) for name in sets])
