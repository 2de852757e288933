"""What of a log is not believed, or not read, without a word."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search.diagnostics.logs.columns import Layout
from search.diagnostics.logs.line import Line, is_told
from search.diagnostics.logs.losses import FEW, SHOWN
from search.diagnostics.logs.measures import is_loss
from search.diagnostics.verdicts.curves import Curves

APART = 4.0  # times: of 585 trainings, faults among them, none has its losses so far apart at once


def unread(header: Sequence[str], lines: Sequence[Line], *, layout: Layout) -> list[str]:
    """The losses that no role was given to, in words: one of them may be the right one."""
    used = (*layout.train, *layout.val, layout.metric, *layout.extra)
    losses = [name for name in header if is_loss(name) and name not in used]
    told = [name for name in losses if sum(is_told(cells, name) for _, cells in lines) >= FEW]
    more = ["…"] if len(told) > SHOWN else []
    return [f"not read: {' '.join((*told[:SHOWN], *more))}"] if told else []


def without_other_scale(curves: Curves) -> tuple[Curves, str]:
    """The curves, and why they are without validation, where its loss is no measure beside train's.

    An untrained model is as bad on rows of validation as on those of train: losses that lie apart
    from the first epoch on are a sum beside a mean, hold other terms, or tell of other rows.
    """
    if not curves.held_out or curves.resumed:
        return curves, ""
    known = np.isfinite(curves.train * curves.val) & (curves.train > 0) & (curves.val > 0)
    if known.sum() < FEW:
        return curves, ""
    ratio = curves.val[known] / curves.train[known]
    least, most = float(ratio.min()), float(ratio.max())
    if most >= 1 / APART and least <= APART:
        return curves, ""
    far = f"{least:.3g} times train's" if least > APART else f"{1 / most:.3g} times below train's"
    words = (
        f"validation's loss is {far} or further in every epoch, the first too, and is left out: a "
        "sum beside a mean, other terms, or rows of another kind; --columns val=NAME reads it"
    )
    return replace(curves, val=curves.train, held_out=False), words
