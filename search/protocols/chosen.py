"""What is said of the configuration that won among whole ones, and of its gain (P13)."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from search.config.knob_parts import EPOCHS
from search.config.knobs import Value, assigned
from search.config.plan import Plan
from search.protocols.evidence import few_rows, mean_words, scores_of
from search.protocols.history import History
from search.protocols.step import Step
from search.results.findings import Findings
from search.results.summary.certainty import gain as gain_words
from search.results.summary.certainty import held_back, sounder, untested
from search.results.summary.edges import at_edges
from search.results.summary.verdicts import mostly_out_of_patience
from search.stages.comparison import chance_apart
from search.stages.decision import Decision

VANISHED = 0.5  # share of a gain that must be left on fresh seeds
CHANGED, TELLING = 0.001, 3  # how rarely seeds part the baseline's means so far; fewest that tell


def chosen_words(findings: Findings, history: History, step: Step, *, val_rows: int) -> str:
    """The winner among whole configurations; a gain that vanishes on fresh seeds is named."""
    decision, plan = findings.decision, findings.plan
    assert decision is not None
    assert decision.winner is not None
    winner, baseline = findings.groups[decision.winner], findings.groups[0]
    was = plan.metric.words(baseline.mean)
    score = mean_words(plan, findings.of(winner.candidate))
    changed = _changed(findings, history, val_rows) if step.request.stage == "confirm" else ""
    if step.request.stage == "longer" and decision.adopted:
        return (
            f"{score}, against {was} with fewer epochs: what follows begins here, and whether it "
            "is a gain is for the confirmation to say (R15a)"
        )
    if step.request.stage == "regularisers_off" and decision.adopted and not decision.better:
        return (
            f"{score}, without the penalties, with which nothing is learned ({was}): a comparison "
            "tells nothing of them there, so they are off for now (R15, R26a)"
        )
    rival = "with the penalties" if step.request.configurations[0] else "at the baseline"
    if not decision.adopted:
        but = held_back(findings, decision) or ["nothing is better beyond chance"]
        nearest = _nearest(findings, decision) if step.request.stage == "confirm" else ""
        stays = "the baseline stays" if rival == "at the baseline" else "they are on again"
        return f"{stays}: {score}; {but[0]} (P5){nearest}{changed}"
    interval = gain_words(findings, decision.winner)
    text = f"{score}, against {was} {rival} with the same seeds{interval} (P5)"
    gain, by_seeds = winner.mean - baseline.mean, sounder(decision)
    lost = "" if by_seeds else _overtuning(plan, gain, history)  # a baseline's noise is no gain
    if (knobs := findings.chosen[winner.candidate]) == history.held:
        lost = lost or _fresh_is_lower(plan, winner.mean, history, step)
    idle = (EPOCHS,) if mostly_out_of_patience(plan, findings.of(winner.candidate)) else ()
    edge = at_the_edge(history, plan.all_knobs(knobs), idle=idle)
    alike = untested(findings, decision) if decision.identical else []
    blind = "".join(f"; {line}" for line in [*alike, *by_seeds])
    few = few_rows(plan, gain / plan.metric.unit(row.value for row in findings.rows), val_rows)
    return text + _own_level(decision) + blind + lost + few + edge + changed


def untested_once(findings: Findings, decision: Decision, history: History) -> list[str]:
    """That seeds change nothing, so that a sweep was not tested, in full where it is told first;
    none where they do.
    """
    lines = untested(findings, decision) if decision.identical else []
    told = [step.name for line in lines for step in history.steps if line in step.says]
    return [f"compared without a test: see {told[0]}"] if told else lines


def _changed(findings: Findings, history: History, val_rows: int) -> str:
    """That the baseline, which nothing has chosen, scores on fresh seeds what its first ones do not
    explain (Student's test): labels that are shuffled since, or another unit; else empty, as for
    a metric that counts seconds, of which other stages take others.
    """
    plan = findings.plan
    first, fresh = history.baseline, findings.of(findings.groups[0].candidate)
    early, late = (scores_of(plan, rows) for rows in (first, fresh))
    if min(len(early), len(late)) < TELLING or plan.metric.is_timed:
        return ""
    p = chance_apart(early, late, resolution=1 / val_rows if val_rows else 0.0)
    if p >= CHANGED:
        return ""
    return (
        f"; the baseline has {mean_words(plan, fresh)}, here, and had {mean_words(plan, first)}, "
        f"when the search began (p = {p:.1g}): unless it breaks with some seeds, the trainer, its "
        "data or a unit has changed meanwhile, and stages do not compare (R4)"
    )


def _own_level(decision: Decision) -> str:
    """Why the sweeps' incumbent is adopted by a p that is no leader's to be adopted by."""
    if not decision.own_level or decision.winner != 1 or decision.untested:
        return ""
    compared = decision.comparisons[1]
    if compared.p > compared.critical_p:  # such as beside a baseline without a result
        return ""
    return (
        f"; the sweeps found it on other seeds, so its p of {compared.p:.2g} is held against a "
        f"level of its own, {compared.critical_p:.2g} (P5)"
    )


def _nearest(findings: Findings, decision: Decision) -> str:
    """The best configuration that lies above a baseline that stays by more than one standard error
    of their difference: what its seeds say, and that more of them would decide; empty without one.
    """
    if (best := decision.ahead) is None:
        return ""
    knobs = ", ".join(assigned(findings.chosen[findings.groups[best].candidate]))
    return (
        f"; {ahead_words(findings, best, name=knobs)}; a larger budget or protocol.confirm=10, in "
        "a search of another name=, would tell"
    )


def ahead_words(findings: Findings, index: int, *, name: object) -> str:
    """That a group lies ahead of the one that stays, and too few seeds decide."""
    mean = findings.plan.metric.words(findings.groups[index].mean)
    return f"not decided: {name} has {mean} on the same seeds{gain_words(findings, index)}"


def at_the_edge(history: History, knobs: Mapping[str, Value], *, idle: Sequence[str] = ()) -> str:
    """That a configuration of the joint stage lies at the edge of what that stage searched (P2).
    `idle`: paths whose value did not matter to its trainings.
    """
    joint = [
        step for step in history.steps if step.request.stage == "joint" and knobs in step.leaders
    ]
    searched = [knob for knob in joint[-1].request.knobs if knob.path not in idle] if joint else []
    ends = at_edges(searched, knobs, config=history.base)
    if not ends:
        return ""
    lies = "lies" if len(ends) == 1 else "lie"
    return (
        f"; {', '.join(ends)} {lies} at the edge of what the joint stage searched: the best may "
        "lie beyond (P2)"
    )


def _fresh_is_lower(plan: Plan, mean: float, history: History, step: Step) -> str:
    """Why a confirmed incumbent scores less than before: its value was the reason to choose it."""
    before = scores_of(plan, history.incumbent)
    if step.request.stage != "confirm" or not before or mean >= float(np.mean(before)):
        return ""
    was = plan.metric.words(float(np.mean(before)))
    return f"; the incumbent had {was} on the seeds that chose it, which flatter what they choose"


def _overtuning(plan: Plan, gain: float, history: History) -> str:
    """Whether the gain of the sweeps has gone on fresh seeds."""
    first, best = (scores_of(plan, rows) for rows in (history.baseline, history.incumbent))
    claimed = abs(float(np.mean(best) - np.mean(first))) if first and best else 0.0
    is_kept = gain >= VANISHED * claimed or claimed - gain <= 2 * history.spread
    if is_kept or not math.isfinite(gain):
        return ""
    return f"; overtuning: {claimed:.3g} was gained on the seeds of the search, {gain:.3g} is left"
