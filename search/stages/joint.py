"""The joint search: which trials come first, and what ends it (R32, P4). Pure functions.

First the baseline and a scrambled Sobol sequence; what follows, an adaptive sampler proposes
elsewhere. Never runs a trial, never asks a sampler.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np

from search.config.joint_settings import (
    ADAPTIVE,
    JointSettings,
    Point,
    active,
    default_point,
    grid_points,
    size,
)
from search.config.knobs import Value
from search.config.plan import Plan
from search.errors import refused
from search.stages.spent import gpu_seconds, is_out_of_time
from search.storage.trial_rows import counted
from search.storage.trials import TrialRecord, UnnumberedTrial

STAGE, CONFIRM = "joint", "confirm"
TRIES = 1000  # repetitions, one after the other, after which a sequence is given up
Key = tuple[tuple[str, Value], ...]


def settings(plan: Plan) -> JointSettings:
    """The plan's, which must be one of a joint search."""
    if not isinstance(plan.settings, JointSettings):
        raise TypeError(f"{plan.name}: not a joint search")
    return plan.settings


def key(plan: Plan, point: Point) -> Key:
    """What makes two points the same configuration."""
    return tuple(active(plan.knobs, point).items())


def points(plan: Plan) -> Iterator[Point]:
    """The baseline, then the user's, then the points of the sampler's sequence, none twice.

    Of an adaptive sampler, its quasi-random start.
    """
    joint = settings(plan)
    default = default_point(plan.config, plan.knobs)
    yield default
    seen, repeated = {key(plan, default)}, 0
    sequences = {
        "grid": lambda: grid_points(plan.config, plan.knobs),
        "random": lambda: _random(plan),
    }
    named = ({**default, **point} for point in joint.known)
    further = sequences.get(joint.sampler, lambda: _quasi_random(plan))()
    for point in chain(named, further):
        if key(plan, point) not in seen:
            seen.add(key(plan, point))
            yield point
            repeated = 0
        elif (repeated := repeated + 1) > TRIES:
            break
    if joint.sampler != "grid" and size(plan.knobs) < math.inf:
        yield from (
            point
            for point in grid_points(plan.config, plan.knobs, all_values=True)
            if key(plan, point) not in seen
        )


def start(plan: Plan, rows: Sequence[TrialRecord], *, history: bool) -> Iterator[UnnumberedTrial]:
    """The trials still to be made that need no adaptive sampler, not numbered yet: what an
    interruption left of the seeds of a point, then the sequence.

    With a history, a Gaussian process needs the baseline only, the others half of it (measured).
    """
    joint = settings(plan)
    borrowed = sum(row.spec.trial < plan.first_trial for row in rows)  # they are no trials of its
    many = joint.n_trials // plan.seeds + borrowed
    if joint.sampler in ADAPTIVE:
        known = 1 if joint.sampler == "gp" else max(1, joint.startup // 2)
        many = max(known if history else joint.startup, 1 + len(joint.known))
    there = {row.spec.key for row in rows}
    begun = [row.spec.point for row in rows if row.spec.stage == STAGE]
    specs = (
        spec for point in chain(begun, islice(points(plan), many)) for spec in repeats(plan, point)
    )
    return unique(spec for spec in specs if spec.key not in there)


def unique(specs: Iterable[UnnumberedTrial]) -> Iterator[UnnumberedTrial]:
    """Each spec once."""
    seen = set()
    for spec in specs:
        if spec.key not in seen:
            seen.add(spec.key)
            yield spec


def repeats(plan: Plan, point: Point) -> list[UnnumberedTrial]:
    """A point's trials, one per seed; not numbered yet."""
    used = active(plan.knobs, point)
    idle = {path: value for path, value in point.items() if path not in used}
    return [
        UnnumberedTrial(stage=STAGE, knobs=used, idle=idle, seed=plan.seed + repeat)
        for repeat in range(plan.seeds)
    ]


def room(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """Trials that may still be begun."""
    if spent_budget(plan, rows):
        return 0
    return max(0, settings(plan).n_trials - count(rows))


def count(rows: Sequence[TrialRecord]) -> int:
    """How many trials the search itself has, confirmations left out."""
    return counted(rows).count(STAGE)


def searched(rows: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Trials of the search itself, confirmations left out."""
    return [row for row in rows if row.spec.stage == STAGE]


def spent_budget(plan: Plan, rows: Sequence[TrialRecord]) -> str:
    """The budget that has been spent, as its key and value; empty while none has."""
    limits = settings(plan)
    if is_out_of_time(limits, rows):
        less = ", less what the confirmation needs," if limits.kept else ""
        return f"budget_hours={plan.config.budget_hours:g}{less}"
    if limits.gpu_budget is not None and (
        gpu_seconds(rows, gpus=plan.placement.gpus_per_slot) >= limits.gpu_budget
    ):
        return f"budget_gpu_seconds={plan.config.budget_gpu_seconds:g}"
    return ""


def configurations(rows: Sequence[TrialRecord]) -> dict[Key, list[TrialRecord]]:
    """The search's own trials by configuration, in the order of their first."""
    found: dict[Key, list[TrialRecord]] = {}
    for row in rows:
        if row.spec.stage == STAGE:
            found.setdefault(tuple(row.spec.knobs.items()), []).append(row)
    return found


def _exhausted(plan: Plan, rows: Sequence[TrialRecord]) -> bool:
    """Whether every configuration of a finite space, or of the grid, has had all its seeds."""
    tried = {found for found, mine in configurations(rows).items() if len(mine) >= plan.seeds}
    if settings(plan).sampler == "grid":
        return all(key(plan, point) in tried for point in points(plan))
    held = sum(
        all(k.holds(dict(found)[k.path]) for k in plan.knobs if k.path in dict(found))
        for found in tried
    )
    return held >= size(plan.knobs)


def ended(plan: Plan, rows: Sequence[TrialRecord]) -> str:
    """What has ended the proposals, in words; empty while they go on."""
    rows = counted(rows)
    mine, most = rows.count(STAGE), settings(plan).n_trials
    if not mine or any(row.spec.stage == STAGE for row in rows.unfinished):
        return ""
    if mine >= most:
        return f"all of n_trials={most} are done"
    if budget := spent_budget(plan, rows):
        return f"{budget} are spent, after {mine} of {most} trials"
    if _exhausted(plan, rows):
        of = f"{mine} of {most} trials"
        return f"every configuration of the space has been tried, after {of}"
    return ""


def check_resume(plan: Plan, rows: Sequence[TrialRecord], *, seeds: int) -> None:
    """A joint search may be extended, not shortened, and its confirmation needs seeds of its own.

    Raises:
        UsageError: more trials are there than `n_trials` allows, or there were other `seeds`.
    """
    if seeds != plan.seeds:
        rule = "the seeds of a joint search stay as they are"
        remedy = f"say seeds={seeds}, or use name=… and raise protocol.confirm there"
        raise refused(
            "seeds",
            code="joint-seeds-changed",
            rule=rule,
            got=f"{plan.seeds}, {seeds} there",
            remedy=remedy,
        )
    done, allowed = count([row for row in rows if row.finished]), settings(plan).n_trials
    if allowed < done:
        rule = "n_trials counts the trials that are finished"
        got, remedy = f"{allowed} for {done} of them", "raise it or use name=…"
        raise refused("n_trials", code="trials-already-finished", rule=rule, got=got, remedy=remedy)


def _quasi_random(plan: Plan) -> Iterator[Point]:
    """A scrambled Sobol sequence (Owen 1998), the same again for the same seed."""
    from scipy.stats import qmc  # takes a second

    sequence = qmc.Sobol(len(plan.knobs), scramble=True, rng=np.random.default_rng(plan.seed))
    while True:
        yield from (_point(plan, shares) for shares in sequence.random(64))


def _random(plan: Plan) -> Iterator[Point]:
    dice = np.random.default_rng(plan.seed)
    while True:
        yield _point(plan, dice.random(len(plan.knobs)))


def _point(plan: Plan, shares: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Point:
    return {
        knob.path: knob.within(float(share)) for knob, share in zip(plan.knobs, shares, strict=True)
    }
