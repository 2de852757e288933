"""Sets that follow one another in time, and differ: does a feature tell the time, so that later
rows bear values that train never had (R3)?

Pure functions of arrays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.diagnostics.preflight.check import Check, Judge
from search.diagnostics.preflight.column_names import shown

MOSTLY = 0.5  # share of a later set's values beyond train's, from which a feature tells the time


Sets = Mapping[str, NDArray[Any]]


def judged_in_time(
    judge: Judge,
    sentence: str,
    sets: Sets,
    *,
    apart: str,
    names: Sequence[str],
    measured: Mapping[str, Any],
) -> Check:
    """A note, unless a feature leaves the values that train has had.

    Args:
        judge: of the check.
        sentence: what tells the sets apart.
        sets: features by set.
        apart: the two sets that differ most.
        names: of the features.
        measured: for the check.
    """
    if (beyond := beyond_train(sets)) is None:
        text = f"{sentence}: {apart} differ, as times do, within values that train has had"
        return judge.note(text, "", **measured)
    index, name, share = beyond
    text = f"{sentence}; {share:.0%} of {name} lie beyond train in feature {shown(index, names)}"
    remedy = "does it tell the time (a date, a running number)? Then it means nothing later"
    return judge.warn(text, remedy, **measured)


def beyond_train(sets: Sets) -> tuple[int, str, float] | None:
    """The feature most of whose values in a later set lie beyond all of train's: its number, the
    set, the share; None where no feature does.
    """
    train = sets["train"].reshape(len(sets["train"]), -1).astype(np.float64)
    gaps = np.isnan(train)
    low = np.where(gaps, np.inf, train).min(axis=0)
    high = np.where(gaps, -np.inf, train).max(axis=0)
    best: tuple[int, str, float] | None = None
    for name, rows in sets.items():
        later = rows.reshape(len(rows), -1).astype(np.float64)
        shares = ((later < low) | (later > high)).mean(axis=0)
        at = int(shares.argmax())
        if shares[at] >= MOSTLY and (best is None or shares[at] > best[2]):
            best = at, name, float(shares[at])
    return best
