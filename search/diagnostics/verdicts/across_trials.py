"""What trials say together: a bigger model that is worse on train too, a cliff beside the best
rate, best epochs always early or late. Compares, never decides which value wins.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.diagnostics.verdicts.advice import FALLING, NOT_LEARNED
from search.diagnostics.verdicts.curves import Curves

Role = Literal["rate", "size", ""]
CHANCE = 0.05  # how often a finding may be chance
DECADE = 10.01  # a factor of ten, and what rounding adds
CLIFF = ("nan", "exploding", "lr_too_high", "unstable")
FEWEST = 5  # trials without which their best epochs say nothing
EARLY, LATE = 0.1, 0.75  # of the epochs that a trial may have
ALWAYS, MOSTLY, OFTEN = 0.9, 2 / 3, 1 / 3
UNLEARNED = (*NOT_LEARNED, "cannot_tell")  # of which the best epoch says nothing


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One trial. `value`: of the swept knob, None where it is no number; `score`: higher is better,
    None where it came to nothing; `level`: train's loss at its end; `best_epoch` of `epochs` that
    it may have, None where the last one counts; `stopped`: patience ended it before these.
    """

    value: float | None
    score: float | None
    level: float | None
    best_epoch: int | None
    epochs: int
    verdict: str
    stopped: bool = False


@dataclass(frozen=True, kw_only=True)
class Together:
    """What was found, by which rule, and what to do."""

    name: str
    rule: str
    says: str


def trained(curves: Curves, verdict: str) -> Trained:
    """A training of which only the curves are known, scored by its metric, else by its loss."""
    known = curves.metric is not None and bool(np.isfinite(curves.metric).any())
    scores = curves.sign * curves.metric if known and curves.metric is not None else -curves.val
    best = int(np.nanargmax(scores)) if np.isfinite(scores).any() else None
    moves = best is not None and np.nanmin(scores) < scores[best]  # else no epoch is the best one
    level = float(np.median(curves.train[-3:]))
    return Trained(
        value=None,
        score=None if best is None else float(scores[best]),
        level=level if math.isfinite(level) else None,
        best_epoch=best if moves else None,
        epochs=max(len(scores) - 1, 1),
        verdict=verdict,
    )


def across(
    trials: Sequence[Trained], *, knob: str = "", role: Role = "", stock: bool = True
) -> list[Together]:
    """All that trials say together. `knob`: what a sweep turned; `role`: what that is; `stock`:
    whether the trainer is ours, which reads every key.
    """
    remarks = [_lengths(trials), _cut_short(trials)]
    if role == "size":
        remarks.append(_bigger(trials, knob))
    if role == "rate":
        remarks.append(_cliff(trials, knob, stock=stock))
    return [remark for remark in remarks if remark is not None]


def _lengths(trials: Sequence[Trained]) -> Together | None:
    """P10, among the better half: a bad trial's best epoch says nothing of how long a good one
    needs, nor does that of one that has learned nothing, as far as can be told. Of trials that
    patience ended, more epochs would change nothing; those whose losses still fell need no fewer.
    """
    ranked = sorted(
        (
            t
            for t in trials
            if t.score is not None and t.best_epoch is not None and t.verdict not in UNLEARNED
        ),
        key=lambda t: -_score(t),
    )
    better = ranked[: max(len(ranked) // 2, FEWEST)]
    if len(better) < FEWEST:
        return None
    shares = np.array([(t.best_epoch or 0) / t.epochs for t in better])
    stopped = np.array([t.stopped for t in better])
    text = f"of the better {len(better)} trials"
    falling = np.array([t.stopped and t.verdict in FALLING for t in better])
    if (early := float(((shares <= EARLY) & ~falling).mean())) >= ALWAYS:
        says = (
            f"{100 * early:.0f} % {text} were best in the first tenth of their epochs: "
            "trainer.epochs can be lowered"
        )
        return Together(name="fewer_epochs", rule="P10", says=says)
    if (late := float(((shares > LATE) & ~stopped).mean())) >= MOSTLY:
        says = (
            f"{100 * late:.0f} % {text} were best in the last quarter of their epochs: raise "
            "trainer.epochs"
        )
        return Together(name="more_epochs", rule="P10", says=says)
    return None


def _cut_short(trials: Sequence[Trained]) -> Together | None:
    """R33: patience ended trainings that still learned, so what learns slowly looks worse."""
    falling = sum(t.stopped and t.verdict in FALLING for t in trials)
    if falling < max(FEWEST, OFTEN * len(trials)):
        return None
    says = (
        f"patience ended {falling} of {len(trials)} trainings while their losses still fell, so "
        "values that learn slowly may look worse than they are: raise trainer.patience, or say "
        "trainer.stop_on=val_loss"
    )
    return Together(name="cut_short", rule="R33", says=says)


def _bigger(trials: Sequence[Trained], knob: str) -> Together | None:
    """R22a: worse on validation and on train than a smaller one, beyond chance on both."""
    groups = _groups(trials)
    means = {
        value: np.mean([_score(t) for t in group])
        for value, group in groups.items()
        if len(group) > 1
    }
    if len(means) < 2:
        return None
    best = max(means, key=lambda value: means[value])
    bigger = [value for value in means if value > best]
    for value in sorted(bigger):
        worse = _less([_score(t) for t in groups[value]], [_score(t) for t in groups[best]])
        usual, own = (
            [t.level for t in groups[v] if t.level is not None and math.isfinite(t.level)]
            for v in (best, value)
        )
        if min(len(usual), len(own)) < 2:
            continue
        if max(worse, _less(usual, own)) < CHANCE / len(bigger):
            text = f"{np.mean(own):.3g} against {np.mean(usual):.3g}"
            says = (
                f"{knob} = {value:g} is worse than {best:g} on train too ({text}): it is not "
                "trained well enough, and does not overfit; give it another learning rate, "
                "residual connections or batch norm"
            )
            return Together(name="optimisation_failure", rule="R22a", says=says)
    return None


def _cliff(trials: Sequence[Trained], knob: str, *, stock: bool) -> Together | None:
    """P11: scores still rise over the decade below the best value, and above it trials diverge.

    A decade, not the neighbour: a refined sweep tries values that are too close to differ.
    """
    groups = _groups(trials)
    means = {value: np.mean([_score(t) for t in group]) for value, group in groups.items()}
    best = max(means, key=lambda value: means[value], default=None)
    if best is None or best <= 0:
        return None
    above = [t for t in trials if t.value is not None and best < t.value <= best * DECADE]
    lost = _lost(above, groups[best])
    if not lost or not _rises(groups, best):
        return None
    warm_up, clipping = (" (schedule=one_cycle)", " (trainer.clip=5)") if stock else ("", "")
    cliff = min(lost)
    # A trial that shakes and still has its score has not diverged.
    what = "diverges" if any(t.score is None for t in trials if t.value == cliff) else "shakes"
    says = (
        f"{knob} = {best:g} is best and {cliff:g}, {cliff / best:.2g} times as high, {what}: "
        f"warm-up{warm_up} or clipping{clipping} lets higher rates live, rather than a lower rate"
    )
    return Together(name="unstable", rule="P11", says=says)


def _lost(trials: Sequence[Trained], best: Sequence[Trained]) -> list[float]:
    """Values at which at least half of the trials came to nothing, or trained unstably and score
    less than the best value's beyond chance: one that shakes and scores as well costs nothing.
    """
    tried = dict[float, list[Trained]]()
    for trial in trials:
        if trial.value is not None:
            tried.setdefault(trial.value, []).append(trial)
    lost = []
    for value, each in tried.items():
        shakes = [trial.score is None or trial.verdict in CLIFF for trial in each]
        scores = [trial.score for trial in each if trial.score is not None]
        if np.mean(shakes) >= 0.5 and (
            2 * len(scores) <= len(each)
            or _less(scores, list(map(_score, best))) < CHANCE / len(tried)
        ):
            lost.append(value)
    return lost


def _rises(groups: Mapping[float, Sequence[Trained]], best: float) -> bool:
    """Whether scores rise towards the best value, over the decade below it, beyond chance.

    The best was chosen for its score, so the test is the stricter the more values there are.
    """
    below = sorted(value for value in groups if 0 < value < best)
    decade = [value for value in below if value >= best / DECADE] or below[-1:]
    points = [
        (math.log(value), _score(trial)) for value in (*decade, best) for trial in groups[value]
    ]
    if not decade or len(points) < 4:
        return False
    places, scores = np.array(points).T
    if np.ptp(scores) == 0:
        return False
    from scipy.stats import linregress  # takes a second

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's, of a perfect line
        slope = linregress(places, scores, alternative="greater")
    return bool(slope.pvalue < CHANCE / len(groups))


def _groups(trials: Sequence[Trained]) -> dict[float, list[Trained]]:
    """Trials that came to something, by value."""
    by_value: dict[float, list[Trained]] = {}
    for trial in trials:
        if trial.value is not None and trial.score is not None:
            by_value.setdefault(trial.value, []).append(trial)
    return by_value


def _score(trial: Trained) -> float:
    return -math.inf if trial.score is None else trial.score


def _less(ones: Sequence[float], others: Sequence[float]) -> float:
    """How likely chance alone makes `ones` less than `others` by as much (Welch 1947; with one of
    a kind, by the others' noise); 0 or 1 where neither varies, 1 where nothing tells the noise.
    """
    least, most = sorted(map(len, (ones, others)))
    if most < 2:
        return 1.0
    if np.ptp(ones) == 0 and np.ptp(others) == 0:
        return float(np.mean(ones) >= np.mean(others))
    from scipy.stats import ttest_ind  # takes a second

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's, of seeds that are all but equal
        return float(ttest_ind(ones, others, equal_var=least < 2, alternative="less").pvalue)
