"""How much of its budget of trials a search of many stages has used, and why no more of it."""

from search.config.counted import count
from search.config.tune_settings import TuneSettings
from search.results.findings import Findings
from search.results.step_record import StepRecord


def trained(findings: Findings) -> str:
    """`40 of 60 trials`; more than the budget where that was lowered after these had begun."""
    settings, used = findings.plan.settings, len(findings.rows)
    budget = settings.budget_trials if isinstance(settings, TuneSettings) else None
    if budget is None:
        return count(used, "trial")
    if used > budget:
        return f"{count(used, 'trial')}, begun before budget_trials was lowered to {budget},"
    return f"{used} of {budget} trials"


def unused(findings: Findings) -> list[str]:
    """Why a third of the trials or more stays at the end, and what would use them."""
    settings, used = findings.plan.settings, len(findings.rows)
    budget = settings.budget_trials if isinstance(settings, TuneSettings) else None
    if budget is None or findings.stage or 3 * (budget - used) < budget:
        return []
    short = [step["stage"] for step in findings.steps if _lacks_trials(step)]
    why = "no stage was left that could use them"
    if short:
        why = f"{', '.join(short)} would need more: a larger budget_trials= or fewer seeds= helps"
    return [f"{count(budget - used, 'trial')} of {budget} were not used: {why}"]


def _lacks_trials(step: StepRecord) -> bool:
    """Whether a stage was left out, or sweeps ended, for want of trials alone."""
    left, turned = step.get("left"), [not each["passed"] for each in step.get("considered", ())]
    is_short = left is not None and step.get("needs", 0) > left
    trained_none = step["decision"] == "skipped" or step["kind"] == "sweeps"
    return trained_none and is_short and (step["kind"] != "joint" or sum(turned) > 1)
