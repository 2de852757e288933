"""The answer of a search of many stages: what they arrived at, against the baseline (P13)."""

import math
from collections.abc import Sequence

from search.config.counted import count
from search.config.knobs import assigned
from search.results.findings import Findings
from search.results.report.blocks import Answer
from search.results.report.go_on import all_commands
from search.results.report.numbers import (
    mean_of,
    number,
    own_interval,
    rough,
    setting,
    with_interval,
)
from search.results.step_record import Candidate, StepRecord, sound_scores
from search.results.summary import view_of
from search.results.summary.advise import UNMOVED, is_unmoved
from search.results.summary.formatting import seeds_words

NAMED = 3  # knobs that the sentence names; more stand below it
OUTCOMES = {
    "adopt": ("gain", "a real gain"),
    "keep": ("stays", "no gain beyond chance"),
    "": ("unsure", "not confirmed yet"),
}


def staged_answer(findings: Findings) -> Answer:
    """What the stages have arrived at: the last incumbent, and the average beside it."""
    plan, steps = findings.plan, findings.steps
    last = steps[-1]
    if not findings.stage and all(row.value is None for row in findings.rows):
        why, *advice = view_of(plan).teller.conclusion(findings)
        return Answer(mark="none", label="no answer", sentence=f"{why}.", surety=" ".join(advice))
    confirm = _confirmation(findings)
    outcome = confirm["decision"] if confirm is not None else None
    held = last["held"]
    if confirm is not None and outcome in OUTCOMES:
        surety = f"Confirmed on fresh seeds (P13): {confirm['says']}."
    elif not held:
        outcome, surety = "keep", "No stage found a value that is better beyond chance (P5)."
    else:
        outcome = ""
        surety = "Chosen values lead partly by luck until fresh seeds confirm them (P13)."
    mark, label = OUTCOMES[outcome]
    if not last["learned"]:
        mark, label = "unsure", "nothing learned"
        surety = "No training beats a constant prediction beyond chance (R11)."
        if is_unmoved(findings.steps):
            surety = f"{UNMOVED[0].upper()}{UNMOVED[1:]} (R26a)."
    score, seeds = _score(findings)
    what = setting(held) if len(held) <= NAMED else "the settings below"
    doing = f"Use {what}" if held else "Keep the defaults"
    sentence = f"{doing}: {plan.metric.name} {score} on validation, {seeds}."
    if findings.stage:
        mark, label = "open", "not finished"
        sentence = f"In stage {findings.stage}; so far: {sentence[0].lower()}{sentence[1:]}"
    return Answer(
        mark=mark,
        label=label,
        sentence=sentence,
        surety=" ".join([surety, *_average(steps)]),
        cards=[
            (plan.metric.name, score, f"validation, {seeds}"),
            _against_baseline(findings, _tested(confirm)),
            ("stages", str(len(steps)), f"{count(len(findings.rows), 'trial')} in all"),
        ],
        settings=assigned(held),
        commands=all_commands(findings) if findings.winner is not None else [],
    )


def _score(findings: Findings) -> tuple[str, str]:
    """The incumbent's mean, with its interval where that is honest, and of how many seeds."""
    values = findings.scores_of(findings.steps[-1])
    known = sum(value is not None for value in values)
    interval = staged_interval(findings)
    return with_interval(mean_of(values), interval), seeds_words(known, of=len(values))


def staged_interval(findings: Findings) -> float:
    """Half the interval of the incumbent's mean; NaN where its seeds are those that chose it."""
    among = staged_rivals(findings)
    values = findings.scores_of(findings.steps[-1])
    return own_interval(values, among=among) if among else math.nan


def staged_rivals(findings: Findings) -> int:
    """Among how many configurations fresh seeds chose the incumbent; 1 for the defaults that stay,
    0 where it was not confirmed.
    """
    return len(_tested(_confirmation(findings))) if findings.steps[-1]["held"] else 1


def _confirmation(findings: Findings) -> StepRecord | None:
    return next((step for step in findings.steps if step["kind"] == "confirm"), None)


def _tested(confirm: StepRecord | None) -> Sequence[Candidate]:
    """The configurations that fresh seeds compared, the baseline first; empty without any."""
    evidence = confirm["evidence"] if confirm is not None else None
    return () if evidence is None or evidence.get("untested") else evidence["values"]


def _against_baseline(findings: Findings, tested: Sequence[Candidate]) -> tuple[str, str, str]:
    """The card of the gain: of a confirmation, on the same seeds; else the baseline's own score."""
    last, metric = findings.steps[-1], findings.plan.metric
    ends = {
        tuple(each["trials"]): [metric.sign * end for end in each["interval"] if end is not None]
        for each in tested
    }
    chosen = next((each for each in tested[1:] if each["trials"] == last["trials"]), None)
    if chosen is not None:
        if (difference := chosen["difference"]) is None:
            none = "none of the defaults' trainings on the same seeds gave one"
            return "baseline", "no result", none
        gain, interval = metric.sign * difference, ends[tuple(chosen["trials"])]
        half = abs(interval[1] - interval[0]) / 2 if len(interval) == 2 else math.nan
        base = number(mean_of(sound_scores(tested[0])))
        return "gain", with_interval(gain, half), f"over the baseline's {base}, on the same seeds"
    if not last["held"]:
        dropped = {tuple(each["trials"]) for each in tested if each["standing"] == "dropped"}
        kept = (interval for trials, interval in ends.items() if trials not in dropped)
        highs = [max(interval) for interval in kept if len(interval) == 2]
        room = metric.room(mean_of(findings.scores_of(last)) or math.nan)
        most = f"at most {rough(min(max(highs), room))} at 95 %" if highs else ""
        return "gain over the baseline", "none", most
    first = next((step for step in findings.steps if step["kind"] == "baseline"), last)
    base = number(mean_of(findings.scores_of(first)))
    return "baseline", base, "the defaults, on their own seeds"


def _average(steps: Sequence[StepRecord]) -> list[str]:
    """What the average of several trainings brought, where it was adopted (R35)."""
    adopted = [step for step in steps if step["kind"] == "ensemble" and step["decision"] == "adopt"]
    return [f"Beside it, {step['says']} (R35)." for step in adopted]
