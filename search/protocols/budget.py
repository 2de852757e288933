"""How the budget of a search is shared between its stages, and what is left. Pure functions."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from search.config.settings import in_seconds
from search.config.tune_settings import StageEntry, TuneSettings
from search.protocols.history import History
from search.protocols.opening import confirm_needs
from search.results.findings import Findings
from search.stages.racing import FEWEST as FEWEST_SEEDS
from search.stages.racing import Race

LEAST_FURTHER = 3  # seeds of a race: with two, it finds less than a single look (simulated)
SEVERAL = 3  # trials of a stage that tell how fast the machine is now
BUDGETS = ("budget_trials", "budget_hours", "budget_gpu_seconds")  # keys of the config


def budget_of(config: DictConfig) -> dict[str, Any]:
    """The keys of the budget that a config sets, with their values."""
    return {key: config.get(key) for key in BUDGETS if config.get(key) is not None}


def with_budget(settings: TuneSettings, budget: Mapping[str, Any]) -> TuneSettings:
    """The settings with the budget of another start, as `budget_of` gives it."""
    return replace(
        settings,
        budget_trials=budget.get("budget_trials"),
        budget_seconds=in_seconds(budget.get("budget_hours")),
        gpu_budget=budget.get("budget_gpu_seconds"),
    )


def budgets_chosen_by(stood: Findings) -> list[Mapping[str, Any]]:
    """The budget by which each stage that has begun was chosen, from the second on.

    `stood`: the search as it stands on disk.
    """
    budgets = [step["budget"] for step in stood.steps]
    under_way = f"{len(budgets) + 1:02d}-"
    has_begun = any(row.spec.stage.startswith(under_way) for row in stood.rows)
    return budgets if has_begun else budgets[:-1]


def another_budget(former: Mapping[str, Any], now: Mapping[str, Any], *, ended: bool) -> str:
    """What it means that a search goes on with another budget, in words. `ended`: it has ended."""
    changes = [
        f"{key}: {now.get(key, 'no limit')}, was {former.get(key, 'no limit')}"
        for key in BUDGETS
        if now.get(key) != former.get(key)
    ]
    means = (
        "the protocol has ended, so nothing more is trained; from=NAME name=… begins another at "
        "its answer"
        if ended
        else "what has begun is finished as it was chosen, a joint stage with the trials that are "
        "left, and what comes next is chosen by the new budget"
    )
    return f"{'; '.join(changes)}: {means}"


def usual_epochs(history: History) -> float:
    """Epochs of a training of the incumbent; 0 where they are not known."""
    rows = history.incumbent
    return sum(row.epochs for row in rows) / max(len(rows), 1)


def epoch_pace(history: History) -> float:
    """Seconds that an epoch takes now, as many at once as there are slots: by the last stage of
    several trials. 0 where that is not known.
    """
    paces = (step.pace for step in reversed(history.steps) if step.trials >= SEVERAL and step.pace)
    return next(paces, 0.0)


def pace(history: History) -> float:
    """Seconds that a training of the incumbent takes, as many at once as there are slots."""
    known = usual_epochs(history) * epoch_pace(history)
    return known or history.seconds / max(history.trials, 1)


def gpu_pace(history: History) -> float:
    """GPU-seconds that a trial takes."""
    return history.gpu_seconds / max(history.trials, 1)


def lead(history: History) -> float:
    """How long the search had run before its first trial [s]: checks, and the start."""
    first = next((step for step in history.steps if step.trials), None)
    return max(0.0, first.clock - first.seconds) if first is not None else 0.0


def trials_left(history: History, *, share: float = 1.0) -> float:
    """Trials that may still be trained of a share of the budget; inf without a budget.

    Hours and GPU-seconds count at the pace so far. Hours are those of the clock, and shared are
    those that the checks before the first trial have left.
    """
    settings, left = history.settings, math.inf
    if settings.budget_trials is not None:
        left = math.floor(settings.budget_trials * share) - history.trials
    paces = (
        (settings.budget_seconds, lead(history), history.clock, pace(history)),
        (settings.gpu_budget, 0.0, history.gpu_seconds, gpu_pace(history)),
    )
    for budget, before, spent, each in paces:
        if budget is not None and each > 0:
            left = min(left, math.floor((before + share * (budget - before) - spent) / each))
    return left


def sweep_trials(history: History) -> float:
    """Trials that the sweeps may still train: their share, and where no joint stage follows, all
    that the confirmation cannot use.
    """
    of_share, left = trials_left(history, share=history.settings.share), trials_left(history)
    if history.settings.has_joint:
        return of_share
    kept = confirm_needs(history.settings)
    return max(of_share, left - (kept and kept + confirm_race(history.settings).further))


def hours_for(history: History, trials: int) -> str:
    """Which hours would pay for so many trials of a first sweep; empty where one has been made."""
    settings = history.settings
    if settings.budget_seconds is None or history.sweeps or not pace(history):
        return ""
    spent = history.clock - lead(history) + trials * pace(history)
    hours = (lead(history) + spent / settings.share) / 3600
    return f"; budget_hours={hours:.2g} would pay for a first sweep"


def confirm_left(history: History) -> float:
    """Trials that the confirmation may train. The baseline and one rival are paid for whatever the
    clock says: what a busy machine took of the hours is no reason to leave an answer unconfirmed.
    """
    timeless = replace(history, settings=replace(history.settings, budget_seconds=None))
    least = max(trials_left(history), confirm_needs(history.settings, rivals=1))
    return min(trials_left(timeless), least)


def confirm_race(settings: TuneSettings) -> Race:
    """Further seeds of the confirmation, where they decide (P5)."""
    fewest = settings.confirm
    return Race(first=fewest, most=max(fewest, settings.confirm_most))


def confirm_seeds(history: History, *, rivals: int) -> int:
    """Fresh seeds that the confirmation may use: as many as the budget pays for, and the first ones
    alone where it pays for fewer than `LEAST_FURTHER` more.
    """
    race = confirm_race(history.settings)
    spare = confirm_left(history) - confirm_needs(history.settings, rivals=rivals)
    for most in range(race.most, race.first + LEAST_FURTHER - 1, -1):
        if replace(race, most=most).further <= spare:
            return most
    return race.first


def joint_rivals(history: History) -> int:
    """Configurations beside the baseline that may be confirmed after the next joint stage: the
    incumbent and its leaders, of which a second such stage seeks one only.
    """
    is_second = any(
        step.request.stage == "joint" and step.decision != "skipped" for step in history.steps
    )
    if not is_second:
        return bool(history.held) + history.settings.leaders
    return bool(history.held) + len(history.undecided) + 1


def kept_for_confirm(history: History, *, left: float, rivals: int | None = None) -> int:
    """Of the trials that are left, those that a joint stage keeps for the confirmation: its further
    seeds too, where half of what is left pays for them. `rivals`: as in `confirm_needs`.
    """
    least = confirm_needs(history.settings, rivals=rivals)
    all_seeds = least + confirm_race(history.settings).further
    return all_seeds if least and 2 * all_seeds <= left < math.inf else least


def early(settings: TuneSettings) -> int:
    """Fresh seeds at which a first look ends what is decided; 0: there is none."""
    return FEWEST_SEEDS if settings.halving and settings.confirm > FEWEST_SEEDS else 0


def foreseen_trials(history: History) -> list[tuple[StageEntry, int]]:
    """About how many trials each stage trains: the budget's share, else the fewest that end it."""
    left, foreseen = sweep_trials(history), []
    for entry in history.settings.stages:
        trials = _foreseen(entry, history, left)
        if entry.stage in ("baseline", "regularisers_off", "sweep", "sweeps"):
            left -= trials
        foreseen.append((entry, trials))
    return foreseen


def _rest(history: History, budget: int) -> tuple[int, int]:
    """Trials of a budget that the sweeps leave to the joint stage, and to the confirmation."""
    left = budget - math.floor(budget * history.settings.share)
    kept = kept_for_confirm(history, left=left)
    return max(left - kept, 0), kept


def _foreseen(entry: StageEntry, history: History, left: float) -> int:
    settings, seeds = history.settings, history.seeds
    budget = settings.budget_trials
    if entry.stage == "sweep":
        about = settings.spaces.get(entry.argument, ())[:1]
        return int(min(sum(len(knob.grid()) for knob in about) * seeds, max(left, 0)))
    if entry.stage == "sweeps" and left < math.inf:
        return int(max(left, 0))
    if entry.stage == "sweeps":
        sizes = [len(knobs[0].grid()) * seeds for knobs in settings.spaces.values()]
        knobs = len(sizes) if settings.idle is None else min(settings.idle, len(sizes))
        return round(knobs * settings.passes * sum(sizes) / max(len(sizes), 1))
    joint, confirm = settings.trials, confirm_needs(history.settings)
    if budget is not None:
        joint, confirm = _rest(history, budget)
    trials = {
        "baseline": seeds,
        "regularisers_off": seeds if history.penalties_off else 0,
        "joint": joint,
        "confirm": confirm,
    }
    return trials.get(entry.stage, 0)
