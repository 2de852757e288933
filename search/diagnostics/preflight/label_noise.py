"""Wrong labels among train rows: some everywhere, or half of one class (R13).

Pure functions of arrays; never trains a model of the user's.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.noise_floor import CERTAIN, Swapped, noise_floor
from search.diagnostics.preflight.reading import Reading

# The share of rows that a model is surest of, at least so many, and how many of them may bear
# another label.
SUREST, FEWEST, DOUBTED = 0.2, 40, 0.12
SPARED = 0.05  # of rows that the user's own model is surest of: noise spares none
UNSEEN = 0.2  # share of swapped labels that a set of rows must be able to rule out
MOST = 0.8  # of all errors of plain models: swapped labels make so many, classes that overlap fewer
EVEN = 0.6  # of more than two classes: errors of the surest rows, over those of all
# Half of a class bears another label: of the rows that look like this class, the share that bears
# it; how well its chance tells these from the others; the share of right labels among the rows that
# surely look like the other class; and rows between the two, over those of the class. Classes that
# overlap have many rows between, among which the chance tells.
HALF, BLIND, PURE, BETWEEN, LEAST = (0.25, 0.7), 0.6, 0.93, 1.0, 15
Array = NDArray[Any]


def label_noise(reading: Reading, *, legible: bool, doubted: float | None = None) -> Check:
    """Of the rows that a plain model is surest of, held out, how many bear another label (R13)? And
    does a class share its rows with another one, half and half?

    In clean data, however hard, the surest predictions are right; random labels spare none. After
    confident learning (Northcutt, Jiang and Chuang, JAIR 2021). Two classes that overlap by much
    have doubtful surest rows as well: there, `noise_floor` must say that labels are swapped.
    `legible`: whether plain models read the labels at all; `doubted`: of the rows that a copy of
    the user's own model is surest of, the share with another label, if that is known.
    """
    judge = Judge(name="label_noise", rule="R13")
    y = reading.y
    often = np.bincount(y)
    if often.max() > len(y) - 20 or len(y) < 60:
        return judge.unknown("there are too few rows, or too few outside the most frequent class")
    chances, classes = reading.chances
    guess, confidence = classes[chances.argmax(axis=1)], chances.max(axis=1)
    errors, two = float((guess != y).mean()), len(classes) == 2
    swapped = noise_floor(reading) if two else Swapped(share=0.0, gain=0.0, most=0.0)
    swaps = swapped.share >= MOST * errors
    if swaps and swapped.gain > CERTAIN:
        text = f"plain models grow no surer than {1 - swapped.share:.0%} of any label"
        remedy = f"about {swapped.share:.0%} of the labels seem to be swapped: look at the surest"
        return judge.warn(text, remedy, share=swapped.share, gain=swapped.gain)
    if not legible:
        return judge.unknown("plain models read too little of the labels in these inputs")
    pool = np.flatnonzero(guess != (often.argmax() if often.max() > 0.5 * len(y) else -1))
    pool = pool if len(pool) >= FEWEST else np.arange(len(y))
    order = np.argsort(-confidence[pool], kind="stable")
    surest = pool[order[: max(FEWEST, int(SUREST * len(pool)))]]
    wrong = float((guess[surest] != y[surest]).mean())
    error = math.sqrt(max(wrong * (1 - wrong), 0.01) / len(surest))
    sentence = f"{wrong:.0%} of the {len(surest)} rows that trees are surest of have another label"
    if wrong - error > DOUBTED and (swaps if two else wrong >= EVEN * errors):
        if doubted is not None and doubted < SPARED:
            text = f"{sentence}; of those that a copy of the model is surest of, {doubted:.0%}"
            return judge.passed(f"{text}: trees read these inputs badly", share=doubted)
        remedy = "look at these rows: labels may be wrong, or the inputs say little"
        return judge.warn(sentence, remedy, share=wrong)
    pair = _half_wrong(y, chances, classes)
    if pair is not None:
        text = f"in the rows of class {pair[0]}, the labels {pair[0]} and {pair[1]} stand at random"
        remedy = f"look at rows of class {pair[1]} that look like class {pair[0]}"
        return judge.warn(
            f"{text}; {pair[1]} has rows of its own", remedy, share=wrong, classes=pair
        )
    if swapped.most > UNSEEN:
        unseen = f"in {len(y)} rows, up to {swapped.most:.0%} swapped labels would not be noticed"
        remedy = "look at a sample of the labels: so few rows, or so hard ones, cannot tell"
        return judge.note(f"{sentence}; {unseen}", remedy, share=wrong, unseen=swapped.most)
    return judge.passed(sentence, share=wrong)


def _half_wrong(y: Array, chances: Array, classes: Array) -> tuple[int, int] | None:
    """A class of which about half of the rows bear another label, and that other class."""
    for column, one in enumerate(classes):
        means = chances[y == one].mean(axis=0)
        means[column] = -1
        beside = int(means.argmax())
        both = (y == one) | (y == classes[beside])
        own, others = chances[both, column], chances[both, beside]
        labels = y[both] == one
        high = float(np.quantile(own[labels], 0.9))
        like = own >= 0.5 * high
        between = (own >= 0.15 * high) & ~like
        surely = others >= 0.8 * np.quantile(others[~labels], 0.9)
        if (
            like.sum() >= LEAST
            and HALF[0] < labels[like].mean() < HALF[1]
            and surely.any()
            and (~labels[surely]).mean() > PURE
            and between.sum() < BETWEEN * like.sum()
            and roc_auc_score(labels[like], own[like]) < BLIND
        ):
            return int(one), int(classes[beside])
    return None
