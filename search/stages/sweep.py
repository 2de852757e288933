"""The sweep of one knob: which trials it wants, round by round, and which value wins (R28).

First the baseline and the grid; then, while the best value lies at an edge, the range is extended
(P2); then the gaps beside the best are refined (R30); then the baseline and its rivals get further
seeds where these decide (P5). A round starts when the round before has ended. Everything else
stays at the incumbent. Never runs a trial.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from search.config.knobs import Knob, Value, as_number
from search.config.plan import Plan
from search.config.sweep_settings import SweepSettings
from search.stages.decision import best_group, decide, seeds_of_each
from search.stages.group import Group, mark_collapsed, scores_of, train_alike
from search.stages.outcome import Outcome, by_cell, cell_of, group_of, with_queued
from search.stages.racing import Race, goes_on
from search.stages.range_ends import extension, refinement
from search.stages.spent import is_out_of_time
from search.stages.stage import FixedStage, Silence, StageContext, further, missing
from search.storage.trials import TrialRecord, TrialSpec

# In names of knobs that act only where a training reaches them.
LIMITS = ("clip", "epochs", "limit", "max", "min", "patience", "stop", "threshold", "tol")
HALVED = 1  # seeds after which only the better half of the values goes on


def settings(plan: Plan) -> SweepSettings:
    """The plan's, which must be one of a sweep."""
    if not isinstance(plan.settings, SweepSettings):
        raise TypeError(f"{plan.name}: not a sweep")
    return plan.settings


def stage_name(plan: Plan) -> str:
    """The stage's name in the tables."""
    return f"sweep.{plan.knob.path}"


def cells(plan: Plan, value: Value) -> list[dict[str, Value]]:
    """The knobs of a value's trials: itself with what follows it, per value of its nuisance, the
    default's first (P1, R28).
    """
    knobs = {plan.knob.path: value}
    if plan.follower is not None:
        ratio = as_number(value) / as_number(plan.default(plan.knob))
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
    groups = _groups_by_value(plan, rows, dropped=_dropped(plan, rows))
    tried, extensions, refinements = plan.first_round, 0, 0
    while True:
        whole = [groups[value] for value in tried if value in groups]
        if len(whole) < len(tried) or knob.choices or plan.nuisance(tried[0]) is not None:
            return tried  # the round is under way, or there is no order, or no budget, to go on
        if train_alike(whole):
            return tried
        best = best_group(whole, resolution=resolution)
        more: tuple[Value, ...] = ()
        if best is not None and extensions < settings(plan).extend:
            more = extension(plan, whole, best, resolution=resolution)
            extensions += 1
        if best is not None and not more and refinements < settings(plan).refine:
            extensions, refinements = settings(plan).extend, refinements + 1
            more = refinement(knob, tried, tried[best])
        if not more:
            return tried
        tried = (*tried, *more)


def race_of(plan: Plan) -> Race:
    """The rules by which the baseline and its rivals get further seeds."""
    return Race(
        first=plan.seeds,
        most=max(plan.seeds, settings(plan).most_seeds),
        worth=settings(plan).worth,
        halved=HALVED if halves(plan) else 0,
    )


def halves(plan: Plan) -> bool:
    """Whether only the better half of the values goes on after the first seed: not where a nuisance
    is tuned beside each value.
    """
    is_tuned = any(plan.nuisance(value) is not None for value in plan.first_round)
    return settings(plan).halving and plan.seeds > HALVED and not is_tuned


def may_be_limit(path: str, *, stock: bool) -> bool:
    """Whether a knob may be one that trainings read and have not reached: by its name, or since
    the stock trainer reads all its settings. Another seed or incumbent may reach it.
    """
    return stock or any(word in path for word in LIMITS)


def wanted(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> list[TrialSpec]:
    """The trials still to be made: pass by pass over the values, one seed per pass, so that an
    early end is a fair one; then the further seeds of the race.
    """
    if is_out_of_time(settings(plan), rows):
        return []
    return _next_round(
        plan, rows, values(plan, rows, resolution=resolution), resolution=resolution
    )[0]


def _next_round(
    plan: Plan, rows: Sequence[TrialRecord], tried: Sequence[Value], *, resolution: float
) -> tuple[list[TrialSpec], "_Contest | None"]:
    """What is wanted of the values of the rounds begun, and the contest, where that decided it."""
    points = [cell for value in tried for cell in cells(plan, value)]
    seeds = range(plan.seed, plan.seed + plan.seeds)
    if halves(plan):
        first = missing(plan, points, rows, stage=stage_name(plan), seeds=seeds[:HALVED])
        if first or not set(tried) <= set(_groups_by_value(plan, rows, seeds=HALVED)):
            return first, None
        dropped = _dropped(plan, rows)
        points = [cell for value in tried if value not in dropped for cell in cells(plan, value)]
    specs = missing(plan, points, rows, stage=stage_name(plan), seeds=seeds)
    if specs and settings(plan).budget is not None:  # the clock is looked at before every pass
        return [spec for spec in specs if spec.seed == specs[0].seed], None
    if specs or not race_of(plan).on or not all(row.finished for row in rows):
        return specs, None
    contest = _contest(plan, rows, tried, resolution=resolution)
    seeds = range(plan.seed, plan.seed + race_of(plan).most)
    stage = stage_name(plan)
    return further(plan, contest.cells, contest.seeds, rows, stage=stage, seeds=seeds), contest


def is_cut_short(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> bool:
    """Whether a round that would have come next was left out for want of time."""
    timeless = replace(plan, settings=replace(settings(plan), budget=None))
    return is_out_of_time(settings(plan), rows) and bool(
        wanted(timeless, rows, resolution=resolution)
    )


def foreseen(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """How many trials there will be in all, of the rounds begun."""
    return len(rows) + len(wanted(plan, rows, resolution=0.0))


def outcome(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> Outcome:
    """The values compared, and which one wins; a decision only once all its trials are there."""
    tried = values(plan, rows, resolution=resolution)
    specs, contest = list[TrialSpec](), None
    if not is_out_of_time(settings(plan), rows):
        specs, contest = _next_round(plan, rows, tried, resolution=resolution)
    known = with_queued(rows, specs)
    if specs or contest is None:  # else it is the one of these very rows
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
        first = tuple(replace(group, scores=group.scores[: plan.seeds]) for group in tuned)
        inner = _best_cell(first, resolution) if len(first) > 1 else 0
        chosen.append(options[inner])
        groups.append(tuned[inner])
    dropped = _dropped(plan, rows)
    seeds = [HALVED if value in dropped else plan.seeds for value in tried]
    if race.on and all(row.finished for row in rows):
        seeds = seeds_of_each(groups, race, resolution=resolution)
    return _Contest(
        cells=tuple(chosen),
        seeds=tuple(seeds),
        groups=tuple(
            replace(group, scores=group.scores[:needed])
            for group, needed in zip(groups, seeds, strict=True)
        ),
    )


@lru_cache(maxsize=128)  # of each value, and asked after every trial
def _best_cell(groups: tuple[Group, ...], resolution: float) -> int:
    return decide(groups, resolution=resolution).winner or 0


def make_stage(plan: Plan, rows: Sequence[TrialRecord], context: StageContext) -> FixedStage:
    """What the conductor carries out."""
    return FixedStage(
        lambda own: wanted(plan, [*context.borrowed, *own], resolution=context.resolution),
        values={plan.knob.path: (plan.default(plan.knob),)},
        silence=Silence(context.silent, rows),
    )


def _costs(knob: Knob, groups: Sequence[Group]) -> list[float]:
    """What a value of a capacity knob costs: the number itself, or its place among the choices."""
    if knob.choices:
        return [
            float(knob.choices.index(group.value)) if group.value in knob.choices else math.inf
            for group in groups
        ]
    return [float(group.value) for group in groups if isinstance(group.value, int | float)]


def _dropped(plan: Plan, rows: Sequence[TrialRecord]) -> frozenset[Value]:
    """The values that get no further seed after their first: in the first round the worse half, in
    a later one those below that half; all where no training reads the knob.
    """
    if not halves(plan):
        return frozenset()
    groups = _groups_by_value(plan, rows, seeds=HALVED)
    first = plan.first_round
    if not all(value in groups for value in first):
        return frozenset()
    is_read = may_be_limit(plan.knob.path, stock=plan.stock)
    if train_alike([groups[value] for value in first]) and not is_read:
        return frozenset(first[1:])
    scores = scores_of([groups[value] for value in first])
    on = goes_on(scores, seeds=HALVED, ties=True)
    least = scores[on][1:, :HALVED].mean(-1).min(initial=math.inf)
    later = {
        value
        for value, group in groups.items()
        if value not in first and not scores_of([group])[0, :HALVED].mean() >= least
    }
    return frozenset(
        (*later, *(value for value, stays in zip(first, on, strict=True) if not stays))
    )


def _groups_by_value(
    plan: Plan,
    rows: Sequence[TrialRecord],
    *,
    seeds: int | None = None,
    dropped: frozenset[Value] = frozenset(),
) -> dict[Value, Group]:
    """A group per value whose first seeds have all ended: `seeds`, None: of every stage; of what
    was dropped, those before.
    """
    path = plan.knob.path
    ended: dict[Value, dict[int, TrialRecord]] = {}
    for row in rows:
        if row.finished:
            ended.setdefault(row.spec.knobs[path], {})[row.spec.seed] = row
    groups = {}
    for value, trials in ended.items():
        count = HALVED if value in dropped else seeds or plan.seeds
        needed = [plan.seed + repeat for repeat in range(count)]
        if all(seed in trials for seed in needed):
            own = [trials[seed] for seed in needed]
            groups[value] = group_of(value, own, metric=plan.metric)
    return groups
