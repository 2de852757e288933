"""Do train's labels belong to other rows, where validation's belong to their own (R10)?

Plain models that learned from validation alone show what a label has to do with its row. Pure
functions of arrays; never trains a model of the user's.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.reading import Reading, as_sure, readable, some_rows

FEWEST = 40  # rows of either set
NOTHING = 3.1  # standard errors below which train's labels are not read: one in a thousand
PLAIN, READ = 6.0, 0.1  # standard errors and score from which validation's are
CHANCE = 2.0  # standard errors above random labels, from which train's belong to their rows
# Of how sure trees are of held-out rows: below the first, train's rows are of another kind (0.21 at
# most where validation's come several times, or are films); below the second, as 0.4 of pictures
# that are changed in training, they are not quite alike.
UNLIKE, NEARLY = 0.35, 0.8
REMEDY = "see how train's labels were read: were they shuffled, or sorted, apart from the inputs?"
Array = NDArray[Any]


def of_other_rows(reading: Reading, val: tuple[Array, Array], *, alike: bool) -> Check | None:
    """That train's labels have nothing to do with their rows, though validation's have; None if
    that is not certain.

    A hard task, few rows or much noise explain none of this: trees that learned from no more rows
    of validation read its labels, held out; they are as sure of train's rows; and what they take
    these for has nothing to do with train's labels. Where validation's rows are easy or come
    several times, trees are less sure of train's.

    Args:
        reading: of train.
        val: inputs and labels of validation.
        alike: whether the sets were drawn alike: at another time, labels may mean another thing.
    """
    least = min(len(reading.y), len(val[1]))
    own, sure = readable(reading)
    if least < FEWEST or sure > NOTHING:
        return None
    x, y = some_rows(*val)
    held = Reading(
        x=x[: len(reading.y)],
        y=y[: len(reading.y)],
        classification=reading.classification,
    )
    score, certain = readable(held)
    if certain < PLAIN or score < max(READ, 2 * own):
        return None
    surety, agree = as_sure(held, reading.x), _agreement(held, reading)
    if surety < UNLIKE or agree > CHANCE:
        return None
    kind = "above the most frequent class" if reading.classification else "of the variance"
    text = (
        f"trees read {own:+.1%} {kind} in held-out rows of train, and {score:+.1%} in "
        f"{len(held.y)} of validation; they are {min(surety, 1):.0%} as sure of train's rows, "
        "whose labels say otherwise"
    )
    numbers = {"score": own, "deviations": sure, "val": score, "surety": surety, "agree": agree}
    judge = Judge(name="label_signal", rule="R10")
    return (judge.fail if alike and surety >= NEARLY else judge.warn)(text, REMEDY, **numbers)


def _agreement(held: Reading, reading: Reading) -> float:
    """By how many standard errors train's labels are more often what trees of validation say than
    labels in random order would be.
    """
    got = held.forest.predict(reading.x)
    if not reading.classification:
        y = reading.columns[0]
        varied = np.ptp(got) > 0 and np.ptp(y) > 0
        return float(np.corrcoef(got, y)[0, 1]) * math.sqrt(len(y)) if varied else math.inf
    kinds = np.union1d(got, reading.y)
    said, are = (np.array([(one == kind).sum() for kind in kinds]) for one in (got, reading.y))
    count = len(got)
    expected = float((said * are).sum()) / count
    # of the number of agreements, where one of two lists is in random order
    pairs = float((said * are * (count - said) * (count - are)).sum())
    crossed = float((said * are).sum()) ** 2 - float(((said * are) ** 2).sum())
    variance = (pairs + crossed) / (count**2 * (count - 1))
    return (float((got == reading.y).sum()) - expected) / (math.sqrt(variance) or math.inf)
