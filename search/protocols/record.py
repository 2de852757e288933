"""A step as a line of decisions.jsonl: the decision, its evidence, and how to repeat it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, cast

from search.config.knobs import Knob
from search.protocols.step import Step
from search.results.step_record import StepRecord
from search.storage.json_numbers import plain
from search.storage.trials import TrialRecord

DECIDED: tuple[Literal["decision", "held", "learned", "perfect"], ...] = (
    "decision",
    "held",
    "learned",
    "perfect",
)  # on which all that follows was built


def record_of(step: Step, *, following: str, command: str, budget: Mapping[str, Any]) -> StepRecord:
    """The line.

    Args:
        step: the stage that has ended.
        following: the name of the stage that comes next; empty at the protocol's end.
        command: that repeats the stage by itself; empty where none does.
        budget: of the search, by which the next stage is chosen.
    """
    request = step.request
    record = {
        "stage": step.name,
        "kind": request.stage,
        "knob": request.knob,
        "path": request.path,
        "decision": step.decision,
        "value": step.held.get(request.path) if request.path else None,
        "says": step.says,
        "because": request.because,
        "considered": [asdict(each) for each in request.considered],
        "needs": request.needs,
        "left": request.left,
        "searched": [_domain(knob) for knob in request.knobs],
        "leaders": [dict(knobs) for knobs in step.leaders],
        "rates": list(step.rates or ()),
        "rules": list(request.rules),
        "held": dict(step.held),
        "trials": [row.spec.trial for row in step.incumbent],
        "scores": [row.value for row in step.incumbent],
        "trained": step.trials,
        "verdicts": dict(step.verdicts),
        "beside": list(step.sides),
        "learned": step.learned,
        "perfect": step.perfect,
        "out_of_patience": step.out_of_patience,
        "evidence": dict(step.evidence) or None,
        "command": command,
        "next": following or None,
        "budget": dict(budget),
    }
    return cast(StepRecord, plain(record))


def _domain(knob: Knob) -> dict[str, Any]:
    """What a stage tried of a knob."""
    if knob.choices:
        return {"path": knob.path, "choices": list(knob.choices)}
    return {"path": knob.path, "low": knob.low, "high": knob.high, "points": knob.points}


def as_decided(step: Step, former: Sequence[StepRecord], rows: Iterable[TrialRecord]) -> Step:
    """The step as an earlier start has decided it: later stages have trained at its incumbent, so
    rules that have changed since change nothing before them.

    Args:
        step: by today's rules.
        former: what earlier starts have written, step by step.
        rows: all trials so far, with all their knobs.
    """
    if step.number > len(former):
        return step
    now, then = record_of(step, following="", command="", budget={}), former[step.number - 1]
    if then["stage"] != step.name:
        return step
    step = replace(step, leaders=tuple(then["leaders"]))
    if all(then[key] == now[key] for key in DECIDED):
        return step
    known = {row.spec.trial: row for row in rows}
    return replace(
        step,
        decision=then["decision"],
        says=then["says"],
        held=then["held"],
        incumbent=tuple(known[trial] for trial in then["trials"] if trial in known),
        verdicts=tuple(dict(then["verdicts"]).items()),
        sides=tuple(then["beside"]),
        learned=then["learned"],
        perfect=then["perfect"],
        out_of_patience=then["out_of_patience"],
        evidence=then["evidence"] or {},
    )
