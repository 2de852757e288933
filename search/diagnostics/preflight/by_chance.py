"""How often rows repeat by chance, where features have few values: keys of rows, and rows drawn
anew.

Pure functions of arrays.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def by_chance(train: NDArray[Any], *, lengths: NDArray[np.int64] | None = None) -> float:
    """Share of rows that would meet one of train's if every feature kept its values and forgot the
    others. The columns of one category are one feature. Sequences keep their `lengths`, which stand
    in their first column, and their padding.
    """
    return float(_met(train, lengths=lengths).mean())


def longest_by_chance(train: NDArray[Any], *, lengths: NDArray[np.int64]) -> int:
    """The longest length of sequences that would meet one of train's by chance; 0: none would."""
    return int(lengths[_met(train, lengths=lengths)].max(initial=0))


def _met(train: NDArray[Any], *, lengths: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    unit = row_units(train)
    drawn = drawn_by_chance(train, lengths=lengths)
    return np.isin(row_keys(drawn, unit), row_keys(train, unit))


def drawn_by_chance(
    rows: NDArray[Any], *, lengths: NDArray[np.int64] | None = None
) -> NDArray[Any]:
    """Rows [n, features] in which every feature keeps its values and forgets the others."""
    dice = np.random.default_rng(0)
    flat = rows.reshape(len(rows), -1)
    drawn = flat.copy()
    each = 1 if lengths is None else (flat.shape[1] - 1) // int(lengths.max())
    for columns in _features(flat) if lengths is None else _steps_of(flat, each):
        numbers = np.arange(len(flat))
        if lengths is not None:
            numbers = numbers[lengths > (columns[0] - 1) // each]
        places = np.array(columns)
        drawn[np.ix_(numbers, places)] = flat[np.ix_(dice.permutation(numbers), places)]
    return drawn


def _steps_of(flat: NDArray[Any], each: int) -> list[list[int]]:
    """Columns of every step of `each` numbers, behind the column of the lengths."""
    return [list(range(start, start + each)) for start in range(1, flat.shape[1], each)]


def _features(flat: NDArray[Any]) -> list[list[int]]:
    """Columns by feature: neighbours of which every row has exactly one 1 are one, a category."""
    features, run = list[list[int]](), list[int]()
    total = np.zeros(len(flat))
    for column in range(flat.shape[1]):
        values = flat[:, column]
        indicates = bool(((values == 0) | (values == 1)).all())
        if run and (not indicates or (total + values > 1).any()):
            features += [[single] for single in run]
            run, total = [], np.zeros(len(flat))
        if not indicates:
            features.append([column])
            continue
        run, total = [*run, column], total + values
        if (total == 1).all():
            features.append(run)
            run, total = [], np.zeros(len(flat))
    return [*features, *([single] for single in run)]


def row_units(train: NDArray[Any]) -> NDArray[Any]:
    """A power of ten per feature, near its spread, so that small units are not rounded away."""
    spread = np.nanstd(train.reshape(len(train), -1).astype(np.float64), axis=0)
    known = np.isfinite(spread) & (spread > 0)
    return np.power(10.0, np.floor(np.log10(np.where(known, spread, 1.0))))


def row_keys(rows: NDArray[Any], unit: NDArray[Any]) -> NDArray[Any]:
    """A key per row: equal for equal rows, up to the last bits of a float."""
    flat = rows.reshape(len(rows), -1).astype(np.float64) / unit
    flat = np.ascontiguousarray(np.round(flat, 6) + 0.0)
    return flat.view(np.dtype((np.void, flat.dtype.itemsize * flat.shape[1]))).reshape(-1)
