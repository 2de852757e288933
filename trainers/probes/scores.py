"""How good predictions are, in one number or row by row, whatever form a trainer gives them in.

Never judges.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.api import Values


def score(values: Values, y: NDArray[Any] | None, task: str) -> float:
    """Share of correct rows, or R²; −inf where nothing can be said."""
    told = values.get("predictions", values.get("probabilities"))
    labels = values.get("labels")
    if y is None or (told is None and labels is None):
        return -math.inf
    if task == "classification":
        chance = "predictions" not in values
        got = np.asarray(labels) if labels is not None else _classes(np.asarray(told), chance)
        return float((got.reshape(-1) == y.reshape(-1)).mean()) if got.size == y.size else -math.inf
    got = (
        np.asarray(told, dtype=float).reshape(y.shape)
        if np.size(told) == y.size
        else np.full(y.shape, math.nan)
    )
    left, total = float(((got - y) ** 2).sum()), float(((y - y.mean(axis=0)) ** 2).sum())
    return 1 - left / total if total and math.isfinite(left) else -math.inf


def _classes(told: NDArray[Any], chance: bool) -> NDArray[Any]:
    """Classes of logits, or of probabilities (`chance`); one column is of the second of two."""
    if told.ndim == 1 or told.shape[1] == 1:
        return (told.reshape(-1) > (0.5 if chance else 0.0)).astype(int)
    return np.asarray(told.argmax(axis=1))


def row_scores(values: Values, y: NDArray[Any]) -> NDArray[np.float64] | None:
    """Of each row, the probability of its class; for numbers 1 − squared error, at least −3. None
    where nothing is told.
    """
    told = values.get("predictions", values.get("probabilities"))
    if told is None:
        return None
    got = np.asarray(told, dtype=float)
    if y.dtype.kind in "iu":
        if got.ndim != 2 or got.shape[1] <= int(y.max()) or len(got) != len(y):
            return None
        if "probabilities" not in values:
            got = np.exp(got - got.max(axis=1, keepdims=True))
            got = got / got.sum(axis=1, keepdims=True)
        chances: NDArray[np.float64] = np.nan_to_num(got[np.arange(len(y)), y])
        return chances
    if got.size != y.size:
        return None
    missed = (
        np.nan_to_num((got.reshape(y.shape) - y) ** 2, nan=4.0).reshape(len(y), -1).mean(axis=1)
    )
    rows: NDArray[np.float64] = np.clip(1 - missed, -3.0, None)
    return rows
