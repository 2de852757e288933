"""What of a log is not believed, or not read, without a word."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.logs.columns import Layout
from search.diagnostics.logs.line import Line, is_told, number_in
from search.diagnostics.logs.losses import FEW, SHOWN
from search.diagnostics.logs.measures import is_loss
from search.diagnostics.verdicts.curves import Curves
from search.errors import UsageError, refused

# Of how far a loss had fallen, by which it rises where another training begins, and by which the
# next row still stands above; how near the first loss it comes then, in times.
RISES, STAYS, LIKE = 0.7, 0.3, 2.0
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


def refuse_unlikely(path: Path, lines: Sequence[Line], curves: Curves, *, layout: Layout) -> None:
    """Refuses a curve whose rows are no epochs of one training, whatever form they were told in.

    Raises:
        UsageError: validation's loss is told in the first half of the rows, or fewer, and in no
            other. Or no column counts the rows, and each has a name of its own, as of a model, or
            the losses of train and of validation begin anew in the same row.
    """
    _refuse_shorter_list(path, lines, layout=layout)
    if layout.epoch is None and not layout.trial:
        _refuse_rows_of_others(path, lines, curves)


def _refuse_rows_of_others(path: Path, lines: Sequence[Line], curves: Curves) -> None:
    """Refuses rows that no column counts where they are no epochs of one training."""
    names = next(filter(None, (_names(lines, column) for column in lines[0][1])), [])
    if names:
        raise results_refused(path, f"a row each of {', '.join(names[:SHOWN])}")
    anew = _begins_anew(curves.train) & _begins_anew(curves.val)
    if curves.held_out and anew.any():
        at = int(anew.argmax()) + 1
        rule = "the rows of a training need its epochs where another one follows"
        got, remedy = f"losses that begin anew in row {at}", "name the epochs, or split the file"
        raise refused(str(path), code="log-rows-begin-anew", rule=rule, got=got, remedy=remedy)


def _refuse_shorter_list(path: Path, lines: Sequence[Line], *, layout: Layout) -> None:
    """Refuses lists by name, where validation's is shorter, as it was taken in some epochs: its
    losses stand in the first rows then, and which epochs these were is not told.
    """
    told = [
        [all(is_told(cells, name) for name in names) for _, cells in lines]
        for names in (layout.train, layout.val)
    ]
    train, val = map(sum, told)
    if 1 < val <= train // 2 + 1 < train and all(map(all, islice(zip(*told, strict=True), val))):
        rule = "validation's losses must stand in the rows of their epochs"
        got, remedy = (
            f"{val} of validation in the first of {train} rows",
            "write null for the others",
        )
        raise refused(str(path), code="log-lists-differ", rule=rule, got=got, remedy=remedy)


def results_refused(path: Path, got: str) -> UsageError:
    """Of lines or rows that tell the ends of several trainings, as of several models."""
    rule, remedy = "needs a line per epoch", "give the losses of each epoch"
    return refused(str(path), code="log-lines-are-results", rule=rule, got=got, remedy=remedy)


def _names(lines: Sequence[Line], column: str) -> list[str]:
    """The words of a column, where each row has others, not in their numbers alone, as times do."""
    words = [cells.get(column, "").strip() for _, cells in lines]
    plain = {re.sub(r"\d+", "", word) for word in words}
    named = len(lines) >= FEW and len(plain) == len(words) and all(plain)
    return words if named and all(number_in(word) is None for word in words) else []


def _begins_anew(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """In which rows, three from either end, a loss that had fallen stands about where it began."""
    found = np.zeros(len(losses), dtype=bool)
    for at in range(FEW, len(losses) - FEW + 1):
        first, before, now, after = losses[[0, at - 1, at, at + 1]]
        fell = first - losses[:at].min()
        near = max(now, first) <= LIKE * min(now, first) if min(now, first) > 0 else False
        far = fell > RISES / LIKE * abs(first)
        found[at] = near and far and now - before > RISES * fell and after - before > STAYS * fell
    return found
