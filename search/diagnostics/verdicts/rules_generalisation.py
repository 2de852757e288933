"""Rules for trainings that learn: where train and validation stand, and where they are going (R18,
R21–R23, R26b).

Each says why it holds, in the loss's own numbers, or nothing. Asked after the rules for trainings
that fail.
"""

import math

import numpy as np

from search.diagnostics.verdicts.curves import plain
from search.diagnostics.verdicts.rules_rate import GOOD, HIGH, wobble
from search.diagnostics.verdicts.rules_training import ASK, NOTHING, last_epoch, lasted
from search.diagnostics.verdicts.shape import SHORT, SMALL, UNSURE, Shape

STEADY = 0.6  # share of its mean pace below which a fall levels off; at low rates 0.67 or more
SLOW = 0.75  # share of its first value above which train has hardly fallen
STEEP = 0.9  # a loss below this share of the epoch before still falls steeply
FAR = 0.12  # gap of validation above train, twice as high too, that is overfitting by level (R22b)
APART, TIMES = 0.4, 3.0  # the same gap and factor, where only the first epoch gives a scale
AT_ONCE = 1.5  # times the second epoch, from which a first one is no part of the curve
BETTER = 0.2  # share of what a metric lacked at first, which only a model that learns gains
NEVER = 0.9  # validation above this share of its first epoch has not fallen
LARGE = 50.0  # a loss that is large in the usual units, nats or variances
HALF = 0.5  # a share of rows named rightly, below which more are wrong than right
WORDS = 1000  # classes from which labels are words, or as hard to foretell
SHAKES = 0.008  # from epoch to epoch, of a plateau whose rate is to be lowered
CHANCE = 3.0  # shakes that a series may fall in a third of its epochs by chance
ALONG = 0.3  # share of train's fall that validation falls too if both learn the same


def fell_at_once(shape: Shape) -> str:
    """R23: a first epoch far above a plateau is a blow-up that was got over, or all that there was
    to learn: the plateau's level alone can tell, or a good metric.
    """
    rest = shape.train[1:]
    if shape.anchored or shape.count <= SHORT or (shape.score or 0.0) > 0.5:
        return ""
    if shape.train[0] < AT_ONCE * rest[0] or rest.min() < NOTHING * rest[0]:
        return ""
    return (
        f"train fell in its first {shape.curves.each} alone and has rested at {shape.stands} "
        f"since: whether that is low cannot be judged without {ASK}"
    )


def suspect_unscaled(shape: Shape) -> str:
    """R18: validation that is best in its first epochs was learned at once, or never was: a
    constant prediction's loss can tell, or a good metric.
    """
    fell = shape.level < 0.7 * min(shape.first, 1.0)
    if shape.anchored or not fell or shape.turn > 1:
        return ""
    if shape.val_lowest < NEVER * float(shape.val[0]) or _is_learned(shape):
        return ""
    return (
        f"train fell to {shape.stands}, and validation was lowest at once, at "
        f"{shape.loss(shape.val_lowest)}: whether it overfits from the start, or nothing of what "
        f"is learned holds there, cannot be judged without {ASK}"
    )


def _is_learned(shape: Shape) -> bool:
    """Whether validation's metric is good, or became much better, where it is a share."""
    if shape.score is None or shape.curves.metric is None:
        return False
    metric = shape.curves.metric[np.isfinite(shape.curves.metric)]
    gained = float(metric.max() - metric[0])
    return shape.score > 0.5 or gained > BETTER * (1 - float(metric[0]))


def overconfident(shape: Shape) -> str:
    """R21: validation's loss rises, and its metric gets better; where it still names most rows
    wrongly, that is overfitting first, and this is told beside it.
    """
    if shape.score is not None and shape.score < HALF:
        return ""
    return rises_while_better(shape)


def rises_while_better(shape: Shape) -> str:
    """Validation's loss from its lowest, where its metric has gained since, in words."""
    if shape.val_goes != "up" or shape.metric_gain < 2 or _is_bad(shape):
        return ""
    rose = (
        f"validation's loss rose from {shape.loss(shape.val_lowest)} to "
        f"{shape.loss(shape.val_level)}"
    )
    return f"{rose} while its metric got better"


def overfitting(shape: Shape) -> str:
    """R18, R22b: validation rises, or lies far above train; never where train is bad (R22)."""
    if _is_bad(shape) or (shape.level > shape.bad and not shape.falls and shape.gap < FAR):
        return ""
    train, now = f"train stands at {shape.stands}", shape.loss(shape.val_level)
    if shape.val_goes == "up":
        return (
            f"validation has risen from {shape.loss(shape.val_lowest)} to {now} since "
            f"{shape.curves.at(shape.turned)}, {train}"
        )
    least, times = (FAR, 2.0) if shape.anchored else (APART, TIMES)
    far = shape.gap > least and shape.val_level > times * shape.level
    return f"validation, at {now}, is far above train: {train}" if far else ""


def _is_bad(shape: Shape) -> bool:
    """Where the first epoch is all that train can be held against, what falls is not bad."""
    return shape.level > HIGH and (shape.anchored or not shape.falls)


def too_short(shape: Shape) -> str:
    """R15a: cut off while it fell."""
    train, val = shape.train, shape.val
    falls = train[-1] < min(shape.first, float(train[0])) and val[-1] < val[0]
    if shape.count > SHORT or not falls or (shape.level < shape.bad / 2 and not _steep(shape)):
        return ""
    return (
        f"{lasted(shape)}, and {falling(shape)}: train from {shape.loss(shape.first)} "
        f"to {shape.stands}"
    )


def falling(shape: Shape) -> str:
    """What still falls, where all losses do."""
    return "both losses still fall" if shape.curves.held_out else "train still falls"


def _steep(shape: Shape) -> bool:
    """Whether both losses fell in every epoch, and in the last one by a good share."""
    both = (shape.train, shape.val)
    falls = all(bool((np.diff(series) < 0).all()) for series in both)
    return falls and all(series[-1] < STEEP * series[-2] for series in both)


def lr_too_low(shape: Shape) -> str:
    """R23: a slow, steady fall, and nearly all of the way left."""
    falls = shape.creeps and (shape.anchored or shape.kept_pace >= STEADY)
    falls &= shape.val_late.change < ALONG * shape.late.change
    learned = (shape.score or 0.0) >= GOOD or shape.curves.resumed
    if shape.level < HIGH if shape.anchored else learned:
        return ""  # most was learned in the first epoch, or before the log begins
    if not falls or shape.level < SLOW * max(shape.first, shape.began) or shape.count <= SHORT:
        return ""
    came = f"train has come from {shape.loss(shape.first)} to {shape.stands} only"
    last = last_epoch(shape)
    last = max(last, shape.count) if last.is_integer() else last  # epochs may count from 0
    return f"after {plain(last)} {shape.curves.axis}s {came}, and still falls"


def still_learning(shape: Shape) -> str:
    """R18: both still fall."""
    unsure = (
        shape.train_goes == "unclear"
        and shape.late.change < -(1 if shape.val_goes == "down" else 2) * SMALL
        and shape.jitter < 0.05 * shape.level
    )
    if not (_falls(shape) or unsure):
        return ""
    if shape.val_late.change > ALONG * shape.late.change:
        return _early(shape)
    if not shape.curves.held_out:
        return f"train ({shape.stands}) still falls"
    return f"train ({shape.stands}) and validation ({shape.loss(shape.val_level)}) still fall"


def _falls(shape: Shape) -> bool:
    """Whether train still falls, by more in the last third of its epochs than the model shakes in
    one, if it shakes.
    """
    return shape.falls and not (_shakes(shape) and -shape.late.change < wobble(shape))


def _shakes(shape: Shape) -> bool:
    """Whether the model shakes about a level that is not learned, at a rate that is not at its end,
    and validation gets no better; single batches shake at any rate.
    """
    known = shape.curves.held_out and not shape.annealed and shape.level >= shape.bad / 3
    least = max(SHAKES, (0.03 if shape.anchored else 0.1) * shape.level)
    return known and wobble(shape) >= max(least, -shape.val_late.change / CHANCE)


def _early(shape: Shape) -> str:
    """R22: where train is bad still, validation that rests is no reason to stop."""
    if not shape.falls or not shape.anchored or shape.level < HIGH:
        return ""
    rests = f"validation rests at {shape.loss(shape.val_level)}"
    return f"train still falls and is still bad, at {shape.stands}; {rests}"


def far_from_usual(shape: Shape) -> str:
    """R11: a large loss is a blow-up, or has a large unit: a constant prediction's can tell."""
    if shape.anchored or shape.floor or shape.level * shape.scale < LARGE:
        return ""
    return f"train stands at {shape.stands}: whether that is much cannot be judged without {ASK}"


def may_have_a_floor(shape: Shape) -> str:
    """R22: where train rests may be as low as the loss can be.

    Language cannot be foretold, and smoothed labels never fit.
    """
    if shape.falls or not shape.bad <= shape.level < HIGH or shape.gap > FAR:
        return ""
    classes = shape.curves.classes
    if classes >= WORDS:
        floor = f"of {classes} classes, such as words, part cannot be foretold"
    elif shape.score is None and classes > 1 and shape.level < UNSURE:
        floor = "label smoothing, or noise, may hold it up: a metric would tell"
    else:
        return ""
    return f"train rests at {shape.stands}{shape.held}; {floor}"


def _is_good(shape: Shape) -> bool:
    """Whether nearly all answers are right, of classes of which none makes up nearly all."""
    classes, score = shape.curves.classes, shape.score
    if classes < 2 or score is None or score < GOOD or shape.falls or shape.gap > FAR:
        return False
    return shape.chance is not None and shape.chance > 0.8 * math.log(classes)


def val_stalled(shape: Shape) -> str:
    """R18: train falls, validation does not."""
    if (
        not _falls(shape) or shape.val_level < shape.level
    ):  # dropout can hold train above validation
        return ""
    return f"train still falls ({shape.stands}), validation rests at {shape.loss(shape.val_level)}"


def lr_drop_due(shape: Shape) -> str:
    """R26b: train fell at this rate, has stopped, and shakes; or shakes by more than it falls."""
    if _falls(shape) or not _shakes(shape):
        return ""
    return f"train fell to {shape.stands} and has stopped, shaking by {shape.by(wobble(shape))}"


def rests_alone(shape: Shape) -> str:
    """R22: without a scale, a plateau may be as low as the loss can be, if there is no validation,
    or no metric that is bad: a model may have learned before its log begins.
    """
    known = shape.curves.held_out and shape.score is not None and shape.score < GOOD
    if known or shape.anchored or shape.falls or shape.level < shape.bad:
        return ""
    return f"train rests at {shape.stands}: whether that is bad cannot be judged without {ASK}"


def underfitting(shape: Shape) -> str:
    """R22: train rests quietly, and is bad."""
    if shape.falls or shape.level < shape.bad or _is_good(shape):
        return ""
    rests = f"train has come to rest at {shape.stands}, from {shape.loss(shape.first)}"
    return f"{rests}{shape.held}{shape.sure}"


def converged(shape: Shape) -> str:
    """Train rests near its floor, and validation beside it."""
    if shape.train_goes == "up" or (shape.level >= shape.bad and not _is_good(shape)):
        return ""
    rests = f"train rests at {shape.stands}{shape.held}"
    if shape.level < shape.bad:
        return rests
    metric = f"the metric is {shape.score:.2f}"
    return f"{rests}; {metric}, so label smoothing or noise holds the loss up"
