"""Checks of the steps: fresh gradients, one step per gradient, and what happens to the weights in
between (R12).

Pure functions of what `trainers.probes` has measured; never trains.
"""

import itertools
import math
from collections.abc import Sequence
from statistics import median

from search.diagnostics.preflight.check import Check, Judge
from trainers.probes.told import Watched

CUT, ONE = 12, 1e-3  # steps whose gradients have one norm; relative difference of such norms
FEW = 3  # steps that may begin without a memory of others
SHRUNK = 0.99  # factor of all weights between two steps: a weight decay by hand is nearer to 1


def optimizer_steps(seen: Watched) -> Check:
    """Are gradients cleared after every step, and is there one step per gradient (R12)?"""
    judge = Judge(name="optimizer_steps", rule="R12")
    steps = seen["steps"] or seen["hand_steps"]
    if not steps:
        return judge.unknown("no step of an optimizer, and none by hand, was seen")
    if seen["made_anew"]:
        text = "the second epoch steps other weights than the first"
        remedy = "make model and optimizer once, before the first epoch, unless this is meant"
        return judge.warn(text, remedy)
    if seen["forgetful"] > max(steps / 2, FEW):
        text = f"{seen['forgetful']} of {steps} steps begin without what the optimizer keeps of the"
        remedy = "make the optimizer once, before the first epoch, not anew for every step"
        return judge.warn(f"{text} steps before", remedy)
    if check := _by_helpers(seen, judge, steps=steps):
        return check
    if seen["optimizers"] > 1:
        kept = seen["never_cleared"]
        if kept > max(FEW, steps / (2 * seen["optimizers"] + 1)):
            text = (
                f"in {kept} of {steps} steps, an optimizer's gradients were added to those of its"
            )
            return judge.fail(f"{text} last step", "call zero_grad() of every optimizer")
        return judge.unknown(f"{seen['optimizers']} optimizers take turns")
    # Where an optimizer never steps, or has a copy, `gradients` tells what it lacks.
    lacks = any(weights["trainable"] and not weights["optimized"] for weights in seen["weights"])
    if seen["stale_gradients"] and not (lacks and seen["steps"]):
        text = (
            f"in {seen['stale_gradients']} of {steps} steps, gradients were added to those of the "
            "step before"
        )
        return judge.fail(text, "call zero_grad() before every backward pass")
    if seen["steps_without_gradient"]:
        text = f"{seen['steps_without_gradient']} of {seen['steps']} steps had no new gradient"
        return judge.fail(
            text,
            "call optimizer.step() once per backward pass, and let the loss depend on the model",
        )
    if not lacks and seen["cleared"] > seen["steps"] / 2:
        text = f"in {seen['cleared']} of {seen['steps']} steps, the gradients had been cleared"
        return judge.fail(text, "call zero_grad, then backward, then step, in this order")
    if seen["discarded"] > steps / 2:
        text = f"{seen['discarded']} gradients were cleared before any of {steps} steps used them"
        return judge.warn(text, "call zero_grad() after a step, not before every backward pass")
    if left := _left_out(seen):
        return _group_left_out(seen, judge, left=left)
    return _by_hand(seen, judge, steps=steps) or judge.passed(
        f"{steps} steps, each with fresh gradients"
    )


def _left_out(seen: Watched) -> int:
    """How many of an epoch's last batches, fewer than those of a step, have gradients that are
    cleared where the next epoch begins; 0 also where they are added to the next step's.
    """
    passes, steps = (
        {end - begin for begin, end in itertools.pairwise([0, *ends])}
        for ends in (seen["losses_until"], seen["steps_until"])
    )
    if seen["discarded"] != len(seen["steps_until"]) - 1 or not len(passes) == len(steps) == 1:
        return 0
    each, left = divmod(min(passes), min(steps)) if min(steps) else (0, 0)
    return left if seen["discarded"] and left < each else 0


def _group_left_out(seen: Watched, judge: Judge, *, left: int) -> Check:
    """That no step hears these batches: a fault where they are of the same rows in every epoch."""
    count = seen["losses_until"][0]
    text = f"the gradients of an epoch's last {left} of {count} batches are cleared before any"
    remedy = "take a step after the last batch of an epoch, too"
    ended = [seen["batches"][end - left : end] for end in seen["epochs"]]
    rows = {tuple(batch["content"] for batch in batches) for batches in ended if batches}
    if len(ended) > 1 and len(rows) == 1:
        return judge.warn(f"{text} step uses them, always of the same rows", remedy)
    return judge.note(f"{text} step uses them", remedy)


def _by_helpers(seen: Watched, judge: Judge, *, steps: int) -> Check | None:
    """Gradients that are scaled, or clipped, at the wrong time."""
    if seen["scaled"] > FEW and not seen["unscaled"]:
        text = f"{seen['scaled']} losses were scaled, and no step was taken by the scaler, which"
        return judge.fail(f"{text} takes the scale out again", "call scaler.step(optimizer)")
    if seen["changed_late"] > steps / 2:
        text = f"after {seen['changed_late']} of {steps} steps, gradients were multiplied that the"
        remedy = "clip or scale gradients after backward and before the step"
        return judge.fail(f"{text} step had used already", remedy)
    return None


def _by_hand(seen: Watched, judge: Judge, *, steps: int) -> Check | None:
    """What happens to the weights beside the optimizer, if it undoes what they learn."""
    factors = seen["factors"]
    if factors and 2 * len(factors) >= steps and median(factors) < SHRUNK:
        text = f"between two steps, all weights are multiplied by {median(factors):.3g}"
        return judge.fail(text, "weight decay belongs to the optimizer, and takes far less")
    if seen["put_back"] and max(seen["put_back"].values()) > steps / 2:
        name, times = max(seen["put_back"].items(), key=lambda item: item[1])
        text = f"what is done to {name} between two steps takes back the step, {times} times"
        return judge.fail(text, "let the steps move it, or keep it from the optimizer")
    if seen["restarts"]:
        text = "later on, all weights became again what they were before the first step"
        return judge.warn(text, "is a state loaded after an epoch that holds the first weights?")
    if seen["drawn_anew"]:
        name, times = max(seen["drawn_anew"].items(), key=lambda item: item[1])
        text = f"between two steps, {name} became another one, {times} times"
        return judge.fail(text, "draw initial weights once, before the first step")
    return None


def of_clip(
    judge: Judge, sentence: str, norms: Sequence[float], *, held: bool, **numbers: float
) -> Check:
    """A usable rate; unless the gradient has one norm in all of many steps, as if every step were
    clipped (R48). `held`: whether the loss has hardly fallen meanwhile.
    """
    most = max(norms, default=0.0)
    if len(norms) < CUT or not 0 < most < math.inf or most - min(norms) > ONE * most:
        return judge.passed(sentence, **numbers)
    clipped = (
        f"the gradient has a norm of {most:.3g} in each of {len(norms)} steps: all are clipped"
    )
    text = f"{sentence}; {clipped}"
    remedy = "clip less, or tune the clip with the rate (R48)"
    return (judge.warn if held else judge.note)(text, remedy, **numbers)
