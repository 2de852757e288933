"""The stage that averages trainings (R35): judged once, kept in `ensemble/` if it is better."""

from collections.abc import Sequence
from dataclasses import replace

from search.config.plan import Plan
from search.protocols.step import Step
from search.results.ensemble import (
    candidates_of,
    in_words,
    judge_ensemble,
    judged_before,
    write_ensemble,
)
from search.storage.folder import Folder
from search.storage.trials import TrialRecord


def averaged(plan: Plan, folder: Folder, step: Step, *, rows: Sequence[TrialRecord]) -> Step:
    """The step with the average to keep beside the answer; a resumed search reads what was found.

    `rows`: of all stages.
    """
    before = judged_before(folder)
    if before is not None:
        return replace(step, decision="adopt" if before[0] else "keep", says=before[1])
    ensemble = judge_ensemble(plan, folder, candidates_of(plan, folder, step.incumbent, rows))
    if ensemble.reason:
        return replace(step, decision="skipped", says=ensemble.reason)
    says = in_words(ensemble, metric=plan.metric)
    write_ensemble(plan, folder, ensemble, says=says)
    return replace(step, decision="adopt" if ensemble.is_better else "keep", says=says)
