"""Whether padding counts: one epoch on sequences whose padding holds other numbers, or is longer.

Measures; never judges.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.api import IGNORED, Data, Part
from trainers.probes.answers import Padding
from trainers.probes.run import Run
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient

ROWS, LONGER = 500, 2  # rows that are trained on; steps of padding that are added
LOSSES = ("train_loss", "val_loss")


def padding_counts(subject: Subject) -> Padding:
    """The losses of a first epoch: `plain`, and `changed` by what was done to the padding."""
    data = subject.sample(train=ROWS, val=ROWS)
    first, again = _epoch(subject, data), _epoch(subject, data)
    plain = _losses(first)
    if first.error or plain != _losses(again) or not plain:
        return {"cause": first.error or "one seed gives different losses, or none"}
    per_step = subject.task in ("tagging", "step_regression")
    others = {
        "other numbers": Data(train=_refilled(data.train), val=_refilled(data.val)),
        f"{LONGER} steps more": Data(
            train=_longer(data.train, per_step=per_step), val=_longer(data.val, per_step=per_step)
        ),
    }
    changed = {name: _losses(_epoch(subject, other)) for name, other in others.items()}
    return {"plain": plain, "changed": {name: losses for name, losses in changed.items() if losses}}


def _epoch(subject: Subject, data: Data) -> Run:
    return subject.train(data, contexts=[Steer(until=patient())], stop=lambda run: run.trained == 1)


def _losses(run: Run) -> dict[str, float]:
    """The losses that are told and finite; none if the training raised, as for want of room."""
    first = {name: run.series(name)[:1] for name in LOSSES}
    return {name: loss[0] for name, loss in first.items() if loss and math.isfinite(loss[0])}


def _refilled(part: Part) -> Part:
    assert part.x is not None
    assert part.lengths is not None
    x, dice = np.array(part.x), np.random.default_rng(0)
    padding = np.arange(x.shape[1]) >= part.lengths[:, None]
    values: NDArray[Any] = dice.permutation(x[~padding])
    x[padding] = np.resize(values, (int(padding.sum()), *x.shape[2:]))
    return replace(part, x=x)


def _longer(part: Part, *, per_step: bool) -> Part:
    assert part.x is not None
    x, y = np.asarray(part.x), part.y
    if y is not None and per_step:
        before = ((0, 0),) * (y.ndim - 1)
        fill = IGNORED if y.dtype.kind in "iu" else np.nan
        y = np.pad(y, (*before, (0, LONGER)), constant_values=fill)
    return replace(part, x=np.pad(x, ((0, 0), (0, LONGER), *((0, 0),) * (x.ndim - 2))), y=y)
