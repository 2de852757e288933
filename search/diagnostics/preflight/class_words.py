"""Whether what a loss is told of the classes turns against them: weights that grow with how often
a class comes, a class that is left out; whether two are spelt as one (R13).

Pure functions of what `trainers.probes` has measured; knows no checks.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from trainers.probes.told import Answer, Watched

UNEVEN = 1.5  # the most frequent class over the rarest, from which weights have a direction
NEAR = 1.1  # the greatest over the least of what is proportional, to rounding and rows left out
CHANCE, MIXED = 0.05, 0.8  # difference of two shares by chance; of a class with one weight
ENTROPIES = ("cross_entropy", "nll_loss")
EDGES = 0.5  # share of a class's pixels that lie between others, above which it is no class
FOLLOWS = 0.9  # of a target's relation to its row's label, that a name for it leaves


def spelt_alike(names: Sequence[str]) -> str:
    """Which two classes are one by their words; empty if none are. Letters may be two classes."""
    spelt: dict[str, str] = {}
    for written in names:
        plain = " ".join(written.split()).casefold()
        if len(plain) > 1 and plain in spelt:
            return f"classes {spelt[plain]!r} and {written!r} differ by capitals or spaces alone"
        spelt[plain] = written
    return ""


def misled(
    call: Answer, targets: Answer | None, *, counts: Sequence[int]
) -> tuple[str, str] | None:
    """What a loss is told of the classes that cannot be meant, and the remedy; else None.

    Args:
        call: of the loss.
        targets: of the losses, against the labels of their rows; None where these are not known.
        counts: of the train rows of each class; empty of other tasks.
    """
    told = call["told"]
    if not told or not counts or targets is None or targets["follows"] < FOLLOWS:
        return None
    counted = by_targets(call, counts) or by_targets(call, told.get("often", ()))
    return left_out(call) or counted


def resized(seen: Watched) -> str:
    """How targets are maps of classes that were resized or turned like pictures; else empty."""
    if seen["blurred"] <= EDGES:
        return ""
    text = f"{seen['blurred']:.0%} of the pixels of a class lie between a lower and a higher class"
    return f"{text}, as where a map is resized or turned like a picture"


def merged(targets: Answer | None, call: Answer) -> str:
    """How labels become fewer targets, where the model has an output for each; else empty."""
    if targets is None or call["name"] not in ENTROPIES or targets["follows"] < FOLLOWS:
        return ""
    own, left = targets["kinds"] or (0, 0)
    if not left < own or len(call["outputs"]) < 2 or call["outputs"][1] < own:
        return ""
    return f"{own} classes become {left} targets of the loss, with {call['outputs'][1]} outputs"


def left_out(call: Answer) -> tuple[str, str] | None:
    """That a label is left out which rows bear, and the remedy; else None."""
    told = call["told"]
    if not told.get("left_out"):
        return None
    text = f"{call['name']} leaves out label {told['ignored']} (ignore_index), which"
    share = f"{told['left_out']:.0%} of the rows of a batch bear"
    return f"{text} {share}", "ignore_index is for padding: give it a number that is no class"


def by_targets(call: Answer, counts: Sequence[int]) -> tuple[str, str] | None:
    """That weights grow with how often each class is a target, and the remedy; else None."""
    told = call["told"]
    if _grow_with(told.get("weights", ()), counts):
        text = "the more often a class comes, the more it weighs: weights are proportional to"
        return f"{text} the classes' rows", "weigh by one over their number"
    if len(counts) == 2 and "positive" in told and _is_upside_down(told, counts):
        text = f"pos_weight is {told['positive']:.3g}, rows of the second class over those of the"
        return f"{text} first", "give pos_weight the rows of the first over those of the second"
    return None


def drawn(found: Answer | None) -> tuple[str, str] | None:
    """That rows are drawn by weights which turn against their classes, or are of other rows, and
    the remedy; else None.
    """
    if found is None:
        return None
    by_rows = [weight for _, weight in sorted(zip(found["rows"], found["weights"], strict=True))]
    grows = all(before < after for before, after in pairwise(by_rows))
    if found["own"] >= FOLLOWS and grows and by_rows[-1] > UNEVEN * by_rows[0]:
        text = "the more often a class comes, the more each of its rows is drawn"
        return f"{text} (WeightedRandomSampler)", "weigh each row by one over its class's number"
    uneven = max(found["groups"]) > UNEVEN * min(found["groups"])
    alike = all(
        abs(one - other) < CHANCE
        for one, other in zip(sorted(found["groups"]), sorted(found["rows"]), strict=True)
    )
    if found["own"] < MIXED and uneven and alike:
        text = "rows are drawn by a weight per class, as many rows as each class has, but the rows"
        return (
            f"{text} of a class bear several",
            "give the sampler a weight per row, in their order",
        )
    return None


def _grow_with(weights: Sequence[float], often: Sequence[int]) -> bool:
    """Whether weights are proportional to how often uneven classes come."""
    if len(weights) < 2 or len(weights) != len(often):
        return False
    heavy, count = np.asarray(weights, float), np.asarray(often, float)
    kept = (heavy > 0) & (count > 0)
    if kept.sum() < 2 or count[kept].max() < UNEVEN * count[kept].min():
        return False
    shares = heavy[kept] / count[kept]
    return bool(shares.max() < NEAR * shares.min())


def _is_upside_down(told: Answer, counts: Sequence[int]) -> bool:
    """Whether the weight of the second class is its rows over the first one's."""
    few, many = sorted(counts)
    ratio = counts[1] / counts[0] if counts[0] else 0.0
    share = counts[1] / sum(counts)
    same = abs(told["ones"] - share) < abs(told["ones"] - (1 - share))  # not named the other way
    return (
        bool(few) and many >= UNEVEN * few and same and 1 / NEAR < told["positive"] / ratio < NEAR
    )
