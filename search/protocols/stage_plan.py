"""The plan of one stage: the search's plan, at the incumbent, with the knobs that the stage turns.

And which trials of earlier stages are the stage's own too, so that nothing is trained twice.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from omegaconf import OmegaConf

from search.config.confirm_settings import ConfirmSettings
from search.config.follower import Follower
from search.config.incumbent import canonical
from search.config.joint_settings import GP_MOST, JointSettings, active, default_point
from search.config.knob_parts import EPOCHS
from search.config.knob_roles import default_of
from search.config.knobs import Value, is_number
from search.config.plan import Plan, Settings
from search.config.sweep_settings import SweepSettings
from search.protocols.budget import (
    confirm_seeds,
    early,
    epoch_pace,
    gpu_pace,
    joint_rivals,
    kept_for_confirm,
    trials_left,
    usual_epochs,
)
from search.protocols.history import BATCH, History
from search.protocols.opening import confirm_needs, halved
from search.protocols.step import Request
from search.stages import sweep
from search.stages.kinds import KINDS
from search.stages.stage import Past
from search.storage.trials import TrialRecord

LOOKS = 5  # at most, of the pruner at a trial of a joint stage
STARTUP = 6  # configurations before the sampler takes over, where history teaches too little


def stage_plan(plan: Plan, history: History, request: Request, *, name: str) -> Plan:
    """The plan of a stage with trials. `name`: of its study."""
    fresh = request.stage == "confirm"
    held: Mapping[str, Value] = {} if fresh else history.held
    config = plan.config if fresh else history.config
    return replace(
        plan,
        name=name,
        kind=request.stage if request.stage in KINDS else "confirm",  # of its configurations
        config=config,
        base=plan.config,
        held=held,
        knobs=plan.knobs if fresh else request.knobs,
        settings=_settings(plan, history, request),
        epochs=int(config.trainer.epochs),
        first_trial=history.trials,
        seeds=1 if request.stage == "joint" else plan.seeds,
    )


def _settings(plan: Plan, history: History, request: Request) -> Settings:
    if request.stage == "sweep":
        return SweepSettings(
            refine=history.settings.refine if request.extend else 0,
            extend=request.extend,
            most_seeds=request.most_seeds,
            halving=history.settings.halving,
            follower=_follower(history, request),
            budget=history.settings.budget_seconds,
            kept=usual_epochs(history) * confirm_needs(history.settings, rivals=1),
            pace=epoch_pace(history),
        )
    if request.stage == "joint":
        return _joint(plan, history, request)
    settings = history.settings
    if request.stage != "confirm":
        seeds = range(plan.seed, plan.seed + plan.seeds)
        return ConfirmSettings(
            configurations=request.configurations, seeds=tuple(seeds), fewest=plan.seeds
        )
    first = plan.seed + max(plan.seeds, settings.most_seeds)  # no stage before has used these
    count = confirm_seeds(history, rivals=len(request.configurations) - 1)
    return ConfirmSettings(
        configurations=request.configurations,
        seeds=tuple(range(first, first + count)),
        fewest=settings.confirm,
        halved=halved(settings),
        early=early(settings),
        own_level=settings.own_level and _found_before(history, request.configurations),
        broke=all(row.value is None for row in history.baseline),
    )


def _found_before(history: History, configurations: Sequence[Mapping[str, Value]]) -> bool:
    """Whether the second configuration is an incumbent that a test on other seeds has adopted: not
    one by one seed per value, and not more epochs alone, which are taken without a test.
    """
    tested = any(
        step.decision == "adopt"
        and step.request.stage in ("sweep", "regularisers_off")
        and not step.evidence.get("untested")
        for step in history.steps
    )
    return tested and dict(configurations[1]) == dict(history.held)


def _follower(history: History, request: Request) -> Follower | None:
    """The rate moves with the root of the batch size (R39), where all sizes are numbers."""
    if history.settings.part(request.path) != BATCH:
        return None
    rate, knob = OmegaConf.select(history.config, history.rate), request.knobs[0]
    if not all(is_number(each) and each > 0 for each in (rate, history.value(knob), *knob.grid())):
        return None
    least, most, name = -math.inf, math.inf, history.settings.named(history.rate)
    if name is not None and not (about := history.settings.spaces[name][0]).choices:
        least, most = about.least, about.most
    if not least <= rate <= most:
        return None  # wherever it moves to, it would lie outside of the knob's range
    return Follower(
        path=history.rate, start=float(rate), power=0.5, whole=False, least=least, most=most
    )


def _joint(plan: Plan, history: History, request: Request) -> JointSettings:
    """A Gaussian process that begins with what the sweeps taught, pruned by the median.

    The first look comes after a fifth of the incumbent's epochs, and not before patience would end
    a training: a judge of others' trainings knows no more than one of its own.
    """
    epochs, patience = int(history.config.trainer.epochs), plan.limits.patience or 1
    warmup = max(1, epochs // LOOKS, patience)
    gpu_budget = history.settings.gpu_budget
    rivals, left = joint_rivals(history), trials_left(history)
    kept = kept_for_confirm(history, left=left, rivals=rivals)
    if gpu_budget is not None:
        gpu_budget = max(1.0, gpu_budget - history.gpu_seconds - kept * gpu_pace(history))
    return JointSettings(
        sampler="gp" if request.trials <= GP_MOST else "tpe",
        startup=min(STARTUP, request.trials),
        n_trials=request.trials,
        budget=history.settings.budget_seconds,  # of the clock, which runs through all stages
        kept=usual_epochs(history) * kept,
        pace=epoch_pace(history),
        gpu_budget=gpu_budget,
        confirm=0,
        most_seeds=1,
        leaders=max(1, history.settings.leaders),
        pruner="none" if _start_differently(request, history) else "median",
        rungs=tuple(range(warmup, epochs, warmup)),
        warmup=warmup,
        reduction=3,
        patience=1,
    )


def _start_differently(request: Request, history: History) -> bool:
    """Whether better trainings may begin more slowly: their schedules differ, or follow lengths
    that differ. At a constant rate a longer training begins as a shorter one does.
    """
    paths = {knob.path for knob in request.knobs}
    is_constant = OmegaConf.select(history.config, "schedule._target_") is None
    return "schedule" in paths or (EPOCHS in paths and not is_constant)


def borrowed(plan: Plan, rows: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The earlier trials that are trials of this stage too; of a joint stage, the incumbent's first
    seed, which is its baseline.

    `rows`: with all their knobs, relative to the search's config.
    """
    seeds = _seeds(plan)
    wanted = {
        (frozenset(plan.all_knobs(cell).items()), seed): cell
        for cell in _cells(plan)
        for seed in seeds
    }
    stage = sweep.stage_name(plan) if isinstance(plan.settings, SweepSettings) else plan.kind
    taken: dict[object, TrialRecord] = {}
    for row in rows:
        key = frozenset(row.spec.knobs.items()), row.spec.seed
        if row.finished and key in wanted and key not in taken:
            spec = replace(row.spec, stage=stage, knobs=wanted[key], idle={})
            taken[key] = replace(row, spec=spec)
    return list(taken.values())


def _cells(plan: Plan) -> list[Mapping[str, Value]]:
    if isinstance(plan.settings, SweepSettings):
        return [cell for value in plan.first_round for cell in sweep.cells(plan, value)]
    if isinstance(plan.settings, JointSettings):
        return [active(plan.knobs, default_point(plan.config, plan.knobs))]
    return list(plan.settings.configurations) if isinstance(plan.settings, ConfirmSettings) else []


def _seeds(plan: Plan) -> Sequence[int]:
    if isinstance(plan.settings, ConfirmSettings):
        return plan.settings.seeds
    most = plan.settings.most_seeds if isinstance(plan.settings, SweepSettings) else 1
    return range(plan.seed, plan.seed + max(plan.seeds, most))


def past_trials(plan: Plan, rows: Iterable[TrialRecord], *, floor: float | None) -> list[Past]:
    """What a joint stage learns from earlier trials that differ from the incumbent in its knobs.

    Another number of epochs is a lower or a higher fidelity, not another configuration. The seeds
    of a configuration teach their mean: a Gaussian process cannot tell equal points apart.
    """
    base, paths = plan.search_config, {knob.path for knob in plan.knobs} | {EPOCHS}

    def held(knobs: Mapping[str, Value]) -> dict[str, Value]:
        full = canonical(knobs, base=plan.trial_base)
        return {path: value for path, value in full.items() if path not in paths}

    defaults = {knob.path: knob.typed(default_of(base, knob)) for knob in plan.knobs}
    at, values = held(plan.held), dict[tuple[tuple[str, Value], ...], list[float]]()
    for row in rows:
        value = {"complete": row.value, "infeasible": floor}.get(row.state)
        if value is not None and held(row.spec.knobs) == at:
            own = {path: row.spec.knobs.get(path, default) for path, default in defaults.items()}
            point = active(plan.knobs, own)
            values.setdefault(tuple(point.items()), []).append(value)
    return [
        Past(point=dict(point), value=sum(scores) / len(scores)) for point, scores in values.items()
    ]


def with_all_knobs(plan: Plan, row: TrialRecord) -> TrialRecord:
    """A trial with its knobs relative to the search's config."""
    return replace(row, spec=replace(row.spec, knobs=plan.all_knobs(row.spec.knobs), idle={}))
