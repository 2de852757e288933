"""What the model is given: inputs that hold the target, or are scaled in a wrong way (R5, R10).

Pure functions of what `trainers.probes` has measured; never trains.
"""

from collections.abc import Sequence
from statistics import median

from search.diagnostics.preflight.check import Check, Judge
from trainers.probes.told import Answer, Watched

FAINT = 0.02  # share of the rows' spread that must reach the first layer
UNLIKE = 3.0  # spread of inputs in evaluation over that in training


def otherwise_given(seen: Watched, judge: Judge, given: Sequence[Answer]) -> Check | None:
    """Inputs that hold the target, that are scaled twice or batch by batch, or another way in
    training than in evaluation.
    """
    if (place := seen["target_among_inputs"]) is not None:
        text = f"input {place} of a row is its target, to the digit, in every batch that was seen"
        return judge.warn(text, "drop it from the inputs: see what the columns, or windows, hold")
    if seen["centred_batches"]:
        text = f"in each of {seen['centred_batches']} batches, every input has a mean of 0"
        remedy = "scale by what all of train says: a row alone has no batch (R5)"
        return judge.warn(f"{text}: they are scaled batch by batch", remedy)
    shallow = seen["first_layer"]
    if shallow is not None and shallow < FAINT * min(seen["given_spread"] or 0.0, 1.0):
        text = (
            f"train rows spread by {seen['given_spread']:.2g}, and by {shallow:.2g} when they "
            "reach the first layer"
        )
        return judge.warn(text, "are the inputs scaled twice? The data are normalised already (R5)")
    text = _otherwise_scaled(given, seen["evaluated"])
    return judge.warn(text, "normalise both alike, by what train says (R5)") if text else None


def _otherwise_scaled(given: Sequence[Answer], evaluated: Sequence[Answer]) -> str:
    """How inputs differ in mean or spread between training and evaluation; empty if they do not."""
    taught, held = (
        [batch for batch in some if batch["spread"] is not None] for some in (given, evaluated)
    )
    if not taught or not held:
        return ""
    (mean, spread), (other, wide) = _scale(taught), _scale(held)
    if spread <= 0 or (abs(other - mean) <= spread and 1 / UNLIKE < wide / spread < UNLIKE):
        return ""
    return (
        f"inputs have mean {mean:.3g} and spread {spread:.3g} in training, {other:.3g} "
        f"and {wide:.3g} in evaluation"
    )


def _scale(batches: Sequence[Answer]) -> tuple[float, float]:
    """Mean and spread of all inputs of some batches, by the median batch."""
    return median(batch["mean"] for batch in batches), median(batch["spread"] for batch in batches)
