"""What a sweep tries next to its best value: further values beyond an edge of the range (P2), and
values in the gaps beside it (R30). Pure functions.
"""

import math
from collections.abc import Sequence

from omegaconf import DictConfig

from search.config.knobs import Knob, Value, as_number
from search.config.plan import Plan
from search.config.schema import rules_of
from search.config.tune_settings import own_ranges
from search.stages.decision import Decision, decide
from search.stages.group import Group
from search.stages.racing import Race


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


def hard_limit(config: DictConfig, knob: Knob, value: Value) -> str:
    """In words, the limit at which a value is the lowest or highest that the knob may take; empty
    where it is not.

    What the key itself may not leave is no limit that could be moved, nor is 0: nothing lies beyond
    all rows, one unit, or a penalty that is off.
    """
    number, rule = as_number(value), rules_of(config).get(knob.path, {})
    is_high = number >= knob.most
    is_low = knob.least >= number > rule.get("minimum", -math.inf) and number != 0
    if not (number < rule.get("maximum", math.inf) if is_high else is_low):
        return ""
    if knob.path in own_ranges(config):
        return "end of the range that you named"
    return f"hard limit space.{knob.path}.{'max' if is_high else 'min'}"


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
    ties = [places[index] for index in decision.tied]
    is_flat = any(not math.isfinite(place) or direction * (place - middle) < 0 for place in ties)
    return 0 if is_flat else direction


def extension(
    plan: Plan, groups: Sequence[Group], best: int, *, resolution: float
) -> tuple[Value, ...]:
    """As much again as the knob's range, in its steps, beyond an edge that is the best (P2)."""
    knob, tried = plan.knob, [group.value for group in groups]
    if not edge(knob, tried, tried[best]):
        return ()
    race = Race(first=plan.seeds, most=plan.seeds)
    direction = clear_edge(knob, tried, decide(groups, resolution=resolution, race=race))
    further = knob.beyond(tried[best], direction=direction) if direction else ()
    return tuple(value for value in further if value not in tried)


def refinement(knob: Knob, tried: Sequence[Value], best: Value) -> tuple[Value, ...]:
    """Four values: on the knob's scale a quarter and half of the way to the values beside (R30). A
    baseline may lie outside of the knob's limits; they do not.
    """
    places = {knob.scaled(value): value for value in tried}
    ordered = [places[place] for place in sorted(places) if math.isfinite(place)]
    if best not in ordered:
        return ()
    at = ordered.index(best)
    beside = [ordered[index] for index in (at - 1, at + 1) if 0 <= index < len(ordered)]
    points = {knob.between(best, other, share=share) for other in beside for share in (0.25, 0.5)}
    inside = (point for point in points if knob.least <= as_number(point) <= knob.most)
    return tuple(sorted((point for point in inside if point not in tried), key=knob.scaled))
