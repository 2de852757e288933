"""What a joint stage turns: the knobs that made a difference, and those never tried (R32).

Pure functions of the history; never decides when the stage comes.
"""

import math
from collections.abc import Container, Iterable
from dataclasses import replace

from search.config.counted import count
from search.config.knobs import Knob, as_number
from search.config.tune_settings import ENOUGH, TuneSettings
from search.diagnostics.verdicts.advice import MOMENTUM
from search.protocols.budget import joint_rivals, kept_for_confirm, trials_left
from search.protocols.candidates import candidates, hand, nothing_left
from search.protocols.history import MOVES_THE_RATE, History
from search.protocols.learned import PERFECT
from search.protocols.next_knob import IN_RANGE
from search.protocols.step import Considered, Request, Step
from search.protocols.swept_range import affordable

Pair = tuple[Considered, Knob | None]  # what is turned; None in place of one that is left out

FEWEST = 3  # trials of a joint stage per knob, below which it tells nothing
MOST_SHARE = 0.9  # of the sweeps, where all of a budget may be theirs
TIMES = 10.0  # by which the best rate may move beside a knob that moves it: momentum 0.9 for 0
BEYOND = 2  # steps of its grid that a knob may move beyond the edge of its sweep
NO_DIFFERENCE = "its sweep found no difference"
DEAD = "its sweep moved no score of any seed"
ONE_VALUE = "one good value of it is left, or it is not in this set-up"
FEW = "fewer than two knobs made a difference, or are named by the verdict and untried"


def joint_request(history: History, index: int) -> Request:
    """The knobs that made a difference, in their good region, and those never tried (R32).

    A stage that finds nothing to confirm is followed by one that spends what was kept for that.
    """
    before = [step for step in history.steps if step.request.entry == index]
    left = trials_left(history)
    kept = kept_for_confirm(history, left=left, rivals=joint_rivals(history))
    left -= kept
    trials = history.settings.trials if left == math.inf else int(left)
    swept, untried = _swept(history), _untried(history)
    mattered = {each.knob for each, _ in swept if each.passed not in (NO_DIFFERENCE, DEAD)}
    dead = [each.knob for each, _ in swept if each.passed == DEAD]
    pairs = _each_once([*swept, *untried, *_named_without_effect(history, mattered)])
    paid = _paid(history, swept, untried, trials=trials)
    fit = [knob for _, knob in pairs if knob is not None]
    knobs, beyond = _with_room(tuple(fit[:paid]), history), {id(knob) for knob in fit[paid:]}
    too_many = f"{count(trials, 'trial')} pay for {paid} knobs"
    considered = [
        replace(each, passed=too_many) if id(knob) in beyond else each for each, knob in pairs
    ]
    names = ", ".join(knob.path for knob in knobs) or "none"
    because = f"knobs whose best values depend on each other: {names}"
    because += f"; left out, as its sweep changed nothing: {', '.join(dead)}" if dead else ""
    if before:
        because = "none of the last stage is to be confirmed: what was kept for them searches on"
    request = Request(
        entry=index,
        stage="joint",
        because=because,
        rules=("R32", "P4"),
        knobs=knobs,
        trials=trials,
        considered=tuple(considered),
        needs=FEWEST * max(len(knobs), 2),
        left=trials,
    )
    if before and left == math.inf:
        return replace(request, skip="there is no budget to be spent")
    if not history.learned:
        return replace(request, skip=history.why_nothing)
    if history.perfect:
        return replace(request, skip=PERFECT)
    if len(knobs) < 2:
        return replace(request, skip=nothing_left(history) if hand(history) else FEW)
    if trials < FEWEST * len(knobs):
        return replace(request, skip=_too_few(trials, len(knobs), kept, history.settings))
    return request


def _paid(history: History, swept: list[Pair], untried: list[Pair], *, trials: int) -> int:
    """How many knobs the trials pay for: those that made a difference in a sweep, then those that
    the command names and nothing has tried, at a price of their own, then any other.
    """
    known = {each.knob for each, knob in swept if knob is not None}
    is_named = history.base.protocol.get("chosen")
    asked = {each.knob for each, knob in untried if knob is not None} if is_named else set[str]()
    named = min(len(known | asked), trials // history.settings.trials_per_knob)
    return min(max(len(known), named, trials // ENOUGH, 2), max(trials // FEWEST, 2))


def _each_once(pairs: Iterable[Pair]) -> list[Pair]:
    """Each knob where it is turned first, else where it is first left out."""
    once = dict[str, Pair]()
    for each, knob in pairs:
        if knob is not None and once.get(each.knob, (each, knob))[1] is None:
            del once[each.knob]
        once.setdefault(each.knob, (each, knob))
    return list(once.values())


def _too_few(trials: int, knobs: int, kept: int, settings: TuneSettings) -> str:
    """Why the budget pays for no joint stage, and the one that would, with the sweeps' share."""
    needed, budget = FEWEST * knobs, settings.budget_trials
    left = count(max(trials, 0), "trial")
    reason = (
        f"the budget leaves {left} beside {kept} for the confirmation, {knobs} knobs need {needed}"
    )
    if budget is None:
        return reason
    more = math.ceil((needed - trials) / (1 - min(settings.share, MOST_SHARE)))
    return f"{reason}: budget_trials={budget + more} would pay for them"


def _with_room(knobs: tuple[Knob, ...], history: History) -> tuple[Knob, ...]:
    """The knobs, the rate from a tenth to ten times the incumbent's where another one moves its
    best value: its own sweep has seen one value of that knob only (P6).
    """
    movers = {*MOVES_THE_RATE, MOMENTUM}
    if movers.isdisjoint(history.settings.part(knob.path) for knob in knobs):
        return knobs
    return tuple(
        _at_least_around(knob, as_number(history.value(knob)))
        if knob.path == history.rate and not knob.choices
        else knob
        for knob in knobs
    )


def _at_least_around(knob: Knob, value: float) -> Knob:
    low, high = (float(f"{end:.3g}") for end in (value / TIMES, value * TIMES))
    low, high = max(low, knob.least), min(high, knob.most)
    return replace(knob, low=min(knob.low, low), high=max(knob.high, high))


def _swept(history: History) -> list[Pair]:
    """The knobs that made a difference in a sweep, in their good region, and the rate: its best
    value moves with all others (R29). None in place of one that is left out, such as one whose last
    sweep changed nothing.
    """
    dead = {
        step.request.path: step.inert and not step.evidence.get("losses_differ")
        for step in history.sweeps
    }
    mattered = {
        path: step
        for step in history.sweeps
        if not dead[path := step.request.path] and (step.effect or path == history.rate)
    }
    pairs = []
    for path in dict.fromkeys([*mattered, *dead]):
        knob = _cut(mattered[path].request.knobs, history) if path in mattered else None
        without = ONE_VALUE if path in mattered else DEAD if dead[path] else NO_DIFFERENCE
        passed = "" if knob else without
        pairs.append((Considered(knob=path, rule="R32", passed=passed), knob))
    return pairs


def _untried(history: History) -> list[Pair]:
    """The knobs that the verdict names and no sweep has tried, over their whole range; then, unless
    the verdict needs a hand, the user's own, of which no verdict speaks, and those that may
    generalise better where nothing is wrong. None in place of one that is left out.
    """
    pairs = list[Pair]()
    for each, _ in candidates(history, general=True):
        name, knob = history.settings.named(each.knob), None
        if name is not None and not each.passed:
            about, *beside = history.settings.spaces[name]
            if (last := history.swept(about.path)) is not None:
                each = replace(each, passed=f"swept in {last.name}")
            elif beside:  # which would make it one dimension of many
                each = replace(each, passed="another knob is tuned beside it")
            else:
                knob = about if about.choices else affordable(about, history)
        pairs.append((each, knob))
    return pairs


def _named_without_effect(history: History, among: Container[str]) -> list[Pair]:
    """The knobs that the command names and whose sweep found no effect, over their whole range:
    what does nothing at one incumbent may matter beside other values. `among`: paths left out.
    """
    if not history.base.protocol.get("chosen"):
        return []
    inert = {step.request.path: step.inert for step in history.sweeps}
    return [
        (Considered(knob=about.path, rule="R32"), affordable(about, history))
        for about, *beside in history.settings.spaces.values()
        if about.path not in among and not inert.get(about.path, True) and not beside
        if history.acts(about)
    ]


def _cut(knobs: tuple[Knob, ...], history: History) -> Knob | None:
    """A sweep's knob over its good region and a margin on both sides (P2)."""
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
    below, above = _margins(knob, history, numbers)
    ends = (knob.unscaled(place) for place in (min(numbers) - below, max(numbers) + above))
    low, high = (float(f"{end:.3g}") for end in ends)
    low, high = max(low, knob.least), min(high, knob.most)
    if knob.integer:
        low, high = float(math.floor(low)), float(math.ceil(high))
    return replace(knob, low=low, high=high, nuisance=False) if low < high else None


def _margins(knob: Knob, history: History, good: list[float]) -> tuple[float, float]:
    """How far a joint stage looks beyond the good region, below and above it, on the knob's scale:
    to the next value that the sweep tried, and beyond the last one a step of a whole grid, more
    where the incumbent is that last one. A grid of few values, which is all that a small budget
    pays for, has steps so wide that most of what lies beyond them would break.
    """
    width = knob.scaled(knob.high) - knob.scaled(knob.low)
    step, whole = (width / (points - 1) for points in (knob.points, max(knob.points, IN_RANGE)))
    tried = [knob.scaled(value) for value in _tried(history.swept(knob.path), knob)]
    at = knob.scaled(as_number(history.value(knob)))
    tried = [place for place in tried if math.isfinite(place)]
    low, high = min(tried, default=-math.inf), max(tried, default=math.inf)
    many = BEYOND if len(tried) > 1 else 1
    below = step if min(good) > low else whole * (many if at <= low else 1)
    above = step if max(good) < high else whole * (many if at >= high else 1)
    return below, above


def _tried(sweep: Step | None, knob: Knob) -> list[float]:
    """The values that a sweep compared."""
    values = [] if sweep is None else sweep.evidence.get("values")
    rows = values if isinstance(values, list) else []
    return [as_number(row["knobs"][knob.path]) for row in rows if knob.path in row["knobs"]]
