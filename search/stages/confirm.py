"""Configurations, each trained with the same seeds, compared with the first of them (R15, P13).

The baseline at the start of a search, and the best configurations at its end on fresh seeds.

There the incumbent of the sweeps has a level of error of its own, and the leaders of the joint
search share another one (Wiens, Pharm. Stat. 2, 2003): the sweeps found the incumbent better on
other seeds, so a false step by it needs two errors, and it does not pay for configurations that
were chosen among many. Each level is `racing.OWN` of the one that all would share.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search.config.confirm_settings import ConfirmSettings
from search.config.knobs import Value
from search.config.plan import Plan
from search.stages.decision import Decision, decide, seeds_of_each
from search.stages.group import Configuration, Group, mark_collapsed, scores_of
from search.stages.outcome import Outcome, by_cell, cell_of, group_of, with_queued
from search.stages.racing import Race, goes_on, still_open
from search.stages.scores import least_deviation
from search.stages.stage import FixedStage, Silence, StageContext, further, missing
from search.storage.trials import TrialRecord, TrialSpec


def settings(plan: Plan) -> ConfirmSettings:
    """The plan's, which must be one of a confirmation."""
    if not isinstance(plan.settings, ConfirmSettings):
        raise TypeError(f"{plan.name}: not a confirmation")
    return plan.settings


def race_of(plan: Plan) -> Race:
    """The rules by which the first configuration and its rivals get further seeds."""
    fixed = settings(plan)
    return _race(fixed, first=fixed.fewest, most=len(fixed.seeds))


def _opening_of(plan: Plan) -> Race:
    """The rules of the first look, which ends what is decided by then."""
    fixed = settings(plan)
    return _race(fixed, first=fixed.early, most=fixed.early + 1)


def _race(fixed: ConfirmSettings, *, first: int, most: int) -> Race:
    """With one rival there is nothing that shares a level."""
    own_level = fixed.own_level and len(fixed.configurations) > 2
    return Race(first=first, most=most, halved=fixed.halved, own_level=own_level)


def wanted(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float = 0.0) -> list[TrialSpec]:
    """The trials still to be made, seed by seed: those of every configuration, of the better half,
    of what the first look leaves open; then the further seeds of the race.
    """
    fixed, race = settings(plan), race_of(plan)
    points, seeds = fixed.configurations, fixed.seeds
    for count in filter(None, (fixed.halved, fixed.early)):
        first = missing(plan, points, rows, stage=plan.kind, seeds=seeds[:count])
        if first or not all(row.finished for row in rows):
            return first
        on = _go_on(plan, rows, after=count, resolution=resolution)
        points = tuple(itertools.compress(fixed.configurations, on))
    specs = missing(plan, points, rows, stage=plan.kind, seeds=seeds[: fixed.fewest])
    is_held = len(points) > 1 and points[0] == fixed.configurations[0]  # against the first one
    if specs or not race.on or not is_held or not all(row.finished for row in rows):
        return specs
    needed = seeds_of_each(_groups(plan, rows), race, resolution=resolution)
    return further(plan, fixed.configurations, needed, rows, stage=plan.kind, seeds=seeds)


def foreseen(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """All configurations with the first seeds."""
    fixed = settings(plan)
    return max(len(rows), fixed.trials(len(fixed.configurations)))


def outcome(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> Outcome:
    """The configurations by their place, and which one wins once all have ended."""
    known = with_queued(rows, wanted(plan, rows, resolution=resolution))
    groups = mark_collapsed(_groups(plan, known), resolution=resolution)
    is_done = all(row.finished for row in known)
    return Outcome(
        plan=plan,
        rows=known,
        evidence=known,
        foreseen=len(known),
        groups=groups,
        decision=_decided(plan, groups, resolution=resolution) if is_done else None,
        chosen={
            Configuration(place): knobs for place, knobs in enumerate(settings(plan).configurations)
        },
    )


def _go_on(
    plan: Plan, rows: Sequence[TrialRecord], *, after: int, resolution: float
) -> Sequence[bool]:
    """Which configurations get more than so many seeds, by the scores of these alone."""
    fixed, scores = settings(plan), scores_of(_groups(plan, rows))
    first, trained = scores[:, :after], (~np.isnan(scores)).sum(1)
    if after == fixed.halved:
        on = goes_on(scores, seeds=after, ties=False)
    else:
        floor = least_deviation(first, share=resolution)
        on = (trained >= after) & still_open(first, _opening_of(plan), noise_floor=floor)
        on[0] = on[1:].any()  # what was dropped may lead by its kind seeds, and gets no more
    on[0] &= not fixed.broke or np.isfinite(first[0]).any()
    return list(on)


def _groups(plan: Plan, rows: Sequence[TrialRecord]) -> tuple[Group, ...]:
    """The configurations by their place, each with the scores of its trials."""
    trials = by_cell(rows)
    return tuple(
        group_of(Configuration(place), trials.get(cell_of(knobs), []), metric=plan.metric)
        for place, knobs in enumerate(settings(plan).configurations)
    )


def _decided(plan: Plan, groups: Sequence[Group], *, resolution: float) -> Decision:
    """Whether something beats the first configuration, and then which: by the race that has ended.

    The second one, the incumbent of the sweeps, turns fewer knobs than what comes after it: it
    stays if it is better than the first one too, or that one gave no result, and within one
    standard error of the best (P5; Breiman et al. 1984, section 3.4.3).
    """
    is_early = len(groups[0].scores) <= settings(plan).early
    race = _opening_of(plan) if is_early else race_of(plan)
    decision = decide(groups, resolution=resolution, race=race)
    winner = decision.winner
    if winner is None or winner < 2:
        return decision
    points = settings(plan).configurations
    is_simpler = len(points[1]) < len(points[winner])
    beats = 1 in decision.better or not groups[0].clean
    if is_simpler and beats and decision.standings[1] not in ("dropped", "unstable", "unusable"):
        best, second = groups[winner], groups[1]
        error = float(np.std(best.clean, ddof=1)) / math.sqrt(len(best.clean))
        if best.mean - second.mean <= error:
            return replace(decision, winner=1)
    return decision


def make_stage(plan: Plan, rows: Sequence[TrialRecord], context: StageContext) -> FixedStage:
    """What the conductor carries out."""
    values: dict[str, list[Value]] = {}
    for path, value in (item for each in settings(plan).configurations for item in each.items()):
        values.setdefault(path, []).append(value)
    return FixedStage(
        lambda own: wanted(plan, [*context.borrowed, *own], resolution=context.resolution),
        values=values,
        silence=Silence(context.silent, rows),
    )
