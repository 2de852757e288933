"""The course of a search in its folder: fix the contract, conduct, write what was found.

The story in one place; `search.lifecycle.launch` begins it.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from search.config.knob_roles import outside_by_default, whole_by_default
from search.config.plan import Plan
from search.config.quick_imports import quick_imports
from search.config.user_code import user_code
from search.contract.contract import Prepared, prepare
from search.contract.sequences import CTC, check_alignable
from search.contract.targets import untrained_classes
from search.diagnostics.preflight.report import require, show, sound, write
from search.errors import Interrupted, RunError
from search.execution.dry_run import dry_run
from search.execution.terminal import Terminal
from search.execution.trackers.configured import configured_callbacks
from search.execution.worker_pool import WorkerPool
from search.lifecycle.refit import refit
from search.lifecycle.rows_fit import check_rows_fit, example_rows
from search.lifecycle.run_stage import (
    Run,
    conduct,
    earlier_searches,
    open_study,
    say_lost,
    trainings,
)
from search.lifecycle.teacher import check_teacher, record_teacher
from search.lifecycle.tracking import post_outcome, tracked
from search.results.by_group import write_groups
from search.results.export import drop_beaten, write_best
from search.results.figures.layers import write_layers
from search.results.findings import Findings, find
from search.results.repeat import check_repeats
from search.results.reporters import write_results
from search.results.tables import settled
from search.stages.kinds import kind_of
from search.stages.spent import running_time
from search.storage.code_record import CodeRecord
from search.storage.folder import Folder
from search.storage.study import Study
from search.storage.trials import TrialRecord


def run_search(
    plan: Plan,
    folder: Folder,
    pool: WorkerPool,
    *,
    contract: Mapping[str, Any] | None,
    console: Terminal,
    command: str,
) -> Findings:
    """Runs or resumes a search to its end; writes its tables, figures and its winner's export.

    Args:
        contract: one that must hold here too.
        command: that goes on with it.

    Raises:
        UsageError: before anything is written.
        RunError: the search failed.
        Interrupted: by a signal; the tables are written.
    """
    _check_grown(plan, folder)
    callbacks = configured_callbacks(plan.config)

    def checked(run: Run, made: Prepared) -> None:
        check_set_up(run, made, trainings=trainings(plan))

    with begun(plan, folder, pool, contract=contract, console=console, checked=checked) as run:
        study = open_study(run)
        rows = study.rows(alive=True)
        say_lost(folder, rows, console=console)
        finished = sum(row.finished for row in rows)
        with (
            folder.runs.recorded(command=command, ran=running_time(rows)),
            tracked(run, callbacks=callbacks, finished=finished) as run,
        ):
            try:
                conduct(run, study, past=earlier_searches(run))
                if (winner := _find(run, study).winner) is not None:
                    refit(run, winner)
            except (Interrupted, RunError) as error:
                post_outcome(run, _record(run, study, ended=False), error=error)
                raise
            findings = _record(run, study, ended=True)
            post_outcome(run, findings)
        study.close()
    for line in check_repeats(findings):
        console.say(line)
    return findings


def _beside(plan: Plan) -> tuple[str, ...]:
    """What its user may not have meant: rows of an example, defaults that fit no knob."""
    of_knobs = (plan.config, plan.knobs)
    return (*example_rows(plan), *whole_by_default(*of_knobs), *outside_by_default(*of_knobs))


@contextmanager
def begun(
    plan: Plan,
    folder: Folder,
    pool: WorkerPool,
    *,
    contract: Mapping[str, Any] | None,
    console: Terminal,
    checked: Callable[[Run, Prepared], None],
) -> Iterator[Run]:
    """The run of a search: its folder is locked, its contract made or compared with the first one.

    `checked` looks at the data before anything is trained. Test rows are forgotten here (R8).
    """
    with (
        console.status("preparing the data, importing and building what the config names"),
        dry_run(plan, early=pool.connections if pool.rehearses else None, say=console.say)
        if plan.rehearse and not folder.started
        else nullcontext(),
    ):
        with quick_imports():  # data sets of scikit-learn import most of it
            prepared = prepare(plan.config, metric=plan.metric)
        if str(plan.config.loss.get("_target_")) == CTC:
            check_alignable([prepared.final.train, prepared.final.val])
        if plan.rehearse and not folder.started:
            check_rows_fit(plan, prepared)
    unseen = untrained_classes(
        {name: part.y for name, part in vars(prepared.final).items() if part is not None},
        task=prepared.contract.task,
        classes=prepared.contract.data.get("classes", ()),
    )
    oversized = whole_batches(plan, min(len(fold.train) for fold in prepared.split.folds))
    of_start = () if folder.started else (*prepared.notes, *_beside(plan))
    for note in filter(None, (*of_start, unseen, oversized, folder.runs.other_torch())):
        console.say(note, style="yellow")
    if contract is not None:
        prepared.contract.check(contract, where="the contract that comes with the config")
    if folder.started:
        folder.check_contract(prepared.contract)
    teacher = check_teacher(plan.config, prepared.contract)
    with folder.locked():
        folder.begin(prepared, plan.config)
        record_teacher(folder, teacher)
        CodeRecord(folder.path).begin(user_code(plan.config))
        fixed = prepared.contract
        run = Run(plan=plan, folder=folder, contract=fixed, pool=pool, console=console)
        checked(run, prepared)
        del prepared
        yield run


def whole_batches(plan: Plan, rows: int) -> str:
    """Which batch sizes are above the train rows, in words; empty where none is.

    The stock trainer takes all rows for such a batch, so several sizes are the same training.
    """
    if not plan.stock:
        return ""
    rows = max(1, round(rows * float(plan.config.trainer.get("fraction", 1.0))))
    sizes = {int(plan.config.trainer.batch_size)}
    for knob in plan.knobs:
        if knob.path == "trainer.batch_size":
            sizes |= {int(size) for size in knob.grid() if isinstance(size, int | float)}
    above = [str(size) for size in sorted(sizes) if size > rows]
    if not above:
        return ""
    return (
        f"trainer.batch_size: {', '.join(above)}: above the {rows} train rows, all of which one "
        "batch then holds"
    )


def check_set_up(
    run: Run, prepared: Prepared, *, trainings: int, tuned: Sequence[str] = ()
) -> None:
    """The preflight of a search that wants one and has not passed it yet.

    Args:
        prepared: its data, the test rows included.
        trainings: that the search foresees, for its time.
        tuned: checks that may fail, since what they look at is tuned next.

    Raises:
        RunError: a check has failed, and `preflight=on`; nothing was trained for the search.
    """
    plan, place, console = run.plan, run.folder.path, run.console
    if plan.preflight.mode == "off" or run.folder.has_trials() or sound(place):
        return
    from search.diagnostics.preflight.run import preflight  # scikit-learn takes a second

    since = time.monotonic()
    with console.status("checking data, model and learning"):
        made = preflight(plan, prepared, place=place, slots=run.pool.slots, trainings=trainings)
    seconds = time.monotonic() - since
    write(made, place, seconds=seconds)
    show(made.checks, console, seconds=seconds, briefly=True)
    if plan.preflight.mode == "on":
        require(made.checks, allow=plan.preflight.allow, tuned=tuned, or_else=" or preflight=warn")


def _check_grown(plan: Plan, folder: Folder) -> None:
    """Whether the plan may go on from the trials that exist.

    Raises:
        UsageError: it may not.
    """
    if not folder.started or not folder.has_trials():
        return
    rows = Study.for_reading(folder.storage(), name=plan.name, knobs=plan.knobs).rows(alive=False)
    kind_of(plan).check_resume(plan, rows, seeds=folder.load_config().seeds)


def _record(run: Run, study: Study, *, ended: bool) -> Findings:
    """Tables, export, figures and page, from what is on disk."""
    findings, curves = settled(_find(run, study), run.folder)
    if findings.winner is not None:
        export_winner(run, findings.winner, spared=() if ended else None)
    write_results(findings, curves, run.folder)
    return findings


def export_winner(run: Run, winner: TrialRecord, *, spared: Collection[int] | None) -> None:
    """The winner's files; of other trials, only the checkpoints of those that are spared stay.

    `spared`: None, where the search has not ended: all stay, since any of them may win.
    """
    write_best(run.plan, winner, run.folder)
    if spared is not None:
        drop_beaten(run.plan, winner, run.folder, spared=spared)
    for write_file in (write_groups, write_layers):
        if message := write_file(run.plan, winner, run.folder):
            run.console.say(message)


def _find(run: Run, study: Study) -> Findings:
    return find(run.plan, study.rows(alive=False), val_rows=run.folder.val_rows)
