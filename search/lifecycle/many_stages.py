"""A search of many stages in one folder: asks the protocol what comes next until it ends.

Every stage has a study of its own in the one journal. A resumed search asks the same questions
again, and trains only what is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from search.config.counted import count
from search.config.knobs import assigned
from search.config.plan import Plan
from search.config.tune_settings import TuneSettings
from search.contract.contract import Prepared
from search.diagnostics.preflight.report import RATE_CHECK, soundness
from search.errors import Interrupted, RunError
from search.execution.events import DecisionMade
from search.execution.terminal import Terminal
from search.execution.trackers.configured import configured_callbacks
from search.execution.worker_pool import WorkerPool
from search.lifecycle.ensemble_stage import averaged
from search.lifecycle.lifecycle import begun, check_set_up, export_winner
from search.lifecycle.range_test import range_once
from search.lifecycle.refit import refit
from search.lifecycle.run_stage import Run, conduct, open_study, say_lost
from search.lifecycle.still_trains import SILENT, check_same_scores, check_still_trains
from search.lifecycle.tracking import post_outcome, tracked
from search.protocols.budget import another_budget, budget_of, trials_left
from search.protocols.conclude import conclude, gain
from search.protocols.former import Former
from search.protocols.history import History
from search.protocols.next_stage import next_stage, stage_due
from search.protocols.opening import heading
from search.protocols.record import as_decided, record_of
from search.protocols.stage_command import stage_words, sweep_command
from search.protocols.stage_plan import borrowed, past_trials, stage_plan, with_all_knobs
from search.protocols.step import Request, Step
from search.results.diagnosis import diagnosed, usual_updates
from search.results.findings import Findings, find, find_stages
from search.results.reporters import write_results
from search.results.step_record import StepRecord, read_steps
from search.results.tables import settled
from search.stages.spent import running_time
from search.stages.stage import Past
from search.storage.curves import read_curves
from search.storage.files import write_text
from search.storage.folder import PREFLIGHT, Folder
from search.storage.sealed import json_lines, read_json
from search.storage.study import Study
from search.storage.trials import TrialRecord

NOT_CHECKED = "not made (preflight=off)"
TRAININGS = 100  # about how many there are without a budget, for the preflight's estimate of time


def run_protocol(
    plan: Plan,
    folder: Folder,
    pool: WorkerPool,
    *,
    contract: Mapping[str, Any] | None,
    console: Terminal,
    words: Sequence[str],
    command: str,
) -> Findings:
    """Runs or resumes a whole protocol to its end; writes its tables and its winner's export.

    Args are those of `lifecycle.run_search`, and `words`: of the command, from which each stage's
    own is made.

    Raises:
        UsageError: before anything is written.
        RunError: the search failed, or the set-up is not sound.
        Interrupted: by a signal; the tables are written.
    """
    settings = plan.settings
    assert isinstance(settings, TuneSettings)
    history = History(settings, plan.config, plan.seeds)
    earlier = find_stages(plan, folder) if folder.started and folder.has_trials() else None
    if earlier is not None:
        say_lost(folder, earlier.rows, console=console)
        ended = count(sum(row.finished for row in earlier.rows), "trial")
        missing = "" if earlier.is_done else "; what is missing is trained"
        console.say(f"{ended} of earlier runs stay{missing}")
        before, now = budget_of(folder.load_config()), budget_of(plan.config)
        if before != now:
            console.say(another_budget(before, now, ended=earlier.is_done))
    former = Former.of(read_steps(folder.decisions), earlier)
    rows = () if earlier is None else earlier.rows
    callbacks = configured_callbacks(plan.config)

    def checked(run: Run, prepared: Prepared) -> None:
        if any(entry.stage == "preflight" for entry in settings.stages):
            if (first := next_stage(history)) is not None and first.stage == "preflight":
                console.say(heading(history.opened(first)))
            tuned = (RATE_CHECK,) if settings.named(settings.rate) is not None else ()
            many = settings.budget_trials or TRAININGS
            check_set_up(run, prepared, trainings=many, tuned=tuned)

    with (
        begun(plan, folder, pool, contract=contract, console=console, checked=checked) as run,
        folder.runs.recorded(command=command, ran=running_time(rows)),
        tracked(run, callbacks=callbacks, finished=0) as run,
    ):
        search = _ManyStages(run, words=words, former=former)
        try:
            search.carry_out(history)
        except (Interrupted, RunError) as error:
            post_outcome(run, search.write(ended=False), error=error)
            raise
        finally:
            folder.storage().close()
        post_outcome(run, findings := search.write(ended=True))
        return findings


class _ManyStages:
    """The stages of one search, one after the other. `run`: of the whole search."""

    def __init__(self, run: Run, *, words: Sequence[str], former: Former) -> None:
        self._run, self._former = run, former
        self._rows: list[TrialRecord] = []
        self._steps: list[StepRecord] = []
        self._command, self._stays, self._words = "", "", stage_words(words)

    def carry_out(self, history: History) -> None:
        """Until the protocol ends, and the winner is trained once more, where that is wanted."""
        run = self._run
        then, request = self._due(history)
        while request is not None:
            opened = then.opened(request)
            self._command = ""
            if (opened.number, request.stage) != (1, "preflight"):  # said before the checks
                run.console.say(heading(opened))
            done = opened if request.skip else self._carry_out(opened, then)
            step = as_decided(done, self._former.steps, self._rows)
            history = history.with_step(step)
            then, request = self._due(history)
            self._record(step, following=request)
            self._say_end(step, history)
        if self._stays:
            run.console.say(f"\n{self._stays}")
        if (winner := find_stages(run.plan, run.folder).winner) is not None:
            refit(run, winner)

    def _due(self, history: History) -> tuple[History, Request | None]:
        """What `stage_due` says, or what an earlier start has made by other rules."""
        former = self._former
        then, request = stage_due(history, former.budgets, ended=len(former.steps))
        request, self._stays = former.due(then, request, folder=self._run.folder.path)
        return then, request

    def _record(self, step: Step, *, following: Request | None) -> None:
        """The step in decisions.jsonl; what former starts have written stays while it holds."""
        run, number, former = self._run, step.number, self._former
        is_former = number <= len(former.budgets)
        record = record_of(
            step,
            following=following.name(number + 1) if following is not None else "",
            command=self._command,
            budget=former.budgets[number - 1] if is_former else budget_of(run.plan.config),
        )
        self._steps.append(record := former.kept(record, number))
        if json_lines(self._steps) != json_lines(former.steps[:number]):
            write_text(run.folder.decisions, json_lines(self._steps))
        if run.events is not None:
            run.events.post(DecisionMade(record=record, words=[step.says]))

    def write(self, *, ended: bool) -> Findings:
        """Tables and export, from what is on disk."""
        folder = self._run.folder
        findings, curves = settled(find_stages(self._run.plan, folder), folder)
        if (winner := findings.winner) is not None:
            judged = {trial for trials in findings.confirmed.values() for trial in trials}
            export_winner(self._run, winner, spared=judged if ended else None)
        write_results(findings, curves, folder)
        return findings

    def _carry_out(self, step: Step, history: History) -> Step:
        stage, run = step.request.stage, self._run
        if stage == "preflight":
            report, keys = run.folder.path / PREFLIGHT, ["failed", "checks"]
            made = soundness(read_json(report, keys=keys)) if report.exists() else NOT_CHECKED
            return replace(step, says=made)
        if stage == "lr_range":
            plan = replace(run.plan, config=history.config)
            says, rates = range_once(plan, run.folder.path, slot=run.pool.slots[0])
            return replace(step, says=says, rates=rates)
        if stage == "ensemble":
            return averaged(run.plan, run.folder, step, rows=self._rows)
        return self._trained(step, history)

    def _trained(self, step: Step, history: History) -> Step:
        """A stage with trials."""
        request, whole, contract = step.request, self._run.plan, self._run.contract
        plan = stage_plan(whole, history, request, name=f"{whole.name}/{step.name}")
        if request.stage == "sweep":
            self._command = sweep_command(plan, request.knob, words=self._words)
        ours, floor = borrowed(plan, self._rows), contract.floor
        past = past_trials(plan, self._rows, floor=floor) if request.stage == "joint" else ()
        run = replace(self._run, plan=plan)
        study = open_study(run)
        own, decided = study.rows(alive=False), self._former.trained(step.number)
        if decided is not None and sum(row.finished for row in own) >= decided:
            plan = replace(plan, closed=True)  # more would have the numbers of later trials
            self._rows += [with_all_knobs(plan, row) for row in own]
        else:  # one that is decided was found sound
            asked = history.incumbent if decided is None else None
            own = self._conduct(run, study, past, borrowed=ours, incumbent=asked)
        val_rows = int(contract.split["rows"]["val"])
        findings = find(plan, [*ours, *own], val_rows=val_rows)
        curves = self._curves(findings)
        findings = diagnosed(findings, curves, folder=run.folder)
        step = conclude(
            request,
            findings,
            history,
            trials=own,
            clock=running_time(self._rows),
            floor=floor,
            val_rows=val_rows,
            update_ratios=usual_updates(curves),
        )
        if decided is None:
            check_same_scores(self._run, history.incumbent, step)
        return step

    def _conduct(
        self,
        run: Run,
        study: Study,
        past: Sequence[Past],
        *,
        borrowed: Sequence[TrialRecord],
        incumbent: Sequence[TrialRecord] | None,
    ) -> list[TrialRecord]:
        """A stage's own trials; where several in a row gave no result, the incumbent is asked."""
        before, silent, goes_on = self._rows, None if incumbent is None else SILENT, True
        ended = 0
        while goes_on:
            goes_on = conduct(
                run, study, past=past, borrowed=borrowed, keep_workers=True, silent=silent
            )
            own = study.rows(alive=False)
            self._rows = [*before, *(with_all_knobs(run.plan, row) for row in own)]
            former, ended = ended, sum(row.finished for row in own)
            if silent is not None and ended > former:
                check_still_trains(self._run, self._rows, incumbent or ())
                silent *= 2  # where some knobs diverge, it is asked seldom
        return own

    def _curves(self, findings: Findings) -> pd.DataFrame:
        """The curves of a stage's trials, each up to its last epoch that counts."""
        folder, metric = self._run.folder, self._run.plan.metric.name
        epochs = {row.spec.trial: row.epochs for row in findings.rows}
        return read_curves(folder.curve_log, folder.curves, metric=metric, epochs=epochs)

    def _say_end(self, step: Step, history: History) -> None:
        run = self._run
        run.console.say(f"  {step.decision}: {step.says}")
        left, used = trials_left(history), f"{count(history.trials, 'trial')} used"
        about = "about " if history.settings.budget_trials is None else ""  # by the pace so far
        budget = f", {about}{max(left, 0):.0f} left" if left < float("inf") else ""
        if step.trials:
            knobs, score = ", ".join(assigned(history.held)), gain(run.plan, history)
            run.console.say(f"  incumbent: {knobs or 'the baseline'}{score}; {used}{budget}")
