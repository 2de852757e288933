"""How a trial's training ends: the conductor's decision, the worker's report, the row's state.

One chain of three words per end: the conductor decides after an epoch (`StopDecision`), the worker
reports why nothing more will come (`TrialEnd`), and the row gets a state (`TrialState`).
"""

from enum import StrEnum

from search.storage.trials import TrialState


class StopDecision(StrEnum):
    """What the conductor answers after an epoch."""

    GO = "go"
    STOP = "stop"  # patience, or the last epoch
    PRUNE = "prune"
    DIVERGED = "diverged"
    INTERRUPT = "interrupt"  # the search is being stopped; the trial goes on when it is resumed


class TrialEnd(StrEnum):
    """What a worker reports when a trial leaves it."""

    COMPLETE = "complete"
    PRUNED = "pruned"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    SILENT = "silent"  # failed: it has trained to its end and told no epoch, as every other would
    KILLED = "killed"  # its program, by somebody: another attempt, as after a worker's death
    OUT_OF_MEMORY = "out of memory"  # once more alone on its device, then infeasible
    COLLIDED = "collided"  # what it needs was taken: once more alone on its device, then failed
    INTERRUPTED = "interrupted"  # goes on when the search is resumed
    CROWDED = "crowded"  # memory ran out beside other trials: goes on beside fewer
    TAINTED = "tainted"  # by what the trial before it has left in its process: begins again
    DISRUPTED = "disrupted"  # the program that several trials share has failed: goes on alone
    MACHINE_FAULT = "machine fault"  # such as a full disk: never booked on the trial


END_AFTER = {
    StopDecision.STOP: TrialEnd.COMPLETE,
    StopDecision.PRUNE: TrialEnd.PRUNED,
    StopDecision.DIVERGED: TrialEnd.INFEASIBLE,
    StopDecision.INTERRUPT: TrialEnd.INTERRUPTED,
}
# An end that is not listed here leaves the trial unfinished.
STATE_AFTER = {
    TrialEnd.COMPLETE: TrialState.COMPLETE,
    TrialEnd.PRUNED: TrialState.PRUNED,
    TrialEnd.INFEASIBLE: TrialState.INFEASIBLE,
    TrialEnd.FAILED: TrialState.FAILED,
    TrialEnd.SILENT: TrialState.FAILED,
}
