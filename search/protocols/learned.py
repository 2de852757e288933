"""What scores say of the set-up: nothing was learned (R11), or no score can be better (R36)."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from search.contract.metrics import Metric
from search.diagnostics.verdicts.advice import NOT_LEARNED
from search.protocols.step import Step
from search.results.findings import Findings
from search.results.summary.advise import UNMOVED, first_by_hand
from search.stages.group import Group

# Metrics that count rows, so that their error follows from the number of rows.
SHARES = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")
PERFECT = (
    "every seed of the incumbent has the best score there is, so no knob can show a gain: more or "
    "harder validation rows, split=kfold or a metric of finer steps such as log_loss would (R36)"
)

SMALL = 20  # validation rows that are too few for any metric
SURE, DOUBTFUL = 1.0, 3.0  # standard errors; the best of many epochs lies two or three above chance
SURELY = 4.0  # the same for the best of a sweep's values, each the best of many epochs

BAND = (1e-4, 1e-2)  # of an update's norm over the weights': outside it is slow, or unstable


def nothing_learned(verdict: str, *, unmoved: bool) -> str:
    """Why nothing more is turned where nothing was learned, and what to do; the arguments are those
    of `first_by_hand`.
    """
    why = UNMOVED if unmoved else "no training beats a constant prediction beyond chance"
    names = f" ({verdict})" if verdict in NOT_LEARNED else ""
    first = first_by_hand(verdict, unmoved=unmoved)
    return f"{why}{names}: {first}, then try protocol=unstick (R11, R26a)"


def moves_nothing(findings: Findings) -> bool:
    """Whether trainings whose scores are the same at every value, seed by seed, have learned
    nothing, as far as curves tell: each says so, or says too little and is best at its first epoch.
    """
    for row in findings.rows:
        verdict = findings.verdicts.get(row.spec.trial)
        name = "cannot_tell" if verdict is None else verdict.name
        is_untold = name == "cannot_tell" and row.epochs > 1 and row.best_epoch in (0, 1)
        if name not in NOT_LEARNED and not is_untold:
            return False
    return True


def unusual_update(ratios: Sequence[float]) -> str:
    """That updates are far larger or smaller than usual, against the weights (R24); else empty."""
    known = [ratio for ratio in ratios if math.isfinite(ratio) and ratio > 0]
    if not known or BAND[0] <= (usual := float(np.median(known))) <= BAND[1]:
        return ""
    means = "unstable" if usual > BAND[1] else "slow"
    return (
        f"; an update moves the weights by {usual:.1g} of their size, where 0.001 is usual: "
        f"{means}? (R24)"
    )


def beats_constant(
    metric: Metric,
    scores: Sequence[float],
    *,
    floor: float | None,
    val_rows: int,
    verdict: str,
    among_others: bool = False,
) -> bool:
    """Whether the mean lies above what a constant prediction scores, by more than one standard
    error of the rows, or of the seeds.

    Three are asked where the curves say that validation learned nothing: a score is that of the
    best epoch, and the best of many epochs lies above a constant's by chance alone. Fewer than 20
    rows cannot tell: a mean above the constant's is taken for one that does, unless curves object.

    Args:
        metric: the contract's.
        scores: of the seeds, higher being better.
        floor: what the constant prediction scores, in units of the scores; None, where that is not
            known: True.
        val_rows: rows of validation.
        verdict: on most of the seeds.
        among_others: whether they are of any value of a sweep, rather than of the incumbent: four
            standard errors are asked.
    """
    if floor is None or not scores:
        return True
    mean, constant = float(np.mean(scores)), metric.sign * floor
    if 0 < val_rows < SMALL and not among_others and verdict not in NOT_LEARNED:
        return mean > constant
    of_rows = 0.0
    if metric.name in SHARES and val_rows:
        unit = metric.unit([floor, *scores])
        share = floor / unit
        of_rows = unit * math.sqrt(max(share * (1 - share), 0.0) / val_rows)
    of_seeds = float(np.std(scores, ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else 0.0
    errors = SURELY if among_others else DOUBTFUL if verdict in NOT_LEARNED else SURE
    return mean > constant + errors * max(of_rows, of_seeds)


def without_test(stage: str, findings: Findings, *, floor: float | None, val_rows: int) -> Findings:
    """With what is decided for another reason than a test; arguments as of `beats_constant`.

    More epochs are taken unless they are worse or break: what follows is to be judged by curves
    that were not cut off. Penalties go off unless that breaks, where nothing is learned with them:
    there a difference tells nothing of them (R15, R26a). A value stays, where another's score
    is the same for every seed and no better than a constant prediction's (R11).
    """
    decision, groups = findings.decision, findings.groups
    if decision is None or decision.winner is None:
        return findings
    chosen = groups[decision.winner]
    learned = partial(_has_shown, findings, chosen, floor=floor, val_rows=val_rows)
    if stage == "longer":
        short, longer = groups
        taken = not longer.broken and (not short.clean or longer.mean >= short.mean)
        decision = replace(decision, winner=int(taken), adopted=taken)
    elif stage == "regularisers_off":
        is_tested = decision.adopted and not decision.identical
        if not (is_tested or groups[1].broken or learned(and_curves=True)):
            decision = replace(decision, winner=1, adopted=True, untested=True, better=())
    elif decision.winner and decision.identical and groups[0].clean and not learned():
        decision = replace(decision, winner=0, adopted=False)
    return replace(findings, decision=decision)


def _has_shown(
    findings: Findings,
    group: Group,
    *,
    floor: float | None,
    val_rows: int,
    and_curves: bool = False,
) -> bool:
    """Whether a configuration beats a constant prediction; by its curves, where that one's score is
    not known. `and_curves`: these have to say so besides.
    """
    verdicts = findings.verdicts_on(findings.of(group.candidate))
    names = Counter(verdict.name for verdict in verdicts)
    if floor is None:
        return not names or not set(names) <= {*NOT_LEARNED}
    main = names.most_common(1)[0][0] if names else ""
    if and_curves and main in NOT_LEARNED:
        return False
    metric = findings.plan.metric
    return beats_constant(metric, group.clean, floor=floor, val_rows=val_rows, verdict=main)


def has_learned(
    step: Step,
    findings: Findings,
    scores: Sequence[float],
    *,
    floor: float | None,
    val_rows: int,
    rate: str,
) -> bool:
    """Whether the incumbent beats a constant prediction, or another value of a sweep shows that it
    can be done. Arguments as of `beats_constant`, the scores being the incumbent's; `rate`: the
    path of the learning rate.
    """
    metric, verdict = findings.plan.metric, step.verdicts[0][0] if step.verdicts else ""
    if floor is None:
        return step.request.path != rate or not _rests(step, findings, scores)
    beats = partial(beats_constant, metric, floor=floor, val_rows=val_rows)
    others = [group.clean for group in findings.groups if step.request.stage == "sweep"]
    return beats(scores, verdict=verdict) or any(
        len(clean) > 1 and beats(clean, verdict="", among_others=True) for clean in others
    )


def _rests(step: Step, findings: Findings, scores: Sequence[float]) -> bool:
    """Where it is not known what a constant prediction scores: whether a sweep of the rate keeps an
    incumbent whose loss rests at its first value with every seed, and no rate lies clearly above
    it. What is stuck later, or vanishes, has remedies of its own (R26a).
    """
    is_dead = [name for name, _ in step.verdicts] == ["dead"]
    if step.decision != "keep" or not is_dead or len(scores) < 2:
        return False
    own = float(np.var(scores, ddof=1))
    for group in findings.groups[1:]:
        seeds = len(group.clean)
        others = float(np.var(group.clean, ddof=1)) if seeds > 1 else own
        error = math.sqrt(own / len(scores) + others / max(seeds, 1))
        if seeds and group.mean > float(np.mean(scores)) + SURELY * error:
            return False
    return True
