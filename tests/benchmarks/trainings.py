"""Real trainings in this process: of any config, each once, and the trials of any stage.

The trainer, the stages and the study are the program's own; only the conductor and its workers are
left out, which start in seconds and change no value. A training of one config and one seed is made
once, whoever asks for it, and its epochs are counted for everyone who asks.
"""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from search.config.knobs import Value
from search.config.plan import Plan
from search.config.trial_config import TrialConfigs
from search.contract.arrays import FoldData
from search.contract.contract import prepare
from search.execution.end_reasons import StopDecision
from search.execution.running_trial import fresh_early_stopping
from search.execution.worker.trial_runner import TrialRunner
from search.stages.kinds import kind_of
from search.stages.samplers import make_pruner
from search.stages.stage import Past, StageContext
from search.storage.folder import Folder
from search.storage.journal import JournalFile
from search.storage.study import Study
from search.storage.trial_rows import TrialRows
from search.storage.trials import TrialRecord, TrialSpec, TrialState
from trainers.checkpoint import Unsaved

Epochs = list[dict[str, Any]]


class Trainings:
    """All trainings of one data set: a config and a seed to the epochs of that training.

    `place`: a folder, for the rows.
    """

    def __init__(self, plan: Plan, place: Path) -> None:
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

    def epochs(
        self, plan: Plan, knobs: Mapping[str, Value], seed: int, *, rows: str = "val"
    ) -> Epochs:
        """Every epoch of a training until its patience ends it; `rows`: val or test."""
        if self._configs is None or self._configs[0] is not plan.config:
            self._configs = plan.config, TrialConfigs(plan.config)
        config = self._configs[1].resolve(knobs=knobs, seed=seed)
        text = json.dumps([config, rows], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        if key not in self._known:
            self._known[key] = self._trained(plan, config, rows)
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
        self,
        plan: Plan,
        *,
        ours: list[TrialRecord],
        past: tuple[Past, ...] | list[Past],
        known: Sequence[TrialRecord] = (),
    ) -> list[TrialRecord]:
        """The trials of a stage. `known`: those that it has already, as where it is resumed."""
        pruner = make_pruner(plan.settings, epochs=plan.epochs)
        place = self.trainings.folder.path / f"{plan.name.replace('/', '-')}.log"
        place.unlink(missing_ok=True)
        study = Study.for_writing(
            JournalFile(place),
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
        stage, rows = kind_of(plan).stage(plan, known, context), TrialRows(known)
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
                rows.put(row)
        stage.close()
        study.close()
        place.unlink(missing_ok=True)
        return list(rows)

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
