"""What trials have cost: hours in which any trained, and seconds of GPUs."""

import math
from collections.abc import Iterable, Sequence

from search.storage.trials import TrialRecord


def elapsed(rows: Sequence[TrialRecord]) -> float:
    """Seconds in which at least one trial was training, over all runs of the search."""
    spans = sorted(
        (row.ended - max(row.seconds, row.wall), row.ended) for row in rows if row.finished
    )
    total, reached = 0.0, -math.inf
    for begin, end in spans:
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def gpu_seconds(rows: Iterable[TrialRecord], *, gpus: float) -> float:
    """Seconds of training on GPUs. `gpus`: of one slot, or its share of one."""
    return gpus * sum(row.seconds for row in rows if row.finished and row.device.startswith("cuda"))
