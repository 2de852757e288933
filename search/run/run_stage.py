"""Carries out trials in a folder that is begun and locked: a stage's, or one training apart from any search."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from search.config.plan import Plan
from search.contract.contract import Contract, Prepared
from search.execution.conductor import Conductor
from search.execution.lanes import Fusions
from search.execution.progress import ShownProgress
from search.execution.worker_pool import WorkerPool, slots_of, started_workers
from search.results.warm_start import read_history
from search.stages import FixedStage, Stage, joint, sweep
from search.stages.joint_stage import JointStage
from search.stages.past_trial import Past
from search.storage.folder import Folder
from search.storage.study import Study
from search.storage.trials import TrialRecord


def trainings(plan: Plan) -> int:
    """How many a search needs that has not begun, as far as that can be foreseen."""
    return (
        joint.foreseen(plan, ())
        if plan.joint is not None
        else len(sweep.wanted(plan, (), resolution=0.0))
    )


def conduct(
    plan: Plan,
    folder: Folder,
    study: Study,
    *,
    contract: Contract,
    pool: WorkerPool,
    console: Console,
) -> None:
    """Trains what the stage wants.

    Raises:
        RunError: the search failed. Interrupted: by a signal.
    """
    rows = study.rows(alive=True)
    resolution = plan.metric.resolution(int(contract.split["rows"]["val"]))
    past = (
        read_history(plan, root=Path("results"), floor=contract.floor)
        if plan.joint is not None
        else []
    )
    if plan.joint is not None and plan.config.get("from") is not None:
        console.print(
            f"{len(past)} trials of {plan.config['from']} fit the space and are its history (R32)",
            markup=False,
        )
    stage = _stage(
        plan,
        rows,
        past=past,
        slots=len(pool.slots),
        resolution=resolution,
        wake=pool.connections.wake,
    )
    with ShownProgress(plan, done=sum(row.finished for row in rows), console=console) as progress:
        conductor = Conductor(
            plan,
            folder=folder,
            study=study,
            connections=pool.connections,
            contract=contract,
            stage=stage,
            fusions=Fusions(
                folder.path, shared=folder.path.parent, most=plan.lanes, slots=len(pool.slots)
            ),
            callback=progress,
        )
        conductor.run(pool.placement)


def _stage(
    plan: Plan,
    rows: Sequence[TrialRecord],
    *,
    past: Sequence[Past],
    slots: int,
    resolution: float,
    wake: Callable[[], None],
) -> Stage:
    """What the plan's kind of search asks for."""
    if plan.joint is not None:
        return JointStage(plan, rows, past=past, slots=slots, wake=wake)
    values = {plan.knob.path: sweep.first_round(plan)} if plan.kind == "sweep" else {}
    return FixedStage(lambda known: sweep.wanted(plan, known, resolution=resolution), values=values)


def train_apart(
    plan: Plan,
    folder: Folder,
    prepared: Prepared,
    *,
    config: DictConfig,
    last_epoch: int,
    console: Console,
    **changes: Any,
) -> TrialRecord:
    """One training of a config up to an epoch, whose weights count, whatever its metric; in a folder of its own.

    `changes`: fields of the plan that differ.
    """
    limits = replace(plan.limits, last_epoch=last_epoch, patience=None)
    alone = replace(
        plan,
        kind="train",
        joint=None,
        knobs=(),
        config=config,
        folder=folder.path,
        limits=limits,
        **changes,
    )
    with (
        folder.locked(),
        started_workers(alone, logs=folder.logs, slots=slots_of(plan)[:1], early=True) as pool,
    ):
        folder.begin(prepared, config)
        study = Study.for_writing(
            folder.journal, name=alone.name, direction=alone.metric.direction, knobs=()
        )
        conduct(alone, folder, study, contract=prepared.contract, pool=pool, console=console)
        (row,) = study.rows(alive=False)
        study.close()
    return row
