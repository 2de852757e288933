"""Rules for trainings that do not learn what they should: no gradient, shocks, data that
do not fit (R18–R26).

Each says why it holds, in the loss's own numbers, or nothing.
"""

import math

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.verdicts.curves import plain
from search.diagnostics.verdicts.rules_rate import (
    ASLEEP,
    FEWEST,
    LONG,
    REST,
    is_huge,
    rests_at_constant,
    sinks,
)
from search.diagnostics.verdicts.shape import BAD, SHORT, Shape
from search.diagnostics.verdicts.trend import JUMP, Array, jumped, median, noise

STUCK = 0.95  # of where train began, or of a constant prediction's loss
NOTHING = 0.8  # of a constant prediction's loss, from which a train that never moved is dead
FEW_NATS = 0.6  # a loss below which a good model's accuracy is near what guessing would give
VANISHED = 1e-3  # the first layer's gradient over the last one's
EXPLODED = 100.0  # a gradient's norm over its first value, or over a constant prediction's loss
DIGITS = 4  # digits behind the point, which a log of rounded losses has
EARLY = 6  # the first sixth of the epochs may be rough
# How far below train's loss chance alone may put validation's, over the root of its rows: three
# times the usual spread of a row's loss, 0.7 of a constant prediction's (calibrated).
EASY_BY_CHANCE = 2.1
HOLDS = 0.8  # a metric that came so far holds, however sure the model is where it errs
ASK = "the loss of a constant prediction (of a log: --classes C, or --constant L)"


def too_few(shape: Shape) -> str:
    """Nothing can be told of one epoch or two."""
    if shape.count >= FEWEST:
        return ""
    one = f"1 {shape.curves.each} shows no trend"
    return one if shape.count == 1 else f"{lasted(shape)} show no trend"


def lasted(shape: Shape) -> str:
    """How many epochs were seen; of how many, where losses are told every so many epochs."""
    last, axis = last_epoch(shape), shape.curves.axis
    if axis != "epoch" or not last.is_integer():
        return f"{shape.count} records of {plain(last)} {axis}s"
    if last <= shape.count:
        return f"{shape.count} epochs"
    return f"{shape.count} of {plain(last)} epochs"


def last_epoch(shape: Shape) -> float:
    """The number of the last epoch: perhaps not every epoch was evaluated."""
    return float(shape.curves.epochs[-1])


def exploding(shape: Shape) -> str:
    """R26: gradients far greater than the loss can ask for, or far greater than they were; where
    none were recorded, a loss that was huge from the start.
    """
    norms = shape.curves.grad_norm
    known = norms[np.isfinite(norms)] if norms is not None else np.empty(0)
    if not len(known) and is_huge(shape) and sinks(shape):
        return (
            f"train began at {shape.loss(shape.first)} and sinks steadily, to {shape.stands}, "
            f"where a constant prediction loses {shape.chance:.3g}"
        )
    if len(known) < FEWEST or shape.level < BAD:
        return ""
    usual, first, grown = median(known), float(known[0]), median(known[-FEWEST:])
    if usual > EXPLODED * shape.scale and shape.chance is not None:
        return (
            f"gradients have a norm of {usual:.2g}, where a constant prediction loses "
            f"{shape.scale:.2g}"
        )
    return (
        f"the gradient's norm grew from {first:.2g} to {grown:.2g}"
        if first > 0 and grown > EXPLODED * first
        else ""
    )


def vanishing(shape: Shape) -> str:
    """R26: next to nothing of the gradient reaches the first layer, and train is bad."""
    ratio = shape.last(shape.curves.early_gradient)
    if ratio is None or not 0 < ratio < VANISHED or shape.level < BAD:
        return ""
    text = f"a weight of the first layer gets {ratio:.1g} of the gradient that one of the last gets"
    return f"{text}, and train stands at {shape.stands}"


def dead_units(shape: Shape) -> str:
    """R26: units that no row wakes, from the start, and nothing learned."""
    dead, share = shape.curves.dead_units, shape.last(shape.curves.dead_units)
    if dead is None or share is None or share < ASLEEP or _has_learned(shape):
        return ""
    if shape.curves.untrained and dead[0] < ASLEEP:
        return ""  # it is training that killed them
    return (
        f"{100 * share:.0f} % of a layer's units let nothing through, whatever the row, and train "
        "has learned nothing"
    )


def opposed(shape: Shape) -> str:
    """R18: train rises and validation falls, which no rate does."""
    if shape.train_goes != "up" or shape.val_goes != "down" or shape.count < FEWEST:
        return ""
    return "train rises while validation falls"


def dead(shape: Shape) -> str:
    """R19: train rests where it began, or at what a constant prediction loses."""
    if not _goes_nowhere(shape):
        return ""
    rests = rests_at_constant(shape)
    known = shape.curves.untrained or (shape.anchored and shape.level > NOTHING)
    guesses = not shape.anchored and _guesses(shape)
    if not rests and not ((known or guesses) and _is_where_it_began(shape)):
        return ""
    text = "about where it began"
    if rests or guesses:
        text = "which is what a constant prediction loses"
    return f"train rests at {shape.stands}, {text}: nothing has been learned{shape.sure}"


def is_frozen(shape: Shape) -> bool:
    """Whether validation's loss is the same to the last digit in every epoch, of digits enough that
    rounding cannot do it: gradients that vanish still move the bias of the last layer.
    """
    val = shape.curves.val
    is_long = shape.curves.held_out and shape.count > SHORT
    return bool(is_long and np.ptp(val) == 0 and abs(val[0] - round(val[0], DIGITS)) > 0)


def _goes_nowhere(shape: Shape) -> bool:
    """Whether train never was clearly below its start, and does not move."""
    brief = shape.count <= SHORT and (
        shape.count <= FEWEST or float(np.ptp(shape.train)) > REST or not shape.chance
    )
    moves = shape.count > SHORT and (shape.creeps or shape.train_goes not in ("flat", "unclear"))
    return not (_has_learned(shape) or brief or moves)


def _is_where_it_began(shape: Shape) -> bool:
    near = abs(shape.level - shape.first) < REST * shape.first
    return near and shape.first < 1.3 and not shape.floor


def _guesses(shape: Shape) -> bool:
    """Whether the metric is what guessing among equally frequent classes gives at this loss."""
    loss = shape.level * shape.scale
    return (
        shape.score is not None
        and loss > FEW_NATS
        and abs(shape.score - math.exp(-loss)) < 0.1 * math.exp(-loss)
    )


def rests_unscaled(shape: Shape) -> str:
    """R19: a loss that never moved is dead, or was trained before: its level alone can tell."""
    if shape.anchored or not _goes_nowhere(shape) or not _is_where_it_began(shape):
        return ""
    return (
        f"train rests at {shape.stands} from its first {shape.curves.each} on: whether nothing was "
        f"learned, or it was learned before, cannot be judged without {ASK}"
    )


def _has_learned(shape: Shape) -> bool:
    """Whether train was ever clearly below its start, or below a constant prediction."""
    return shape.lowest < (1 - 2 * REST) * min(shape.first, 1.0)


def stuck(shape: Shape) -> str:
    """R26a: train rests, and is nearly as bad as it was."""
    if shape.formless:
        return f"train shakes by {shape.by(shape.shaking)} about {shape.stands} and goes nowhere"
    if (
        shape.train_goes != "flat"
        or not shape.anchored
        or shape.level < STUCK * (min(shape.first, 1.0) if shape.curves.untrained else 1.0)
        or shape.creeps
        or shape.floor
        or not shape.first
    ):
        return ""
    came = f"train came from {shape.loss(shape.first)} to {shape.stands}"
    return f"{came} and stays there{shape.sure}"


def unstable(shape: Shape) -> str:
    """P11: shocks that train gets over, unless validation is being lost, which costs more."""
    return (
        ""
        if shape.val_goes == "up" and shape.rise > 0.3 and shape.level < shape.bad
        else shocks(shape)
    )


def shocks(shape: Shape) -> str:
    """P11, whatever else there is."""
    jumps = _jumps(shape) if shape.curves.held_out else 0  # single batches jump at any rate
    return f"train jumped {jumps} times and came back" if jumps >= 2 else ""


def _jumps(shape: Shape) -> int:
    """How often the model jumped and came back; 0 where no loss of batches rose with it: an
    evaluation also jumps where batch norm's averages lag behind.
    """
    before, stepped = _jumped(shape.train), shape.curves.stepped
    if stepped is not None and len(before):
        own = stepped[len(stepped) - shape.count :] / shape.scale
        return 0 if bool((_rise(own, before) < JUMP).all()) else len(before)
    if not shape.curves.comparable:  # a mean over batches hides some that validation shows
        val = _jumped(shape.val)
        is_other = ~np.isin(val, np.concatenate([before - 1, before, before + 1]))
        before = np.union1d(before, val[is_other & (_rise(shape.train, val) > JUMP)])
    return len(before)


def _jumped(series: Array) -> NDArray[np.intp]:
    """Epochs after which a series jumped and came back, its first sixth aside."""
    shakes = max(noise(series), noise(series[len(series) // 2 :]))
    before = jumped(series, shakes=shakes, brief=len(series) < LONG)
    return before[before >= max(2, len(series) // EARLY)]


def _rise(series: Array, before: NDArray[np.intp]) -> Array:
    """By how much a series rose within two epochs after each of some."""
    after = np.minimum(before + 2, len(series) - 1)
    return np.maximum(series[before + 1], series[after]) - series[before]


def data_suspect(shape: Shape) -> str:
    """R18: what train learns does not show on validation, or validation is far easier."""
    if shape.count < FEWEST:
        return ""
    if shape.val_first and not shape.floor and shape.level < 0.7 * min(shape.first, 1.0):
        learned, never = shape.metric_learned, shape.val_lowest / shape.val_first
        if never > 0.82 and (learned is None or learned < (HOLDS if never > 0.97 else 0.2)):
            val = f"validation was never below {shape.loss(shape.val_lowest)}"
            return f"train fell to {shape.stands}, and {val}: what is learned does not hold there"
    chance = EASY_BY_CHANCE / math.sqrt(shape.curves.val_rows or math.inf)
    far = shape.gap < -max(0.08, 0.25 * shape.level, chance) and shape.curves.comparable
    # More than dropout can explain.
    if far or (shape.level > shape.bad and shape.val_level < 0.2 * shape.level):
        return (
            f"validation, at {shape.loss(shape.val_level)}, is far easier than train, at "
            f"{shape.stands}"
        )
    return ""
