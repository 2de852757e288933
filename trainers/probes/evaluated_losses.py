"""Losses that were asked for of evaluations, per epoch: those of rows of train, and others.

Never judges.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

MOST = 400  # most losses of an epoch that are noted
DIGITS = 1e-4  # relative difference of one loss, computed twice


class EvaluatedLosses:
    """What evaluations came to. `epochs`: per epoch the losses of train rows, and of others with
    the `sizes` of their batches; `means`: per epoch and name of a loss, its mean over all targets.

    Args:
        train_rows: keys of the train rows.
    """

    def __init__(self, train_rows: frozenset[int]) -> None:
        self.epochs: list[dict[str, list[Any]]] = []
        self._train_rows, self._rows = train_rows, "others"
        self._noted = self._fresh()
        self._evaluates = False  # the model's last pass was one without gradients
        self.means: list[dict[str, float]] = []
        self._sums: dict[str, tuple[float, int]] = {}

    @staticmethod
    def _fresh() -> dict[str, list[Any]]:
        return {"train": [], "others": [], "sizes": []}

    def begun(self, *, evaluates: bool) -> None:
        """A pass of the model begins, with or without gradients."""
        self._evaluates = evaluates

    def passed(self, keys: tuple[int, ...]) -> None:
        """A model was given these rows, without gradients."""
        of_train = bool(keys) and self._train_rows.issuperset(keys)
        self._rows = "train" if of_train else "others"

    def lost(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], loss: Tensor) -> None:
        """A loss of this name came out of this call. It is of an evaluation without gradients, and
        also where the last pass was one: many compute it behind `no_grad`.
        """
        if torch.is_grad_enabled() and (not self._evaluates or loss.requires_grad):
            return
        targets = kwargs.get("target", args[1] if len(args) > 1 else None)
        count = targets.numel() if isinstance(targets, Tensor) else 0
        total, rows = self._sums.get(name, (0.0, 0))
        times = 1 if kwargs.get("reduction") == "sum" else count
        mean = float(loss.detach().double().mean())
        self._sums[name] = total + mean * times, rows + count
        losses = self._noted[self._rows]
        if len(losses) < MOST:
            losses.append(mean)
            if self._rows == "others" and isinstance(targets, Tensor) and targets.ndim:
                self._noted["sizes"].append(len(targets))

    def rows_of(self, loss: float) -> int:
        """How many rows the last epoch evaluated, if this is their loss, to the digit; else 0."""
        noted = self.epochs[-1] if self.epochs else self._fresh()
        losses, sizes = noted["others"], noted["sizes"]
        if not 0 < len(losses) == len(sizes) or noted["train"]:
            return 0
        means = np.average(losses, weights=sizes), np.mean(losses), sum(losses) / sum(sizes)
        return sum(sizes) if any(math.isclose(loss, one, rel_tol=DIGITS) for one in means) else 0

    def epoch(self) -> None:
        """An epoch has ended."""
        self.epochs.append(self._noted)
        self.means.append({name: sum_ / rows for name, (sum_, rows) in self._sums.items() if rows})
        self._sums = {}
        self._noted = self._fresh()
