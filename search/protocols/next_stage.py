"""Which stage comes next: the protocol's list in order, within its budget. Pure functions.

Never trains, never reads a file: a resumed search asks the same question again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from search.protocols.budget import with_budget
from search.protocols.history import History
from search.protocols.joint_request import joint_request
from search.protocols.next_knob import next_sweep, sweep_request
from search.protocols.stage_requests import STAGE_REQUESTS, penalties_again
from search.protocols.step import Request


def next_stage(history: History) -> Request | None:
    """The next request; None at the protocol's end."""
    first = history.steps[-1].request.entry if history.steps else 0
    asked = (_asked_by(history, index) for index in range(first, len(history.settings.stages)))
    return next((request for request in asked if request is not None), None)


def _asked_by(history: History, index: int) -> Request | None:
    """What an entry of the list asks for; None where it has had all that it wants."""
    entry = history.settings.stages[index]
    done = [step for step in history.steps if step.request.entry == index]
    if entry.stage == "sweeps":
        ended = done and done[-1].request.stage == "sweeps"  # by the step that says why
        return None if ended else next_sweep(history, index, entry.argument)
    if not done:
        return STAGE_REQUESTS[entry.stage](history, index, entry.argument)
    if (again := penalties_again(history, done)) is not None:
        return again
    is_joint = [step.request.stage for step in done] == ["joint"]
    if is_joint and done[0].trials and not done[0].leaders:
        again = joint_request(history, index)
        return None if again.skip else again
    return None


def stage_due(
    history: History, former: Sequence[Mapping[str, Any]], *, ended: int
) -> tuple[History, Request | None]:
    """The next request of a search that goes on with another budget, and the history with the
    budget that holds for it.

    What has begun keeps the budget that it was chosen by, so that the same trials lead to the same
    stages. A joint stage under way gets the trials that today's budget leaves.

    Args:
        history: with today's budget.
        former: by which each stage that has begun was chosen, from the second on (`budget_of`).
        ended: stages that had ended by the last start.
    """
    done = len(history.steps)
    if not 0 < done <= len(former):
        return history, next_stage(history)
    then = replace(history, settings=with_budget(history.settings, former[done - 1]))
    request = next_stage(then)
    if done < ended or request is None or request.skip or request.stage != "joint":
        return then, request
    now = next_stage(history)
    is_joint = now is not None and now.stage == "joint" and not now.skip
    return history, replace(request, trials=now.trials if now is not None and is_joint else 1)


def sweep_made(history: History, name: str, *, says: str) -> Request | None:
    """The sweep, or the end of the sweeps, that an earlier start has made by rules of its own;
    None where the protocol has no such stage.

    Args:
        history: before it.
        name: of the stage.
        says: why the sweeps have ended, as it was told.
    """
    kind, _, knob = name.partition("-")[2].partition(".")
    first, why = history.steps[-1].request.entry if history.steps else 0, "as the search began"
    for index, entry in enumerate(history.settings.stages[first:], start=first):
        if kind == entry.stage == "sweeps":
            return Request(entry=index, stage=kind, because=why, skip=says)
        is_free = entry.stage == "sweeps" and knob in history.settings.spaces
        if kind == "sweep" and (is_free or (entry.stage, entry.argument) == (kind, knob)):
            request = sweep_request(history, index, knob, because=why, rules=("R28",))
            return replace(request, skip="")
    return None
