"""The end of a joint search: its leaders train again on fresh seeds, and these decide (P13, P5).

First the baseline and the best configuration train. Their seeds tell the noise, and with it which
of the other leaders chance could still lift above both. Pure functions of plan and trials.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from search.config.joint_settings import default_point, size
from search.config.knobs import Knob, Value
from search.config.plan import Plan
from search.stages.decision import decide, seeds_of_each
from search.stages.group import Group, Leader, mark_collapsed, scores_of
from search.stages.joint import (
    CONFIRM,
    STAGE,
    Key,
    configurations,
    count,
    ended,
    key,
    points,
    settings,
)
from search.stages.noise import statistics_of
from search.stages.outcome import Outcome, by_cell, cell_of, group_of, with_queued
from search.stages.racing import Race
from search.stages.scores import are_identical, least_deviation
from search.stages.stage import next_number, numbered
from search.storage.trials import TrialRecord, TrialSpec, UnnumberedTrial

LIFT = 2.0  # standard deviations between seeds by which chance may still lift a score


def foreseen(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float = 0.0) -> int:
    """How many trials there will be, the confirmation included, as far as can be foreseen."""
    if ended(plan, rows):
        return len(rows) + len(confirmations(plan, rows, resolution=resolution))
    return expected(plan, rows)


def expected(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """The same while the search itself has not ended."""
    joint = settings(plan)
    total = min(float(joint.n_trials), plan.seeds * (size(plan.knobs) + 1))
    if joint.sampler == "grid":
        total = min(total, plan.seeds * sum(1 for _ in points(plan)))
    mine = count(rows)
    confirmed = joint.confirm * min(joint.leaders + 1, int(total) // plan.seeds)
    return max(int(total), mine) + max(confirmed, len(rows) - mine)


def opening(plan: Plan) -> str:
    """How many trials a search begins with, and how many confirm its leaders; empty without."""
    if not settings(plan).confirm:
        return ""
    total = foreseen(plan, ())
    confirmed = total - int(min(settings(plan).n_trials, total))
    own = total - confirmed
    return (
        f"{own} trials, then up to {confirmed} that train the baseline and the leaders again on "
        "fresh seeds, and more where these decide (P13); protocol.confirm=0 leaves them out"
    )


def leaders(plan: Plan, rows: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The baseline's first trial, then the first trials of the best configurations, best first. One
    that trained as another did, to the last digit, would tell nothing of its own.
    """
    by_key = configurations(rows)
    if not by_key:
        return []
    default = key(plan, default_point(plan.config, plan.knobs))
    seeds = plan.seeds
    whole = {
        found: tried
        for found, tried in by_key.items()
        if len(tried) >= seeds and all(row.state == "complete" for row in tried)
    }
    sign = plan.metric.sign
    ranked = sorted(
        whole, key=lambda found: (-mean(whole[found], sign), whole[found][0].spec.trial)
    )
    first = {found: tried[0] for found, tried in by_key.items()}
    known, rivals = {first[default].curve} if default in first else set[str](), list[Key]()
    for found in ranked:
        if found != default and (not first[found].curve or first[found].curve not in known):
            known.add(first[found].curve)
            rivals.append(found)
    best = _apart(plan, rivals, count=settings(plan).leaders)
    return [first[found] for found in ([default] if default in first else []) + best]


def _apart(plan: Plan, ranked: Sequence[Key], *, count: int) -> list[Key]:
    """At most `count` configurations, best first, those last that are all but a better one: their
    choices are the same, and each number lies within a step of its knob's grid. What breaks one
    breaks the other.
    """
    knobs = {knob.path: knob for knob in plan.knobs}

    def is_near(one: Key, other: Key) -> bool:
        ours, theirs = dict(one), dict(other)
        return ours.keys() == theirs.keys() and all(
            within_a_step(knobs[path], value, theirs[path]) for path, value in ours.items()
        )

    first, twins = list[Key](), list[Key]()
    for found in ranked:
        if len(first) == count:
            break
        (twins if any(is_near(found, better) for better in first) else first).append(found)
    return [*first, *twins][:count]


def within_a_step(knob: Knob, value: Value, other: Value) -> bool:
    """Whether two values are as good as one: a choice, or numbers a step of the grid apart."""
    if value == other or knob.choices:
        return value == other
    step = (knob.scaled(knob.high) - knob.scaled(knob.low)) / max(knob.points - 1, 1)
    return abs(knob.scaled(value) - knob.scaled(other)) <= step


def mean(rows: Sequence[TrialRecord], sign: float) -> float:
    """Mean value of complete trials, higher being better."""
    return float(np.mean([sign * row.value for row in rows if row.value is not None]))


def race_of(plan: Plan) -> Race:
    """The rules by which the baseline and its rivals get further fresh seeds."""
    confirm = settings(plan).confirm
    return Race(first=confirm, most=max(confirm, settings(plan).most_seeds))


def confirmations(
    plan: Plan, rows: Sequence[TrialRecord], *, resolution: float = 0.0
) -> list[TrialSpec]:
    """The leaders on fresh seeds, once nothing more is proposed; then the seeds of the race.

    A baseline that could not be trained is left out.
    """
    if not ended(plan, rows):
        return []
    best = _contestants(plan, rows, resolution=resolution)
    there = {row.spec.key for row in rows}
    needed = _seeds_needed(plan, best, rows, resolution=resolution)
    fresh = plan.seed + plan.seeds
    specs = [
        UnnumberedTrial(stage=CONFIRM, knobs=row.spec.knobs, idle=row.spec.idle, seed=fresh + place)
        for place in range(max(needed, default=0))
        for row, count in zip(best, needed, strict=True)
        if row.state == "complete" and place < count
    ]
    fresh_specs = [spec for spec in specs if spec.key not in there]
    return numbered(fresh_specs, start=next_number(plan, rows))


def _contestants(
    plan: Plan, rows: Sequence[TrialRecord], *, resolution: float
) -> list[TrialRecord]:
    """The leaders that get fresh seeds: baseline and best, then whoever may rise above them.

    Without a confirmation, all leaders.
    """
    best = leaders(plan, rows)
    fresh = [row for row in rows if row.spec.stage == CONFIRM]
    if not settings(plan).confirm or not best:
        return best
    least = _least_score(plan, best[:2], fresh, resolution=resolution)
    begun, tried = {cell_of(row.spec.knobs) for row in fresh}, configurations(rows)
    return best[:2] + [
        row
        for row in best[2:]
        if cell_of(row.spec.knobs) in begun
        or mean(tried[tuple(row.spec.knobs.items())], plan.metric.sign) >= least
    ]


def _least_score(
    plan: Plan, first: Sequence[TrialRecord], fresh: Sequence[TrialRecord], *, resolution: float
) -> float:
    """What a leader must have scored in the search to be better than the first ones, but for bad
    luck; inf until their first fresh seeds have ended, −inf where these tell no noise. Where no
    seed moves a score, a leader's fresh scores would be those of the search.
    """
    seeds, trained = settings(plan).confirm, by_cell(row for row in fresh if row.finished)
    runs = [row for row in first if row.state == "complete"]
    if any(len(trained.get(cell_of(row.spec.knobs), ())) < seeds for row in runs):
        return np.inf
    groups = _groups(plan, first, [row for row in fresh if row.finished])
    scores = scores_of(groups)[:, :seeds]
    is_known = are_identical(scores, perfect=groups[0].perfect)
    of = statistics_of(
        scores, noise_floor=0 if is_known else least_deviation(scores, share=resolution)
    )
    if not np.isfinite(of.variances).any():
        return -np.inf
    return float(np.nanmax(of.means) - LIFT * np.sqrt(np.nanmax(of.variances)))


def _seeds_needed(
    plan: Plan, best: Sequence[TrialRecord], rows: Sequence[TrialRecord], *, resolution: float
) -> list[int]:
    """Fresh seeds of each leader, as far as the trials that have ended tell."""
    race = race_of(plan)
    groups = _groups(plan, best, [row for row in rows if row.spec.stage == CONFIRM])
    if not race.on or not groups or not all(row.finished for row in rows):
        return [race.first] * len(best)
    return seeds_of_each(groups, race, resolution=resolution)


def _groups(
    plan: Plan, best: Sequence[TrialRecord], evidence: Sequence[TrialRecord]
) -> tuple[Group, ...]:
    """The leaders by their first trials, each with the scores of its trials."""
    trials, metric = by_cell(evidence), plan.metric
    return tuple(
        group_of(Leader(row.spec.trial), trials.get(cell_of(row.spec.knobs), []), metric=metric)
        for row in best
    )


def outcome(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> Outcome:
    """The leaders on the seeds of the confirmation; without one, on those that they led with."""
    known = with_queued(rows, confirmations(plan, rows, resolution=resolution))
    stage = CONFIRM if settings(plan).confirm else STAGE
    evidence = tuple(row for row in known if row.spec.stage == stage)
    total = foreseen(plan, rows, resolution=resolution)
    result = Outcome(plan=plan, rows=known, evidence=evidence, foreseen=total)
    if not ended(plan, rows):
        return result
    best = _contestants(plan, rows, resolution=resolution)
    groups = _groups(plan, best, evidence)
    is_done = bool(groups) and all(row.finished for row in known)
    result = replace(
        result,
        groups=mark_collapsed(groups, resolution=resolution),
        chosen={Leader(row.spec.trial): row.spec.knobs for row in best},
    )
    if not is_done or result.obstacle:
        return result
    race = race_of(plan)
    return replace(result, decision=decide(groups, resolution=resolution, race=race))
