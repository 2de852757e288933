"""Arrays of one's own in an .npz file: x and y, and what else a split may need."""

from pathlib import Path

import numpy as np

from trainers.data import DataSet, broken

KNOWN = ("x", "y", "groups", "time", "x_val", "y_val", "x_test", "y_test")


def load(*, path: str) -> DataSet:
    """The arrays `x` [n, …] and `y` [n] or [n, outputs] of a file.

    Optional: `groups`, `time` [n]; `x_val`, `y_val`, `x_test`, `y_test` as given sets.

    Raises:
        DataError: no such file, no .npz, an array missing or of another length.
    """
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
    xs, ys, given, count = [arrays["x"]], [arrays["y"]], {}, len(arrays["x"])
    for name in ("val", "test"):
        if f"x_{name}" in arrays:
            more = len(arrays[f"x_{name}"])
            xs.append(arrays[f"x_{name}"])
            ys.append(arrays.get(f"y_{name}", arrays["y"][:0]))
            given[name] = np.arange(count, count + more)
            count += more
    try:
        x, y = np.concatenate(xs), np.concatenate(ys)
    except ValueError as error:
        raise broken(
            path,
            rule="sets of one data set have rows of one shape",
            got=str(error),
            remedy="mend them",
        ) from error
    return DataSet(x=x, y=y, groups=arrays.get("groups"), time=arrays.get("time"), given=given)
