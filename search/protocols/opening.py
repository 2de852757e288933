"""What a search of many stages will do, in a few words: said before it begins, and by `plan`; and
whether it can. Imports little: no worker has started yet.
"""

import math
from typing import TYPE_CHECKING

from search.config import confirm_settings
from search.config.counted import count
from search.config.knob_parts import PARTS
from search.config.plan import Plan
from search.config.ranges import shipped_limits
from search.config.results_root import from_here
from search.config.tune_settings import TuneSettings
from search.diagnostics.verdicts.advice import ADVICE
from search.errors import UsageError, refused, unknown

if TYPE_CHECKING:
    from search.protocols.step import Step

FEWEST = 3  # values below which a sweep tells nothing


def opening(plan: Plan, settings: TuneSettings) -> str:
    """What is tuned, by how many knobs, and where it lies; the stages; what ends it."""
    metric, knobs = f"{plan.metric.name} ({plan.metric.direction})", _turnable(settings)
    turned = f" {count(knobs, 'knob')} that may be turned," if knobs else ""
    return (
        f"{plan.name}: {metric},{turned} in {from_here(plan.folder)}/\n"
        f"stages: {', '.join(map(str, settings.stages))}\n"
        + "".join(f"{line}\n" for line in assumed(settings))
        + budget_words(plan, settings)
    )


def _turnable(settings: TuneSettings) -> int:
    """How many knobs the stages may turn."""
    if any(entry.stage in ("sweeps", "joint") for entry in settings.stages):
        return len(settings.spaces)
    return sum(entry.stage == "sweep" for entry in settings.stages)


def assumed(settings: TuneSettings) -> list[str]:
    """Which part each knob plays that the stock trainer calls otherwise, a line each for those of
    which the user says it, those whose names tell it, and those of which nothing does.
    """
    said, named, others = list[str](), list[str](), list[str]()
    stock = {*PARTS.values(), *shipped_limits()}
    for knob in settings.knobs:
        part = settings.parts.get(knob.path)
        if part:
            (said if knob.acts_as else named).append(f"{knob.path} as {part.rpartition('.')[2]}")
        elif part is None and knob.path not in stock and not knob.nuisance:
            others.append(knob.path)
    lines = [f"as you say: {', '.join(said)}"] if said else []
    if named:
        lines.append(
            f"by their names: {', '.join(named)}; say space.PATH.acts_as=PART, or none, "
            "where that is wrong"
        )
    if others and settings.parts:
        lines.append(
            f"no verdict speaks of: {', '.join(others)}, unless acts_as says what they are"
        )
    return lines


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
    end = f"after {count(settings.idle, 'knob')} in a row without a gain" if settings.idle else ""
    return (
        f"no budget: the sweeps end {end or 'once every knob was swept'}; "
        "budget_trials= or budget_hours= set one"
    )


def confirm_needs(settings: TuneSettings, *, rivals: int | None = None) -> int:
    """Trials that the confirmation needs: the baseline and its rivals.

    `rivals`: None: as many as there may be, the incumbent and the leaders of a joint stage.
    """
    if rivals is None:
        rivals = 1 + (settings.leaders if settings.has_joint else 0)
    if not any(entry.stage == "confirm" for entry in settings.stages):
        return 0
    return confirm_settings.confirm_trials(rivals, seeds=settings.confirm, halved=halved(settings))


def halved(settings: TuneSettings) -> int:
    """Fresh seeds after which only the better half of the leaders goes on; 0: all do."""
    return settings.confirm // 2 if settings.halving else 0


def check_budget(settings: TuneSettings, seeds: int) -> None:
    """The budget pays for the first stages: the baseline, a sweep of three values, a confirmation.

    Raises:
        UsageError: it does not; what it would need is said.
    """
    sweep = math.ceil((1 + FEWEST) * seeds / settings.share)
    least = max(sweep, seeds + math.ceil(2 * seeds / settings.share) + confirm_needs(settings))
    budget = settings.budget_trials
    if budget is not None and budget < least:
        each = f"{count(seeds, 'seed')} per value"
        rule = (
            f"the baseline, three values of one knob and the confirmation need {least} trials "
            f"({each}, {settings.confirm} in the confirmation)"
        )
        remedy = f"say budget_trials={least} or more, or fewer seeds= and protocol.confirm="
        raise refused(
            "budget_trials", code="budget-too-small", rule=rule, got=budget, remedy=remedy
        )


def check_until(settings: TuneSettings) -> None:
    """The verdicts at which the sweeps go on are verdicts.

    Raises:
        UsageError: one is not in the table of remedies.
    """
    for verdict in settings.until:
        if verdict not in ADVICE:
            raise UsageError(
                f"protocol.until: {unknown('verdict', name=verdict, known=ADVICE)}",
                code="unknown-verdict",
            )
