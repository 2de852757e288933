"""Do steps lead to a better score, where a loss says nothing of it, as a policy's (R12)?

Pure functions of what `trainers.probes` has measured; never trains.
"""

from statistics import fmean, stdev

from search.diagnostics.preflight.check import Check, Judge
from trainers.probes.answers import Uphill

SEEDS = 3  # each of which must say so: of scores in random order, one in 216 sets does
CLEAR = 2.0  # spreads of scores without training, by which both ways are apart


def of_direction(before: Check, answer: Uphill, *, higher: bool) -> Check:
    """What was told of the training; or, if that is no fault, that its steps make the score worse,
    and steps the other way make it better, with every seed.
    """
    if before.outcome in ("warn", "fail") or len(answer.get("turned", ())) < SEEDS:
        return before
    sign = 1 if higher else -1
    still, own, turned = (
        [sign * score for score in answer[kind]] for kind in ("still", "own", "turned")
    )
    worse = all(one < none < other for one, none, other in zip(own, still, turned, strict=True))
    spread = max(map(stdev, (still, own, turned)))
    gap = fmean(turned) - fmean(own)
    if not worse or not spread or gap < CLEAR * spread:  # no spread: it heeds no seed
        return before
    means = [f"{sign * fmean(scores):.3g}" for scores in (still, own, turned)]
    text = (
        f"with each of {SEEDS} seeds, steps make the score worse and steps the other way make it "
        f"better: {means[1]} and {means[2]}, of {means[0]} without any step"
    )
    remedy = "is the sign of the loss, or of an advantage, turned? Else metric.direction may be"
    return Judge(name="trains", rule="R12").warn(text, remedy)
