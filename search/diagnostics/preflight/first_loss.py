"""Is an untrained model's loss what knowing nothing costs (R11), and its gradient the mean's?

Pure functions of what `trainers.probes` has measured; never trains.
"""

import math

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.class_words import ENTROPIES
from search.diagnostics.preflight.output import PIXELS, why_unknown
from trainers.probes.told import Answer, Watched

# First loss over the expected one, for classes and for numbers: warned of, failed.
ABOVE = {True: (2.0, 5.0), False: (4.0, 25.0)}
BELOW, NEAR = 0.3, 0.3  # least share of the expected first loss; tolerance of a sum over a batch
EXACT = 1e-3  # relative difference up to which two losses are equal
# Of zeros' loss over a constant prediction's: targets that a model may learn to reach; of a first
# loss over that of zeros, which an untrained model gives nearly.
OFFSET, AWAY = 1e3, 1.5
MOST_TERMS = 10.0  # times a summed loss, up to which further terms are added to it
MOST = 64  # batches over which gradients are accumulated
NEGATED = "the loss is negated: call backward of the loss itself"
SUMMED = (
    "take the mean over the batch, as by reduction='mean': else the rate depends on the batch size"
)


def first_loss(seen: Watched, *, entropy: float | None, classes: int) -> Check:
    """Is the untrained model's loss what knowing nothing costs (R11)? `entropy`: of the class
    frequencies, in nats.

    Who does not know the frequencies pays the logarithm of the number of classes: that is no fault.
    """
    judge = Judge(name="first_loss", rule="R11")
    call, got = seen["loss"], seen["first_loss"]
    if seen["prepared"]:
        return judge.unknown("weights were trained before the first epoch")
    sizes = [batch["shape"][0] for batch in seen["batches"]]
    if seen["summed"] > 2 and seen["summed"] in sizes and len(sizes) > len(seen["epochs"]):
        text = f"the loss is summed over the {seen['summed']} rows of a batch, by hand"
        return judge.warn(text, SUMMED)
    if call is None or seen["optimizers"] > 1:
        return judge.unknown(why_unknown(seen))
    backward = next((loss for loss in seen["losses"] if loss is not None), None)
    if text := _of_a_sum(call, backward):
        return judge.unknown(text)
    if (wrong := _not_the_mean(seen, call, backward)) is not None:
        return judge.fail(*wrong)
    if got is None:
        got = _mean_of_a_sum(call, backward) if call["reduction"] == "sum" else call["value"]
    entropic = call["name"] in ENTROPIES
    guess = math.log(call["outputs"][1]) if entropic and len(call["outputs"]) > 1 else None
    expected = (entropy or guess) if entropic else call["constant"]
    if not expected:
        return judge.unknown("the loss of a constant prediction is not known")
    most = max(expected, math.log(classes)) if entropic and classes else expected
    return _held_against(judge, call, got, expected=expected, most=most)


def _held_against(
    judge: Judge, call: Answer, got: float | None, *, expected: float, most: float
) -> Check:
    """The first loss, beside what knowing nothing costs, and what it costs at most."""
    entropic, rows = call["name"] in ENTROPIES, call["outputs"][0] if call["outputs"] else 0
    kind = "the entropy of the classes" if entropic else "that of a constant prediction"
    shown = f"{got:.3g}" if got is not None else "not finite"
    sentence = f"{shown} before training, {expected:.3g} would be {kind}"
    warned, failed = ABOVE[entropic]
    if got is None:
        remedy = "look for log(0), divisions and roots in the loss, and at the data (R20)"
        return judge.fail(sentence, remedy, expected=expected)
    summed = got != call["value"] and abs(got / (max(rows, 1) * expected) - 1) < NEAR
    if got > warned * most and rows > 2 and summed:  # a mean of torch's is none, however great
        return judge.fail(sentence, SUMMED, got=got, expected=expected)
    zero = call["zero"]  # near this distance of the targets from 0 an untrained model is
    if got > warned * most and zero and expected < zero < OFFSET * expected and got < AWAY * zero:
        text = f"{sentence}, and {zero:.3g} that of zeros: the targets lie away from 0"
        remedy = "normalise them, or begin with their mean as the last layer's bias"
        return judge.note(text, remedy, got=got, expected=expected)
    if got > warned * most:
        say = judge.fail if got > failed * most else judge.warn
        remedy = "start from smaller weights (model.gain), or check inputs' and targets' scale"
        return say(sentence, remedy, got=got, expected=expected)
    if got < BELOW * expected and not entropic and got == call["value"] > EXACT * expected:
        text = f"{sentence}: its outputs lie near the targets, as where it adds to an input"
        return judge.note(text, got=got, expected=expected)
    if got < BELOW * expected:
        remedy = "no untrained model knows so much: does the input hold the label? Is it scaled?"
        return judge.warn(sentence, remedy, got=got, expected=expected)
    return judge.passed(sentence, got=got, expected=expected)


def _mean_of_a_sum(call: Answer, backward: float | None) -> float | None:
    """What a sum, of which the gradient is asked for once it was shared out among the rows or more,
    is for each target; of any other one what is asked.
    """
    value, rows = call["value"], call["outputs"][0] if call["outputs"] else 0
    if not value or not backward or not rows or value / backward < rows * (1 - NEAR):
        return backward
    return float(value / math.prod(call["targets"]))


def _of_a_sum(call: Answer, backward: float | None) -> str:
    """Why a summed loss tells nothing: the gradient is asked for of more than it, as of a
    divergence too, or it is the likelihood of all numbers of a row; empty if it does.
    """
    value = call["value"]
    if call["reduction"] != "sum" or value is None or backward is None or value <= 0:
        return ""
    near = value / MOST_TERMS < backward < MOST_TERMS * value
    if near and abs(backward - value) > EXACT * value:
        return "the loss is a sum of which other terms are part"
    many = near and call["name"] in PIXELS and math.prod(call["targets"][1:]) > 1
    return "the loss is a sum, as the likelihood of all numbers of a row is" if many else ""


def _not_the_mean(seen: Watched, call: Answer, backward: float | None) -> tuple[str, str] | None:
    """Whether the gradient is asked for of another thing than the mean loss: of its negative, of
    the sum; what shows that, and the remedy.
    """
    value = call["value"]
    if seen["maximized"]:
        text = f"{call['name']} is maximized: the optimizer has maximize=True"
        return text, "drop maximize=True: a loss is to fall"
    if value is None or backward is None or not value:
        return None
    both = seen["train_loss"], seen["val_loss"]
    train, val = ([0.0 if one is None else one for one in each] or [0.0] for each in both)
    if -backward >= value > 0 and val[-1] > val[0] > 0 > train[0] > train[-1]:
        text = f"train_loss falls from {train[0]:.3g}, and val_loss rises from {val[0]:.3g}"
        return text, NEGATED
    parts = round(value / -backward) if value > 0 > backward else 0  # accumulated, if several
    if 0 < parts <= MOST and abs(parts * backward + value) < EXACT * value:
        text = f"{call['name']} is {value:.3g}, and the gradient that of {backward:.3g}"
        return text, NEGATED
    rows = math.prod(call["targets"]) if call["targets"] else 0
    if call["reduction"] == "sum" and rows > 2 and abs(backward - value) < EXACT * abs(value):
        text = f"{call['name']} is summed over {rows} targets before its gradient is asked for"
        return text, SUMMED
    return None
