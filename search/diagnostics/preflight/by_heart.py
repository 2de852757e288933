"""Can a few rows be learned by heart, and do metric, `val_loss` and predictions know it (R9)?

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.class_words import ENTROPIES
from search.diagnostics.preflight.output import PIXELS
from trainers.probes.answers import ByHeart, Try
from trainers.probes.told import Answer, Watched

FALLS = 0.8  # share of the first loss below which a loss has fallen
# Times its first size below 0, where a loss is no usual one any more, and where it surely has no
# end: densities go below 0 too.
ENDLESS, SURELY = 10.0, 300.0
ENDS = "the loss falls below 0 and without end: is its sign lost, or an absolute value?"
NEARLY = 0.9  # R² that no training reaches of which a part is missing
WORSE = 0.2  # share of a metric by which it is surely worse
NEARLY_ALL = 0.97  # share of right rows from which a loss must lie below that of a guess
LEARNED = 0.3  # a loss is surely lower than another if it is below this share of it
TAKEN = 0.9  # share of the rows that an epoch takes, below which some of a few may never be taught
LEAST = 0.05  # share of the first loss at which the rows that were taught are known
CLIMBED = 0.3  # share of the way to 1 that the score of drawn actions goes, if they are learned
SURE = 4.0  # standard errors, or deviations of the losses of shuffled labels, beyond chance
KNOWN = 0.3  # share of the first loss at which rows are known so well that a metric must say so


def overfit(
    heart: ByHeart,
    *,
    optimizers: int,
    metric: str = "",
    higher: bool = True,
    seen: Watched | None = None,
) -> Check:
    """Can it learn a few rows by heart, regularisers off, at one of several rates (R9)? Of several
    optimizers, as of a generator and its critic, the loss alone does not tell.

    `metric`: its name; `higher`: is better, of the metric; `seen`: of the training.
    """
    judge = Judge(name="overfit", rule="R9")
    tries = heart.get("tries") or ()
    losses = [one for one in tries if one["score"] is not None or one["end"] is not None]
    if not losses:
        error = next((attempt["error"] for attempt in tries), "")
        return judge.unknown(heart.get("cause") or error or "nothing was tried")
    scored = [attempt for attempt in tries if attempt["score"] is not None]
    by_score, by_end = itemgetter("score"), itemgetter("end")
    best = max(scored, key=by_score) if scored else min(losses, key=by_end)
    level = (
        f"{best['score']:.2f} of 1" if scored else f"loss {best['start']:.3g} → {best['end']:.3g}"
    )
    at = f"at rate {best['rate']:.2g} after {best['steps']} steps"
    sentence = f"{heart['rows']} rows by heart: {level} {at}"
    numbers: dict[str, Any] = {"rows": heart["rows"], "tries": list(tries)}
    if optimizers < 2 and (turned := _wrong_way(losses, metric=metric, higher=higher)):
        remedy = "is the loss, or a label in it, upside down? Or metric.direction?"
        return judge.warn(turned, remedy, **numbers)
    if any(attempt["fitted"] for attempt in tries):
        endless = [one["end"] for one in losses if _falls_for_ever(one, SURELY)]
        if optimizers > 1 or not endless:
            return judge.passed(sentence, **numbers)
        return judge.warn(f"{sentence}; the loss ends at {endless[0]:.3g}", ENDS, **numbers)
    if cause := _unsure(heart, optimizers=0 if scored else optimizers):
        return judge.unknown(f"{sentence}; {cause}", **numbers)
    if heart.get("numbers") and (best["score"] or 0.0) >= NEARLY:
        return judge.note(f"{sentence}: nearly all", "label_signal tells of noise", **numbers)
    if text := _answers_of_another(seen, losses):
        return judge.note(f"{sentence}; {text}", "how good is the teacher on these?", **numbers)
    if text := _left_out(seen, losses):
        return judge.note(f"{sentence}; {text}", "are the others left out on purpose?", **numbers)
    known = "" if scored else _known_by_metric(tries, metric=metric, higher=higher)
    if text := known or _learns_of_draws(seen, scored):
        return judge.note(f"{sentence}; {text}", **numbers)
    suspects, may_be_floor = _suspects(losses)
    if scored or not may_be_floor:
        return judge.fail(sentence, suspects, **numbers)
    cause, far = _floor(seen)
    if cause and any(_has_fallen(attempt, far) for attempt in losses):
        return judge.note(f"{sentence}; {cause}", **numbers)
    text = f"the trainer tells no predictions, and its loss may have a floor; else {suspects}"
    return judge.warn(sentence, text, **numbers)


def _known_by_metric(tries: Sequence[Try], *, metric: str, higher: bool) -> str:
    """How the metric says that rows are known whose loss stays high, as that of a ranking does;
    else empty.

    A share of 1 that it reaches from far below, or an error next to which the first one is large.
    """
    for first, last in (one["metric"] for one in tries if len(one.get("metric") or ()) == 2):
        known = NEARLY_ALL <= last <= 1 if higher else 0 <= last < LEAST * first
        if known and _is_worse(last, first, sign=1 if higher else -1):
            went = f"{metric or 'the metric'} went from {first:.3g} to {last:.3g} on these rows"
            return f"but {went}, so they are known, and the loss has a floor"
    return ""


def _learns_of_draws(seen: Watched | None, tries: Sequence[Try]) -> str:
    """How a score gets better of what draws its actions, as a policy does: by rewards it learns
    more slowly than by labels. Empty if nothing is drawn, or if the score has gone little of the
    way.
    """
    if seen is None or not seen["draws"]:
        return ""
    for first, last in (one["metric"] for one in tries if len(one.get("metric") or ()) == 2):
        if last - first > CLIMBED * (1 - first):
            return f"but it draws its actions, whose score went from {first:.2f} to {last:.2f}"
    return ""


def _left_out(seen: Watched | None, tries: Sequence[Try]) -> str:
    """How an epoch takes a part of the rows that it is given, and next to nothing is left of the
    loss of those; empty if it does not, or if that cannot be told.
    """
    first = seen["batches"][: seen["epochs"][0]] if seen and seen["epochs"] else ()
    taken = sum(batch["shape"][0] for batch in first) / seen["rows"] if seen and first else 1.0
    if taken >= TAKEN or not any(_has_fallen(attempt, LEAST) for attempt in tries):
        return ""
    return f"but an epoch takes {taken:.0%} of the rows that it is given, and knows those"


def _answers_of_another(seen: Watched | None, tries: Sequence[Try]) -> str:
    """How another model's answers were learned, which need not be the labels; else empty."""
    taught = seen is not None and seen["soft_targets"] > 0
    learned = any(_has_fallen(attempt, KNOWN) for attempt in tries)
    return "but it is taught another model's answers, and knows those" if taught and learned else ""


def _has_fallen(attempt: Try, share: float) -> bool:
    """Whether less than this share of its first loss is left, and none below 0, as of a margin."""
    start, end = attempt["start"], attempt["end"]
    return start is not None and end is not None and 0 <= end < share * start


def _suspects(tries: Sequence[Try]) -> tuple[str, bool]:
    """Why rows were not learned by heart, by what became of the losses; and whether the loss falls
    as one that has a floor does.
    """
    if all(attempt.get("lost") for attempt in tries):
        text = "the loss is not finite in the end, at every rate: look for divisions, roots and "
        return f"{text}logarithms, and for what changes from epoch to epoch (R20)", False
    known = [attempt for attempt in tries if attempt["end"] is not None]
    if not any(attempt["end"] < FALLS * attempt["start"] for attempt in known):
        suspects = "gradients that do not arrive, dead inputs, labels, the loss itself"
        return f"the loss rests at every rate, so suspect {suspects}", False
    if all(_falls_for_ever(attempt) for attempt in known):
        return ENDS, False
    text = "a model too small or saturated, inputs that do not belong to their labels"
    return f"the loss falls, so suspect {text}, or noise in it", True


def _unsure(heart: ByHeart, *, optimizers: int) -> str:
    """Why rows that were not learned tell nothing; empty if they do."""
    if heart.get("by_hand"):
        return "its steps are taken by hand, so no other rate could be tried"
    if optimizers > 1:
        return f"{optimizers} optimizers take turns, maybe against each other"
    if heart.get("left_out"):
        return f"its time was over with {heart['left_out']} rates not tried"
    return ""


def _floor(seen: Watched | None) -> tuple[str, float]:
    """Why even a loss of rows that are known by heart has a floor, empty if no reason is seen; and
    below which share of the first loss that floor may lie.
    """
    if seen is None:
        return "", 0.0
    if (tokens := seen.get("next_tokens")) and tokens["ahead"] and not tokens["reads_on"]:
        return "texts that begin alike go on in several ways, so their loss has a floor", KNOWN
    loss = seen.get("loss")
    if loss is not None and loss["name"] in PIXELS and not loss["classes"]:
        return "targets between 0 and 1 leave their own entropy as a floor", FALLS
    is_matched = loss is not None and loss["partners"]  # at any share: a temperature sets it
    return ("rows that find their partners among others have a floor" if is_matched else ""), FALLS


def _falls_for_ever(attempt: Try, times: float = ENDLESS) -> bool:
    """Whether a loss went far below 0, where no usual loss of labels goes."""
    start, end = attempt["start"], attempt["end"]
    return end is not None and bool(end < 0 and end < -times * abs(start))


def _is_worse(first: float, last: float, *, sign: int) -> bool:
    return sign * (first - last) > WORSE * max(abs(first), abs(last))


def _wrong_way(tries: Sequence[Try], *, metric: str, higher: bool) -> str:
    """How the metric got worse on the rows whose loss fell, in all tries with both; else empty."""
    known = [
        attempt
        for attempt in tries
        if len(attempt.get("metric") or ()) == 2 and _has_fallen(attempt, KNOWN)
    ]
    sign = 1 if higher else -1
    if not known or not all(_is_worse(*one["metric"], sign=sign) for one in known):
        return ""
    best = min(known, key=lambda one: one["end"] / one["start"])
    first, last = best["metric"]
    text = (
        f"rows were learned by heart, the loss fell from {best['start']:.3g} to {best['end']:.3g}"
    )
    return f"{text}, but {metric or 'the metric'} went from {first:.3g} to {last:.3g} on these rows"


def unknown_by_heart(heart: ByHeart, call: Answer | None) -> str:
    """How a `val_loss` knows nothing of rows that the model has learned by heart; empty if it
    does, or if that cannot be told.
    """
    for attempt in heart.get("tries") or ():
        loss, again = attempt.get("val_loss"), attempt.get("again")
        if loss is None:
            continue
        if again is None:
            guess = _guess(call)
            score = attempt.get("score") or 0.0
            if score > NEARLY_ALL and guess and loss > guess:
                return (
                    f"of rows that were learned by heart, {score:.0%} are said to be right, but "
                    f"val_loss is {loss:.3g}, more than the {guess:.3g} of a guess"
                )
            continue
        tells = again["shuffled"] - again["own"] > SURE * again["spread"]
        if tells and loss > again["shuffled"] - SURE * again["spread"]:
            return (
                f"of rows that were learned by heart, val_loss is {loss:.3g}, but the predictions "
                f"have {again['own']:.3g}, and {again['shuffled']:.3g} on shuffled labels"
            )
    return ""


def foreign_predictions(heart: ByHeart) -> str:
    """How predictions know nothing of rows whose `val_loss` says that they were learned by heart;
    empty if they do, or if that cannot be told.
    """
    for attempt in heart.get("tries") or ():
        loss, again = attempt.get("val_loss"), attempt.get("again")
        if loss is None or again is None:
            continue
        start, end = attempt.get("start"), attempt.get("end")
        learned = None not in (start, end) and end < LEARNED * start
        if learned and again["own"] > again["shuffled"] / 2 and loss < LEARNED * again["own"]:
            return (
                f"rows were learned by heart, val_loss is {loss:.3g}, but the predictions have "
                f"{again['own']:.3g}, and {again['shuffled']:.3g} on shuffled labels: are they of "
                "other rows, in another order, or in other units?"
            )
    return ""


def _guess(call: Answer | None) -> float | None:
    """What a cross-entropy is of equally likely classes: who is right in each row loses less."""
    if call is not None and call["name"].startswith("binary_cross_entropy"):
        return math.log(2)
    if call is None or call["name"] not in ENTROPIES or len(call["outputs"]) < 2:
        return None
    return math.log(call["outputs"][1]) if call["outputs"][1] > 1 else None
