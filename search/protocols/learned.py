"""What scores say of the set-up: nothing was learned (R11), or no score can be better (R36)."""

import math
from collections.abc import Sequence

import numpy as np

from search.contract.metrics import Metric
from search.diagnostics.verdicts.advice import NOT_LEARNED
from search.results.findings import Findings
from search.results.summary.advise import UNMOVED, first_by_hand

# Metrics that count rows, so that their error follows from the number of rows.
SHARES = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")
PERFECT = (
    "every seed of the incumbent has the best score there is, so no knob can show a gain: more or "
    "harder validation rows, split=kfold or a metric of finer steps such as log_loss would (R36)"
)

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
        if verdict is not None and verdict.name not in (*NOT_LEARNED, "cannot_tell"):
            return False
        is_told = verdict is not None and verdict.name in NOT_LEARNED
        if not is_told and not (row.epochs > 1 and row.best_epoch in (0, 1)):
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


def is_perfect(metric: Metric, scores: Sequence[float]) -> bool:
    """Whether no score can be better than those of the seeds; `scores`: higher being better."""
    return bool(scores) and all(metric.value_of(score) in metric.perfect for score in scores)


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
    best epoch, and the best of many epochs lies above a constant's by chance alone.

    Args:
        metric: the contract's.
        scores: of the seeds, higher being better.
        floor: what the constant prediction scores; None, where that is not known: True.
        val_rows: rows of validation.
        verdict: on most of the seeds.
        among_others: whether they are of any value of a sweep, rather than of the incumbent: four
            standard errors are asked.
    """
    if floor is None or not scores:
        return True
    of_rows = 0.0
    if metric.name in SHARES and val_rows:
        of_rows = math.sqrt(max(floor * (1 - floor), 0.0) / val_rows)
    of_seeds = float(np.std(scores, ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else 0.0
    errors = SURELY if among_others else DOUBTFUL if verdict in NOT_LEARNED else SURE
    return float(np.mean(scores)) > metric.sign * floor + errors * max(of_rows, of_seeds)
