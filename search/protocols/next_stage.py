"""Which stage comes next: the protocol's list in order, within its budget. Pure functions.

Never trains, never reads a file: a resumed search asks the same question again.
"""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from search.config.knobs import Knob, Value
from search.diagnostics.verdicts.advice import ADVICE, CHECK
from search.protocols.budget import (
    confirm_left,
    confirm_trials,
    joint_rivals,
    kept_for_confirm,
    trials_left,
    with_budget,
)
from search.protocols.history import History, Request
from search.protocols.learned import NOTHING, PERFECT
from search.protocols.next_knob import (
    affordable,
    hand,
    holds,
    next_sweep,
    nothing_left,
    own_knobs,
    remedies,
    sweep_request,
)
from search.results.summary.formatting import count

FEWEST = 3  # trials of a joint stage per knob, below which it tells nothing
ENOUGH = 6  # the same, so that knobs which the verdict merely names are turned too
NO_RATE = "none of the knobs is a learning rate, whose name would end in lr or learning_rate"


def next_stage(history: History) -> Request | None:
    """The next request; None at the protocol's end."""
    settings = history.settings
    first = history.steps[-1].request.entry if history.steps else 0
    for index in range(first, len(settings.stages)):
        entry = settings.stages[index]
        done = [step for step in history.steps if step.request.entry == index]
        if entry.stage == "sweeps":
            if done and done[-1].request.stage == "sweeps":
                continue  # the step that says why the sweeps have ended
            return next_sweep(history, index, entry.argument)
        if not done:
            return _STAGES[entry.stage](history, index, entry.argument)
        if entry.stage == "joint" and len(done) == 1 and done[0].trials and not done[0].leaders:
            again = _joint(history, index, entry.argument)
            if not again.skip:
                return again
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


def _preflight(history: History, index: int, argument: str) -> Request:
    why = "a sound set-up comes before the budget"
    return Request(entry=index, stage="preflight", because=why, rules=("R9", "R10", "R12"))


def _baseline(history: History, index: int, argument: str) -> Request:
    why = "all is compared with the defaults"
    return Request(entry=index, stage="baseline", because=why, rules=("R15",), configurations=({},))


def _regularisers_off(history: History, index: int, argument: str) -> Request:
    off = history.penalties_off
    why = (
        f"a penalty may hide that nothing is learned: {', '.join(off)} switched off"
        if off
        else "no regulariser is on"
    )
    return Request(
        entry=index,
        stage="regularisers_off",
        because=why,
        rules=("R26a", "R15"),
        configurations=({}, off),
        skip="" if off else why,
    )


def _lr_range(history: History, index: int, argument: str) -> Request:
    why = "a ramp of the rate shows where the loss falls"
    skip = PERFECT if history.perfect else ""
    if not history.settings.named(history.rate):
        skip = NO_RATE
    return Request(entry=index, stage="lr_range", because=why, rules=("R31",), skip=skip)


def _sweep(history: History, index: int, argument: str) -> Request:
    if argument not in history.settings.spaces:
        why = "the learning rate matters most"
        return Request(entry=index, stage="sweep", because=why, rules=("R29",), skip=NO_RATE)
    why = "the learning rate matters most" if _is_rate(history, argument) else "the protocol's own"
    request = sweep_request(history, index, argument, because=why, rules=("R29",))
    return replace(request, skip=PERFECT) if history.perfect else request


def _is_rate(history: History, name: str) -> bool:
    return history.settings.spaces[name][0].path == history.rate


def _joint(history: History, index: int, argument: str) -> Request:
    """The knobs that made a difference, in their good region, and those never tried (R32).

    A stage that finds nothing to confirm is followed by one that spends what was kept for that.
    """
    before = [step for step in history.steps if step.request.entry == index]
    # The rate is always among them: its best value moves with all others (R29).
    by_path = {
        step.request.path: step
        for step in history.sweeps
        if not step.inert and (step.effect or step.request.path == history.rate)
    }
    cut = (_cut(step.request.knobs, history) for step in by_path.values())
    knobs = tuple(knob for knob in cut if knob is not None)
    left = trials_left(history)
    kept = kept_for_confirm(history, left=left, rivals=joint_rivals(history))
    left -= kept
    trials = history.settings.trials if left == math.inf else int(left)
    further = (*_never_tried(history), *_named_without_effect(history, by_path))
    further = further[: max(trials // ENOUGH - len(knobs), 2 - len(knobs), 0)]
    knobs = (*knobs, *further)[: max(2, trials // FEWEST)]
    names = ", ".join(knob.path for knob in knobs) or "none"
    because = f"knobs whose best values depend on each other: {names}"
    if before:
        because = "nothing is to be confirmed, so the trials that were kept for it search on"
    request = Request(
        entry=index,
        stage="joint",
        because=because,
        rules=("R32", "P4"),
        knobs=knobs,
        trials=trials,
    )
    if before and left == math.inf:
        return replace(request, skip="there is no budget to be spent")
    if not history.learned:
        return replace(request, skip=NOTHING)
    if history.perfect:
        return replace(request, skip=PERFECT)
    if len(knobs) < 2:
        few = "fewer than two knobs made a difference, or are named by the verdict and untried"
        return replace(request, skip=nothing_left(history) if hand(history) else few)
    if trials < FEWEST * len(knobs):
        left_words = count(max(trials, 0), "trial")
        reason = f"the budget leaves {left_words} beside {kept} for the confirmation"
        return replace(request, skip=reason)
    return request


def _never_tried(history: History) -> tuple[Knob, ...]:
    """The knobs that the verdict names and no sweep has tried, over their whole range; then those
    that may generalise better where nothing is wrong, and the user's own, of which no verdict
    speaks, unless the verdict needs a hand.
    """
    named = [remedy for _, _, remedy in remedies(history)]
    further = () if hand(history) else ADVICE["converged"]
    paths = dict.fromkeys(
        remedy.knob
        for remedy in (*named, *further)
        if remedy.turn != CHECK and holds(remedy, history)
    )
    own = () if hand(history) else [about.path for _, about in own_knobs(history)]
    untried = [path for path in dict.fromkeys([*paths, *own]) if history.swept(path) is None]
    names = [history.settings.named(path) for path in untried]
    spaces = [history.settings.spaces[name] for name in names if name is not None]
    # A knob with another one tuned beside it would be one dimension of many.
    return tuple(
        about if about.choices else affordable(about, history)
        for about, *beside in spaces
        if not beside and history.acts(about)
    )


def _named_without_effect(history: History, among: Container[str]) -> tuple[Knob, ...]:
    """The knobs that the command names and whose sweep found no effect, over their whole range:
    what does nothing at one incumbent may matter beside other values. `among`: paths left out.
    """
    if not history.base.protocol.get("chosen"):
        return ()
    inert = {step.request.path: step.inert for step in history.sweeps}
    return tuple(
        affordable(about, history)
        for about, *beside in history.settings.spaces.values()
        if about.path not in among and not inert.get(about.path, True) and not beside
        if history.acts(about)
    )


def _cut(knobs: tuple[Knob, ...], history: History) -> Knob | None:
    """A sweep's knob over its good region: with a step of its grid as a margin on both sides."""
    knob, *beside = knobs
    if not history.acts(knob) or (knob.choices and beside):
        return None
    last = history.swept(knob.path)
    good = (*(last.good if last is not None else ()), history.value(knob))
    if knob.choices:
        left = tuple(value for value in knob.choices if value in good)
        return replace(knob, choices=left) if len(left) > 1 else None
    numbers = [
        knob.scaled(value)
        for value in good
        if isinstance(value, int | float) and math.isfinite(knob.scaled(value))
    ]
    if not numbers:
        return None
    step = (knob.scaled(knob.high) - knob.scaled(knob.low)) / (knob.points - 1)
    ends = (knob.unscaled(place) for place in (min(numbers) - step, max(numbers) + step))
    low, high = (float(f"{end:.3g}") for end in ends)
    low, high = max(low, knob.least), min(high, knob.most)
    if knob.integer:
        low, high = float(math.floor(low)), float(math.ceil(high))
    return replace(knob, low=low, high=high, nuisance=False) if low < high else None


def _confirm(history: History, index: int, argument: str) -> Request:
    """The baseline, the incumbent of the sweeps, and the joint stage's leaders (P13)."""
    leaders = [
        dict(leader)
        for step in history.steps
        for leader in step.leaders[: history.settings.leaders]
    ]
    configurations: list[dict[str, Value]] = [{}]
    for knobs in (dict(history.held), *leaders):
        paid = confirm_trials(history, rivals=len(configurations)) <= confirm_left(history)
        if knobs not in configurations and paid:
            configurations.append(knobs)
    because = "what was chosen for its value is judged on seeds that had no part in the choice"
    if len(configurations) > 1 and trials_left(history) < confirm_trials(history, rivals=1):
        because += "; the hours are spent, so the baseline and one configuration are trained"
    request = Request(
        entry=index,
        stage="confirm",
        because=because,
        rules=("P13", "P5"),
        configurations=tuple(configurations),
    )
    if len(configurations) < 2:
        needed, left = 2 * history.settings.confirm, max(confirm_left(history), 0)
        tried = history.steps[-1].incumbent
        if tried and all(row.value is None for row in tried):
            return replace(request, skip="no training of the baseline gave a result")
        if not history.held and not leaders:
            return replace(request, skip="nothing was adopted, so the baseline is the answer")
        what = "what was adopted is" if history.held else "what the joint stage found is"
        skip = f"it needs {needed} trials, and the budget leaves {left:.0f}: {what} not confirmed"
        return replace(request, skip=skip)
    return request


def _ensemble(history: History, index: int, argument: str) -> Request:
    why = "the average of several trainings is often better than each"
    skip = "" if history.learned else NOTHING
    return Request(entry=index, stage="ensemble", because=why, rules=("R35",), skip=skip)


_STAGES = {
    "preflight": _preflight,
    "baseline": _baseline,
    "regularisers_off": _regularisers_off,
    "lr_range": _lr_range,
    "sweep": _sweep,
    "joint": _joint,
    "confirm": _confirm,
    "ensemble": _ensemble,
}
