"""Checks of the train rows' labels and targets: scale, order, twins, what a plain model can read of
them (R6, R10, R13).

Validation and test labels take no part. Pure functions of arrays; never trains a model of the
user's.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.leaking_columns import each_alone
from search.diagnostics.preflight.marks import mark_at_the_end
from search.diagnostics.preflight.others_labels import of_other_rows
from search.diagnostics.preflight.reading import Reading, readable

# Shares of the squared distances, above which it is said that such a part of the rows holds them.
TAILS = {0.01: 0.5, 0.05: 0.8}
HUGE = 1e3  # spread of targets, in training units
LAGGED = 0.95  # share of a neighbouring row's label that one feature must explain
# accuracy of a plain model above the most frequent class, from which its doubts tell something
READABLE = 0.15
SURE = 3.1  # standard errors: one in a thousand
SIFTING = 40  # trees, by which most moved labels are seen to be no better
STEP = 0.1  # accuracy by which another row's label must be read better than the row's own
Array = NDArray[Any]


def targets(y: Array, *, raw: Array | None = None) -> Check:
    """A regression's targets in training units: near one scale, numbers rather than classes, and
    none of them a mark (R1, R6, R10). `raw`: as they came.
    """
    judge = Judge(name="targets", rule="R6")
    spread = y.astype(np.float64).std(axis=0)
    high, low = float(spread.max()), float(spread.min())
    whole = bool((np.unique(y).size <= 20) and len(y) >= 100) and not _are_counts(y)
    sentence = (
        f"targets spread by {high:.3g}"
        if np.isclose(high, low)
        else f"targets spread by {low:.3g} to {high:.3g}"
    )
    measured = {"least": low, "greatest": high, "distinct": int(np.unique(y).size)}
    if low == 0:
        return judge.fail("a target never changes", "drop it", **measured)
    if high >= HUGE or low <= 1 / HUGE:
        return judge.fail(
            sentence,
            "say normalise.target=true, or scale them in a trainer of yours: the loss "
            "explodes or vanishes at such a scale",
            **measured,
        )
    if whole:
        text = f"targets have {np.unique(y).size} distinct values, like classes"
        return judge.warn(
            text,
            "say data.task=classification, unless their order and distance mean something",
            **measured,
        )
    if high >= 10 or low <= 0.1:
        return judge.warn(sentence, "say normalise.target=true", **measured)
    if marked := mark_at_the_end(y if raw is None else raw):
        text = f"{marked[1]} targets are {marked[0]:.4g}, apart from all others"
        remedy = "is it a mark for a missing one? Drop these rows"
        return judge.warn(text, remedy, value=marked[0], **measured)
    for rows, most in TAILS.items():
        if (share := _share_of_farthest(y, rows)) > most:
            text = (
                f"the farthest {rows:.0%} of the targets hold {share:.0%} of their squared spread"
            )
            remedy = "a squared error is about these rows alone: look at them, or say metric=mae "
            return judge.note(text, f"{remedy}loss=huber", tail=share, **measured)
    return judge.passed(sentence, **measured)


def _share_of_farthest(y: Array, rows: float) -> float:
    """The share of all squared distances to the mean that such a part of the rows, the farthest,
    holds; the greatest of several targets'. Of 1 % and 5 %: 0.08 and 0.28 of normal targets, 0.22
    and 0.5 of exponential ones.
    """
    squares = np.sort((y - y.mean(axis=0)).astype(np.float64) ** 2, axis=0)
    farthest = squares[-max(1, round(rows * len(y))) :].sum(axis=0)
    return float((farthest / squares.sum(axis=0)).max())


def _are_counts(y: Array) -> bool:
    """Whether few distinct targets are counts: evenly spaced, in one hump, with a rare tail above
    it.

    Classes come about equally often, or in no order.
    """
    values, often = np.unique(y, return_counts=True)
    gaps, peak = np.diff(values), int(often.argmax())
    apart = gaps / gaps.min() if len(gaps) else gaps
    if len(values) < 5 or np.abs(apart - apart.round()).max() > 0.01 or peak >= len(values) / 3:
        return False
    before = (often[peak:-1] + often[[peak, *range(peak, len(often) - 2)]]) / 2  # of two values
    rises = often[peak + 1 :] > before + 3 * np.sqrt(before + 1)  # beyond chance
    return bool(often[-1] < 0.02 * len(y) and not rises.any())


def contradictions(x: Array, y: Array, *, chance: Callable[[], float]) -> Check:
    """Rows of one input with different labels, or numbers that differ by much (R13).

    `chance`: the share of rows that would have a twin anyhow (`sets.by_chance`); those say nothing.
    """
    judge = Judge(name="contradictions", rule="R13")
    flat = np.ascontiguousarray(x.reshape(len(x), -1))
    _, inverse = np.unique(flat, axis=0, return_inverse=True)
    labels = y.reshape(len(y), -1)[:, 0].astype(np.float64)
    groups = inverse.reshape(-1)
    low, high = np.full(groups.max() + 1, np.inf), np.full(groups.max() + 1, -np.inf)
    np.minimum.at(low, groups, labels)
    np.maximum.at(high, groups, labels)
    apart = high - low > (0.0 if y.dtype.kind in "iu" else 0.1 * labels.std())
    share = float(apart[groups].mean())
    distinct = len(low) / len(flat)
    sentence = f"{share:.1%} of the rows have a twin with another label"
    if not share:
        return judge.passed(sentence, share=share)
    if distinct < 0.5 or share <= 3 * chance():
        return judge.note(f"{sentence}, as chance brings where values are few", share=share)
    remedy = "look at them: labels by mistake, or inputs that lack what tells them apart"
    return (
        judge.fail(sentence, remedy, share=share)
        if share >= 0.05
        else judge.warn(sentence, remedy, share=share)
    )


def label_signal(
    reading: Reading,
    *,
    moved: Mapping[int, tuple[Array, Array]],
    val: tuple[Array, Array] | None = None,
    alike: bool = True,
) -> Check:
    """Does a plain model read the labels in the inputs? Or much better in those of the next row, or
    of the one before; or in validation alone (R10)?

    `moved`: by how many rows of the file → rows of train and the labels found there. They are not
    read where even all of them read rightly would prove nothing. `val`: inputs and labels of
    validation; `alike`: whether the sets were drawn alike.
    """
    judge = Judge(name="label_signal", rule="R10")
    classification = reading.classification
    score, sure = readable(reading)
    kind = "above the most frequent class" if classification else "of the variance"
    sentence = f"trees read {score:+.1%} {kind} in held-out rows"
    measured = {"score": score, "deviations": sure}
    for step, (rows, labels) in moved.items():
        neighbours = Reading.of(rows, labels, classification=classification)
        if neighbours.highest <= score + STEP:
            continue
        if readable(replace(neighbours, trees=SIFTING))[0] <= score:
            continue  # more trees read a little more, and never by so much
        other, certain = readable(neighbours)
        if certain > max(SURE, sure) and other > score + STEP:
            if max(each_alone(rows, labels, classification).values(), default=0.0) >= LAGGED:
                lags = (
                    f"{sentence}; the label of a neighbouring row ({step:+d}) stands among the "
                    "inputs, as with lags"
                )
                return judge.note(
                    lags,
                    "no fault in a forecast; else see how inputs and labels were read",
                    **measured,
                )
            text = f"{sentence}, but {other:+.1%} where labels are moved by {step:+d} row"
            return judge.fail(
                text,
                "labels and inputs are out of step: see how the two were read",
                moved=step,
                **measured,
            )
    if sure > SURE:
        return judge.passed(sentence, **measured)
    if val is not None and (apart := of_other_rows(reading, val, alike=alike)):
        return apart
    return judge.note(sentence, "no proof of a fault; `labels_matter` asks your model", **measured)


def label_order(y: Array) -> Check:
    """Are the labels sorted in the file (R13)? No fault where rows are shuffled."""
    judge = Judge(name="label_order", rule="R13")
    values = y.reshape(len(y), -1)[:, 0].astype(np.float64)
    if np.ptp(values) == 0 or len(values) < 20:
        return judge.unknown("there are too few rows, or one label only")
    correlation = float(np.corrcoef(values[:-1], values[1:])[0, 1])
    sentence = f"labels of neighbouring rows correlate by {correlation:.2f}"
    if correlation > 0.5:
        return judge.note(
            f"{sentence}: the file is ordered",
            "shuffle in training, and draw the split at random",
            r=correlation,
        )
    return judge.passed(sentence, r=correlation)
