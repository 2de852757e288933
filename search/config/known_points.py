"""Configurations that the user knows and a joint search tries first, after the baseline."""

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig

from search.config.knobs import Knob, Value
from search.config.short_names import short_names
from search.errors import refused

KEY = "protocol.known"


def read_known(
    config: DictConfig, knobs: Sequence[Knob], *, room: int
) -> tuple[Mapping[str, Value], ...]:
    """By knob, the values that each configuration names; it takes the baseline's for the others.

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
        raise refused(KEY, code="more-known-points-than-trials", rule=rule, got=got, remedy=remedy)
    return points


def _point(given: Mapping[str, Value], knobs: Sequence[Knob]) -> Mapping[str, Value]:
    short = short_names([knob.path for knob in knobs])
    by_name = {knob.path: knob for knob in knobs} | {short[knob.path]: knob for knob in knobs}
    point = dict[str, Value]()
    for name, value in given.items():
        if name not in by_name or by_name[name].path in point:
            rule = "names knobs of the space, each once"
            remedy = f"name knobs of the space: {', '.join(short)}"
            raise refused(KEY, code="known-point-of-no-knob", rule=rule, got=name, remedy=remedy)
        knob = by_name[name]
        typed = knob.typed(value)
        if typed != value or not knob.holds(typed):
            rule = f"values lie in the space, {knob.path} in {knob.describe()}"
            remedy = f"choose one of these, or widen space.{knob.path}"
            raise refused(
                KEY, code="known-point-outside-space", rule=rule, got=value, remedy=remedy
            )
        point[knob.path] = typed
    return point
