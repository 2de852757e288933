"""Configurations, each trained with the same seeds, compared with the first of them (R15, P13).

The baseline at the start of a search, and the best configurations at its end on fresh seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from search.config.confirm_settings import ConfirmSettings
from search.config.knobs import Value
from search.config.plan import Plan
from search.stages.decision import Decision, Group, decide, mark_collapsed
from search.stages.outcome import Outcome, by_cell, cell_of, group_of
from search.stages.stage import FixedStage, StageContext, missing
from search.storage.trials import TrialRecord, TrialSpec


def settings(plan: Plan) -> ConfirmSettings:
    """The plan's, which must be one of a confirmation."""
    if not isinstance(plan.settings, ConfirmSettings):
        raise TypeError(f"{plan.name}: not a confirmation")
    return plan.settings


def wanted(plan: Plan, rows: Sequence[TrialRecord]) -> list[TrialSpec]:
    """The trials still to be made, seed by seed."""
    fixed = settings(plan)
    return missing(plan, fixed.configurations, rows, stage=plan.kind, seeds=fixed.seeds)


def foreseen(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """All configurations with all seeds."""
    return len(settings(plan).configurations) * len(settings(plan).seeds)


def outcome(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> Outcome:
    """The configurations by their place, and which one wins once all have ended."""
    queued = [TrialRecord(ask=ask, state="queued") for ask in wanted(plan, rows)]
    known = (*rows, *queued)
    chosen: dict[Value, Mapping[str, Value]] = dict(enumerate(settings(plan).configurations))
    trials = by_cell(known)
    groups = tuple(
        group_of(place, trials[cell_of(knobs)], sign=plan.metric.sign)
        for place, knobs in chosen.items()
    )
    is_done = all(row.finished for row in known)
    return Outcome(
        plan=plan,
        rows=known,
        evidence=known,
        foreseen=len(known),
        groups=mark_collapsed(groups, resolution=resolution),
        decision=_decided(groups, resolution=resolution) if is_done else None,
        chosen=chosen,
    )


def _decided(groups: Sequence[Group], *, resolution: float) -> Decision:
    """Whether something beats the first configuration, and then which: in a tie the earlier one.

    The later configurations turn more knobs at once, so the second stays in a tie with them (P5).
    """
    decision = decide(groups, resolution=resolution)
    if not decision.adopted or len(groups) < 3:
        return decision
    second = decide(groups[1:], resolution=resolution).winner
    is_better = second is not None and decision.comparisons[second + 1].low > 0
    if second is None or not is_better:
        return decision
    return replace(decision, winner=second + 1)


def make_stage(plan: Plan, rows: Sequence[TrialRecord], context: StageContext) -> FixedStage:
    """What the conductor carries out."""
    values: dict[str, list[Value]] = {}
    for path, value in (item for each in settings(plan).configurations for item in each.items()):
        values.setdefault(path, []).append(value)
    return FixedStage(lambda own: wanted(plan, [*context.borrowed, *own]), values=values)
