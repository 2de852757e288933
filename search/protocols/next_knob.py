"""Which knob is swept next: the one that the incumbent's verdict calls for, or the next in order.

What may come is told by `candidates`; here is the memory: what was tried since the last change
that matters is not tried again (R34, P6).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from search.config.counted import count
from search.config.knobs import Knob, as_number
from search.protocols.budget import hours_for, sweep_trials, trials_left
from search.protocols.candidates import LACKING, candidates, nothing_left
from search.protocols.history import History
from search.protocols.learned import PERFECT
from search.protocols.opening import FEWEST, confirm_needs
from search.protocols.step import Considered, Request, Step
from search.protocols.swept_range import AROUND, affordable, moved_rate
from search.stages.racing import Race

POINTS = 5  # of a sweep, but for the first one of the rate
IN_RANGE = 7  # learning rates tried in a measured range
UNREAD = "all its values gave the same training"
LEAST = 2  # further seeds of a race: with one, it finds less than a single look does (simulated)


def next_sweep(history: History, entry: int, order: str) -> Request:
    """The next sweep, or a request that is skipped and says why the sweeps have ended."""
    end = _ended(history)
    if end:
        return _stop(entry, end)
    if order == "verdict":
        request = _by_verdict(history, entry)
    else:
        passes = history.settings.passes if order == "passes" else 1
        request = _in_order(history, entry, passes=passes)
    least, left = FEWEST * history.seeds, sweep_trials(history)
    if request.stage == "sweep" and left < least:
        return replace(_stop(entry, _spent(history, least)), needs=least, left=left)
    return request


def sweep_request(
    history: History, entry: int, name: str, *, because: str, rules: tuple[str, ...]
) -> Request:
    """A sweep of a knob, cut to what the budget still pays for.

    A learning rate keeps the range that was measured (R31). One that is stale is swept around the
    incumbent's (P6). Neither leaves the knob's limits.
    """
    about, *beside = history.settings.spaces[name]
    if about.path == history.rate and history.is_stale(about.path):
        value = as_number(history.value(about))
        about, cut = moved_rate(about, value / AROUND, value * AROUND, points=POINTS)
        because += cut
    elif about.path == history.rate and history.rates is not None:
        about, cut = moved_rate(about, *history.rates, points=IN_RANGE)
        because += cut
    elif not about.choices and about.path != history.rate:
        about = affordable(about, history)
        about = replace(about, points=min(about.points, POINTS))
    room = sweep_trials(history)
    if _cost(about, beside, history) > room and not about.choices and not beside:
        about = replace(about, points=max(2, int(room // history.seeds)))
    cost = _cost(about, beside, history)
    race = Race(first=history.seeds, most=history.settings.most_seeds).further
    request = Request(
        entry=entry,
        stage="sweep",
        because=because,
        rules=rules,
        knob=name,
        knobs=(about, *beside),
        extend=history.settings.extend if cost * 2 + race <= room else 0,
        most_seeds=_most_seeds(about, beside, history),
        needs=cost,
        left=room,
    )
    too_few = not about.choices and about.points < FEWEST
    if cost > room or too_few:
        left = f"it needs {cost} trials, and the sweeps' share leaves {max(room, 0):.0f}"
        return replace(request, skip=left + hours_for(history, cost))
    return request


def _cost(about: Knob, beside: list[Knob], history: History, *, halved: bool = False) -> int:
    """Trials of the first round; the incumbent's own are there already. `halved`: where no values
    tie after their first seed, so that only half of them get the others.
    """
    if beside:
        tuned = sum(len(knob.grid()) + 1 for knob in beside)
        return (tuned if beside[0].choice else tuned * len(about.grid())) * history.seeds
    now = history.value(about)
    values = sum(value != now for value in about.grid())
    if halved and history.settings.halving:
        return values + -(-values // 2) * (history.seeds - 1)
    return values * history.seeds


def _most_seeds(about: Knob, beside: list[Knob], history: History) -> int:
    """Seeds that a value of a sweep may get: as many as the sweeps' share pays for, as a rule, and
    whatever ties leaves the confirmation its own; 1 where that is one more than the first ones.
    """
    first, most = history.seeds, history.settings.most_seeds
    left = trials_left(history) - confirm_needs(history.settings, rivals=1)
    for seeds in range(most, min(most, first + LEAST) - 1, -1):
        further = Race(first=first, most=seeds).further
        usual = _cost(about, beside, history, halved=True) + further
        if usual <= sweep_trials(history) and _cost(about, beside, history) + further <= left:
            return seeds
    return 1


def _ended(history: History) -> str:
    """Why the sweeps end here; empty where they go on."""
    settings, main = history.settings, history.verdict
    if settings.until and history.sweeps and main and main not in settings.until:
        return f"the training learns: the incumbent's curves say {main}"
    if history.sweeps and not history.learned and not settings.until:
        return history.why_nothing
    if settings.idle is not None and history.idle >= settings.idle:
        return f"{count(history.idle, 'knob')} in a row brought nothing beyond chance"
    return ""


def _spent(history: History, least: int) -> str:
    """That no sweep is paid for any more, of which the smallest takes `least` trials."""
    spent = "the sweeps' share of the budget is spent"
    if not history.settings.has_joint:
        spent = "the budget is spent, but for what the confirmation may need"
    return f"{spent}{hours_for(history, least)}"


def _by_verdict(history: History, entry: int) -> Request:
    """What is stale, then the first remedy of the verdicts that can be tried (R34)."""
    if history.perfect:
        return _stop(entry, PERFECT)
    rate = history.settings.named(history.rate)
    if rate is not None and history.is_stale(history.rate):
        changed = _changed_since(history)
        why = f"{changed} was changed, so the best rate may have moved"
        request = sweep_request(history, entry, rate, because=why, rules=("P6", "R39"))
        return replace(request, considered=(Considered(knob=history.rate, rule="P6"),))
    considered = list[Considered]()
    for each, why in candidates(history):
        each = replace(each, passed=each.passed or _known(history, each.knob))
        considered.append(each)
        name = history.settings.named(each.knob)
        if name is not None and not each.passed:
            rules = tuple(dict.fromkeys(["R34"] * bool(each.verdict) + [each.rule]))
            request = sweep_request(history, entry, name, because=why, rules=rules)
            return replace(request, considered=tuple(considered))
    return replace(_stop(entry, nothing_left(history)), considered=tuple(considered))


def _known(history: History, path: str) -> str:
    """Why a sweep of a knob would tell nothing new, or cannot be paid for; empty where it would."""
    name, last = history.settings.named(path), history.swept(path)
    left_out = (step for step in history.steps if step.decision == "skipped")
    if any(step.request.knob == name for step in left_out):
        return "its sweep was left out before"
    if last is None or history.is_stale(path):
        return ""
    return f"tried in {last.name}, and nothing since moves its best value"


def _changed_since(history: History) -> str:
    last = history.swept(history.rate)
    assert last is not None
    since = (step for step in history.steps[last.number :] if step.decision == "adopt")
    return ", ".join(dict.fromkeys(step.request.path for step in since if step.request.path))


def _in_order(history: History, entry: int, *, passes: int) -> Request:
    """The knobs as listed, each once a pass; a pass that adopts nothing is the last.

    The first pass leaves out what an earlier entry of the list has swept, unless it is stale.
    """
    steps = [step for step in history.steps if step.request.entry == entry]
    unread = [step.request for step in steps if step.acts_nowhere]
    lacking, swept = _lacking_and_swept(history, entry)
    for turn in range(passes):
        done = [step for step in steps if _pass_of(step, steps, swept) == turn]
        passed = dict.fromkeys(lacking, LACKING)
        passed |= dict.fromkeys(swept if turn == 0 else (), "an earlier stage swept it")
        passed |= {each.knob: UNREAD for each in unread if not history.is_stale(each.path)}
        passed |= {step.request.knob: "had its turn in this pass" for step in done}
        why = f"pass {turn + 1} of {passes}" if passes > 1 else "the protocol's order"
        if (request := _first_left(history, entry, passed, because=why)) is not None:
            return request
        if passes > 1 and all(step.decision != "adopt" for step in done):
            return _stop(entry, f"pass {turn + 1} adopted nothing")
    return _stop(entry, "every pass is done" if passes > 1 else "all were swept")


def _lacking_and_swept(history: History, entry: int) -> tuple[set[str], set[str]]:
    """The knobs that the set-up lacks, and those that an earlier entry of the list has swept."""
    opening = replace(history, steps=tuple(s for s in history.steps if s.request.entry < entry))
    knobs = {name: about for name, (about, *_) in history.settings.spaces.items()}
    lacking = {name for name, about in knobs.items() if not history.acts(about)}
    swept = {name for name, about in knobs.items() if not opening.is_open(about.path)}
    return lacking, swept - lacking


def _first_left(
    history: History, entry: int, passed: Mapping[str, str], *, because: str
) -> Request | None:
    """A sweep of the first knob that is not passed over; None where all are."""
    considered = list[Considered]()
    for name, (about, *_) in history.settings.spaces.items():
        considered.append(Considered(knob=about.path, rule="R28", passed=passed.get(name, "")))
        if name not in passed:
            request = sweep_request(history, entry, name, because=because, rules=("R28",))
            return replace(request, considered=tuple(considered))
    return None


def _pass_of(step: Step, steps: list[Step], swept: Collection[str]) -> int:
    """How often the step's knob came before it; `swept`: the knobs that the first pass left out."""
    earlier = (other for other in steps if other.number < step.number)
    times = sum(other.request.knob == step.request.knob for other in earlier)
    return times + (step.request.knob in swept)


def _stop(entry: int, why: str) -> Request:
    return Request(entry=entry, stage="sweeps", because="no further knob is swept", skip=why)
