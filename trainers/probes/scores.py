"""How good predictions are, in one number or row by row, whatever form a trainer gives them in.

Never judges.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.api import IGNORED, Values
from trainers.probes.run import Run
from trainers.probes.seen import LossCall
from trainers.rows import of_one_width

SHUFFLES = 20  # shuffles of the labels, which show the loss of wrong labels
LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "mse_loss": F.mse_loss,
    "l1_loss": F.l1_loss,
    "smooth_l1_loss": F.smooth_l1_loss,
    "huber_loss": F.huber_loss,
}


def score(values: Values, y: NDArray[Any] | None, task: str) -> float:
    """Share of correct rows, or R²; −inf where nothing can be said."""
    outputs = values.get("predictions", values.get("probabilities"))
    labels = values.get("labels")
    if y is None or (outputs is None and labels is None):
        return -math.inf
    if y.dtype.kind != "f":
        chance = "predictions" not in values
        got = np.asarray(labels) if labels is not None else _classes(np.asarray(outputs), chance)
        if got.ndim == y.ndim == 2 and labels is not None:
            got, y = of_one_width(got, y)
        right = got.reshape(-1) == y.reshape(-1) if got.size == y.size else None
        return -math.inf if right is None else float(right[y.reshape(-1) != IGNORED].mean())
    got = (
        np.asarray(outputs, dtype=float).reshape(y.shape)
        if np.size(outputs) == y.size
        else np.full(y.shape, math.nan)
    )
    got, y = (got[np.isfinite(y)], y[np.isfinite(y)]) if y.ndim == 3 else (got, y)
    left, total = float(((got - y) ** 2).sum()), float(((y - y.mean(axis=0)) ** 2).sum())
    return 1 - left / total if total and math.isfinite(left) else -math.inf


def _classes(outputs: NDArray[Any], chance: bool) -> NDArray[Any]:
    """Classes of logits, or of probabilities (`chance`); one column is of the second of two."""
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        return (outputs.reshape(-1) > (0.5 if chance else 0.0)).astype(int)
    return np.asarray(outputs.argmax(axis=1))


def row_scores(values: Values, y: NDArray[Any]) -> NDArray[np.float64] | None:
    """Each row's probability of its class; of numbers 1 − squared error, from −3; or None."""
    outputs = values.get("predictions", values.get("probabilities"))
    if outputs is None:
        return None
    got = np.asarray(outputs, dtype=float)
    if y.dtype.kind in "iu":
        if y.ndim == 2 and got.ndim == 3 and got.shape[2] == y.shape[1]:
            return _sequence_scores(values, got, y)
        if got.ndim != 2 or got.shape[1] <= int(y.max()) or len(got) != len(y):
            return None
        if "probabilities" not in values:
            got = np.exp(got - got.max(axis=1, keepdims=True))
            got = got / got.sum(axis=1, keepdims=True)
        chances: NDArray[np.float64] = np.nan_to_num(got[np.arange(len(y)), y])
        return chances
    if got.size != y.size:
        return None
    squares = np.where(np.isnan(got.reshape(y.shape)), 4.0, (got.reshape(y.shape) - y) ** 2)
    missed = np.nanmean(squares.reshape(len(y), -1), axis=1)  # targets are NaN at padding
    rows: NDArray[np.float64] = np.clip(1 - missed, -3.0, None)
    return rows


def _sequence_scores(
    values: Values, got: NDArray[np.float64], y: NDArray[Any]
) -> NDArray[np.float64] | None:
    """Each sequence's mean, over its steps, of the probability of their labels."""
    real = y != IGNORED
    name = "probabilities" if "probabilities" in values else "predictions"
    steps = row_scores({name: np.moveaxis(got, 1, 2)[real]}, y[real])
    if steps is None:
        return None
    sums = np.bincount(np.nonzero(real)[0], weights=steps, minlength=len(y))
    means: NDArray[np.float64] = sums / real.sum(axis=1)
    return means


def losses_again(
    run: Run, y: NDArray[Any] | None, *, call: LossCall | None
) -> list[dict[str, float]]:
    """Of each epoch whose predictions were told: the loss that they have on the validation labels
    (`own`), and on shuffled ones (`shuffled` on average, `spread`).

    Plain losses only: what class weights or smoothing add is not known here.
    """
    if y is None or call is None or not call.plain:
        return []
    answers = []
    for epoch, values in run.epochs:
        outputs = values.get("predictions")
        if epoch == 0 or outputs is None or len(outputs) != len(y):
            continue
        dice = np.random.default_rng(0)
        orders = [np.arange(len(y)), *(dice.permutation(len(y)) for _ in range(SHUFFLES))]
        own, *others = (
            _plain_loss(np.asarray(outputs), y[order], name=call.name) for order in orders
        )
        answers.append(
            {"own": own, "shuffled": float(np.mean(others)), "spread": float(np.std(others))}
        )
    return answers if all(math.isfinite(answer["own"]) for answer in answers) else []


def _plain_loss(predictions: NDArray[Any], y: NDArray[Any], *, name: str) -> float:
    """The mean loss of that name; NaN where shapes or kind do not fit."""
    rows = _row_losses(predictions, y, name=name)
    return float(rows.mean()) if len(rows) else math.nan


def _row_losses(predictions: NDArray[Any], y: NDArray[Any], *, name: str) -> NDArray[np.float64]:
    """The loss of that name of every row; empty where shapes or kind do not fit."""
    outputs, targets = torch.as_tensor(predictions).double(), torch.as_tensor(np.array(y))
    if name == "cross_entropy" and outputs.ndim == 2 and y.dtype.kind in "iu":
        losses = F.cross_entropy(outputs, targets.reshape(-1), reduction="none")
    elif name in LOSSES and outputs.numel() == targets.numel():
        plain = outputs.reshape(targets.shape), targets.double()
        losses = LOSSES[name](*plain, reduction="none")
    else:
        return np.zeros(0)
    rows: NDArray[np.float64] = np.asarray(losses.reshape(len(losses), -1).mean(dim=1))
    return rows
