"""Sequences from a table: one row per step with a column of sequence ids, or a column of lengths.

Padding is filled with zeros and labels that count for nothing.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainers.data import DataSet, broken


def joined_steps(steps: DataSet, ids: NDArray[Any], *, where: str) -> DataSet:
    """Rows of single steps as one row per sequence, in the order of their first steps.

    x becomes [sequences, longest, features], or [sequences, longest] of one feature; y [sequences,
    longest]. The steps of a sequence stand by their time, those of one time (or of none) as in the
    file; a sequence has the time of its first step.

    Raises:
        DataError: several targets, or a group or further target that parts a sequence.
    """
    if steps.y.ndim != 1:
        raise broken(
            "data.target",
            rule="a step has one label",
            got=f"{steps.y.shape[1]} columns",
            remedy="name one column, or drop data.sequence",
        )
    numbers, _ = pd.factorize(ids)
    lengths = np.bincount(numbers)
    moments = np.zeros(len(numbers)) if steps.time is None else steps.time
    order = np.lexsort((moments, numbers))
    rows = numbers[order]
    places = np.arange(len(order)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    x = np.zeros((len(lengths), int(lengths.max()), steps.x.shape[1]), dtype=steps.x.dtype)
    x[rows, places] = steps.x[order]
    first = order[np.cumsum(lengths) - lengths]
    y = np.repeat(steps.y[first][:, None], x.shape[1], axis=1)
    y[rows, places] = steps.y[order]
    one_each = partial(_once, where=where, ids=ids, first=first, numbers=numbers)
    groups = steps.groups
    if groups is not None:
        groups = one_each(groups, rule="a sequence belongs to one group", remedy="data.groups")
    auxiliary = {
        name: one_each(column, rule=f"a sequence has one {name}", remedy="data.auxiliary")
        for name, column in steps.auxiliary.items()
    }
    return DataSet(
        x=x[:, :, 0] if x.shape[2] == 1 else x,
        y=y,
        groups=groups,
        time=None if steps.time is None else steps.time[first],
        lengths=lengths,
        stepwise=True,
        auxiliary=auxiliary,
        notes=steps.notes,
    )


def _once(
    column: NDArray[Any],
    *,
    where: str,
    ids: NDArray[Any],
    first: NDArray[np.int64],
    numbers: NDArray[np.int64],
    rule: str,
    remedy: str,
) -> NDArray[Any]:
    """A column of steps as one of sequences. Raises DataError: a sequence has several values."""
    of_sequence: NDArray[Any] = column[first]
    apart = of_sequence[numbers] != column
    if apart.any():
        got = f"several in sequence {ids[int(apart.argmax())]!r}"
        raise broken(where, rule=rule, got=got, remedy=f"mend {remedy}")
    return of_sequence


def without_padding(
    frame: pd.DataFrame, targets: Sequence[str], lengths: NDArray[Any] | None
) -> pd.DataFrame:
    """A table of one row per sequence, with some label where its steps have ended."""
    if len(targets) < 2 or lengths is None:
        return frame
    filled = frame.copy()
    for step, name in enumerate(targets):
        filled[name] = frame[name].where(step < lengths, frame[targets[0]])
    return filled
