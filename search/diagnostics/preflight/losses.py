"""Are the losses that a trainer reports those of its steps and of its predictions (R16)?

Pure functions of what `trainers.probes` has measured; never trains.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from search.diagnostics.preflight.check import Check, Judge

Answer = Mapping[str, Any]
NEAR, FAR = 0.05, 0.10  # relative differences of losses that are one, and that are not
SURE = 4.0  # standard deviations of the losses of shuffled labels


def reported_losses(seen: Answer) -> Check:
    """`train_loss` against the losses of the steps, `val_loss` against that of the predictions."""
    judge = Judge(name="reported_losses", rule="R16")
    if not any(loss is not None for loss in (*seen["train_loss"], *seen["val_loss"])):
        return judge.unknown("no loss was reported")
    kept = _kept_sum(seen)
    if kept:
        remedy = "set the running sum, and its count, to 0 at the start of every epoch"
        return judge.fail(kept, remedy)
    rows = seen["rows_seen"]
    if rows["on_train"] is not None and rows["on_train"] > 0.9 and rows["on_val"] == 0:
        told = "the rows that were evaluated are train rows; no validation row was"
        return judge.fail(told, "evaluate the rows of data.val")
    pairs = [
        (loss, again)
        for loss, again in zip(seen["val_loss"], seen["losses_again"], strict=False)
        if loss is not None
    ]
    apart = [
        (loss, again) for loss, again in pairs if abs(loss - again["own"]) > FAR * again["own"]
    ]
    if not apart or len(apart) < len(pairs):
        return judge.passed("the losses reported are those of the steps and of the predictions")
    loss, again = apart[-1]
    told = f"val_loss is {loss:.3g}, but the predictions have {again['own']:.3g}"
    by_chance = abs(loss - again["shuffled"]) < SURE * again["spread"] + NEAR * again["shuffled"]
    if by_chance and again["shuffled"] - again["own"] > SURE * again["spread"]:
        told = f"{told}, and {again['shuffled']:.3g} on shuffled labels"
        return judge.fail(told, "hold each output against the label of its own row")
    return judge.note(told, "is it another loss, or one with penalties?")


def _kept_sum(seen: Answer) -> str:
    """What shows that the second epoch's train loss holds the first one's too; empty if nothing."""
    reported, means = seen["train_loss"][:2], _epoch_means(seen)
    if len(means) < 2 or len(reported) < 2 or None in reported or not means[0] or not means[1]:
        return ""
    scale = reported[0] / means[0]
    own, kept = scale * means[1], scale * (means[0] + means[1])
    running = kept / 2
    told = f"train_loss is {reported[0]:.3g}, then {reported[1]:.3g}"
    if _near(reported[1], kept) and not _near(reported[1], own, FAR):
        return f"{told}; the second epoch's own is {own:.3g}: the running loss is never reset"
    if _near(reported[1], running, NEAR / 2) and not _near(reported[1], own, 2 * FAR):
        return f"{told}; the second epoch's own is {own:.3g}: it averages all steps since the start"
    return ""


def _epoch_means(seen: Answer) -> list[float]:
    """The mean loss of the steps of each epoch."""
    ends: Sequence[int] = [0, *seen["losses_until"]]
    parts = [
        [loss for loss in seen["losses"][start:end] if loss is not None]
        for start, end in itertools.pairwise(ends)
    ]
    return [fmean(part) for part in parts if part]


def _near(one: float, two: float, share: float = NEAR) -> bool:
    return math.isfinite(one) and abs(one - two) <= share * abs(two)
