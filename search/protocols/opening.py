"""What a search of many stages will do, in a few words: said before it begins, and by `plan`."""

from typing import TYPE_CHECKING

from search.config.plan import Plan
from search.config.results_root import from_here
from search.config.tune_settings import TuneSettings

if TYPE_CHECKING:
    from search.protocols.step import Step


def opening(plan: Plan, settings: TuneSettings) -> str:
    """What is tuned, by how many knobs, and where it lies; the stages; what ends it."""
    metric, knobs = f"{plan.metric.name} ({plan.metric.direction})", len(settings.spaces)
    turned = f"{knobs} {'knob' if knobs == 1 else 'knobs'} that may be turned"
    return (
        f"{plan.name}: {metric}, {turned}, in {from_here(plan.folder)}/\n"
        f"stages: {', '.join(map(str, settings.stages))}\n"
        f"{budget_words(plan, settings)}"
    )


def heading(step: "Step") -> str:
    """A stage's number and name, why it comes, and by which rules."""
    rules = f" ({', '.join(step.request.rules)})" if step.request.rules else ""
    return f"\n{step.name}: {step.request.because}{rules}"


def budget_words(plan: Plan, settings: TuneSettings) -> str:
    """What ends the search."""
    share = f"{'' if settings.has_joint else 'at least '}{100 * settings.share:.0f} %"
    if settings.budget_trials is not None:
        return f"budget: {settings.budget_trials} trials, {share} of them for sweeps"
    if plan.config.budget_hours is not None:
        hours = f"{plan.config.budget_hours:g} hours of the clock"
        return f"budget: {hours}, {share} of what the checks leave for sweeps"
    if settings.gpu_budget is not None:
        return f"budget: {settings.gpu_budget:g} seconds of GPUs, {share} of them for sweeps"
    end = f"after {settings.idle} knobs in a row that bring nothing" if settings.idle else ""
    return (
        f"no budget: the sweeps end {end or 'once every knob was swept'}; "
        "budget_trials= or budget_hours= set one"
    )
