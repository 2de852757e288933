"""The answer at the top of the page: what to use, how good it is, and how sure that is (P5)."""

import math

from search.config.counted import averaged, count
from search.config.knobs import assigned
from search.config.text import one_line
from search.results.findings import Findings
from search.results.report.blocks import Answer
from search.results.report.costs import LOST
from search.results.report.go_on import all_commands
from search.results.report.numbers import number, rough, setting, with_interval
from search.results.report.staged_answer import NAMED, staged_answer
from search.results.summary import view_of
from search.results.summary.formatting import half_width, listed, ordered, percent
from search.results.summary.verdicts import why_none
from search.stages.decision import Decision
from search.storage.folder import Folder
from search.storage.trials import ranked

TIE_LIST = 6  # tied values that are named


def answer_of(findings: Findings) -> Answer:
    """The outcome of a search, finished or not."""
    if not view_of(findings.plan).compares:
        return _single(findings)
    if findings.steps:
        return staged_answer(findings)
    decision = findings.decision
    if decision is not None and decision.winner is not None:
        return _decided(findings, decision, decision.winner)
    if decision is not None:
        usable = any(row.value is not None for row in findings.rows)
        reason = (
            "no candidate gave a result on all its seeds" if usable else why_none(findings.rows)
        )
        label, sentence = "no winner", f"Nothing has won: {reason}."
    elif findings.obstacle:
        label, sentence = "no decision", f"{findings.obstacle[0].upper()}{findings.obstacle[1:]}."
    else:
        return _open(findings)
    surety = "The section on failures shows the reasons."
    return Answer(mark="none", label=label, sentence=sentence, surety=surety)


def _decided(findings: Findings, decision: Decision, index: int) -> Answer:
    plan, groups = findings.plan, findings.groups
    winner, baseline, metric = groups[index], groups[0], plan.metric
    score = with_interval(metric.value_of(winner.mean), half_width(decision, index))
    knobs = findings.chosen[winner.candidate]
    seeds = averaged(len(winner.clean))
    what = setting(knobs) if len(knobs) <= NAMED else "with the settings below"
    reached = f"{plan.metric.name} {score} on validation, {seeds}"
    cards = [(plan.metric.name, score, f"validation, {seeds}")]
    use = "Use" if len(knobs) <= NAMED else f"Use {winner.candidate}"
    if decision.adopted and baseline.clean:
        base = number(metric.value_of(baseline.mean))
        gain, certain = _gain(decision, index)
        sentence = f"{use} {what}: {reached}, {gain} better than the baseline's {base}."
        cards += [("baseline", base, setting(findings.chosen[baseline.candidate]))]
        cards += [("gain", gain, f"over the baseline, {certain}")]
    elif decision.adopted:
        sentence = f"{use} {what}: {reached}. The baseline gave no result."
        cards += [("baseline", "no result", setting(findings.chosen[baseline.candidate]))]
    else:
        sentence = f"Keep the baseline, {what}: {reached}."
        cards.append(("gain over the baseline", "none", _still_possible(findings, decision)))
    mark, label, surety = _surety(findings, decision)
    return Answer(
        mark=mark,
        label=label,
        sentence=sentence,
        surety=surety,
        cards=[*cards, ("how sure", label, f"over {count(len(groups), 'candidate')}")],
        settings=assigned(knobs),
        commands=all_commands(findings),
    )


def _gain(decision: Decision, index: int) -> tuple[str, str]:
    """The distance of two means, with its interval where it was tested, and how sure it is."""
    compared = decision.comparisons[index]
    if decision.untested:
        return number(compared.difference), "not tested"
    gain = with_interval(compared.difference, (compared.high - compared.low) / 2)
    return gain, f"with its {percent(decision.confidence)} interval"


def _still_possible(findings: Findings, decision: Decision) -> str:
    """How much better than the baseline any candidate may still be; empty if nothing tells."""
    metric = findings.plan.metric
    room = metric.room(metric.value_of(findings.groups[0].mean))
    pairs = zip(decision.comparisons[1:], decision.standings[1:], strict=True)
    highs = [min(compared.high, room) for compared, standing in pairs if standing != "dropped"]
    known = [high for high in highs if math.isfinite(high) and high > 0]
    return f"at most {rough(max(known))} at 95 %" if known and not decision.untested else ""


def _surety(findings: Findings, decision: Decision) -> tuple[str, str, str]:
    """How sure the decision is: a mark, a label and a sentence."""
    groups = findings.groups
    if decision.identical or decision.untested:
        few = "With one seed per candidate a difference may be noise: use more seeds."
        same = "Every seed gave the same score: it is ignored, or the metric is too coarse."
        return "unsure", "not tested", same if decision.identical else few
    others = [index for index in decision.tied if not decision.adopted or index != decision.winner]
    ties = ordered([groups[index].candidate for index in others])
    more = f" and {len(ties) - TIE_LIST} more" if len(ties) > TIE_LIST else ""
    named = f"{listed(ties[:TIE_LIST])}{more}"
    if decision.adopted and not groups[0].clean:
        return "gain", "no baseline", "There is no baseline to compare with."
    if decision.adopted and decision.winner is not None:
        low = rough(decision.comparisons[decision.winner].low)
        leads = ties and decision.standings[decision.winner] != "unstable"
        note = f" Also tied with the best mean: {named}." if leads else ""
        text = f"A real gain: at least {low} over the baseline, with 95 % confidence (P5).{note}"
        return "gain", "a real gain", text
    possible = _still_possible(findings, decision)
    limit = f" Another candidate may be better by {possible} (P5)." if possible else ""
    if decision.tie:
        text = f"No significant difference: {len(ties)} candidates ({named}) lie together."
        return "stays", "no gain beyond chance", text + limit
    return "stays", "the baseline is best", f"No candidate is better beyond chance (P5).{limit}"


def _open(findings: Findings) -> Answer:
    done = sum(row.finished for row in findings.rows)
    sign, metric = findings.plan.metric.sign, findings.plan.metric.name
    best = next(iter(ranked(findings.rows, sign=sign)), None)
    sentence = f"No decision yet: {done} of {findings.foreseen} trials are done."
    cards = [("trials", f"{done} of {findings.foreseen}", "done")]
    if best is not None:
        where = setting(best.spec.knobs) or f"trial {best.spec.trial}"
        sentence += f" The best single trial so far has {metric} {number(best.value)} at {where}."
        cards.append((f"best {metric}", number(best.value), f"trial {best.spec.trial}, one seed"))
    lost = [row for row in findings.rows if row.state in LOST]
    if lost:
        reason = one_line(lost[-1].reason) or lost[-1].state
        sentence += f" {count(len(lost), 'trial')} gave no result, the last: {reason}."
    command = Folder(findings.plan.folder).runs.command
    resume = [(command, "goes on where it stopped")] if command else []
    return Answer(
        mark="open",
        label="not finished",
        sentence=sentence,
        surety="One trial is one seed: it proves nothing until its candidate has all its seeds."
        if best is not None
        else "",
        cards=cards,
        commands=resume if view_of(findings.plan).compares else [],
    )


def _single(findings: Findings) -> Answer:
    plan, row = findings.plan, findings.winner
    if row is None:
        return _open(findings)
    sentence = f"{plan.metric.name} {number(row.value)} on validation, at epoch {row.best_epoch}."
    return Answer(
        mark="stays",
        label="one training",
        sentence=sentence,
        surety="One training of one seed compares nothing.",
        cards=[(plan.metric.name, number(row.value), f"epoch {row.best_epoch} of {row.epochs}")],
    )
