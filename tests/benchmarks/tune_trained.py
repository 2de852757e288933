"""Whole protocols with real trainings, in one process, and their rivals (`tune.py starts`).

The stages, the decisions and the trainer are the program's own; only the conductor and its workers
are left out, which start in seconds and change no value. A training of one config and one seed is
made once, whoever asks for it, and its epochs are counted for everyone who asks.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from search.config.compose import compose_experiment
from search.config.compose_protocol import compose_protocol
from search.config.incumbent import canonical
from search.config.knobs import Value
from search.config.plan import Plan, read_plan
from search.config.trial_config import TrialConfigs, trainer_config
from search.config.tune_settings import TuneSettings
from search.contract.arrays import FoldData
from search.contract.contract import prepare
from search.diagnostics.lr_range import read_range
from search.diagnostics.probe_process import answer
from search.execution.running_trial import fresh_early_stopping
from search.execution.trial_ends import StopDecision
from search.execution.worker.trial_runner import TrialRunner
from search.lifecycle.range_test import ramp_rates
from search.protocols.conclude import conclude
from search.protocols.history import History, Request, Step
from search.protocols.next_stage import next_stage
from search.protocols.stage_plan import borrowed, past_trials, stage_plan, with_all_knobs
from search.results.diagnosis import diagnosed, usual_updates
from search.results.findings import find
from search.stages.kinds import kind_of
from search.stages.past_trial import Past
from search.stages.samplers import make_pruner
from search.stages.stage import StageContext
from search.storage.folder import Folder
from search.storage.study import Study
from search.storage.trials import TrialRecord, TrialSpec, TrialState
from trainers.checkpoint import Unsaved

Epochs = list[dict[str, Any]]


class Trainings:
    """All trainings of one data set: a config and a seed to the epochs of that training.

    `cache`: a file of epochs by config, so that nothing is trained twice.
    """

    def __init__(self, plan: Plan, place: Path, *, cache: Path | None = None) -> None:
        prepared = prepare(plan.config, metric=plan.metric)
        self.floor = prepared.contract.floor
        self.val_rows = int(prepared.contract.split["rows"]["val"])
        self.folder = Folder(place)
        with self.folder.locked():
            self.folder.begin(prepared, plan.config)
        (fold,) = prepared.folds()
        test = replace(fold.data, val=prepared.final.test)
        self._runners = {
            name: TrialRunner(
                "trainers.stock.Stock", folds=[each], device="cpu", metric=plan.metric
            )
            for name, each in {"val": fold, "test": FoldData(data=test, units=fold.units)}.items()
        }
        self._known: dict[str, Epochs] = {}
        self._configs: tuple[DictConfig, TrialConfigs] | None = None
        self._cache = cache
        if cache is not None and cache.exists():
            for line in cache.read_text().splitlines():
                record = json.loads(line)
                self._known[record["key"]] = record["epochs"]

    def epochs(
        self, plan: Plan, knobs: Mapping[str, Value], seed: int, *, rows: str = "val"
    ) -> Epochs:
        """Every epoch of a training until its patience ends it; `rows`: val or test."""
        if self._configs is None or self._configs[0] is not plan.config:
            self._configs = plan.config, TrialConfigs(plan.config)
        config = trainer_config(self._configs[1].resolve(knobs=knobs, seed=seed))
        text = json.dumps([config, rows], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self._known:
            self._known[key] = self._trained(plan, config, rows)
            if self._cache is not None:
                with self._cache.open("a") as file:
                    print(json.dumps({"key": key, "epochs": self._known[key]}), file=file)
        return self._known[key]

    def _trained(self, plan: Plan, config: dict[str, Any], rows: str) -> Epochs:
        runner, standing = self._runners[rows], fresh_early_stopping(plan.metric, plan.limits)
        if rows == "test":  # as long as may be: validation says which epoch counts
            standing.patience = None
        checkpoint: Any = _Checkpoint()
        runner.admit(0, config=config, checkpoint=checkpoint)
        epochs: Epochs = []
        try:
            while not epochs or epochs[-1]["decision"] == "go":
                (result,) = runner.step()
                if result.message is None:
                    break
                message = result.message
                values = {**message.values}
                if message.value is not None:
                    values[plan.metric.name] = message.value
                losses = values.get("train_loss"), values.get("val_loss")
                value = float(values[plan.metric.name])
                decision = standing.see(message.epoch, value=value, losses=losses)
                last = message.epoch >= int(config["trainer"]["epochs"])
                epochs.append(
                    {
                        "epoch": message.epoch,
                        "decision": "stop"
                        if last and decision is StopDecision.GO
                        else decision.value,
                        **values,
                    }
                )
        finally:
            runner.release(0)
        return epochs


class _Checkpoint:
    """Nothing is kept."""

    def __init__(self) -> None:
        self.parts = [Unsaved()]


@dataclass
class Search:
    """The trials of one search, in their order, with their epochs."""

    plan: Plan
    trainings: Trainings

    def __post_init__(self) -> None:
        self.curves: list[dict[str, Any]] = []
        self.epochs = 0
        self.by_stage: dict[str, int] = {}

    def carry_out(
        self, plan: Plan, *, ours: list[TrialRecord], past: tuple[Past, ...] | list[Past]
    ) -> list[TrialRecord]:
        """The trials of a stage."""
        pruner = make_pruner(plan.settings, epochs=plan.epochs)
        place = self.trainings.folder.path / f"{plan.name.replace('/', '-')}.log"
        place.unlink(missing_ok=True)
        study = Study.for_writing(
            _memory(place),
            name=plan.name,
            metric=plan.metric,
            knobs=plan.knobs,
            pruner=pruner,
            held=plan.held,
        )
        ready = threading.Event()
        context = StageContext(
            past=past,
            borrowed=ours,
            slots=2,
            resolution=1 / self.trainings.val_rows,
            wake=ready.set,
        )
        stage, rows = kind_of(plan).stage(plan, [], context), list[TrialRecord]()
        while True:
            ready.clear()
            specs = stage.wanted(rows, room=1)
            if not specs and stage.thinking:
                ready.wait(60)
                continue
            if not specs:
                break
            for spec in specs[:1]:
                study.start(spec, values=stage.values)
                row = self._trained(plan, spec, study=study, stage=stage)
                study.finish(row)
                stage.ended(row)
                rows.append(row)
        stage.close()
        study.close()
        place.unlink(missing_ok=True)
        return rows

    def _trained(self, plan: Plan, spec: TrialSpec, *, study: Study, stage: Any) -> TrialRecord:
        knobs = plan.trained_knobs(spec.knobs)
        metric, standing = plan.metric, fresh_early_stopping(plan.metric, plan.limits)
        rungs, state, seen = stage.rungs(spec), TrialState.COMPLETE, 0
        for record in self.trainings.epochs(plan, knobs, spec.seed):
            number, losses = record["epoch"], (record.get("train_loss"), record.get("val_loss"))
            standing.see(number, value=record[metric.name], losses=losses)
            self.curves.append({"trial": spec.trial, "fold": 0, "source": "computed", **record})
            if record["decision"] == "diverged":
                state = TrialState.INFEASIBLE
                break
            if stage.compares(spec) and number:
                study.report(spec.trial, epoch=number, value=record[metric.name])
            at_rung = any(seen < rung <= number for rung in rungs) and record["decision"] == "go"
            if at_rung and study.hopeless(spec.trial):
                state = TrialState.PRUNED
                break
            seen = number
        self.epochs += standing.epoch
        self.by_stage[plan.name] = self.by_stage.get(plan.name, 0) + standing.epoch
        floor = self.trainings.floor
        value = standing.value if state != TrialState.INFEASIBLE else None
        return TrialRecord(
            spec=spec,
            state=state,
            value=value,
            best_epoch=standing.best_epoch,
            epochs=standing.epoch,
            sampler_value=floor if state == TrialState.INFEASIBLE else value,
        )

    def frame(self, rows: list[TrialRecord]) -> pd.DataFrame:
        """The curves of some trials."""
        wanted = {row.spec.trial for row in rows}
        kept = [record for record in self.curves if record["trial"] in wanted]
        return pd.DataFrame(kept).drop(columns="decision")


def _memory(place: Path) -> Any:
    from search.storage.journal import JournalFile

    return JournalFile(place)


@cache
def _plan_of(words: tuple[str, ...], *, joint: bool) -> Plan:
    """The plan of a command."""
    if joint:
        config = compose_experiment("joint", overrides=list(words), config_dir=None)
    else:
        config = compose_protocol(list(words), config_dir=None)
    return read_plan(config, root=Path("/nowhere"))


def tune(
    trainings: Trainings, words: list[str], *, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """A whole protocol: its answer, its epochs, its steps."""
    plan = _plan_of(tuple(words), joint=False)
    search, rows = Search(plan, trainings), list[TrialRecord]()
    assert isinstance(plan.settings, TuneSettings)
    history = History(plan.settings, plan.config, plan.seeds)
    while (request := next_stage(history)) is not None:
        step = Step(
            number=len(history.steps) + 1,
            request=request,
            decision="skipped" if request.skip and request.stage != "sweeps" else "done",
            says=request.skip,
            held=history.held,
            incumbent=history.steps[-1].incumbent if history.steps else (),
            learned=history.learned,
        )
        before = search.epochs
        if request.stage == "lr_range":
            step = _range(plan, trainings, step)
        elif not request.skip and request.stage not in ("preflight", "ensemble"):
            step = _stage(plan, search, history, request, rows)
        history = history.with_step(step)
        say(
            f"{step.name} [{step.trials} trials, {search.epochs - before} epochs] {step.decision}: "
            f"{request.because} | {step.says} | held {dict(step.held)} | {step.verdicts[:3]}"
        )
    return {
        "knobs": canonical(dict(history.held), base=plan.config),
        "epochs": search.epochs,
        "trials": len(rows),
        "curve": _progress(search, rows),
    }


def _progress(search: Search, rows: list[TrialRecord]) -> list[tuple[int, float]]:
    """The best score so far, by epochs."""
    total, best, line = 0, -np.inf, []
    for row in sorted(rows, key=lambda row: row.spec.trial):
        total += row.epochs
        if row.value is not None and search.plan.metric.sign * row.value > best:
            best = search.plan.metric.sign * row.value
            line.append((total, best))
    return line


def _range(plan: Plan, trainings: Trainings, step: Step) -> Step:
    config = trainer_config(TrialConfigs(plan.config).resolve(knobs={}, seed=plan.seed))
    rates = ramp_rates(plan.config)
    asked = {
        "config": config,
        "folder": str(trainings.folder.path),
        "device": "cpu",
        "task": plan.config.data.task,
        "metric": plan.metric.name,
        "kind": "lr_range",
        "rates": rates,
        "seeds": int(plan.config.lr_range.seeds),
    }
    result = read_range(rates, answer(asked)["losses"])
    if result.low is None:
        return replace(step, says=f"no range: {result.because}")
    return replace(
        step,
        rates=(float(result.low), float(result.high)),
        says=f"rates from {result.low:.2g} to {result.high:.2g}",
    )


def _stage(
    plan: Plan, search: Search, history: History, request: Request, rows: list[TrialRecord]
) -> Step:
    trainings = search.trainings
    staged = stage_plan(plan, history, request, name=f"s/{len(history.steps) + 1}-{request.stage}")
    ours = borrowed(staged, rows)
    past = past_trials(staged, rows, floor=trainings.floor) if request.stage == "joint" else ()
    own = search.carry_out(staged, ours=ours, past=past)
    rows += [with_all_knobs(staged, row) for row in own]
    findings = find(staged, [*ours, *own], val_rows=trainings.val_rows)
    curves = search.frame([*ours, *own])
    findings = diagnosed(findings, curves, folder=trainings.folder)
    return conclude(
        request,
        findings,
        history,
        trials=own,
        floor=trainings.floor,
        val_rows=trainings.val_rows,
        update_ratios=usual_updates(curves),
    )


def joint(trainings: Trainings, words: list[str]) -> dict[str, Any]:
    """A joint search, its confirmation included: its answer and its epochs."""
    plan = _plan_of(tuple(words), joint=True)
    search = Search(plan, trainings)
    rows = search.carry_out(plan, ours=[], past=())
    findings = find(plan, rows, val_rows=trainings.val_rows)
    winner = findings.winner
    assert winner is not None
    knobs = plan.trained_knobs(winner.spec.knobs)
    return {
        "knobs": canonical(dict(knobs), base=plan.config),
        "epochs": search.epochs,
        "trials": len(rows),
        "curve": _progress(search, rows),
    }


def fresh(
    trainings: Trainings, words: list[str], knobs: Mapping[str, Value], *, seeds: int
) -> tuple[list[float], list[float]]:
    """The answer's scores on validation and on test, for seeds that nobody has used."""
    plan = _plan_of(tuple(words), joint=False)
    val, test = [], []
    for seed in range(1000, 1000 + seeds):
        standing = fresh_early_stopping(plan.metric, plan.limits)
        for record in trainings.epochs(plan, knobs, seed):
            losses = record.get("train_loss"), record.get("val_loss")
            standing.see(record["epoch"], value=record[plan.metric.name], losses=losses)
        if standing.value is None or standing.best_epoch == 0:
            continue
        val.append(standing.value)
        tested = trainings.epochs(plan, knobs, seed, rows="test")
        test.append(tested[standing.best_epoch][plan.metric.name])
    return val, test
