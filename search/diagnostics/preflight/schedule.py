"""Does a schedule leave a training without a rate, since it counts steps where it should count
epochs (R24)? Is it told what it takes for something else?

Pure functions of the rates of the first steps.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from trainers.probes.told import Watched

GONE = 1e-2  # no schedule that goes on falls to this share of its greatest rate in two epochs
ROUNDING = 1e-9  # share of a rate
FADED = 1e-3  # a rate below this share of its greatest one is as good as 0
SLOW = 0.98  # momentum of Adam above which it is no usual one
LATE, NEARLY = 0.5, 0.2  # share of its steps that a schedule takes; of a number, near it
FEWEST, ALIKE = 5, 0.01  # fewest steps that show a form; how near the ends of two forms must be


def misled(seen: Watched, *, epochs: int) -> tuple[str, str] | None:
    """What an optimizer or its schedule is told that cannot be meant, and the remedy; else None."""
    if len(seen["betas"]) == 2 and seen["betas"][0] > max(seen["betas"][1], SLOW):
        text = f"betas of the optimizer are {seen['betas'][0]:g} and {seen['betas'][1]:g}"
        return text, "the first, of the momentum, is the smaller one: (0.9, 0.999)"
    text = _of_schedules(seen, epochs=epochs)
    return (text, "see how the schedule is made and stepped") if text else None


def _of_schedules(seen: Watched, *, epochs: int) -> str:
    """How a schedule is stepped or told otherwise than it was made for; empty if none is.

    Args:
        seen: of the first epochs.
        epochs: of the whole training.
    """
    done = max(len(seen["epochs"]), 1)
    steps = seen["steps"] / done * epochs  # as many as the training will take on these rows
    for one in seen["schedules"]:
        kind, taken, ends = one["kind"], one["steps"], one["ends"]
        if taken < 2:
            continue
        if one["idle"] == taken and seen["steps"]:
            return f"{kind} was stepped {taken} times, and its optimizer never: the rate of others"
        if any(after < before for before, after in pairwise(one["told"])):
            return f"{kind} is told a time that goes back: step(…) takes none, or the epoch"
        if one["factor"] is not None and one["factor"] > 1:
            return f"{kind} multiplies the rate by {one['factor']:.3g}"
        will = taken / done * epochs
        per_epoch = taken <= done < seen["steps"] / FEWEST
        if ends and per_epoch and will < LATE * ends and abs(ends - steps) < NEARLY * steps:
            text = f"{kind} ends at its step {ends:.0f}, as many as the training takes, and is"
            return f"{text} stepped once per epoch: {will:.0f} times in all"
    return ""


def ends_early(rates: Sequence[float], *, steps: float, epochs: int) -> str:
    """How a schedule ends the training long before its last step, if only to come back as slowly
    as it went; empty if it does not.

    Args:
        rates: of the first steps.
        steps: of the whole training.
        epochs: of the whole training.
    """
    low, high = rates[-1], max(rates)
    # The first of several peaks, which rounding makes a little higher or lower than the others.
    peak = next(step for step, rate in enumerate(rates) if rate >= high * (1 - ROUNDING))
    at = rates.index(min(rates[peak:]), peak)
    again = [after - before for before, after in pairwise(rates[at : at + 6])]
    if rates[at] < GONE * high and len(again) > 1 and min(again) >= 0 and max(again) < high / 2:
        return f"the rate falls from {high:.3g} to {rates[at]:.1g} at step {at} and rises again"
    if low >= FADED * high or len(rates) >= steps / 3:
        return _foretold(rates, steps=steps, epochs=epochs)
    return f"the rate falls from {high:.3g} to {low:.1g} within {len(rates)} of {steps:.0f} steps"


def _foretold(rates: Sequence[float], *, steps: float, epochs: int) -> str:
    """What a schedule of a known form will do; empty if none is known, or it does no harm.

    What ends after as many steps as the training has epochs was meant for these: another end may be
    that of a wave which comes again.
    """
    peak = len(rates) - 1 - rates[::-1].index(max(rates))  # behind a warm-up
    falls = [rate / rates[peak] for rate in rates[peak + 1 :]] if rates[peak] > 0 else []
    if len(falls) < FEWEST or not all(0 < after < before <= 1 for before, after in pairwise(falls)):
        return ""
    forms: dict[str, Callable[[int, float], float]] = {
        "cosine": lambda step, left: math.pi * step / math.acos(2 * left - 1),
        "line": lambda step, left: step / (1 - left),
        "square": lambda step, left: step / (1 - left ** (1 / 2)),
        "power of 0.9": lambda step, left: step / (1 - left ** (1 / 0.9)),
        "cube": lambda step, left: step / (1 - left ** (1 / 3)),
    }
    for name, ends in forms.items():
        all_ends = [ends(step, left) for step, left in enumerate(falls, 1)]
        end = peak + all_ends[-1]
        known = max(all_ends) - min(all_ends) < ALIKE * end
        if known and abs(end - epochs) < ALIKE * epochs and 3 * end < steps:
            return f"the rate falls as a {name} to 0 at step {end:.0f} of {steps:.0f}"
    shares = [after / before for before, after in pairwise(falls)]
    third = falls[-1] ** ((steps / 3 - peak) / len(falls))
    if max(shares) - min(shares) < ALIKE * (1 - shares[0]) and third < FADED:
        return (
            f"the rate is multiplied by {shares[0]:.3g} in every step, and is {third:.1g} of the "
            f"first one after a third of {steps:.0f} steps"
        )
    return ""
