"""Loads a user's own arrays from an .npz file: x, y, and others that a split may need."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.data import DataSet, broken
from trainers.data.files import check_is_file, read_npz

OF_SETS = ("x", "y", "lengths", "y_lengths")  # arrays that each set has of its own
ENDS = ("", "_val", "_test")
KNOWN = (*(f"{name}{end}" for end in ENDS for name in OF_SETS), "groups", "time")
NONE = np.empty(0, dtype=np.int64)


def load(*, path: str, auxiliary: Mapping[str, str] | None = None) -> DataSet:
    """Reads the arrays `x` [n, …] and `y` [n] or [n, outputs] of a file.

    Optional arrays: `lengths` [n], the number of real steps where x [n, steps, …] is padded;
    `y_lengths` [n], the same for targets y [n, longest]; `groups` [n] and `time` [n]; and [n] by
    its name, each further target of `auxiliary`. `x_val`, `y_val`, … (all but groups and time) are
    a validation set that the user has chosen, and the same names with `test` a test set.

    Raises:
        DataError: the file does not exist or is no .npz file, or an array is missing, has an
            unknown name or another length.
    """
    further_names = list(auxiliary or {})
    arrays = _arrays_of(path, further_names)
    sets = [end for end in ENDS if f"x{end}" in arrays]
    given, count = {}, len(arrays["x"])
    for name in sets[1:]:
        more = len(arrays[f"x{name}"])
        given[name.removeprefix("_")] = np.arange(count, count + more)
        count += more
    try:
        x = np.concatenate([arrays[f"x{name}"] for name in sets])
        y = np.concatenate([arrays[f"y{name}"] for name in sets])
        lengths, target_lengths = (_joined(arrays, key, sets) for key in ("lengths", "y_lengths"))
        further = {name: _joined(arrays, name, sets) for name in further_names}
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
        auxiliary={name: values for name, values in further.items() if values is not None},
    )


def _arrays_of(path: str, further_names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """All arrays of the file. Raises DataError: a name is unknown, or x or y is missing."""
    check_is_file(Path(path))
    try:
        arrays = read_npz(Path(path))
    except (OSError, ValueError) as error:
        raise broken(
            path,
            rule="must be an .npz file without pickles",
            got=str(error),
            remedy="write it by numpy.savez",
        ) from error
    further = [f"{name}{end}" for name in further_names for end in ENDS]
    parts = (*OF_SETS, *further_names)
    ends = [end for end in ENDS if not end or any(f"{part}{end}" in arrays for part in parts)]
    needed = {f"{part}{end}" for part in "xy" for end in ends}
    if set(arrays) - {*KNOWN, *further} or needed - set(arrays):
        raise broken(
            path,
            rule=f"holds x and y of each set, and may hold {', '.join(KNOWN[2:])}",
            got=", ".join(arrays),
            remedy="rename them, or add what is missing",
        )
    return arrays


def _joined(
    arrays: Mapping[str, NDArray[Any]], key: str, sets: Sequence[str]
) -> NDArray[Any] | None:
    """One array over all sets, in their order; None where the file has none of that name."""
    if not any(name.startswith(key) for name in arrays):
        return None
    return np.concatenate([arrays.get(f"{key}{name}", NONE) for name in sets])
