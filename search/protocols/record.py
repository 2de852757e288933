"""A step as a line of decisions.jsonl: the decision, its evidence, and how to repeat it."""

from collections.abc import Mapping
from typing import Any

from search.protocols.step import Step
from search.storage.json_numbers import plain


def record_of(
    step: Step, *, following: str, command: str, budget: Mapping[str, Any]
) -> dict[str, Any]:
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
    content = plain(record)
    assert isinstance(content, dict)
    return content
