"""Which trials a chart draws where there are too many, and the words that say so."""

from collections.abc import Sequence

import numpy as np

from search.storage.trials import TrialRecord


def thinned(
    rows: Sequence[TrialRecord], most: int, *, sign: float
) -> tuple[list[TrialRecord], str]:
    """At most so many trials, in their order: the best half of them, the rest evenly spread."""
    if len(rows) <= most:
        return list(rows), ""
    worst = -float("inf")
    scores = np.array([worst if row.value is None else sign * row.value for row in rows])
    ranked = np.argsort(-scores, kind="stable")
    best, rest = ranked[: most // 2], ranked[most // 2 :]
    spread = rest[np.linspace(0, len(rest) - 1, most - len(best)).astype(int)]
    kept = sorted({*best.tolist(), *spread.tolist()})
    note = f" {len(kept)} of {len(rows)} trials are drawn: the best {most // 2} and an even choice"
    return [rows[index] for index in kept], f"{note} of the rest; trials.csv holds all."
