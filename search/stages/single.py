"""One training by itself: it compares nothing and decides nothing."""

from collections.abc import Sequence

from search.config.plan import Plan
from search.stages.outcome import Outcome, with_queued
from search.stages.stage import FixedStage, StageContext, missing
from search.storage.trials import TrialRecord, TrialSpec


def wanted(plan: Plan, rows: Sequence[TrialRecord]) -> list[TrialSpec]:
    """The one trial, unless it is there."""
    return missing(plan, [{}], rows, stage=plan.kind, seeds=[plan.seed])


def foreseen(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """One."""
    return 1


def outcome(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> Outcome:
    """The trial."""
    known = with_queued(rows, wanted(plan, rows))
    return Outcome(plan=plan, rows=known, evidence=known, foreseen=len(known), compares=False)


def make_stage(plan: Plan, rows: Sequence[TrialRecord], context: StageContext) -> FixedStage:
    """What the conductor carries out."""
    return FixedStage(lambda rows: wanted(plan, rows), values={})
