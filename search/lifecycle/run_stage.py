"""Carries out trials in a folder that is begun and locked: a stage's, or one training apart."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf import DictConfig

from search.config.counted import count
from search.config.plan import Plan
from search.contract.contract import Contract
from search.execution.callbacks import Callbacks
from search.execution.conductor import Conductor
from search.execution.event_stream import EventStream
from search.execution.lanes import Fusions
from search.execution.progress import ShownProgress
from search.execution.terminal import Terminal
from search.execution.worker_pool import WorkerPool, slots_of, started_workers
from search.results.warm_start import read_history
from search.stages.kinds import kind_of
from search.stages.samplers import make_pruner
from search.stages.stage import Past, StageContext
from search.storage.code_record import CodeRecord
from search.storage.folder import Folder
from search.storage.lost_trials import lost_trials
from search.storage.study import Study
from search.storage.trials import TrialRecord


def trainings(plan: Plan) -> int:
    """How many a search needs that has not begun, as far as that can be foreseen."""
    return kind_of(plan).foreseen(plan, ())


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that trains: of a search, of one of its stages, or of one training apart.

    Attributes:
        plan: of what is trained.
        folder: begun and locked.
        contract: the folder's.
        events: where trials and epochs are posted; None where nobody listens.
    """

    plan: Plan
    folder: Folder
    contract: Contract
    pool: WorkerPool
    console: Terminal
    events: EventStream | None = None


def open_study(run: Run) -> Study:
    """The study of the run's plan, for writing; a repair of the journal is said."""
    plan, storage = run.plan, run.folder.storage()
    study = Study.for_writing(
        storage,
        name=plan.name,
        metric=plan.metric,
        knobs=plan.knobs,
        pruner=make_pruner(plan.settings, epochs=plan.epochs),
        held=plan.held,
        older=CodeRecord(run.folder.path).older(),
    )
    if not run.folder.has_trials():  # a further start would take it for a search without trials
        raise TypeError(f"{type(storage).__name__}: TRIALS of search.storage.folder lacks its file")
    if storage.repaired:
        run.console.say(f"{storage.url}: {storage.repaired}", style="yellow")
        storage.repaired = ""  # it is said once, not at every stage
    return study


def say_lost(folder: Folder, rows: Sequence[TrialRecord], *, console: Terminal) -> None:
    """Says which trials are trained again, since the storage no longer has their end."""
    if lost := lost_trials(folder, [row.spec.trial for row in rows if row.finished]):
        console.say(
            f"{folder.storage().url}: lacks the end of {count(len(lost), 'trial')} that "
            f"{folder.trials.name} lists ({lost[0]} …): trained anew",
            style="yellow",
        )


def conduct(
    run: Run,
    study: Study,
    *,
    past: Sequence[Past] = (),
    borrowed: Sequence[TrialRecord] = (),
    keep_workers: bool = False,
    silent: int | None = None,
) -> bool:
    """Trains what the stage wants; whether it has paused, and wants more.

    Args:
        study: of the run's plan.
        past: earlier trials, for a sampler that learns from them.
        borrowed: trials of earlier stages that are this stage's too.
        keep_workers: whether the workers wait for another stage afterwards.
        silent: trials in a row without a result, after which it pauses.

    Raises:
        RunError: the search failed. Interrupted: by a signal.
    """
    plan, folder, pool, console = run.plan, run.folder, run.pool, run.console
    rows = study.rows(alive=True)
    context = StageContext(
        past=past,
        borrowed=borrowed,
        slots=len(pool.slots),
        resolution=1 / int(run.contract.split["rows"]["val"]),
        wake=pool.connections.wake,
        silent=silent,
    )
    stage = kind_of(plan).stage(plan, rows, context)
    fusions = Fusions(
        folder.path, shared=folder.path.parent, most=plan.lanes, slots=len(pool.slots)
    )
    if fusions.damage:
        console.say(fusions.damage)
    if not rows and (opening := kind_of(plan).opening(plan)):
        console.say(opening)
    with ShownProgress(plan, rows=rows, borrowed=borrowed, console=console) as progress:
        conductor = Conductor(
            plan,
            folder=folder,
            study=study,
            pool=pool,
            contract=run.contract,
            stage=stage,
            fusions=fusions,
            callback=progress if run.events is None else Callbacks([progress, run.events]),
        )
        try:
            conductor.run(keep_workers=keep_workers)
        finally:
            CodeRecord(folder.path).note_edits()
    return stage.paused


def earlier_searches(run: Run) -> Sequence[Past]:
    """The trials of earlier searches from which the plan's sampler learns (R32)."""
    if not kind_of(run.plan).adaptive:
        return ()
    history = read_history(run.plan, floor=run.contract.floor)
    for line in history.sources:
        run.console.say(line)
    return history.past


def train_one(
    run: Run, config: DictConfig, *, keep_workers: bool = False, **changes: Any
) -> TrialRecord:
    """The one training of a config in the run's folder, which has no other; nobody hears of it.

    `changes`: fields of the plan that differ.
    """
    alone = {"kind": "train", "settings": None, "knobs": (), "folder": run.folder.path, **changes}
    run = replace(run, plan=replace(run.plan, config=config, **alone), events=None)
    study = open_study(run)
    conduct(run, study, keep_workers=keep_workers)
    (row,) = study.rows(alive=False)
    study.close()
    return row


def train_apart(
    plan: Plan,
    folder: Folder,
    contract: Contract,
    *,
    config: DictConfig,
    last_epoch: int,
    console: Terminal,
    **changes: Any,
) -> TrialRecord:
    """One training up to an epoch, whose weights count whatever its metric, in a begun folder.

    `changes`: fields of the plan that differ.
    """
    limits = replace(plan.limits, last_epoch=last_epoch, patience=None)
    own = replace(plan, config=config)
    with folder.locked(), started_workers(own, slots=slots_of(plan)[:1], early=True) as pool:
        run = Run(plan=plan, folder=folder, contract=contract, pool=pool, console=console)
        return train_one(run, config, limits=limits, **changes)
