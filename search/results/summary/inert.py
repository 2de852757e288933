"""Which knobs changed nothing, in words: trainings that were the same, and equal scores."""

from collections import defaultdict

from search.config.knob_parts import EPOCHS
from search.diagnostics.verdicts.advice import NOT_LEARNED
from search.results.findings import Findings
from search.results.summary.formatting import listed
from search.results.summary.verdicts import out_of_patience
from search.stages.group import change_nothing, losses_differ, train_alike
from search.stages.sweep import may_be_limit
from search.storage.trials import TrialRecord


def inert(findings: Findings) -> list[str]:
    """That no value of a sweep differs from another in any seed."""
    groups, plan = findings.groups, findings.plan
    alike, knob = train_alike(groups), plan.knob.path
    if not alike and not change_nothing(groups):
        return []
    told = f"every value of {knob} gave the same {plan.metric.name}, seed by seed"
    if knob == EPOCHS and any(out_of_patience(plan, row) for row in findings.rows):
        return [f"{told}: patience ended the trainings, and not their number of epochs (R33)"]
    names = {verdict.name for verdict in findings.verdicts.values()}
    if names and names <= {*NOT_LEARNED}:
        why = f"no training learned anything ({', '.join(sorted(names))}), so no effect can show"
        return [f"{told}: {why}"]
    if alike:
        values = listed([group.candidate for group in groups])
        why = "nothing reads this knob, or no training reached what it sets"
        if may_be_limit(knob, stock=plan.stock):
            why = "no training reached what this knob sets"
        return [f"{values} of {knob} gave the same training to the last digit, losses too: {why}"]
    why = "nothing reads this knob, or its effect is too small for the metric to show"
    scores = {score for group in groups for score in group.scores}
    if losses_differ(groups):
        why = "losses differ, by an effect too small for the metric to show, or by chance"
    elif len(scores) == 1 and not scores & {*groups[0].perfect}:
        why = "so did all seeds: does the optimizer step, or is the metric too coarse to show it?"
    return [f"{told}: {why}"]


def repeated(findings: Findings) -> list[str]:
    """That trials of a joint search were the same training, and in which knobs they differ."""
    same = defaultdict[tuple[int, str], list[TrialRecord]](list)
    for row in findings.rows:
        if row.curve:
            same[row.spec.seed, row.curve].append(row)
    twins = [rows for rows in same.values() if len(rows) > 1]
    paths = dict.fromkeys(
        path
        for first, *others in twins
        for path in first.spec.knobs
        if any(row.spec.knobs.get(path) != first.spec.knobs[path] for row in others)
    )
    if not paths:
        return []
    why = "nothing reads it, or no training reached what it sets"
    if [*paths] == [EPOCHS]:  # which any training reads that takes as many
        why = "they had ended before, such as by patience"
    number = sum(len(rows) - 1 for rows in twins)
    trained = "trial was" if number == 1 else "trials were"
    return [
        f"{number} {trained} the same training as another to the last digit, whatever "
        f"{', '.join(paths)} was: {why}"
    ]
