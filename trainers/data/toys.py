"""Small tasks on sequences, drawn from a seed: each needs something that simpler models lack."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator

from trainers.data import DataSet

Pair = tuple[Sequence[int], Sequence[int]]
MARKS = (1, 2, 3)  # tokens that `latch` remembers


def latch(*, rows: int, longest: int, seed: int, ahead: bool = False) -> DataSet:
    """A label per step: the last of the tokens 1, 2, 3 so far, 0 before the first; tokens 0 … 7.

    `ahead`: the next of them instead, which only a model that reads backwards knows.
    """

    def draw(dice: Generator) -> Pair:
        tokens = dice.integers(0, 8, dice.integers(1, longest + 1)).tolist()
        labels, last = [], 0
        for token in reversed(tokens) if ahead else tokens:
            last = token if token in MARKS else last
            labels.append(last)
        return tokens, labels[::-1] if ahead else labels

    x, y, lengths, _ = _drawn(draw, rows=rows, seed=seed)
    return DataSet(x=x, y=y, lengths=lengths)


def reversal(*, rows: int, longest: int, seed: int) -> DataSet:
    """Digits 0 … 7, to be written backwards: needs attention, or a memory of all of them."""

    def draw(dice: Generator) -> Pair:
        digits = dice.integers(0, 8, dice.integers(1, longest + 1)).tolist()
        return digits, digits[::-1]

    x, y, lengths, ends = _drawn(draw, rows=rows, seed=seed)
    return DataSet(x=x, y=y, lengths=lengths, target_lengths=ends)


def unaligned(*, rows: int, longest: int, seed: int) -> DataSet:
    """Labels 0 … 3, each held for one to three steps; nobody says where. Then comes a token of 4 or
    5, which keeps the label, or of 6 or 7, which strikes it out.
    """

    def draw(dice: Generator) -> Pair:
        tokens: list[int] = []
        labels: list[int] = []
        for left in range(int(dice.integers(1, longest + 1)), 0, -1):
            label, after = int(dice.integers(0, 4)), int(dice.integers(4, 8))
            after = 4 if left == 1 and not labels else after  # one label at least
            tokens += [label] * int(dice.integers(1, 4)) + [after]
            labels += [label] if after < 6 else []
        return tokens, labels

    x, y, lengths, ends = _drawn(draw, rows=rows, seed=seed)
    return DataSet(x=x, y=y, lengths=lengths, target_lengths=ends)


def _drawn(
    draw: Callable[[Generator], Pair], *, rows: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of sequences as padded arrays, and the lengths of both."""
    dice = np.random.default_rng(seed)
    pairs = [draw(dice) for _ in range(rows)]
    arrays = []
    for side in (0, 1):
        parts = [pair[side] for pair in pairs]
        lengths = np.array([len(part) for part in parts])
        padded = np.zeros((rows, int(lengths.max())), dtype=np.int64)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(parts)
        arrays += [padded, lengths]
    x, lengths, y, ends = arrays
    return x, y, lengths, ends
