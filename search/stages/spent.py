"""What trials have cost: the search's running time, the time in which any trained, and seconds of
GPUs.
"""

import math
from collections.abc import Iterable, Sequence

from search.storage.trials import TrialRecord


def running_time(rows: Sequence[TrialRecord]) -> float:
    """Seconds that the search had run when the last of these trials ended, in all its runs.

    Trials of earlier versions do not know it: theirs is the time in which any trained.
    """
    clock = max((row.clock for row in rows), default=0.0)
    return clock or elapsed(rows)


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
