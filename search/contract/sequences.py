"""Sequences of a data set: lengths checked, padding cut and zeroed, token ids whole (R1).

After this, what stood in the padding and how much of it there was can change no result.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import UsageError, broken_rule
from trainers.api import IGNORED
from trainers.data import DataSet


def checked_sequences(data: DataSet, *, vocabulary: int | None) -> DataSet:
    """The data with the padding cut to the longest sequence and set to 0, and with ids as int64.

    Args:
        data: with x of shape [n, …].
        vocabulary: number of token ids that x may hold; None: x holds numbers.

    Raises:
        UsageError: lengths that do not fit x, or ids beyond the vocabulary.
    """
    if data.lengths is not None:
        data = _trimmed(data, _checked_lengths(data))
    if vocabulary is not None:
        data = replace(data, x=_token_ids(data, vocabulary))
    return data


def real_steps(lengths: NDArray[Any], steps: int) -> NDArray[np.bool_]:
    """Which steps are no padding, [n, steps]."""
    return np.asarray(np.arange(steps) < lengths[:, None])


def real_rows(x: NDArray[Any], lengths: NDArray[Any] | None) -> NDArray[Any]:
    """The real steps of all sequences as rows [steps, features]; x itself without lengths."""
    if lengths is None:
        return x
    return x[real_steps(lengths, x.shape[1])].reshape(int(lengths.sum()), -1)


def padded(rows: NDArray[Any], lengths: NDArray[Any] | None, *, like: NDArray[Any]) -> NDArray[Any]:
    """Steps of `real_rows` in the places that they have in `like`; padding is 0."""
    if lengths is None:
        return rows
    x = np.zeros(like.shape, dtype=rows.dtype)
    real = real_steps(lengths, like.shape[1])
    x[real] = rows.reshape(len(rows), *like.shape[2:])
    return x


def step_labels(data: DataSet) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels per step [n, steps], and which of them are real.

    Raises:
        UsageError: y has no label for every step.
    """
    if data.y.shape != data.x.shape[:2]:
        raise _refused(
            "y",
            f"tagging needs a label per step, {data.x.shape[:2]}",
            f"shape {data.y.shape}",
            "give y the steps of x, or say data.task=classification",
        )
    whole = np.ones(data.y.shape, dtype=bool)
    return data.y, whole if data.lengths is None else real_steps(data.lengths, data.y.shape[1])


def one_label(data: DataSet) -> DataSet:
    """Values that stand at every step of a sequence as one per sequence.

    Raises:
        UsageError: they differ within a sequence.
    """
    if not data.stepwise:
        return data
    labels, real = step_labels(data)
    apart = ((labels != labels[:, :1]) & real).any(axis=1)
    if apart.any():
        row = int(apart.argmax())
        raise _refused(
            "y",
            "a task with one answer per sequence needs one label per sequence",
            f"{labels[row, 0]} and others in sequence {row}",
            "say data.task=tagging, or mend the target",
        )
    return replace(data, y=labels[:, 0])


def described_lengths(lengths: NDArray[Any]) -> dict[str, int]:
    """Lengths as the contract knows them."""
    return {
        "shortest": int(lengths.min()),
        "longest": int(lengths.max()),
        "steps": int(lengths.sum()),
    }


def _checked_lengths(data: DataSet) -> NDArray[np.int64]:
    x, lengths = data.x, np.asarray(data.lengths)
    if x.ndim not in (2, 3):
        raise _refused(
            "x",
            "sequences are [rows, steps] or [rows, steps, features]",
            f"shape {x.shape}",
            "reshape x, or drop the lengths",
        )
    if lengths.shape != (len(x),):
        raise _refused(
            "lengths",
            f"must be one number per sequence ({len(x)})",
            f"shape {lengths.shape}",
            "make them agree",
        )
    numbers = lengths.dtype.kind in "iuf"
    if not numbers or not np.isfinite(lengths).all() or (lengths != np.round(lengths)).any():
        raise _refused(
            "lengths", "must be whole numbers", f"{lengths.dtype} {lengths[:3]}", "mend them"
        )
    for wrong, rule, remedy in (
        (lengths < 1, "a sequence has at least one step", "drop empty sequences"),
        (
            lengths > x.shape[1],
            f"no sequence is longer than its array of {x.shape[1]} steps",
            "mend the lengths, or pad x to the longest sequence",
        ),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            raise _refused("lengths", rule, f"{lengths[row]:g} in row {row}", remedy)
    return lengths.astype(np.int64)


def _trimmed(data: DataSet, lengths: NDArray[np.int64]) -> DataSet:
    steps = int(lengths.max())
    real = real_steps(lengths, steps)
    x = data.x[:, :steps].copy()
    x[~real] = 0
    per_step = data.y.ndim == 2 and data.y.shape[1] == data.x.shape[1]
    return replace(data, x=x, y=data.y[:, :steps] if per_step else data.y, lengths=lengths)


def _token_ids(data: DataSet, vocabulary: int) -> NDArray[np.int64]:
    x = data.x
    if x.ndim != 2:
        raise _refused(
            "x", "token ids are [rows, steps]", f"shape {x.shape}", "give one id per step"
        )
    bad = (x != np.round(x)) | (x < 0) | (x >= vocabulary)
    if bad.any():
        row, step = np.argwhere(bad)[0]
        raise _refused(
            "x",
            f"token ids are whole numbers below data.vocabulary={vocabulary}",
            f"{x[row, step]} at step {step} of row {row}",
            "number the tokens from 0, or raise data.vocabulary",
        )
    return x.astype(np.int64)


def padded_classes(numbers: NDArray[np.int64], real: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Class numbers of the real steps in their places; `IGNORED` at padding."""
    y = np.full(real.shape, IGNORED, dtype=np.int64)
    y[real] = numbers
    return y


def _refused(name: str, rule: str, got: object, remedy: str) -> UsageError:
    return UsageError(broken_rule(f"data: {name}", rule=rule, got=got, remedy=remedy))
