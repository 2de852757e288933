"""Sequences of a data set: lengths checked, padding cut and zeroed, token ids whole (R1).

After this, what stood in the padding and how much of it there was can change no result.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.contract.arrays import data_refused
from trainers.api import END, Part
from trainers.data import DataSet

CTC = "trainers.sequence_losses.CTC"  # the loss that reads at most a label per step


def checked_sequences(data: DataSet, *, vocabulary: int | None) -> DataSet:
    """The data with the padding cut to the longest sequence and set to 0, and with ids as int64.

    Args:
        data: with x of shape [n, …].
        vocabulary: number of token ids that x may hold; None: x holds numbers.

    Raises:
        UsageError: lengths that do not fit x, or ids beyond the vocabulary.
    """
    if data.lengths is not None:
        if data.x.ndim not in (2, 3):
            raise data_refused(
                "x",
                "sequences are [rows, steps] or [rows, steps, features]",
                f"shape {data.x.shape}",
                "reshape x, or drop the lengths",
                code="sequences-have-wrong-shape",
            )
        data = _trimmed(data, _checked_lengths(data.lengths, "lengths", array=data.x))
    if vocabulary is not None:
        data = replace(data, x=_token_ids(data, vocabulary))
        if data.lengths is None:
            data = replace(data, notes=(*data.notes, *_looks_padded(data.x)))
    return data


def _looks_padded(tokens: NDArray[np.int64]) -> list[str]:
    """A note where most sequences without lengths end in one id, as padding does."""
    if tokens.ndim != 2 or tokens.shape[1] < 3:
        return []
    ids, counts = np.unique(tokens[:, -1], return_counts=True)
    last = int(ids[counts.argmax()])
    share = float((tokens[:, -2:] == last).all(axis=1).mean())
    if share <= 0.5:
        return []
    return [
        f"data: lengths: there are none, so that each sequence has {tokens.shape[1]} real steps, "
        f"but {share:.0%} of them end in the id {last} twice, as padding does; give their lengths"
    ]


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
        raise data_refused(
            "y",
            f"tagging needs a label per step, {data.x.shape[:2]}",
            f"shape {data.y.shape}",
            "give y the steps of x, or say data.task=classification",
            code="tagging-needs-step-labels",
        )
    whole = np.ones(data.y.shape, dtype=bool)
    return data.y, whole if data.lengths is None else real_steps(data.lengths, data.y.shape[1])


def target_sequences(data: DataSet) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Target sequences y [n, longest], cut to the longest, and which of their labels are real.

    Raises:
        UsageError: y is no such array, or its lengths do not fit it.
    """
    if data.y.ndim != 2 or data.target_lengths is None:
        raise data_refused(
            "y",
            "transduction needs targets [rows, longest] and their lengths, y_lengths",
            f"shape {data.y.shape}" + ("" if data.target_lengths is not None else " alone"),
            "give both in an .npz file, or data.target and data.target_length of a table; a label "
            "per step is data.task=tagging",
            code="transduction-needs-lengths",
        )
    lengths = _checked_lengths(data.target_lengths, "y_lengths", array=data.y)
    longest = int(lengths.max())
    return data.y[:, :longest], real_steps(lengths, longest)


def check_alignable(parts: Iterable[Part]) -> None:
    """CTC reads a label per step at most, and a step between two of the same label.

    Raises:
        UsageError: a target needs more steps than its input has.
    """
    for part in parts:
        assert part.x is not None
        assert part.y is not None
        steps = np.full(len(part.x), part.x.shape[1]) if part.lengths is None else part.lengths
        labels = part.y != END
        again = (part.y[:, 1:] == part.y[:, :-1]) & labels[:, 1:]
        needed = labels.sum(axis=1) + again.sum(axis=1)
        if (needed > steps).any():
            row = int((needed > steps).argmax())
            raise data_refused(
                "y",
                "loss=ctc needs an input step per label, and one between two equal labels",
                f"{needed[row]} needed, {steps[row]} steps in row {part.index[row]}",
                "drop such rows, or take model=encoder_decoder",
                code="ctc-needs-more-steps",
            )


def one_label(data: DataSet, *, remedy: str) -> DataSet:
    """Values that stand at every step of a sequence as one per sequence.

    `remedy`: what to do where they differ within a sequence.

    Raises:
        UsageError: they do.
    """
    if not data.stepwise:
        return data
    labels, real = step_labels(data)
    apart = ((labels != labels[:, :1]) & real).any(axis=1)
    if apart.any():
        row = int(apart.argmax())
        raise data_refused(
            "y",
            "a task with one answer per sequence needs one value per sequence",
            f"{labels[row, 0]} and others in sequence {row}",
            remedy,
            code="one-answer-per-sequence",
        )
    return replace(data, y=labels[:, 0])


def described_lengths(lengths: NDArray[Any]) -> dict[str, int]:
    """Lengths as the contract knows them."""
    return {
        "shortest": int(lengths.min()),
        "longest": int(lengths.max()),
        "steps": int(lengths.sum()),
    }


def _checked_lengths(lengths: NDArray[Any], name: str, *, array: NDArray[Any]) -> NDArray[np.int64]:
    lengths = np.asarray(lengths)
    if lengths.shape != (len(array),):
        raise data_refused(
            name,
            f"must be one number per sequence ({len(array)})",
            f"shape {lengths.shape}",
            "make them agree",
            code="lengths-differ-from-rows",
        )
    numbers = lengths.dtype.kind in "iuf"
    if not numbers or not np.isfinite(lengths).all() or (lengths != np.round(lengths)).any():
        raise data_refused(
            name,
            "must be whole numbers",
            f"{lengths.dtype} {lengths[:3]}",
            "mend them",
            code="lengths-not-whole",
        )
    for wrong, rule, remedy in (
        (lengths < 1, "a sequence has at least one step", "drop empty sequences"),
        (
            lengths > array.shape[1],
            f"no sequence is longer than its array of {array.shape[1]} steps",
            "mend the lengths, or pad the array to the longest sequence",
        ),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            raise data_refused(
                name, rule, f"{lengths[row]:g} in row {row}", remedy, code="length-out-of-range"
            )
    return lengths.astype(np.int64)


def _trimmed(data: DataSet, lengths: NDArray[np.int64]) -> DataSet:
    steps = int(lengths.max())
    real = real_steps(lengths, steps)
    x = data.x[:, :steps].copy()
    x[~real] = 0
    if _is_per_step(data, real):
        data = replace(data, y=data.y[:, :steps], stepwise=True)
    return replace(data, x=x, lengths=lengths)


def _is_per_step(data: DataSet, real: NDArray[np.bool_]) -> bool:
    """Whether y has a value per step: the width of x, or that of its longest sequence and one
    value in all padding.
    """
    if data.y.ndim != 2 or data.target_lengths is not None:
        return False
    width = data.y.shape[1]
    is_padded = width == real.shape[1] and len(np.unique(data.y[~real])) <= 1
    return width == data.x.shape[1] or is_padded


def _token_ids(data: DataSet, vocabulary: int) -> NDArray[np.int64]:
    x = data.x
    if x.ndim != 2:
        raise data_refused(
            "x",
            "token ids are [rows, steps]",
            f"shape {x.shape}",
            "give one id per step",
            code="token-ids-have-wrong-shape",
        )
    bad = (x != np.round(x)) | (x < 0) | (x >= vocabulary)
    if bad.any():
        row, step = np.argwhere(bad)[0]
        raise data_refused(
            "x",
            f"token ids are whole numbers below data.vocabulary={vocabulary}",
            f"{x[row, step]} at step {step} of row {row}",
            "number the tokens from 0, or raise data.vocabulary",
            code="token-id-outside-vocabulary",
        )
    return x.astype(np.int64)


def padded_classes(
    numbers: NDArray[np.int64], real: NDArray[np.bool_], *, padding: int
) -> NDArray[np.int64]:
    """Class numbers of the real steps in their places."""
    y = np.full(real.shape, padding, dtype=np.int64)
    y[real] = numbers
    return y
