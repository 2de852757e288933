"""Which feature tells the time: later rows bear values that train never had (R3).

Pure functions of arrays.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOSTLY = 0.5  # share of a later set's values beyond train's, from which a feature tells the time


def beyond_train(sets: Mapping[str, NDArray[Any]]) -> tuple[int, str, float] | None:
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
