"""Rules for learning rates that are too high, from the start or late (R23); what shows it.

Each says why it holds, in the loss's own numbers, or nothing.
"""

import numpy as np

from search.diagnostics.verdicts.shape import SHORT, Shape
from search.diagnostics.verdicts.trend import noise

FEWEST = 3  # epochs without which nothing can be told
HIGH = 0.6  # level of train above which little has been learned
GOOD = 0.9  # an accuracy, or another share, of a model that has learned
REST = 0.03  # train this near to a constant prediction's loss rests there
ASLEEP = 0.9  # share of dead units from which a layer lets nothing through
LONG = 16  # epochs whose halves can be compared
SELDOM = 0.2  # share of epochs in which a steadily sinking loss may rise
LASTING = 0.45  # pace in the last sixth over that in the last third, above which it lasts
LOST = 0.93  # share of a constant prediction's loss below which a model has learned something
CLIPPED = 0.99  # share of an epoch's steps whose gradient was clipped, from which all were
SMALL = 0.1  # of its highest: a rate that is lower from a quarter of the epochs on fell early
BLOWN = 3.0  # a loss of so many times its first value, or a constant prediction's, has blown up


def blown(shape: Shape) -> str:
    """R23: the last epoch is far above the first, wherever it rose."""
    end = float(shape.train[-1])
    if end < BLOWN * max(shape.first, 1.0):
        return ""
    return f"train began at {shape.loss(shape.first)} and ended at {shape.loss(end)}"


def always_clipped(shape: Shape) -> str:
    """R48: every step of every epoch was cut to one length, which rate and clip set together."""
    shares = shape.curves.clipped
    known = shares[np.isfinite(shares)] if shares is not None else np.empty(0)
    if len(known) < FEWEST or known.min() < CLIPPED:
        return ""
    norm = shape.last(shape.curves.grad_norm)
    to = "" if norm is None else f", to a norm of {norm:.3g} at the end"
    least = "all" if known.min() == 1 else f"{known.min():.1%} and more of the"
    return f"{least} steps in each of {len(known)} epochs had their gradient clipped{to}"


def fell_early(shape: Shape) -> str:
    """R38: the schedule had taken most of the rate away while there was much to learn."""
    rates = shape.curves.lr
    known = rates[np.isfinite(rates)] if rates is not None else np.empty(0)
    if len(known) < FEWEST or known.max() <= 0:
        return ""
    most = float(known.max())
    is_small = bool((known[len(known) // 4 :] < SMALL * most).all())
    small = f"the rate is below a tenth of its highest, {most:.3g}"
    return f"{small}, since a quarter of the {shape.curves.each}s or longer" if is_small else ""


def lr_too_high_late(shape: Shape) -> str:
    """R23: train had come down, rose, and stays up."""
    if shape.lowest > 0.7 * min(shape.first, 1.0):
        return ""
    if shape.curves.sampled and shape.val_goes != "up":
        return ""  # single batches come down and stand high again at any rate
    before = noise(shape.train[: shape.count // 2])
    if shape.count >= LONG and shape.jitter > 0.04 and before < shape.jitter / 4:
        return (
            f"train shook by {shape.by(before)} in its first half, and shakes by "
            f"{shape.by(shape.jitter)} since"
        )
    climbed = shape.level - shape.lowest
    if shape.train_goes == "up" and climbed > max(0.1, 3 * shape.jitter):
        return (
            f"train had come down to {shape.loss(shape.lowest)} and has climbed to {shape.stands} "
            "again"
        )
    at = int(np.argmin(shape.train))
    bar = shape.lowest + max(0.05, 0.5 * shape.lowest, 3 * noise(shape.train[: at + 1]))
    above = shape.train[at:] > bar
    after = above[int(above.argmax()) :]
    if at < FEWEST or len(after) < max(FEWEST, shape.count // 10):
        return ""
    if shape.level < bar or float(after.mean()) < 0.85:
        return ""
    return f"train had come down to {shape.loss(shape.lowest)} and stands at {shape.stands} again"


def lr_too_high(shape: Shape) -> str:
    """R23: the rate killed units, or train rises or shakes from the start."""
    return "" if shape.formless else _killed(shape) or _rises(shape) or _shakes(shape)


def _killed(shape: Shape) -> str:
    """R19: units that were alive before training and now are not, and nothing was learned."""
    dead, share = shape.curves.dead_units, shape.last(shape.curves.dead_units)
    if dead is None or share is None or share < ASLEEP or dead[0] > 0.4:
        return ""
    if not shape.curves.untrained or shape.level < HIGH or shape.lowest < 0.7 * shape.level:
        return ""
    text = (
        f"training killed {100 * share:.0f} % of a layer's units, of which {100 * dead[0]:.0f} % "
        "were dead before"
    )
    return f"{text}, and train stands at {shape.stands}"


def _rises(shape: Shape) -> str:
    began, whole = shape.loss(shape.first), shape.overall
    if _came_down(shape) and _is_no_better(shape):
        constant = f"a constant prediction loses {shape.chance:.3g}"
        return f"train has blown up and come down to {shape.stands} only, where {constant}"
    if _is_lost(shape):
        return f"train rests at {shape.stands}, as a constant prediction, and was below it before"
    of_batches = not shape.curves.held_out or (shape.curves.sampled and shape.val_goes == "down")
    if of_batches and whole.low <= 0:
        return ""  # single batches: a first one that was easy is no start
    if shape.level > 1.2 * max(shape.first, 1.0) or (
        whole.low > 0 and whole.change > 0.3 and shape.level > shape.first + 0.2
    ):
        return f"train stands at {shape.stands}, above {began} where it began"
    return ""


def _is_no_better(shape: Shape) -> bool:
    """Whether a trained model loses as much as a constant prediction does, or more."""
    return bool(shape.chance) and not shape.curves.untrained and shape.level > LOST


def is_huge(shape: Shape) -> bool:
    """Whether a trained model loses many times what a constant prediction does."""
    return bool(shape.chance) and not shape.curves.untrained and shape.level > BLOWN


def sinks(shape: Shape) -> bool:
    """Whether train falls in nearly every epoch and keeps its pace: a rate that is too high would
    shake it, or leave it where it blew up to.
    """
    rises = np.diff(shape.train[shape.count // 2 :]) > 0
    lasts = shape.creeps or (shape.late.high < 0 and shape.tail_pace > LASTING)
    return lasts and float(rises.mean()) < SELDOM


def _came_down(shape: Shape) -> bool:
    """Whether train was at many times what it is at its end."""
    return float(shape.train.max()) > BLOWN * shape.level


def _is_lost(shape: Shape) -> bool:
    """Whether a trained model ended as a constant prediction after it had learned something."""
    if shape.curves.untrained or shape.count <= SHORT or not rests_at_constant(shape):
        return False
    best = min(float(shape.train.min()), float(shape.val.min()) if shape.curves.held_out else 1.0)
    return best < LOST


def rests_at_constant(shape: Shape) -> bool:
    """Whether train stands at what a constant prediction loses."""
    return shape.chance is not None and abs(shape.level - 1) < REST


def _shakes(shape: Shape) -> str:
    """Losses of batches, as weights move and dropout is on, shake more than those of one model."""
    if shape.train_goes == "down" and (shape.jitter < 0.1 or shape.usual < HIGH):
        return ""
    if not shape.curves.held_out:
        return ""  # a log of train alone mostly tells single batches, which shake at any rate
    text = f"train shakes by {shape.by(shape.jitter)} {shape.curves.to_the_next}"
    more = 1.0 if shape.curves.comparable else 2.5
    if abs(shape.level - 1) < 2 * REST and shape.jitter > 0.005 * more and shape.chance is not None:
        return f"{text} about the loss of a constant prediction"
    least = 0.015 if shape.usual > HIGH and shape.anchored else min(0.015 * more, 0.06)
    least = least if shape.usual > HIGH else 0.06
    bad = shape.usual > shape.bad and (shape.anchored or (shape.score or 0.0) < GOOD)
    gets_better = not shape.anchored and -shape.overall.high > FEWEST * wobble(shape)
    shakes = bad and not gets_better and wobble(shape) > least * max(shape.usual, 1.0)
    text = f"the loss shakes by {shape.by(wobble(shape))} {shape.curves.to_the_next}"
    return f"{text}, about {shape.loss(shape.usual)}" if shakes else ""


def wobble(shape: Shape) -> float:
    """How much the model's loss shakes from epoch to epoch, in its second half: that of train where
    it is evaluated, else of validation, as a mean over batches hides most of it, and single batches
    shake at any rate.
    """
    if shape.curves.comparable or not shape.curves.held_out:
        return shape.jitter
    share = min(shape.level / shape.val_level, 1.0) if shape.val_level > 0 else 1.0
    held = share * noise(shape.val[shape.count // 2 :])
    return held if shape.curves.sampled else max(shape.jitter, held)
