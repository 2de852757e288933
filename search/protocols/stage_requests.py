"""What each stage of a protocol asks for, when its turn in the list has come. Pure functions.

A stage that does not apply says why in `skip`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from omegaconf import OmegaConf

from search.config.knob_parts import EPOCHS
from search.config.knobs import Knob, Value, assigned
from search.config.trial_config import is_program
from search.diagnostics.verdicts.rules_rate import FEWEST
from search.protocols.budget import confirm_left, sweep_trials, trials_left
from search.protocols.history import History
from search.protocols.joint_request import FEW, joint_request
from search.protocols.learned import PERFECT
from search.protocols.next_knob import sweep_request
from search.protocols.opening import confirm_needs
from search.protocols.step import Request, Step

TIMES = 4  # as many epochs, where the incumbent's are too few
ROUNDING = 1e-9  # of a share of a budget that is a whole number of trials
NO_RATE = (
    "no knob is a learning rate by its name, such as lr or eta0; protocol.rate=PATH says which"
)
NO_VERDICT = "the incumbent's curves have no verdict: one needs train_loss and val_loss"
OUT_OF_REACH = "a program steps in a process of its own, where no ramp reaches its rate"


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


def penalties_again(history: History, done: Sequence[Step]) -> Request | None:
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


# By name what a stage asks for: called with the history, its place in the list and its argument.
STAGE_REQUESTS: dict[str, Callable[[History, int, str], Request]] = {
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
