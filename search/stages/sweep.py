"""The sweep of one knob: which trials it wants, round by round, and which value wins (R28).

First the baseline and the grid; then, while the best value lies at an edge, the range is extended
(P2); then the gaps beside the best are refined (R30); then the baseline and its rivals get further
seeds where these decide (P5). A round starts when the round before has ended. Everything else
stays at the incumbent. Never runs a trial.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from search.config.knobs import Knob, Value
from search.config.plan import Plan
from search.config.sweep_settings import SweepSettings
from search.stages.decision import Decision, best_group, decide
from search.stages.group import Group, mark_collapsed, scores_of
from search.stages.outcome import Outcome, by_cell, cell_of, group_of
from search.stages.racing import Race, seeds_needed
from search.stages.scores import step_of
from search.stages.stage import FixedStage, StageContext, further, missing
from search.storage.trials import TrialRecord, TrialSpec


def settings(plan: Plan) -> SweepSettings:
    """The plan's, which must be one of a sweep."""
    if not isinstance(plan.settings, SweepSettings):
        raise TypeError(f"{plan.name}: not a sweep")
    return plan.settings


def stage_name(plan: Plan) -> str:
    """The stage's name in the tables."""
    return f"sweep.{plan.knob.path}"


def first_round(plan: Plan) -> tuple[Value, ...]:
    """The baseline's value first, then the rest of the grid, ascending."""
    baseline = plan.default(plan.knob)
    return (baseline, *(value for value in plan.knob.grid() if value != baseline))


def cells(plan: Plan, value: Value) -> list[dict[str, Value]]:
    """The knobs of a value's trials: itself with what follows it, per value of its nuisance, the
    default's first (P1, R28).
    """
    knobs = {plan.knob.path: value}
    if plan.follower is not None:
        ratio = float(value) / float(plan.default(plan.knob))  # type: ignore[arg-type]
        knobs[plan.follower.path] = plan.follower.at(ratio)
    nuisance = plan.nuisance(value)
    if nuisance is None:
        return [knobs]
    default = plan.default(nuisance)
    return [
        {**knobs, nuisance.path: tuned}
        for tuned in (default, *(tuned for tuned in nuisance.grid() if tuned != default))
    ]


def values(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> tuple[Value, ...]:
    """All values of the rounds begun so far, in the order of their rounds.

    `resolution`: as `decide` takes it.
    """
    knob = plan.knob
    groups = _groups_by_value(plan, rows)
    tried, extensions, refinements = first_round(plan), 0, 0
    while True:
        whole = [groups[value] for value in tried if value in groups]
        if len(whole) < len(tried) or knob.choices or plan.nuisance(tried[0]) is not None:
            return tried  # the round is under way, or there is no order, or no budget, to go on
        best = best_group(whole, resolution=resolution)
        more: tuple[Value, ...] = ()
        if best is not None and extensions < settings(plan).extend:
            more = _extension(knob, whole, best, resolution=resolution)
            extensions += 1
        if best is not None and not more and refinements < settings(plan).refine:
            extensions, refinements = settings(plan).extend, refinements + 1
            more = _refinement(knob, tried, tried[best])
        if not more:
            return tried
        tried = (*tried, *more)


def race_of(plan: Plan) -> Race:
    """The rules by which the baseline and its rivals get further seeds."""
    of = settings(plan)
    return Race(first=plan.seeds, most=max(plan.seeds, of.most_seeds), worth=of.worth)


def wanted(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> list[TrialSpec]:
    """The trials still to be made: pass by pass over the values, one seed per pass, so that an
    early end is a fair one; then the further seeds of the race.
    """
    tried = values(plan, rows, resolution=resolution)
    points = [cell for value in tried for cell in cells(plan, value)]
    seeds = range(plan.seed, plan.seed + plan.seeds)
    specs = missing(plan, points, rows, stage=stage_name(plan), seeds=seeds)
    if specs or not race_of(plan).on or not all(row.finished for row in rows):
        return specs
    contest = _contest(plan, rows, tried, resolution=resolution)
    seeds = range(plan.seed, plan.seed + race_of(plan).most)
    return further(plan, contest.cells, contest.seeds, rows, stage=stage_name(plan), seeds=seeds)


def foreseen(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """How many trials there will be in all, of the rounds begun."""
    return len(rows) + len(wanted(plan, rows, resolution=0.0))


def outcome(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> Outcome:
    """The values compared, and which one wins; a decision only once all its trials are there."""
    queued = [
        TrialRecord(spec=spec, state="queued") for spec in wanted(plan, rows, resolution=resolution)
    ]
    known = (*rows, *queued)
    tried = values(plan, rows, resolution=resolution)
    contest = _contest(plan, known, tried, resolution=resolution)
    groups = mark_collapsed(contest.groups, resolution=resolution)
    costs = _costs(plan.knob, groups) if plan.knob.group == "capacity" else None
    is_done = all(row.finished for row in known)
    race = race_of(plan)
    result = Outcome(
        plan=plan,
        rows=known,
        evidence=known,
        foreseen=len(known),
        groups=groups,
        chosen=dict(zip(tried, contest.cells, strict=True)),
    )
    if not is_done or result.obstacle:
        return result
    return replace(result, decision=decide(groups, resolution=resolution, costs=costs, race=race))


@dataclass(frozen=True, kw_only=True)
class _Contest:
    """Per value: the cell that stands for it, the seeds that it needs, and their scores."""

    cells: tuple[dict[str, Value], ...]
    seeds: tuple[int, ...]
    groups: tuple[Group, ...]


def _contest(
    plan: Plan, rows: Sequence[TrialRecord], tried: Sequence[Value], *, resolution: float
) -> _Contest:
    """The values with the best cell of each, chosen by the first seeds, and the race so far."""
    trials, race = by_cell(rows), race_of(plan)
    chosen, groups = [], []
    for value in tried:
        options = cells(plan, value)
        tuned = [
            group_of(value, trials.get(cell_of(cell), []), metric=plan.metric) for cell in options
        ]
        first = [replace(group, scores=group.scores[: plan.seeds]) for group in tuned]
        inner = decide(first, resolution=resolution).winner or 0 if len(first) > 1 else 0
        chosen.append(options[inner])
        groups.append(tuned[inner])
    seeds = [plan.seeds] * len(groups)
    if race.on and all(row.finished for row in rows):
        scores = scores_of(groups)
        floor = step_of(scores[:, : plan.seeds], share=resolution) / 2  # the same in every round
        seeds = [int(needed) for needed in seeds_needed(scores, race, resolution=floor)]
    return _Contest(
        cells=tuple(chosen),
        seeds=tuple(seeds),
        groups=tuple(
            replace(group, scores=group.scores[:needed])
            for group, needed in zip(groups, seeds, strict=True)
        ),
    )


def make_stage(plan: Plan, rows: Sequence[TrialRecord], context: StageContext) -> FixedStage:
    """What the conductor carries out."""
    return FixedStage(
        lambda own: wanted(plan, [*context.borrowed, *own], resolution=context.resolution),
        values={plan.knob.path: first_round(plan)},
    )


def _costs(knob: Knob, groups: Sequence[Group]) -> list[float]:
    """What a value of a capacity knob costs: the number itself, or its place among the choices."""
    if knob.choices:
        return [
            float(knob.choices.index(group.value)) if group.value in knob.choices else math.inf
            for group in groups
        ]
    return [float(group.value) for group in groups if isinstance(group.value, int | float)]


def _groups_by_value(plan: Plan, rows: Sequence[TrialRecord]) -> dict[Value, Group]:
    """A group per value whose first seeds have all ended."""
    path = plan.knob.path
    ended: dict[Value, dict[int, TrialRecord]] = {}
    for row in rows:
        if row.finished:
            ended.setdefault(row.spec.knobs[path], {})[row.spec.seed] = row
    seeds = [plan.seed + repeat for repeat in range(plan.seeds)]
    return {
        value: group_of(value, [trials[seed] for seed in seeds], metric=plan.metric)
        for value, trials in ended.items()
        if all(seed in trials for seed in seeds)
    }


def edge(knob: Knob, tried: Sequence[Value], value: Value) -> int:
    """1 or -1 for the highest or lowest value tried if the knob can go further, else 0.

    What a log scale does not hold, such as a penalty of 0, is no place on it.
    """
    places = [place for place in map(knob.scaled, tried) if math.isfinite(place)]
    at = knob.scaled(value)
    for direction, end in ((1, max(places)), (-1, min(places))):
        if at == end and knob.beyond(value, direction=direction):
            return direction
    return 0


def hard_limit(knob: Knob, value: Value) -> str:
    """`min` or `max` where a value is the lowest or highest that the knob may take, else empty.

    0 is no limit that could be moved: nothing lies beyond a penalty or a share that is off.
    """
    number = float(value)  # type: ignore[arg-type]
    if number >= knob.most:
        return "max"
    return "min" if number <= knob.least and number != 0 else ""


def clear_edge(knob: Knob, tried: Sequence[Value], decision: Decision) -> int:
    """The edge at which the best value lies, as `edge`; 0 where that may be chance.

    It may where a value in the other half of what was tried, or one that the scale does not hold,
    ties with it: such a curve has no direction.
    """
    if decision.best is None:
        return 0
    direction = edge(knob, tried, tried[decision.best])
    places = [knob.scaled(value) for value in tried]
    finite = [place for place in places if math.isfinite(place)]
    middle = (min(finite) + max(finite)) / 2
    ties = [
        place
        for place, standing in zip(places, decision.standings, strict=True)
        if standing == "tie"
    ]
    is_flat = any(not math.isfinite(place) or direction * (place - middle) < 0 for place in ties)
    return 0 if is_flat else direction


def _extension(
    knob: Knob, groups: Sequence[Group], best: int, *, resolution: float
) -> tuple[Value, ...]:
    """As much again as the knob's range, in its steps, beyond an edge that is the best (P2)."""
    tried = [group.value for group in groups]
    if not edge(knob, tried, tried[best]):
        return ()
    direction = clear_edge(knob, tried, decide(groups, resolution=resolution))
    further = knob.beyond(tried[best], direction=direction) if direction else ()
    return tuple(value for value in further if value not in tried)


def _refinement(knob: Knob, tried: Sequence[Value], best: Value) -> tuple[Value, ...]:
    """Four values: on the knob's scale a quarter and half of the way to the values beside (R30)."""
    places = {knob.scaled(value): value for value in tried}
    ordered = [places[place] for place in sorted(places) if math.isfinite(place)]
    if best not in ordered:
        return ()
    at = ordered.index(best)
    beside = [ordered[index] for index in (at - 1, at + 1) if 0 <= index < len(ordered)]
    points = {knob.between(best, other, share=share) for other in beside for share in (0.25, 0.5)}
    return tuple(sorted((point for point in points if point not in tried), key=knob.scaled))
