"""Does what a model learns of some rows hold for others, and for those that are evaluated (R10)? It
needs no name of a fault, and gives none.

Pure functions of what `trainers.probes` has measured; never trains.
"""

import numpy as np

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.validation_labels import REMEDY, swapped
from trainers.probes.answers import HeldOut, Terms
from trainers.probes.told import FELL

CERTAIN = 4.0  # standard errors, the greatest of several looks, below which all is chance
# Shares of such a fall, and of what it matters which answer is for which row, that evaluated rows
# show at least.
GAINED, TOLD = 0.25, 0.6

DROWNED = 0.01  # share of another term's gradient, below which one teaches nothing beside it


def held_out(answer: HeldOut, *, alike: bool = True) -> Check:
    """Of a copy that has learned half of the batches of an epoch, by their own losses.

    `alike`: whether the sets were drawn alike: later times, or other groups, are harder.
    """
    judge = Judge(name="held_out", rule="R10")
    if answer.get("deviations") is None:
        return judge.unknown(answer.get("cause", "a loss was not finite"))
    sure = float(answer["deviations"])
    text = (
        f"batches that a copy of the model has not learned have a loss of {answer['held']:.3g}, of "
        f"{answer['mixed']:.3g} where each row gets another row's answer"
    )
    if sure < CERTAIN:
        if answer["own"] < CERTAIN:
            return judge.unknown(f"{text}; nor did it learn its own", deviations=sure)
        if answer["ids"]:
            return judge.unknown(
                f"{text}; its rows are ids, which few others hold", deviations=sure
            )
    if fault := _of_terms(answer["terms"]):
        return judge.warn(*fault, deviations=sure)
    if sure < CERTAIN:
        remedy = (
            "follow one row from its file to the loss: do input, answer and target stay together, "
            "and does a right answer lower the loss?"
        )
        return judge.warn(f"{text}: no more than chance", remedy, deviations=sure)
    held, evaluated = map(np.asarray, answer["named"])
    if pair := swapped(tuple(held), tuple(evaluated)):
        apart = f"a copy of the model takes class {pair[0]} for {pair[1]}, and that for the first,"
        return judge.warn(f"{apart} in the rows evaluated alone", REMEDY, classes=pair)
    if alike and (apart := _apart(answer)):
        remedy = "see whether both are read, coded, scaled and ordered by the same lines"
        return judge.warn(apart, remedy, deviations=sure)
    return judge.passed(text, deviations=sure)


def _of_terms(terms: Terms) -> tuple[str, str] | None:
    """How a term of a summed loss teaches nothing, and the remedy; else None."""
    if terms["silent"]:
        text = "a term of the loss changes with the weights, and no gradient comes of it"
        return text, "is it detached, or computed under no_grad?"
    if terms["share"] < DROWNED:
        text = "a term of the loss teaches the weights that it shares with another one at most"
        remedy = "bring the terms to one scale: means, not sums; targets normalised"
        return f"{text} {terms['share']:.1g} times as much", remedy
    return None


def _apart(answer: HeldOut) -> str:
    """How what a copy has learned holds for other rows of train, and not for those evaluated; empty
    if it does, or if that cannot be told.
    """
    start, held, mixed = answer["start"], answer["held"], answer["mixed"]
    known = answer["evaluated"] and None not in answer["evaluated"]
    if not known or min(start, mixed, *answer["evaluated"]) <= 0:
        return ""
    first, now, crossed = answer["evaluated"]
    fell, told = 1 - held / start, 1 - held / mixed
    gains = 1 - now / first < GAINED * fell and 1 - now / crossed < TOLD * told
    if fell < FELL or not gains or first == now:  # the same to the digit: of another model
        return ""
    return (
        "a copy that has learned half of the batches brings the loss of the others from "
        f"{start:.3g} to {held:.3g}, and that of the rows evaluated from {first:.3g} to {now:.3g}"
    )
