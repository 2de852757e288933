"""Do validation labels belong to their rows, as train's do, and are they in train's units (R3,
R10)?

Plain models that learned from train rows predict validation rows. Pure functions of arrays; never
trains a model of the user's.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.reading import Reading, as_sure, some_rows

FEWEST = 20  # rows of validation; of a class, a quarter
READ = 0.3  # of what trees read in train rows, held out, from which validation can be compared
SURE = 4.0  # standard errors
LOST = 0.15  # share of correct rows
# Of how sure trees are of held-out train rows, below which others are of another kind: frames of
# other films, say, where those of one film are alike.
UNLIKE, STRANGE = 0.5, ", of which they are less sure: rows of another kind"
SWAPPED, USUAL = 0.5, 0.2  # share of a class that trees take for one other: in validation, in train
SLOPE, OFFSET = 0.4, 1.0  # logarithm of a factor of targets; their offset in deviations
Array = NDArray[Any]
REMEDY = "see how the labels of validation were read: their order, names and units"


def validation_labels(reading: Reading, val: tuple[Array, Array], *, alike: bool) -> Check:
    """Held out rows of train against rows of validation.

    Args:
        reading: of train.
        val: inputs and labels.
        alike: whether the sets were drawn alike: later times, or other groups, are harder.
    """
    judge = Judge(name="validation_labels", rule="R3")
    if min(len(reading.y), len(val[1])) < FEWEST:
        return judge.unknown(f"validation or train has fewer than {FEWEST} rows")
    val = some_rows(*val)
    if reading.classification:
        return _of_classes(judge, reading, val, alike=alike)
    return _of_numbers(judge, reading, val, alike=alike)


def _of_classes(judge: Judge, reading: Reading, val: tuple[Array, Array], *, alike: bool) -> Check:
    train, (chances, classes) = (reading.x, reading.y), reading.chances
    guess = classes[chances.argmax(axis=1)]
    got = reading.forest.predict(val[0])
    usual, here = float((guess == train[1]).mean()), float((got == val[1]).mean())
    constant = float(np.unique(train[1], return_counts=True)[1].max() / len(train[1]))
    sentence = (
        f"trees name {usual:.0%} of held-out train rows rightly, and {here:.0%} of validation"
    )
    numbers = {"train": usual, "val": here}
    pair = swapped((train[1], guess), (val[1], got))
    if (pair or usual - here >= LOST) and as_sure(reading, val[0]) < UNLIKE:
        return judge.passed(f"{sentence}{STRANGE}", **numbers)
    if pair is not None:
        text = f"{sentence}; classes {pair[0]} and {pair[1]} are swapped in validation"
        return judge.fail(text, REMEDY, **numbers)
    if usual - constant < READ * (1 - constant):
        return judge.unknown("plain models read too little of the train labels", **numbers)
    pooled = (usual * len(guess) + here * len(got)) / (len(guess) + len(got))
    error = math.sqrt(max(pooled * (1 - pooled), 0.01) * (1 / len(guess) + 1 / len(got)))
    if usual - here < SURE * error or usual - here < LOST or not alike:
        return judge.passed(sentence, **numbers)
    chance = math.sqrt(0.25 / len(got))
    if here < constant + 2 * chance:
        text = f"{sentence}: the labels of validation do not belong to its rows"
        return judge.fail(text, REMEDY, **numbers)
    return judge.warn(f"{sentence}: some labels of validation may be wrong", REMEDY, **numbers)


def swapped(train: tuple[Array, Array], val: tuple[Array, Array]) -> tuple[int, int] | None:
    """Two classes each of which is taken for the other, in validation alone.

    Args:
        train: classes, and what a model that has not seen these rows takes them for.
        val: the same of validation.
    """
    known, counts = np.unique(val[0], return_counts=True)
    classes = known[counts >= FEWEST // 4].tolist()

    def taken(part: tuple[Array, Array], one: int, other: int) -> float:
        rows = part[0] == one
        return float((part[1][rows] == other).mean()) if rows.any() else 0.0

    for one in classes:
        for other in classes:
            both = [(one, other), (other, one)]
            if (
                one < other
                and min(taken(val, *pair) for pair in both) > SWAPPED
                and max(taken(train, *pair) for pair in both) < USUAL
            ):
                return one, other
    return None


def _of_numbers(judge: Judge, reading: Reading, val: tuple[Array, Array], *, alike: bool) -> Check:
    y, guess = reading.columns[0], reading.numbers[0]
    val_y = val[1].reshape(len(val[1]), -1)[:, 0].astype(np.float64)
    got = reading.forest.predict(val[0])
    usual, here = _correlation(guess, y), _correlation(got, val_y)
    sentence = (
        f"what trees predict correlates by {usual:.2f} with held-out train targets, and by "
        f"{here:.2f} with validation's"
    )
    numbers = {"train": usual, "val": here}
    if usual < READ:
        return judge.unknown("plain models read too little of the train targets", **numbers)
    if not alike:
        return judge.passed(sentence, **numbers)
    error = math.sqrt(1 / max(len(y) - 3, 1) + 1 / max(len(val_y) - 3, 1))
    lost = np.arctanh(min(usual, 0.999)) - np.arctanh(min(here, 0.999))
    factor, offset = _units(got, val_y, guess, y)
    numbers |= {"factor": factor, "offset": offset}
    if (
        lost < SURE * error
        and here > READ
        and (abs(math.log(factor)) > SLOPE or abs(offset) > OFFSET)
    ):
        text = (
            f"{sentence}; these are {factor:.3g} times as steep, and {offset:+.2g} deviations "
            "off: other units?"
        )
        return judge.fail(text, REMEDY, **numbers)
    if lost > SURE * error and usual - here > LOST:
        if as_sure(reading, val[0]) < UNLIKE:
            return judge.passed(f"{sentence}{STRANGE}", **numbers)
        say = judge.fail if here < 2 / math.sqrt(len(val_y)) else judge.warn
        return say(f"{sentence}: targets may belong to other rows", REMEDY, **numbers)
    return judge.passed(sentence, **numbers)


def _correlation(one: Array, other: Array) -> float:
    """The correlation of ranks, which a few far targets do not decide."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


def _units(got: Array, val_y: Array, guess: Array, y: Array) -> tuple[float, float]:
    """How much steeper validation targets rise with what trees predict than train's do, and how far
    off they are, in deviations of train targets. By quantiles, which a few far targets do not
    decide.
    """

    def spread(numbers: Array) -> float:
        low, high = np.quantile(numbers, [0.1, 0.9])
        return float(high - low)

    own, here = spread(y) / (spread(guess) or 1.0), spread(val_y) / (spread(got) or 1.0)
    factor = here / own if own and here else 1.0
    off = float(np.median(val_y - got) - np.median(y - guess))
    return factor, off / (float(y.std()) or 1.0)
