"""What a loss teaches each output of a row, and whether a row's input holds its target. Changes
nothing; never judges.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PASSES, VALUES = 24, 512  # batches that are noted; most values of a row
FEWEST = 64  # fewest rows that can tell
EACH = 20  # rows per output that can tell whether it is taught
ROUNDING = 1e-6  # share of outputs by which rows of one answer differ
NORMAL = 1e-3  # how near to 1 the sum of probabilities lies
DIGITS = 1e-9  # share of a column's variance that rounding may leave
MOST_CLASSES = 100
Keys = tuple[int, ...]


class AnswersSeen:
    """Inputs, targets, and the gradients of outputs, of the first batches."""

    def __init__(self) -> None:
        self._given: Tensor | None = None
        self._pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        self._taught: list[tuple[Keys, Tensor]] = []
        self._left = PASSES
        self._alike: list[bool] = []  # whether all rows of a batch had one answer
        self._normal = False  # outputs are probabilities, or their logarithms

    def passed(self, given: Any, output: Any, keys: Keys) -> None:
        """The model was given these rows, with gradients."""
        rows = output.detach() if isinstance(output, Tensor) and 0 < output.ndim < 3 else None
        if rows is not None and len(rows) > 3:
            self._alike.append(_are_alike(rows))
        few = isinstance(given, Tensor) and given.ndim > 1 and 1 < given[0].numel() <= VALUES
        self._given = given.detach() if few else None
        known = isinstance(output, Tensor) and output.ndim == 2 and len(output) == len(keys)
        if not known or output.shape[1] < 2 or not output.requires_grad or self._left < 1:
            return
        self._left -= 1
        plain = output.detach().double()
        sums = plain.logsumexp(dim=1), plain.sum(dim=1) - 1
        self._normal |= any(bool(one.abs().max() < NORMAL) for one in sums)
        output.register_hook(lambda gradient: self._taught.append((keys, gradient.detach())))

    def lost(self, targets: Any) -> None:
        """A loss is asked for against these targets."""
        given, self._given = self._given, None
        if given is None or len(self._pairs) >= PASSES or not isinstance(targets, Tensor):
            return
        if targets.numel() == len(targets.reshape(-1)) == len(given):
            rows = given.reshape(len(given), -1).double().cpu().numpy()
            self._pairs.append((rows, targets.detach().reshape(-1).double().cpu().numpy()))

    def of_own_class_alone(self, labels: Mapping[int, float]) -> int:
        """Of how many rows only the output of the row's own class is ever taught, and upwards; 0
        where others are too, or where outputs are tied to each other by a softmax.
        """
        rows = 0
        for keys, gradient in [] if self._normal else self._taught:
            for key, row in zip(keys, gradient.double().cpu(), strict=True):
                taught = torch.nonzero(row).flatten().tolist()
                if key not in labels or not taught:
                    continue
                if taught != [int(labels[key])] or float(row[taught[0]]) >= 0:
                    return 0
                rows += 1
        return rows if rows >= FEWEST else 0

    def one_answer(self) -> bool:
        """Whether all rows of a batch had the same outputs, to rounding, from the first batch on:
        what has died by its training had others before.
        """
        return len(self._alike) > 1 and all(self._alike)

    def never_taught(self) -> list[int]:
        """Of how many outputs that no loss has taught in any of these batches, and of how many in
        all; empty where all were taught, or where that cannot be told.
        """
        widths = {gradient.shape[1] for _, gradient in self._taught}
        rows = sum(len(gradient) for _, gradient in self._taught)
        if self._normal or len(widths) != 1 or rows < max(FEWEST, EACH * max(widths)):
            return []
        taught = torch.stack([(one != 0).any(dim=0) for _, one in self._taught]).any(dim=0)
        idle = int((~taught).sum())
        return [idle, len(taught)] if 0 < idle < len(taught) else []

    def target_among_inputs(self) -> int | None:
        """The input that is a row's target, times a number and shifted, or has a value per class;
        None where there is none.
        """
        width = {rows.shape[1] for rows, _ in self._pairs}
        if len(width) != 1 or sum(len(rows) for rows, _ in self._pairs) < FEWEST:
            return None
        x, y = (np.concatenate(part) for part in zip(*self._pairs, strict=True))
        if not np.isfinite(x).all() or not np.isfinite(y).all() or not np.ptp(y):
            return None
        spread, centred = y - y.mean(), x - x.mean(axis=0)
        variance = (centred**2).mean(axis=0)
        slope = (centred * spread[:, None]).mean(axis=0) / (spread**2).mean()
        left = ((centred - slope * spread[:, None]) ** 2).mean(axis=0)
        rounding = 1e-13 * (x**2).mean(axis=0)  # of singles
        told = (variance > 0) & (left < DIGITS * variance + rounding) & (variance > 4 * rounding)
        kinds, codes = np.unique(y, return_inverse=True)
        if len(kinds) <= MOST_CLASSES:
            first = np.stack([x[codes == one][0] for one in range(len(kinds))])
            several = np.array([len(np.unique(column)) for column in first.T]) == len(kinds)
            told |= several & (x == first[codes]).all(axis=0)
        return int(np.flatnonzero(told)[0]) if told.any() else None


def _are_alike(rows: Tensor) -> bool:
    """Whether all rows are one, to rounding."""
    apart = float((rows - rows[:1]).abs().max()) if rows.numel() else math.inf
    return apart <= ROUNDING * float(rows.abs().max())
