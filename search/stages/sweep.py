"""The sweep of one knob: which trials it wants. Everything else stays at the incumbent (R28). Never runs or ranks anything."""

from collections.abc import Sequence

from search.knobs import Value
from search.plan import Plan
from search.rows import Ask, Row


def stage_name(plan: Plan) -> str:
    """The stage's name in the tables."""
    return f"sweep.{plan.knobs[0].path}" if plan.kind == "sweep" else plan.kind


def values(plan: Plan) -> tuple[Value, ...]:
    """The baseline's value first, then the rest of the grid, ascending."""
    (knob,) = plan.knobs
    baseline = knob.typed(plan.default(knob.path))
    return (baseline, *(value for value in knob.grid() if value != baseline))


def wanted(plan: Plan, rows: Sequence[Row]) -> list[Ask]:
    """The trials still to be made, in order: pass by pass over the values, one seed per pass, so an early end is a fair one.

    Numbers go on behind the trials there are; the order is fixed, so an interrupted search numbers as an undisturbed one.
    """
    stage = stage_name(plan)
    points = [{plan.knobs[0].path: value} for value in values(plan)] if plan.kind == "sweep" else [{}]
    seeds = plan.seeds if plan.kind == "sweep" else 1
    asks = [Ask(trial=-1, stage=stage, knobs=knobs, seed=plan.seed + repeat) for repeat in range(seeds) for knobs in points]
    there = {row.ask.key for row in rows}
    missing = [ask for ask in asks if ask.key not in there]
    return [
        Ask(trial=number, stage=ask.stage, knobs=ask.knobs, seed=ask.seed)
        for number, ask in enumerate(missing, start=len(rows))
    ]
