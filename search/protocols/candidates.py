"""Which knobs may come next, in which order, and why one is passed over (R34). Pure functions.

The table of remedies is `search.diagnostics.verdicts.advice`.
"""

from collections.abc import Iterator

from search.config.knobs import Knob
from search.diagnostics.verdicts.advice import ADVICE, CAUSES, CHECK, Advice, is_longer, why_not
from search.protocols.history import History
from search.protocols.step import Considered
from search.results.summary.advise import cited

SPOKEN_OF = {remedy.knob for remedies in ADVICE.values() for remedy in remedies}
HAND, ABSENT, LACKING = "needs a hand", "no knob of this search", "not in this set-up"


def candidates(history: History, *, general: bool = False) -> Iterator[tuple[Considered, str]]:
    """The knobs in order, each with why it would come: the remedies of the verdicts on the
    incumbent's seeds, then of what lies beside them, but for what is their cause; then those of
    which no verdict speaks.

    `general`: of a joint stage. Where the verdict needs a hand, remedies alone are told; else what
    may generalise better where nothing is wrong comes last.
    """
    total = sum(count for _, count in history.verdicts)
    beside = "beside the verdict, or across the last trials"
    sides = [(side, beside) for side in history.sides]
    told = [
        (name, f"{count} of {total} seeds of the incumbent") for name, count in history.verdicts
    ]
    told_of = set[str]()
    for verdict, where in sorted([*told, *sides], key=lambda each: each[0] not in CAUSES):
        for remedy in _remedies(history, verdict):
            each = _remedy(history, verdict, remedy)
            told_of.add(each.knob)
            yield each, f"{verdict} ({where}): {remedy.alone}"
    if general and hand(history):
        return
    for about in own_knobs(history):
        if about.path in told_of:
            continue
        passed = _unfit(history, about.path)
        because = "the command names it, and the verdict does not speak of it"
        yield Considered(knob=about.path, rule="R28", passed=passed), because
    for remedy in _remedies(history, "converged") if general else ():
        yield _remedy(history, "", remedy), remedy.alone


def _remedies(history: History, verdict: str) -> Iterator[Advice]:
    """The remedies of a verdict, each on every knob of the search that plays its part, or, without
    any, as the stock trainer calls it.
    """
    for remedy in ADVICE.get(verdict, ()):
        placed = remedy.among(history.settings.parts)
        yield from [each for each in placed if history.settings.named(each.path)] or placed[-1:]


def _remedy(history: History, verdict: str, remedy: Advice) -> Considered:
    passed = HAND
    if remedy.turn != CHECK:
        passed = why_not(remedy, history.config, out_of_patience=history.out_of_patience)
        passed = passed or _unfit(history, remedy.path)
    return Considered(
        knob=remedy.path, rule=remedy.rule, verdict=verdict, turn=remedy.turn, passed=passed
    )


def _unfit(history: History, path: str) -> str:
    """Why no stage can turn a path; empty where one can."""
    name = history.settings.named(path)
    if name is None:
        return ABSENT
    return "" if history.acts(history.settings.spaces[name][0]) else LACKING


def own_knobs(history: History) -> list[Knob]:
    """The knobs of paths of the user's own: the command named them to have them turned."""
    chosen = bool(history.base.protocol.get("chosen"))
    spaces = history.settings.spaces.values() if chosen else ()
    return [about for about, *_ in spaces if about.path not in SPOKEN_OF]


def nothing_left(history: History) -> str:
    """Why no remedy is left to sweep: all were tried, or what is left needs a hand."""
    main = history.verdict or "no verdict"
    if history.out_of_patience and any(map(is_longer, ADVICE.get(main, ()))):
        return (
            f"{main}, but patience ended the training and not its number of epochs: raise "
            "trainer.patience in a search of another name= (R33)"
        )
    by_hand = hand(history)
    if by_hand is not None:
        return f"{main} needs a hand: {cited(by_hand)}"
    advised = [each for each, _ in candidates(history) if each.verdict == main]
    absent = dict.fromkeys(each.knob for each in advised if each.passed == ABSENT)
    if absent:
        names = ", ".join(absent)
        return f"{main}: what is advised and was not tried is no knob of this search: {names}"
    return f"{main}: nothing is advised that was not tried since the last change that matters"


def hand(history: History) -> Advice | None:
    """What a person must do, where the incumbent's verdict has no knob that helps."""
    advised = ADVICE.get(history.verdict, ())
    needs = bool(advised) and all(remedy.turn == CHECK for remedy in advised)
    return advised[0] if needs else None
