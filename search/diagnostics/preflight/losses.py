"""Are the losses that a trainer reports those of its steps and of its predictions (R16)?

Pure functions of what `trainers.probes` has measured; never trains.
"""

import itertools
import math
from collections.abc import Sequence
from statistics import fmean

from search.diagnostics.preflight.by_heart import SURE, foreign_predictions, unknown_by_heart
from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.class_words import ENTROPIES
from search.diagnostics.preflight.first_loss import MOST
from trainers.probes.answers import ByHeart
from trainers.probes.told import Answer, Watched

OWN_ROW = "hold each output against the label of its own row"
NEAR, FAR = 0.05, 0.10  # relative difference of equal losses, at most; of different ones, at least
# Times the predictions' loss, from which another one is no penalty; by what such multiples differ.
TIMES, ALIKE = 1.5, 0.1
SAME = 0.01  # by what multiples of the same loss differ, where the last batch is smaller
DIGITS = 1e-5  # relative difference of the same loss told twice
HARDLY_ANY = 0.01  # share of a loss below which it is told on another scale, as that of a scaler
FOLLOWS = 0.5  # targets that follow the labels of their rows by less are of other rows
ALL = 0.999  # if more of the evaluated rows were trained on before, none is held out
CHANCE = 2.0  # deviations of the losses of shuffled labels within which a loss is chance


def reported_losses(seen: Watched, *, heart: ByHeart) -> Check:
    """`train_loss` against the losses of the steps, `val_loss` against that of the predictions.

    `heart`: of rows learned by heart, whose labels the predictions certainly know.
    """
    judge = Judge(name="reported_losses", rule="R16")
    if not any(loss is not None for loss in (*seen["train_loss"], *seen["val_loss"])):
        return judge.unknown("no finite loss was reported")
    if (wrong := _of_wrong_rows(seen, heart=heart)) is not None:
        return judge.fail(*wrong)
    pairs = [
        (loss, again)
        for loss, again in zip(seen["val_loss"], seen["losses_again"], strict=False)
        if loss is not None
    ]
    classes = seen["loss"] is not None and seen["loss"]["name"] in ENTROPIES
    if classes and (strange := _unrelated_predictions(pairs)):
        remedy = "yield predictions of the rows of data.val, in their order, in training units"
        return judge.fail(strange, remedy)
    if divided := _divided(seen):
        remedy = "report it before it is divided by the batches whose gradients are added up"
        return judge.warn(divided, remedy)
    if scaled := _too_small(seen) or _too_large(seen, pairs) or _times_evaluated(seen):
        return judge.warn(scaled, "report the mean over rows: a sum divided by their number")
    if not (seen["losses"] or seen["losses_again"] or heart.get("tries")):
        return judge.unknown("neither losses of steps nor predictions were seen beside them")
    apart = [
        (loss, again) for loss, again in pairs if abs(loss - again["own"]) > FAR * again["own"]
    ]
    if not apart or len(apart) < len(pairs):
        return judge.passed("the losses reported are those of the steps and of the predictions")
    loss, again = apart[-1]
    text = f"val_loss is {loss:.3g}, but the predictions have {again['own']:.3g}"
    by_chance = abs(loss - again["shuffled"]) < SURE * again["spread"] + NEAR * again["shuffled"]
    if by_chance and again["shuffled"] - again["own"] > SURE * again["spread"]:
        text = f"{text}, and {again['shuffled']:.3g} on shuffled labels"
        return judge.fail(text, OWN_ROW)
    return judge.note(text, "is it another loss, or one with penalties?")


def _of_wrong_rows(seen: Watched, *, heart: ByHeart) -> tuple[str, str] | None:
    """How losses are of other steps or rows than they say, and the remedy; else None."""
    if kept := _kept_sum(seen):
        return kept, "set the running sum, and its count, to 0 at the start of every epoch"
    rows = seen["rows_seen"]
    if rows["on_train"] is not None and rows["on_train"] > 0.9 and rows["on_val"] == 0:
        text = "the rows that were evaluated are train rows; no validation row was"
        return (text, "evaluate the rows of data.val")
    tells = seen["val_loss"] and seen["val_loss"][0] is not None
    held_out = rows["on_train"] or rows["on_val"] or (rows["on_taught"] or 0) <= ALL
    if tells and not held_out and _is_whole(seen):
        text = "all rows that were evaluated are rows that it trained on before"
        return (text, "evaluate rows that take no part in the training")
    if wrong := _of_evaluated(seen):
        return wrong
    held, taught = seen["held_targets"], seen["targets"] or {"follows": 1.0}
    if held is not None and held["follows"] < FOLLOWS <= taught["follows"]:  # labels_matter tells
        text = f"the targets of evaluated rows follow their labels by {held['follows']:.0%}"
        return (text, OWN_ROW)
    if text := unknown_by_heart(heart, seen["loss"]):
        return (text, OWN_ROW)
    if text := foreign_predictions(heart):
        remedy = "yield them in the order of data.val, one per row, in training units"
        return (text, remedy)
    return None


def _is_whole(seen: Watched) -> bool:
    """Whether the loss of a batch hears all of its rows; of a graph, which is given to the model
    with all of its nodes, it hears those of train, and another loss those of validation.
    """
    call, given = seen["loss"], seen["batches"]
    if call is None or not given or not call["outputs"]:
        return True
    return call["reduction"] != "none" and bool(call["outputs"][0] >= given[0]["shape"][0])


def _of_evaluated(seen: Watched) -> tuple[str, str] | None:
    """How `val_loss` is in every epoch, to the digit, that of other rows than of all evaluated: of
    rows of train although others were evaluated too, or of the last batch, a part of them; and the
    remedy. None if it is not.
    """
    epochs = list(zip(seen["val_loss"], seen["evaluated_losses"], strict=False))
    of_train = of_last = len(epochs) > 1
    for loss, noted in epochs:
        own, others, sizes = (  # what is not finite comes as None
            [math.nan if each is None else each for each in noted[kind]]
            for kind in ("train", "others", "sizes")
        )
        mean = fmean(others) if others else math.inf
        part = 1 < len(others) == len(sizes) and 2 * sizes[-1] < seen["val_rows"]
        of_train &= bool(own) and _is(loss, fmean(own)) and not _is(loss, mean, NEAR)
        of_last &= part and _is(loss, others[-1]) and not _is(loss, mean)
    if of_train or of_last:
        text = f"val_loss, {epochs[-1][0]:.3g} at last, is the loss of"
        if of_train:
            return f"{text} rows of train in every epoch", "evaluate the rows of data.val"
        return f"{text} the last batch in every epoch", "report the mean over all batches"
    return None


def _is(loss: float | None, other: float, share: float = DIGITS) -> bool:
    return loss is not None and math.isclose(loss, other, rel_tol=share)


def _divided(seen: Watched) -> str:
    """How `train_loss` is in every epoch the mean of what gradients were asked of, a whole part of
    the loss, and `val_loss`, as far as is known, the whole one; else empty.
    """
    call, backward = seen["loss"], next(filter(None, seen["losses"]), None)
    if call is None or not call["value"] or backward is None or call["reduction"] != "mean":
        return ""
    parts = round(call["value"] / backward)
    pairs = zip(seen["train_loss"], _epoch_means(seen), strict=False)
    is_part = 2 <= parts <= MOST and _is(call["value"], parts * backward)
    told = [_is(loss, mean, NEAR) for loss, mean in pairs]
    if not is_part or not told or not all(told):
        return ""
    if any(times < 1 / TIMES for times in _times(seen, call["name"])):
        return ""
    text = f"train_loss is the mean of what gradients were asked of: 1/{parts} of the loss"
    return f"{text}, which was {call['value']:.3g} in the first batch"


def _too_small(seen: Watched) -> str:
    """How a first epoch's train loss is below its first batch's share of a mean; else empty."""
    call, reported, ends = seen["loss"], seen["train_loss"], seen["losses_until"]
    if call is None or call["reduction"] != "mean" or not reported or not ends or not ends[0]:
        return ""
    first, value = reported[0], call["value"]
    if first is None or value is None or not 0 <= first < value / ends[0] * (1 - NEAR):
        return ""
    text = f"train_loss is {first:.3g} after {ends[0]} batches, the first of which had {value:.3g}"
    return f"{text}: no mean is so small"


def _too_large(seen: Watched, pairs: Sequence[tuple[float, Answer]]) -> str:
    """How `val_loss` is the same multiple of the predictions' loss in all epochs, and `train_loss`
    is none; else empty.
    """
    factors = [loss / again["own"] for loss, again in pairs if again["own"] > 0]
    if len(factors) < 2 or min(factors) < TIMES or max(factors) > (1 + ALIKE) * min(factors):
        return ""
    losses = zip(seen["train_loss"], seen["val_loss"], strict=False)
    if any(one is not None and two is not None and two < TIMES * one for one, two in losses):
        return ""
    return f"val_loss is {factors[0]:.3g} times the loss of the predictions in every epoch"


def _times_evaluated(seen: Watched) -> str:
    """How `val_loss` is the same multiple of the mean loss of all evaluated targets in every epoch,
    and `train_loss` is no such multiple of the steps' losses; else empty.
    """
    call, means = seen["loss"], _epoch_means(seen)
    backward = next((loss for loss in seen["losses"] if loss is not None), None)
    if call is None or not call["value"] or backward is None or call["reduction"] != "mean":
        return ""
    if abs(backward - call["value"]) > DIGITS * abs(call["value"]):
        return ""  # the loss has other terms
    times = _times(seen, call["name"])
    own = [
        loss / mean
        for loss, mean in zip(seen["train_loss"], means, strict=False)
        if loss is not None and mean
    ]
    if len(times) < 2 or not own or max(times) > (1 + SAME) * min(times):
        return ""
    if 1 / TIMES < times[0] < TIMES or any(abs(one / times[0] - 1) < ALIKE for one in own):
        return ""
    return f"val_loss is {times[0]:.3g} times the mean loss of all rows evaluated, in every epoch"


def _times(seen: Watched, name: str) -> list[float]:
    """How many times the mean of that loss over all evaluated rows `val_loss` is, by epoch."""
    pairs = zip(seen["val_loss"], seen["evaluated_means"], strict=False)
    return [
        loss / noted[name] for loss, noted in pairs if loss is not None and noted.get(name, 0.0) > 0
    ]


def _unrelated_predictions(pairs: Sequence[tuple[float, Answer]]) -> str:
    """How predictions know no more of the labels than of shuffled ones although `val_loss` does;
    empty if they know something, or if that cannot be told. Of classes only: numbers may be told in
    other units.
    """
    if len(pairs) < 2 or not all(
        again["spread"] > 0
        and again["own"] > again["shuffled"] - CHANCE * again["spread"]
        and loss < again["shuffled"] - SURE * again["spread"]
        and loss < (1 - FAR) * again["own"]
        for loss, again in pairs
    ):
        return ""
    loss, again = pairs[-1]
    return (
        f"val_loss is {loss:.3g}, but the predictions have {again['own']:.3g}, and "
        f"{again['shuffled']:.3g} on shuffled labels: they are of other rows"
    )


def _kept_sum(seen: Watched) -> str:
    """What shows that the second epoch's train loss holds the first one's too; empty if nothing."""
    reported = [loss for loss in seen["train_loss"][:2] if loss is not None]
    means = _epoch_means(seen)
    if len(means) < 2 or len(reported) < 2 or not means[0] or not means[1]:
        return ""
    scale = reported[0] / means[0]
    if _of_last_step(seen) or HARDLY_ANY < scale < 1 - NEAR:
        return ""  # of an epoch's end, where the loss has fallen below the epoch's mean
    own, kept = scale * means[1], scale * (means[0] + means[1])
    running = kept / 2
    text = f"train_loss is {reported[0]:.3g}, then {reported[1]:.3g}"
    if _near(reported[1], kept) and not _near(reported[1], own, FAR):
        return f"{text}; the second epoch's own is {own:.3g}: the running loss is never reset"
    if _near(reported[1], running, NEAR / 2) and not _near(reported[1], own, 2 * FAR):
        return f"{text}; the second epoch's own is {own:.3g}: it averages all steps since the start"
    return ""


def _of_last_step(seen: Watched) -> bool:
    """Whether every epoch's train loss is that of its last step, or the same multiple of it."""
    ends = [seen["losses"][end - 1] if end else None for end in seen["losses_until"]]
    pairs = list(zip(seen["train_loss"], ends, strict=False))
    times = [loss / end for loss, end in pairs if loss and end]
    if len(pairs) < 2 or len(times) < len(pairs):
        return False
    return all(math.isclose(each, times[0], rel_tol=DIGITS) for each in times)


def _epoch_means(seen: Watched) -> list[float]:
    """The mean loss of the steps of each epoch."""
    ends: Sequence[int] = [0, *seen["losses_until"]]
    parts = [
        [loss for loss in seen["losses"][start:end] if loss is not None]
        for start, end in itertools.pairwise(ends)
    ]
    return [fmean(part) for part in parts if part]


def _near(one: float, two: float, share: float = NEAR) -> bool:
    return math.isfinite(one) and abs(one - two) <= share * abs(two)
