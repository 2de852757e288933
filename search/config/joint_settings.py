"""How a joint search proposes, prunes, ends and confirms (R32, P4).

Read from the config and checked against the space. Never proposes a value.
"""

import importlib.util
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from omegaconf import DictConfig

from search.config.knob_roles import check_paths, default_of
from search.config.knobs import Knob, Value, short_names
from search.config.settings import in_seconds
from search.errors import refused

ADAPTIVE = ("gp", "tpe", "cmaes")
GP_MOST = 400  # trials up to which a Gaussian process proposes within a second; cubic growth
MOST = 10**6  # points of a grid that are counted
KNOWN = "protocol.known"  # configurations that the user knows
# A value for every knob of the space, also for those that the chosen options make idle.
Point = dict[str, Value]


@dataclass(frozen=True, kw_only=True)
class JointSettings:
    """Everything that a joint search needs beside its space.

    `startup`: configurations, baseline included, before an adaptive sampler takes over; fewer with
    a history. `budget` [s] and `gpu_budget` [GPU-seconds]: None for no limit. `kept`: epochs that
    `budget` must pay for afterwards, at `pace` [s an epoch] or more slowly. `rungs`: epochs at
    which the pruner is asked.
    `warmup` [epochs], `reduction` [factor], `patience` [epochs]: as the pruner takes them.
    `leaders`: configurations that are trained again with `confirm` fresh seeds each (P13), and
    with up to `most_seeds` of them where further ones decide (P5). `known`: configurations of the
    user's, tried after the baseline, whose values the knobs that one does not name take.
    """

    sampler: str
    startup: int
    n_trials: int
    budget: float | None
    gpu_budget: float | None
    confirm: int
    most_seeds: int
    leaders: int
    pruner: str
    rungs: tuple[int, ...]
    warmup: int
    reduction: int
    patience: int
    kept: float = 0.0
    pace: float = 0.0
    known: tuple[Mapping[str, Value], ...] = ()


def read_joint(config: DictConfig, knobs: Sequence[Knob]) -> JointSettings:
    """The settings of a joint search.

    Raises:
        UsageError: an empty space, two knobs on a path, or a sampler that cannot take the
            space.
    """
    if not knobs:
        raise refused(
            "space",
            code="joint-search-needs-knob",
            rule="a joint search needs a knob",
            got="none",
            remedy="say 'space=[lr,dropout]'",
        )
    check_paths(knobs)
    seeds, sampler, n_trials = config.seeds, config.sampler.kind, config.n_trials
    _check_trials(n_trials, seeds)
    if sampler == "auto":
        groups = config.get("choices") or {}
        grouped = any(knob.choice or knob.path in groups for knob in knobs)
        sampler = "tpe" if grouped or n_trials > GP_MOST else "gp"
    _check_sampler(config, knobs, sampler, n_trials // seeds)
    epochs, pruner = config.trainer.epochs, config.pruner.kind
    warmup, reduction, patience = (
        config.pruner.get(key, least)
        for key, least in (("warmup", 1), ("reduction", 2), ("patience", 1))
    )
    return JointSettings(
        sampler=sampler,
        startup=min(_startup(config, knobs, sampler, n_trials), n_trials // seeds),
        n_trials=n_trials,
        budget=in_seconds(config.get("budget_hours")),
        gpu_budget=config.get("budget_gpu_seconds"),
        confirm=config.protocol.confirm,
        most_seeds=config.protocol.get("most_seeds", 1),  # 1: no race
        leaders=config.protocol.leaders,
        pruner=pruner,
        rungs=_rungs(config, pruner, epochs=epochs, warmup=warmup, reduction=reduction),
        warmup=warmup,
        reduction=reduction,
        patience=patience,
        known=_known(config, knobs, room=n_trials // seeds),
    )


def _startup(config: DictConfig, knobs: Sequence[Knob], sampler: str, n_trials: int) -> int:
    """Configurations before an adaptive sampler takes over.

    At least two for each choice of any knob: what an estimator of densities has never seen, it may
    not propose in many trials.
    """
    if sampler not in ADAPTIVE:
        return n_trials
    given: int = config.sampler.get("startup", 1)
    most = max((len(knob.choices or ()) for knob in knobs), default=0)
    return max(given, 2 * most) if sampler == "tpe" else given


def active(knobs: Sequence[Knob], point: Mapping[str, Value]) -> Point:
    """The part of a point that counts: knobs of options that it does not choose are idle (P7)."""
    there = [knob for knob in knobs if knob.path in point]
    return {
        knob.path: point[knob.path]
        for knob in there
        if knob.choice is None or point[knob.choice[0]] == knob.choice[1]
    }


def default_point(config: DictConfig, knobs: Sequence[Knob]) -> Point:
    """The baseline."""
    return {knob.path: knob.typed(default_of(config, knob)) for knob in knobs}


def point_for_sampler(knobs: Sequence[Knob], point: Point) -> Point | None:
    """A point as a sampler of this space can hold it; None for a point outside of the space."""
    held = {knob.path: knob.value_for_sampler(point[knob.path]) for knob in knobs}
    return held if all(knob.holds(held[knob.path]) for knob in knobs) else None


def grid_points(
    config: DictConfig, knobs: Sequence[Knob], *, all_values: bool = False
) -> Iterator[Point]:
    """Every combination of the knobs' grids, or of all their values.

    Idle knobs stay at their defaults, so no combination comes twice.
    """
    default = default_point(config, knobs)

    def combined(of: Sequence[Knob]) -> Iterator[Point]:
        """Every combination of these knobs and of what counts under their values."""
        if not of:
            yield {}
            return
        knob, *others = of
        for value in knob.all_values() if all_values else knob.grid():
            below = [k for k in knobs if k.choice == (knob.path, value)]
            yield from ({knob.path: value, **rest} for rest in combined([*below, *others]))

    free = [knob for knob in knobs if knob.choice is None]
    yield from ({**default, **point} for point in combined(free))


def size(knobs: Sequence[Knob], *, under: tuple[str, Value] | None = None) -> float:
    """How many different configurations a space holds, or, `under` a choice, its part that counts
    there alone; inf where a knob has no end of values.
    """
    return math.prod(
        sum(size(knobs, under=(knob.path, choice)) for choice in knob.choices)
        if knob.choices
        else _values_of(knob) or math.inf
        for knob in knobs
        if knob.choice == under
    )


@cache
def _values_of(knob: Knob) -> int:
    """How many values a knob has; 0 where there is no end to them."""
    return len(knob.all_values())


def _check_trials(n_trials: int, seeds: int) -> None:
    """Every configuration gets all its seeds."""
    if n_trials % seeds:
        rule = "n_trials counts every seed, so it is a multiple of seeds"
        got = f"{n_trials} with seeds={seeds}"
        remedy = f"say n_trials={seeds * math.ceil(n_trials / seeds)}"
        raise refused(
            "n_trials", code="trials-not-multiple-of-seeds", rule=rule, got=got, remedy=remedy
        )


def _check_sampler(config: DictConfig, knobs: Sequence[Knob], sampler: str, room: int) -> None:
    """cmaes takes two and more numbers; a grid must fit into the trials."""
    named = [knob.path for knob in knobs if knob.choices]
    if sampler == "cmaes" and (named or len(knobs) < 2):
        got = f"choices ({', '.join(named)})" if named else "one knob"
        rule = "cmaes takes two or more numbers and no choices"
        raise refused(
            "sampler",
            code="cmaes-needs-numbers",
            rule=rule,
            got=got,
            remedy="use sampler=gp, tpe, qmc, random or grid",
        )
    if sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
        rule, remedy = "cmaes needs the package of that name", "pip install 'knobwise[cmaes]'"
        raise refused("sampler", code="cmaes-not-installed", rule=rule, got="none", remedy=remedy)
    if sampler == "grid":
        default = tuple(active(knobs, default_point(config, knobs)).items())
        keys = (
            tuple(active(knobs, point).items())
            for point in islice(grid_points(config, knobs), MOST)
        )
        points = len({default, *keys})
        if points > room:
            raise refused(
                "n_trials",
                code="grid-larger-than-trials",
                rule="a grid is run as a whole",
                got=f"room for {room} of {points} configurations",
                remedy="raise it, lower the knobs' points, or use another sampler",
            )


def _rungs(
    config: DictConfig, pruner: str, *, epochs: int, warmup: int, reduction: int
) -> tuple[int, ...]:
    """Median and patience look every so many epochs; halving at powers of its factor.

    Li et al. 2018, arXiv 1810.05934.
    """
    if pruner == "none":
        return ()
    if pruner in ("median", "patient"):
        return tuple(range(warmup, epochs, config.pruner.get("every", 1)))
    rungs = [warmup]
    while rungs[-1] * reduction < epochs:
        rungs.append(rungs[-1] * reduction)
    return tuple(rung for rung in rungs if rung < epochs)


def _known(
    config: DictConfig, knobs: Sequence[Knob], *, room: int
) -> tuple[Mapping[str, Value], ...]:
    """By knob, the values of each configuration that the user knows; the others are the baseline's.

    `room`: configurations that the search has trials for, the baseline among them.

    Raises:
        UsageError: a configuration names what is no knob of the space, or a value outside of it, or
            there are more than the search has trials for.
    """
    given = config.protocol.get("known") or ()  # searches from before have no such key
    points = tuple(_point(dict(each), knobs) for each in given)
    if points and len(points) >= room:
        rule = "the baseline and all of them are trained"
        got, remedy = f"{len(points)}, and room for {room}", "raise n_trials, or name fewer"
        raise refused(
            KNOWN, code="more-known-points-than-trials", rule=rule, got=got, remedy=remedy
        )
    return points


def _point(given: Mapping[str, Value], knobs: Sequence[Knob]) -> Mapping[str, Value]:
    short = short_names([knob.path for knob in knobs])
    by_name = {knob.path: knob for knob in knobs} | {short[knob.path]: knob for knob in knobs}
    point = dict[str, Value]()
    for name, value in given.items():
        if name not in by_name or by_name[name].path in point:
            rule = "names knobs of the space, each once"
            remedy = f"name knobs of the space: {', '.join(short)}"
            raise refused(KNOWN, code="known-point-of-no-knob", rule=rule, got=name, remedy=remedy)
        knob = by_name[name]
        typed = knob.typed(value)
        if typed != value or not knob.holds(typed):
            rule = f"values lie in the space, {knob.path} in {knob.describe()}"
            remedy = f"choose one of these, or widen space.{knob.path}"
            raise refused(
                KNOWN, code="known-point-outside-space", rule=rule, got=value, remedy=remedy
            )
        point[knob.path] = typed
    return point
