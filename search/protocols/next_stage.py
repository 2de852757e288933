"""Which stage comes next: the protocol's list in order, within its budget. Pure functions.

Never trains, never reads a file: a resumed search asks the same question again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from search.config.knob_parts import EPOCHS
from search.config.knobs import Knob, Value, assigned
from search.config.trial_config import is_program
from search.diagnostics.verdicts.rules_rate import FEWEST
from search.protocols.budget import confirm_left, sweep_trials, trials_left, with_budget
from search.protocols.history import History
from search.protocols.joint_request import FEW, joint_request
from search.protocols.learned import PERFECT
from search.protocols.next_knob import next_sweep, sweep_request
from search.protocols.opening import confirm_needs
from search.protocols.step import Request, Step

TIMES = 4  # as many epochs, where the incumbent's are too few
ROUNDING = 1e-9  # of a share of a budget that is a whole number of trials
NO_RATE = (
    "no knob is a learning rate by its name, such as lr or eta0; protocol.rate=PATH says which"
)
NO_VERDICT = "the incumbent's curves have no verdict: one needs train_loss and val_loss"
OUT_OF_REACH = "a program steps in a process of its own, where no ramp reaches its rate"


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
        return _STAGES[entry.stage](history, index, entry.argument)
    if (again := _penalties_again(history, done)) is not None:
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


def _preflight(history: History, index: int, argument: str) -> Request:
    why = "a sound set-up comes before the budget"
    return Request(entry=index, stage="preflight", because=why, rules=("R9", "R10", "R12"))


def _baseline(history: History, index: int, argument: str) -> Request:
    why = "all is compared with the defaults"
    return Request(entry=index, stage="baseline", because=why, rules=("R15",), configurations=({},))


def _regularisers_off(history: History, index: int, argument: str) -> Request:
    off, on = history.penalties_off, history.penalties_on
    why = "no regulariser is on"
    if off:
        why = f"a penalty may hide that nothing is learned: {', '.join(assigned(off))}"
    elif on:
        why = f"{', '.join(on)}: what is weaker lies outside of the range that you named"
    return Request(
        entry=index,
        stage="regularisers_off",
        because=why,
        rules=("R26a", "R15"),
        configurations=({}, off),
        skip="" if off else why,
    )


def _penalties_again(history: History, done: Sequence[Step]) -> Request | None:
    """Right after the rate's sweep, the penalties on once more that were off only because nothing
    was learned: now a comparison tells something. None where there are none.
    """
    before = [step for step in history.steps if step.request.stage == "regularisers_off"]
    is_open = [step.decision == "none" or "off_for_now" in step.evidence for step in before]
    is_rate = [step.request.path for step in done] == [history.rate] and done[0].trials
    trains = history.learned and any(row.value is not None for row in history.incumbent)
    if is_open != [True] or not (is_rate and trains and sweep_trials(history) >= history.seeds):
        return None
    _, off = before[0].request.configurations
    on = {path: OmegaConf.select(history.base, path) for path in off}
    why = f"nothing was learned when they were switched off: {', '.join(assigned(on))}"
    entry = done[0].request.entry
    return replace(before[0].request, entry=entry, because=why, configurations=(on, off))


def _longer(history: History, index: int, argument: str) -> Request:
    """Four times the epochs, where the incumbent's were too few to judge anything by (R15a)."""
    main, needs, room = history.verdict, 0.0, math.inf
    epochs, name = int(history.config.trainer.epochs), history.settings.named(EPOCHS)
    more = epochs if name is None else _more(history.settings.spaces[name][0], epochs)
    is_point = main == "cannot_tell" and epochs < FEWEST  # of which no curve can be told
    because, skip = "curves that are cut off say too little", ""
    if main != "too_short" and not is_point:
        skip = f"the incumbent's curves say {main}, not too_short" if main else NO_VERDICT
    elif history.ends_itself:
        skip = "trainings end by themselves, whatever trainer.epochs is"
    elif more <= epochs:
        skip = "no knob of the protocol allows more epochs"
    else:
        because = f"nothing is judged by curves that were cut off while they fell: {more} epochs"
        needs, room = history.seeds * more / epochs, sweep_trials(history)
        if room < needs:
            skip = (
                f"it costs as much as {needs:.0f} trials, and the sweeps' share leaves {room:.0f}"
            )
    return Request(
        entry=index,
        stage="longer",
        because=because,
        rules=("R15a", "P10"),
        configurations=({}, {EPOCHS: more}),
        needs=needs,
        left=room,
        skip=skip,
    )


def _more(about: Knob, epochs: int) -> int:
    """`TIMES` as many epochs, or the most that the knob allows; as many as before without any."""
    allowed = [int(choice) for choice in about.choices if isinstance(choice, int | float)]
    if about.choices:
        return max((each for each in allowed if each <= TIMES * epochs), default=epochs)
    return min(TIMES * epochs, int(about.high))


def _lr_range(history: History, index: int, argument: str) -> Request:
    why = "a ramp of the rate shows where the loss falls"
    skip = PERFECT if history.perfect else ""
    if not history.settings.named(history.rate):
        skip = NO_RATE
    elif is_program(history.base):
        skip = OUT_OF_REACH
    return Request(entry=index, stage="lr_range", because=why, rules=("R31",), skip=skip)


def _sweep(history: History, index: int, argument: str) -> Request:
    spaces, why, rules = history.settings.spaces, "the learning rate matters most", ("R29",)
    if argument not in spaces:
        return Request(entry=index, stage="sweep", because=why, rules=rules, skip=NO_RATE)
    if spaces[argument][0].path != history.rate:
        why, rules = "the protocol's own", ("R28",)
    request = sweep_request(history, index, argument, because=why, rules=rules)
    return replace(request, skip=PERFECT) if history.perfect else request


def _joint(history: History, index: int, argument: str) -> Request:
    """The joint stage; a sweep, where one knob is all that is left for it and no sweep tried it.

    That sweep has the joint stage's budget: what is not kept for the confirmation.
    """
    request = joint_request(history, index)
    name = history.settings.named(request.knobs[0].path) if len(request.knobs) == 1 else None
    if request.skip != FEW or name is None or not history.is_open(request.knobs[0].path):
        return request
    left, kept = trials_left(history), confirm_needs(history.settings, rivals=1)
    share = 1 - kept / (history.trials + left) + ROUNDING
    room = replace(history, settings=replace(history.settings, share=share))
    why = "no other knob made a difference or is left, so it is turned alone"
    alone = sweep_request(room, index, name, because=why, rules=("R28",))
    return request if alone.skip else replace(alone, considered=request.considered)


def _confirm(history: History, index: int, argument: str) -> Request:
    """The baseline, the incumbent of the sweeps, and what leads, on fresh seeds (P13)."""
    undecided = history.undecided
    most = max(history.settings.leaders - len(undecided), 0)
    joint = [step for step in history.steps if step.request.stage == "joint"]
    leaders = [leader for step in joint for leader in step.leaders[:most]]
    configurations = _to_confirm(history, [*leaders, *undecided])
    least = confirm_needs(history.settings, rivals=1)
    because = "what was chosen for its value is judged on seeds that had no part in the choice"
    if len(configurations) > 1 and trials_left(history) < least:
        because += "; the hours are spent, so the baseline and one configuration are trained"
    needed, left = 2 * history.settings.confirm, max(confirm_left(history), 0)
    unconfirmed = {
        "what was adopted": history.held,
        "what the joint stage found": leaders,
        "what a sweep found ahead": undecided,
    }
    what = next((what for what, found in unconfirmed.items() if found), None)
    skip = f"it needs {needed} trials, and the budget leaves {left:.0f}: {what} is not confirmed"
    tried = history.steps[-1].incumbent
    if len(configurations) > 1:
        skip = ""
    elif tried and all(row.value is None for row in tried):
        skip = "no training of the baseline gave a result"
    elif what is None:
        skip = "nothing was adopted, so the baseline is the answer"
    return Request(
        entry=index,
        stage="confirm",
        because=because,
        rules=("P13", "P5"),
        configurations=configurations,
        needs=needed,
        left=left,
        skip=skip,
    )


def _to_confirm(
    history: History, leading: Sequence[Mapping[str, Value]]
) -> tuple[Mapping[str, Value], ...]:
    """The baseline, the incumbent and of what leads as many as are paid for. Of equal scores the
    first one goes on, so of what leads the configuration that turns fewer knobs comes first (P5).
    """
    configurations: list[Mapping[str, Value]] = [{}]
    for knobs in map(dict, (history.held, *leading)):
        paid = confirm_needs(history.settings, rivals=len(configurations)) <= confirm_left(history)
        if knobs not in configurations and paid:
            configurations.append(knobs)
    first = 1 + bool(history.held)
    return (*configurations[:first], *sorted(configurations[first:], key=len))


def _ensemble(history: History, index: int, argument: str) -> Request:
    why = "the average of several trainings is often better than each"
    skip = "" if history.learned else history.why_nothing
    return Request(entry=index, stage="ensemble", because=why, rules=("R35",), skip=skip)


_STAGES = {
    "preflight": _preflight,
    "baseline": _baseline,
    "regularisers_off": _regularisers_off,
    "longer": _longer,
    "lr_range": _lr_range,
    "sweep": _sweep,
    "joint": _joint,
    "confirm": _confirm,
    "ensemble": _ensemble,
}
