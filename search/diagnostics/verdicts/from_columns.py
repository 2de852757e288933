"""Curves out of tables: a search's own records, by the names of their columns. Never judges."""

import math

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.trend import Array, Columns, median, noise

LONG = 8  # epochs that show how a loss shakes
MUCH, ALONE = 0.05, 5.0  # of train's loss, and times validation's noise: so single batches shake
EXTRA = ("lr", "grad_norm", "early_gradient", "dead_units", "confidence", "clipped")


def curves_of(
    columns: Columns,
    *,
    metric: str,
    sign: float,
    classes: int = 0,
    constant: float | None = None,
    untrained: bool | None = None,
    ended: bool = True,
    held_out: bool = True,
    began: float | None = None,
    sampled: bool = False,
    val_rows: int = 0,
    axis: str = "epoch",
) -> Curves | None:
    """The curves of one training's columns [n], by epoch; None where it tells no losses.

    `untrained`: whether the first epoch is the untrained model's; by default, if it is epoch 0.
    `train_eval_loss`, where it is told, is what is compared with validation. Other columns without
    a number are unknown.
    `held_out`: whether `val_loss` is of a validation. `began`: the loss of the first steps.
    `sampled`: whether `train_loss` is of single steps, which it is too where it shakes alone.
    `val_rows`: rows of validation, 0: unknown.
    `axis`: what `epoch` counts.
    `ended`: whether losses that are no numbers at the end say that it has; else they were not told.
    """
    train, val = _column(columns, "train_loss"), _column(columns, "val_loss")
    ours = _column(columns, "train_eval_loss")
    comparable = ours is not None and (
        train is None or not (np.isfinite(train) & ~np.isfinite(ours)).any()
    )
    stepped = columns.get("train_loss") if comparable else None
    train = ours if comparable else train
    if train is None or val is None:
        return None
    whole = _whole(train, val, ended=ended)
    if not whole.any():
        return None
    alone = held_out and not comparable and _shakes_alone(train[whole], val[whole])
    epochs = np.asarray(columns["epoch"], dtype=float)[whole]
    extra = {name: _known(columns.get(name), whole) for name in EXTRA}
    return Curves(
        epochs=epochs,
        untrained=bool(epochs[0] == 0) if untrained is None else untrained,
        train=train[whole],
        stepped=_known(stepped, whole),
        val=val[whole],
        metric=_known(columns.get(metric), whole),
        sign=sign,
        classes=classes,
        constant=constant
        if constant is not None and math.isfinite(constant) and constant > 0
        else None,
        comparable=comparable,
        held_out=held_out,
        began=began,
        sampled=sampled or alone,
        val_rows=val_rows,
        axis=axis,
        **extra,
    )


def _shakes_alone(train: Array, val: Array) -> bool:
    """Whether train's loss shakes by much in its second half, and validation's hardly: then each is
    of a single batch. A rate that is too high shakes both, and a mean over batches train's less (of
    the planted trainings none has train shake three times as much).
    """
    late = slice(len(train) // 2, None)
    if len(train) < LONG or not np.isfinite(train + val).all():
        return False
    shakes = noise(train[late])
    return shakes > MUCH * abs(median(train[late])) and shakes > ALONE * noise(val[late])


def _column(columns: Columns, name: str) -> Array | None:
    return np.asarray(columns[name], dtype=float) if name in columns else None


def _whole(train: Array, val: Array, *, ended: bool) -> NDArray[np.bool_]:
    """Epochs that count: what is missing before other numbers was not told, nor at the end, but if
    it `ended`.
    """
    finite = ~(np.isnan(train) | np.isnan(val))
    if ended:
        finite[np.flatnonzero(finite).max(initial=-1) + 1 :] = True
    return finite


def _known(column: Array | None, whole: NDArray[np.bool_]) -> Array | None:
    """As numbers, of the epochs that count; None where all are missing."""
    if column is None:
        return None
    values = np.asarray(column, dtype=float)[whole]
    return values if np.isfinite(values).any() else None
