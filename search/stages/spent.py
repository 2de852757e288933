"""What trials have cost: the search's running time, the time in which any trained, and seconds of
GPUs; and what must be left of the hours for the trials that come after.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from search.config.joint_settings import JointSettings
from search.config.sweep_settings import SweepSettings
from search.storage.trial_rows import counted
from search.storage.trials import TrialRecord, TrialState

RECENT = 5  # trials that tell how fast the machine is now


def running_time(rows: Sequence[TrialRecord]) -> float:
    """Seconds that the search had run when the last of these trials ended, in all its runs.

    Trials of earlier versions do not know it: theirs is the time in which any trained.
    """
    return counted(rows).clock or elapsed(rows)


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


def epoch_pace(rows: Iterable[TrialRecord]) -> float:
    """Seconds that an epoch takes now, as many at once as there are slots: the median of the last
    trials, of which a few may be of much larger models. 0 where none has been trained.
    """
    ended = sorted((row for row in rows if row.finished and row.epochs), key=lambda row: row.ended)
    spent = sum(row.seconds for row in ended)
    if not spent:
        return 0.0
    recent = float(np.median([row.seconds / row.epochs for row in ended[-RECENT:]]))
    return recent * elapsed(ended) / spent


def is_out_of_time(limits: JointSettings | SweepSettings, rows: Sequence[TrialRecord]) -> bool:
    """Whether a stage with these trials leaves no more time than what comes after it needs."""
    budget = limits.budget
    return budget is not None and running_time(rows) + time_to_keep(limits, rows) >= budget


def time_to_keep(limits: JointSettings | SweepSettings, rows: Sequence[TrialRecord]) -> float:
    """Seconds that must be left when another trial begins: its own, and those of the epochs that
    come after it, at the slower of the pace before and that of the last trials.
    """
    if not limits.kept:
        return 0.0
    own = [max(row.seconds, row.wall) for row in rows if row.state == TrialState.COMPLETE]
    last = float(np.median(own[-RECENT:])) if own else 0.0
    return last + limits.kept * max(limits.pace, epoch_pace(rows))


def gpu_seconds(rows: Iterable[TrialRecord], *, gpus: float) -> float:
    """Seconds of training on GPUs. `gpus`: of one slot, or its share of one."""
    return gpus * sum(row.seconds for row in rows if row.finished and row.device.startswith("cuda"))
