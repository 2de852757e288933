"""Knobs of a joint search's best configuration that lie where their range ends (P2)."""

from collections.abc import Iterable, Mapping
from typing import Literal

from omegaconf import DictConfig

from search.config.knobs import Knob, Value, as_number
from search.config.plan import Plan
from search.config.tune_settings import own_ranges
from search.results.findings import Findings
from search.stages.range_ends import hard_limit

EDGE = 0.02  # share of a knob's range, in its scale, within which a value counts as at its edge


def edges(findings: Findings) -> list[str]:
    """Knobs of the best configuration at the edge of their range, with what to say next (P2).

    Every configuration that ties with the best lies there too: otherwise the edge may be chance.
    """
    decision = findings.decision
    if decision is None or decision.best is None:
        return []
    best = findings.chosen[findings.groups[decision.best].candidate]
    ties = [findings.chosen[findings.groups[index].candidate] for index in decision.tied]
    return [
        line
        for knob in findings.plan.knobs
        if knob.path in best and (end := _end(knob, best[knob.path]))
        if all(end == _end(knob, tie[knob.path]) for tie in ties if knob.path in tie)
        for line in _edge(findings.plan, knob, best[knob.path], end=end)
    ]


def at_edges(
    knobs: Iterable[Knob], values: Mapping[str, Value], *, config: DictConfig
) -> list[str]:
    """The values of a configuration at the edge of what a stage searched (P2): `a=1`, `b=2`. A
    penalty at its low end is as good as off, with nothing beyond. `config`: of the search.
    """
    return [
        f"{knob.path}={values[knob.path]}"
        for knob in knobs
        if knob.path in values and (end := _end(knob, values[knob.path]))
        if (knob.group, end) != ("regularization", "low")
        if knob.beyond(bound := _bound(knob, end), direction=_step(end))
        or (knob.path in own_ranges(config) and hard_limit(config, knob, bound))
    ]


def _bound(knob: Knob, end: str) -> Value:
    return knob.typed(knob.low if end == "low" else knob.high)


def _step(end: str) -> Literal[-1, 1]:
    return -1 if end == "low" else 1


def _end(knob: Knob, value: Value) -> Literal["low", "high", ""]:
    """The end of its range at which a value lies, if it does."""
    if knob.choices or not knob.holds(value):
        return ""
    low, high, at = knob.scaled(knob.low), knob.scaled(knob.high), knob.scaled(value)
    share = (at - low) / (high - low)
    return "low" if share <= EDGE else "high" if share >= 1 - EDGE else ""


def _edge(plan: Plan, knob: Knob, value: Value, *, end: str) -> list[str]:
    bound = _bound(knob, end)
    further = knob.beyond(bound, direction=_step(end))
    if not further:
        limit = hard_limit(plan.config, knob, bound)
        text = f"{knob.path} = {value} lies at the {limit}: what lies beyond was not tried (P2)"
        return [text] if limit else []
    room = as_number(further[-1])
    text = f"{knob.path} = {value} lies at the edge of its range: the range may be wrong (P2)"
    return [f"{text}; try space.{knob.path}.{end}={room:.12g} name=…"]
