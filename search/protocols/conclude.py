"""What a stage that has ended leaves: the next incumbent, the evidence in words, the verdicts.

Pure functions of the stage's findings; never decides which value wins.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from search.config.counted import count
from search.config.knobs import Value
from search.config.plan import Plan
from search.diagnostics.verdicts.advice import NOT_LEARNED
from search.errors import RunError
from search.protocols.chosen import ahead_words, chosen_words, untested_once
from search.protocols.evidence import coarse, constant, faster, mean_words, scores_of
from search.protocols.history import BATCH, History
from search.protocols.learned import has_learned, moves_nothing, unusual_update, without_test
from search.protocols.stage_plan import with_all_knobs
from search.protocols.step import Request, Step
from search.results.findings import Findings
from search.results.summary.advise import LENGTHS
from search.results.summary.certainty import evidence, held_back, sounder
from search.results.summary.inert import inert, repeated
from search.results.summary.sweep import edges, winner_words
from search.results.summary.verdicts import mostly_out_of_patience
from search.stages.decision import Decision
from search.stages.joint_confirmation import LIFT
from search.stages.spent import elapsed, epoch_pace, gpu_seconds
from search.stages.sweep import is_cut_short
from search.storage.trials import TrialRecord

GOOD = ("best", "tie")


def conclude(
    request: Request,
    findings: Findings,
    history: History,
    *,
    trials: Sequence[TrialRecord],
    floor: float | None,
    clock: float = 0.0,
    val_rows: int,
    update_ratios: Mapping[int, float] | None = None,
) -> Step:
    """The step of a stage with trials.

    Args:
        request: the stage.
        findings: of its trials, those that it has borrowed included, with their verdicts.
        history: before it.
        trials: its own.
        floor: what a constant prediction scores, if that is known.
        clock: how long the search had run at the stage's end [s].
        val_rows: rows of validation; 0 where they do not matter.
        update_ratios: by trial, the norm of an update over that of the weights, if it was recorded.
    """
    step = replace(
        history.opened(request),
        trials=len(trials),
        seconds=elapsed(trials),
        pace=epoch_pace(trials),
        clock=clock,
        gpu_seconds=gpu_seconds(trials, gpus=findings.plan.placement.gpus_per_slot),
    )
    plan = findings.plan
    unit = plan.metric.unit(row.value for row in findings.rows)
    floor = None if floor is None else unit * floor  # in the trainer's units
    if request.stage == "joint":
        step = _joint(step, findings, history)
    elif request.stage == "baseline":
        rows = findings.of(findings.groups[0].candidate)
        says = f"{mean_words(plan, rows)}{constant(plan, floor)}{coarse(plan, val_rows, unit=unit)}"
        step = _read(replace(step, says=says), findings, rows)
    else:
        findings = without_test(request.stage, findings, floor=floor, val_rows=val_rows)
        step = _compared(step, findings, history, val_rows=val_rows)
    scores = scores_of(plan, step.incumbent)
    learned = has_learned(step, findings, scores, floor=floor, val_rows=val_rows, rate=history.rate)
    if step.inert and request.path == history.rate:
        learned = learned and not moves_nothing(findings)
    if request.stage == "baseline" or request.path == history.rate:
        ratios = update_ratios or {}
        known = [ratios[row.spec.trial] for row in step.incumbent if row.spec.trial in ratios]
        step = replace(step, says=step.says + unusual_update(known))
    verdict = step.verdicts[0][0] if step.verdicts else ""
    values = [row.value for row in step.incumbent]
    perfect = plan.metric.is_best(values, unit=unit) and verdict not in NOT_LEARNED
    return replace(step, learned=learned, perfect=perfect)


def _compared(step: Step, findings: Findings, history: History, *, val_rows: int) -> Step:
    """A sweep, regularisers off, or a confirmation: the incumbent stays or is replaced.

    Raises:
        RunError: all trainings of the baseline have ended by errors, so that nothing is compared.
    """
    decision, plan = findings.decision, findings.plan
    if decision is None and findings.obstacle:
        raise RunError(findings.obstacle, code="baseline-has-no-result")
    assert decision is not None
    if decision.winner is None:
        says = "no value is usable: every trial failed or diverged"
        if step.request.stage == "regularisers_off":  # as where nothing is learned
            off = plan.all_knobs(findings.chosen[findings.groups[1].candidate])
            step, says = replace(step, held=off), f"{says}; the penalties are off for now (R15)"
        return replace(step, decision="none", says=says)
    winner = findings.groups[decision.winner]
    rows = [row for row in findings.of(winner.candidate) if row.finished]
    is_sweep = step.request.stage == "sweep"
    unread = inert(findings) if is_sweep else []
    compared = zip(findings.groups, decision.standings, strict=True)
    good = [group for group, standing in compared if standing in GOOD]
    step = replace(
        step,
        decision=decision.word,
        says="; ".join(
            [
                winner_words(findings, decision, decision.winner)[0],
                *untested_once(findings, decision, history),
                *sounder(decision),
                *held_back(findings, decision),
                *unread,
                *edges(findings, decision, decision.winner),
                *_ahead_words(findings, decision, history),
                *_cut_short(findings, val_rows=val_rows),
                *_together(findings),
            ]
        )
        if is_sweep
        else chosen_words(findings, history, step, val_rows=val_rows),
        held=plan.all_knobs(findings.chosen[winner.candidate]),
        inert=bool(unread),
        effect="worse" in decision.standings or decision.adopted,
        good=tuple(group.value for group in good) if is_sweep else (),
        leaders=_undecided(findings, decision) if is_sweep else (),
        evidence=_evidence(findings, step.request.stage),
    )
    if history.settings.part(step.request.path) == BATCH and not unread:
        trained = {group.value: findings.of(group.candidate) for group in findings.groups}
        told = faster(trained, chosen=winner.value, good=step.good, path=step.request.path)
        step = replace(step, says=step.says + told)
    step, before = _read(step, findings, rows), history.incumbent
    # A sweep may have compared by fewer seeds than the incumbent that stays has had.
    has_more = is_sweep and not decision.adopted and len(before) > len(rows)
    return replace(step, incumbent=before) if has_more else step


def _undecided(findings: Findings, decision: Decision) -> tuple[Mapping[str, Value], ...]:
    """The configuration that a sweep found ahead of the incumbent, and had too few seeds to adopt:
    fresh ones decide, if the incumbent is still the same then (P13).
    """
    if decision.ahead is None:
        return ()
    candidate = findings.groups[decision.ahead].candidate
    return (findings.plan.all_knobs(findings.chosen[candidate]),)


def _ahead_words(findings: Findings, decision: Decision, history: History) -> list[str]:
    """What a sweep could not decide, and that the confirmation will; none where neither is so."""
    if decision.ahead is None or all(each.stage != "confirm" for each in history.settings.stages):
        return []
    ahead = ahead_words(findings, decision.ahead, name=findings.groups[decision.ahead].value)
    return [f"{ahead}: the confirmation trains it too (P13)"]


def _cut_short(findings: Findings, *, val_rows: int) -> list[str]:
    """That a sweep ended before its last round; none where it did not."""
    resolution = 1 / val_rows if val_rows else 0.0
    is_cut = is_cut_short(findings.plan, findings.rows, resolution=resolution)
    return ["cut short: the hours leave only what the confirmation needs"] if is_cut else []


def _together(findings: Findings) -> list[str]:
    """What a sweep's trials say together, such as rates that diverge close above the best (P11). Of
    their epochs the whole search's page tells.
    """
    return [f"{each.says} ({each.rule})" for each in findings.together if each.name not in LENGTHS]


def _joint(step: Step, findings: Findings, history: History) -> Step:
    """The leaders that chance could still lift above the incumbent; the confirmation decides."""
    plan = findings.plan
    scores = scores_of(plan, history.incumbent)
    least = (float(np.mean(scores)) if scores else -math.inf) - LIFT * history.spread
    rows = {row.spec.trial: row for row in findings.rows}
    leaders = [
        rows[group.trial] for group in findings.groups[1:] if group.clean and group.mean >= least
    ]
    leading = _leading(plan, leaders, incumbent=scores)
    says = "; ".join([count(step.trials, "trial"), leading, *repeated(findings)])
    return replace(
        step,
        says=says,
        leaders=tuple(plan.all_knobs(row.spec.knobs) for row in leaders),
    )


def _leading(plan: Plan, leaders: Sequence[TrialRecord], *, incumbent: Sequence[float]) -> str:
    """How many configurations are worth a confirmation, and what the best of them scores."""
    metric = plan.metric
    mean = f" ({metric.name} {metric.words(float(np.mean(incumbent)))})" if incumbent else ""
    if not leaders:
        return f"none comes near the incumbent{mean} within what chance explains"
    near = f"better than the incumbent{mean} or within chance of it"
    best = f"the best has {metric.name} {metric.words(scores_of(plan, leaders[:1])[0])}"
    return f"{count(len(leaders), 'configuration')} {near}; {best}, with one seed"


def _read(step: Step, findings: Findings, rows: Sequence[TrialRecord]) -> Step:
    """With the incumbent's trials, and the verdicts on them and across the stage."""
    known = findings.verdicts_on(rows)
    names = Counter(verdict.name for verdict in known)
    sides = [side.name for verdict in known for side in verdict.sides]
    across = [found.name for found in findings.together]
    plan = findings.plan
    return replace(
        step,
        incumbent=tuple(with_all_knobs(plan, row) for row in rows),
        verdicts=tuple(names.most_common()),
        sides=tuple(dict.fromkeys([*sides, *across])),
        out_of_patience=mostly_out_of_patience(plan, rows),
    )


def gain(plan: Plan, history: History) -> str:
    """The incumbent's mean, and what it is above the baseline's with the same seeds:
    `, accuracy 0.97 (+0.012 against the baseline)`.
    """
    best, first = scores_of(plan, history.incumbent), scores_of(plan, history.baseline)
    if not best:
        return ""
    mean = float(np.mean(best))
    text = f", {plan.metric.name} {plan.metric.words(mean)}"
    last = history.steps[-1]
    if not (first and history.held) or last.request.stage == "confirm":  # which has just told it
        return text
    return f"{text} ({plan.metric.sign * (mean - float(np.mean(first))):+.3g} against the baseline)"


def _evidence(findings: Findings, stage: str) -> dict[str, object]:
    """On which numbers it was decided, as every search tells them, and on which knobs."""
    decision = findings.decision
    assert decision is not None
    told = evidence(findings, decision, noun="value")
    for entry, group in zip(told["values"], findings.groups, strict=True):
        entry["knobs"] = dict(findings.chosen[group.candidate])
    if stage == "regularisers_off" and decision.adopted and not decision.better:
        told["off_for_now"] = True  # untested: see `without_test`
    return told | {"tie": decision.tie}
