"""Is the score that a trainer reports that of all rows that it evaluates (R4, R16)?

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math
from collections.abc import Sequence

from search.diagnostics.preflight.check import Check, Judge
from trainers.probes.answers import Heard

HEARD = 1e-6  # relative change from which a number hears that the model answers otherwise
DIGITS = 1e-5  # relative difference of one number, computed twice
OTHERS = 2.0  # times the rows of the last batch that are evaluated before it, at least


def of_scores(before: Check, answer: Heard) -> Check:
    """What was told of the losses; or, if that is no fault, that the score is of the last batch
    alone, or of rows of train.
    """
    if before.outcome in ("warn", "fail") or "cause" in answer or not _complete(answer):
        return before
    (scores, losses), (others, changed) = answer["plain"], answer["changed"]
    if not all(_differ(*pair) for pair in zip(losses, changed, strict=True)):
        return before  # another model's, or of another part of the rows
    *rest, last = answer["sizes"]
    batches = len(rest)
    judge = Judge(name="reported_losses", rule="R16")
    first, second = (_differ(*pair) for pair in zip(scores, others, strict=True))
    if second and not first and sum(rest) >= OTHERS * last:
        text = f"the score, {scores[0]:.3g}, stays the same to the digit where the model answers"
        return judge.warn(
            f"{text} otherwise to {batches} of {batches + 1} batches: it is of the last one alone",
            "score all evaluated rows, or average over all batches",
        )
    if not first and not second and _differ(*scores) and (name := _of_train(answer)):
        text = f"the score stays the same whatever the model answers to the rows evaluated: {name}"
        return judge.warn(text, "score the rows of data.val")
    return before


def _complete(answer: Heard) -> bool:
    """Whether each run told two scores and two losses, all finite."""
    runs = answer["plain"], answer["changed"]
    numbers = [number for run in runs for row in run for number in row]
    return len(numbers) == 8 and all(number is not None for number in numbers)


def _differ(one: float, other: float) -> bool:
    return not math.isclose(one, other, rel_tol=HEARD)


def _of_train(answer: Heard) -> str:
    """Which number of the train batches it is, in both epochs; empty if none."""
    first, second = answer["train"]
    for name in first.keys() & second.keys():
        pairs = list(zip(answer["plain"][0], (first[name], second[name]), strict=True))
        if any(_are_one(pairs, times) for times in (1.0, -1.0, 100.0)):
            last = name.endswith("last batch")
            return f"that of the {'last batch' if last else 'rows'} of train"
    return ""


def _are_one(pairs: Sequence[tuple[float, float | None]], times: float) -> bool:
    """Whether the scores are so many times these numbers."""
    return all(
        told is not None and math.isclose(score, times * told, rel_tol=DIGITS)
        for score, told in pairs
    )
