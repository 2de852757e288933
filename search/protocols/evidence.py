"""What a stage's trials show, in words: the mean of the seeds, what a constant prediction scores,
what few validation rows cannot show, which batch size is faster.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from search.config.knobs import Value
from search.config.plan import Plan
from search.protocols.learned import SHARES, SMALL
from search.results.summary.certainty import no_constant
from search.results.summary.formatting import seeds_words
from search.storage.trials import TrialRecord

COARSE = 0.005  # share that one validation row is of all, from which the metric is coarse
FEW_ROWS = 3.0  # validation rows below which a gain may be one of these rows alone
OTHERS = ": what is better on them may not be so on others; split=kfold would judge by all (R36)"
FASTER = 1.5  # times as fast that an epoch must be to be named


def faster(
    rows: Mapping[Value, Sequence[TrialRecord]], *, chosen: Value, good: Sequence[Value], path: str
) -> str:
    """Which batch size trains an epoch much faster than the chosen one and is no worse beyond
    chance (P6); empty where none does.

    Args:
        rows: by batch size, its trials.
        chosen: the incumbent's.
        good: the sizes that do not lie below the best.
        path: of the knob.
    """
    paces = {
        value: float(np.median([row.seconds / row.epochs for row in trials if row.epochs]))
        for value, trials in rows.items()
        if value == chosen or value in good
        if any(row.epochs for row in trials)
    }
    best = min(paces, key=lambda value: paces[value], default=chosen)
    if chosen not in paces or paces[best] <= 0 or paces[chosen] < FASTER * paces[best]:
        return ""
    return (
        f"; {best} is no worse beyond chance, and an epoch takes {paces[chosen] / paces[best]:.1f} "
        f"times less than with {chosen}: for speed, say {path}={best} and tune the "
        "rate again (P6, R39)"
    )


def mean_words(plan: Plan, rows: Sequence[TrialRecord]) -> str:
    """`accuracy 0.9504, mean of 3 seeds`, and how many further ones gave no result."""
    scores = scores_of(plan, rows)
    if not scores:
        ends = (f"{row.state}, {row.reason}" if row.reason else str(row.state) for row in rows)
        return f"{plan.metric.name}: no value ({next(ends, 'no trial')})"
    mean = plan.metric.words(float(np.mean(scores)))
    return f"{plan.metric.name} {mean}, {seeds_words(len(scores), of=len(rows))}"


def coarse(plan: Plan, val_rows: int, *, unit: float) -> str:
    """That validation is too small: to see small gains, where the metric is a share of its rows;
    else to stand for other rows. `unit`: as `Metric.unit` gives it.
    """
    if plan.metric.name not in SHARES:
        return f"; validation has {val_rows} rows only{OTHERS}" if 0 < val_rows < SMALL else ""
    if not val_rows or 1 / val_rows < COARSE:
        return ""
    return (
        f"; one of {val_rows} validation rows is {unit / val_rows:.2g}, so gains below about "
        f"{2 * unit / val_rows:.2g} cannot be seen: split=kfold, a log-loss or more rows would "
        "help (R36)"
    )


def few_rows(plan: Plan, gain: float, val_rows: int) -> str:
    """That seeds agree on a gain, as a share, that is of so few validation rows that others might
    not show it.
    """
    if not val_rows or plan.metric.name not in SHARES or not 0 < gain * val_rows < FEW_ROWS:
        return ""
    return (
        f"; the gain is that of {gain * val_rows:.1f} of {val_rows} validation rows: seeds agree "
        "on it, but other rows may not show it (R36)"
    )


def constant(plan: Plan, floor: float | None) -> str:
    """What a constant prediction scores, or that nothing is compared with it."""
    says = no_constant(plan) if floor is None else f"a constant prediction scores {floor:.4g} (R11)"
    return f"; {says}" if says else ""


def scores_of(plan: Plan, rows: Sequence[TrialRecord]) -> list[float]:
    """The scores of the trials that have one, higher being better."""
    return [plan.metric.sign * row.value for row in rows if row.value is not None]
