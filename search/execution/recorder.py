"""What is written of trials while a search runs: epochs into the curves, starts and ends into the study, and their rows.

Never hands a trial out, never talks to a worker.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from search.config.plan import Plan
from search.contract.contract import Contract
from search.errors import RunError
from search.execution.callbacks import Callback
from search.execution.messages import Message
from search.execution.running_trial import RunningTrial
from search.execution.slots import Slot
from search.stages.stage import Stage
from search.storage.curves import MEAN, CurveLog
from search.storage.folder import Folder
from search.storage.layers import LayerLog
from search.storage.study import Study
from search.storage.trials import TrialRecord, TrialSpec

ALIKE = 3  # trials that fail for one reason, with no other outcome, before the search gives up


class Recorder:
    """Of all trials of a search, earlier runs included."""

    def __init__(
        self,
        plan: Plan,
        *,
        folder: Folder,
        study: Study,
        contract: Contract,
        stage: Stage,
        callback: Callback,
    ) -> None:
        self._plan, self._study, self._contract, self._stage, self._callback = (
            plan,
            study,
            contract,
            stage,
            callback,
        )
        self._layers = LayerLog(folder.layers)
        self._rows = {row.ask.trial: row for row in study.rows(alive=True)}
        self._curves = CurveLog(
            folder.curve_log, unfinished=[ask.trial for ask in self.unfinished()]
        )
        self._causes: list[str | None] = []

    @property
    def rows(self) -> list[TrialRecord]:
        """In the order in which they were asked for."""
        return list(self._rows.values())

    def unfinished(self) -> list[TrialSpec]:
        """Of what something may still come."""
        return [row.ask for row in self._rows.values() if not row.finished]

    def add(self, ask: TrialSpec) -> None:
        """A trial is wanted."""
        self._rows[ask.trial] = TrialRecord(ask=ask, state="queued")

    def begin(self, slot: Slot, ask: TrialSpec) -> None:
        """A trial is handed out."""
        self._study.start(ask, values=self._stage.values)
        self._rows[ask.trial] = TrialRecord(ask=ask, state="running")
        self._callback.began(slot, ask)

    def epochs(self, trial: int) -> Sequence[dict[str, Any]]:
        """Those of an unfinished trial that are written."""
        return self._curves.records(trial)

    def epoch(self, slot: Slot, trial: RunningTrial, message: Message) -> None:
        """Recorded first, then told, and answered last: a kill in between repeats the epoch and loses nothing."""
        epoch = int(message["epoch"])
        about = {"trial": trial.ask.trial, "epoch": epoch, "source": str(message["source"])}
        seconds = float(message["seconds"])
        for fold, told in enumerate(message.get("folds", ())):
            self._curves.append({**about, "fold": fold, **self._numbers(trial, told, seconds)})
            self._keep_layers(trial, epoch, told, fold=fold)
        numbers = self._numbers(trial, message, seconds)
        record = {**about, "fold": MEAN if "folds" in message else 0, **numbers}
        self._curves.append(record)
        self._keep_layers(trial, epoch, message, fold=0)
        trial.hear(record)
        if trial.decision == "diverged" and message.get("remark"):
            trial.early_stopping.why += f"; {message['remark']}"
        if trial.decision != "diverged" and self._stage.compares(trial.ask):
            self._study.report(trial.ask.trial, epoch=epoch, value=numbers[self._plan.metric.name])
        if (
            trial.decision == "go"
            and trial.at_rung(self._stage.rungs(trial.ask))
            and self._study.hopeless(trial.ask.trial)
        ):
            trial.prune()
        self._callback.heard(slot, trial.early_stopping, record)

    def _keep_layers(self, trial: RunningTrial, epoch: int, told: Message, *, fold: int) -> None:
        """What is told layer by layer: nothing decides by it, so a file that cannot be written is said once, and no more."""
        if told.get("layers"):
            failed = self._layers.append(
                trial.ask.trial, {"fold": fold, "epoch": epoch, "series": told["layers"]}
            )
            if failed:
                self._callback.note(f"layers/ is written no more: {failed}")

    def _numbers(self, trial: RunningTrial, told: Message, seconds: float) -> dict[str, float]:
        """One fold's numbers, or their mean, with the metric; a composite one is computed here, where all seconds are known."""
        metric, values = (
            self._plan.metric,
            {name: float(value) for name, value in told["values"].items()},
        )
        if metric.formula:
            return {
                **values,
                metric.name: metric.combine({**values, "seconds": trial.seconds + seconds}),
                "seconds": seconds,
            }
        return {**values, metric.name: float(told["value"]), "seconds": seconds}

    def finish(self, trial: RunningTrial, state: str, *, reason: str, cause: str | None) -> None:
        """A trial has ended.

        Raises:
            RunError: it is one of the first, and all of them failed for the same reason.
        """
        row = trial.row(state, reason=reason)
        row = replace(row, sampler_value=self._penalty() if state == "infeasible" else row.value)
        self._study.finish(row)
        self._stage.ended(row)
        records = self._curves.records(row.ask.trial)
        self._curves.forget(row.ask.trial)
        self._rows[row.ask.trial] = row
        self._callback.finished(row, records)
        self._causes.append(cause if state in ("failed", "lost") else None)
        if len(self._causes) == ALIKE and cause is not None and set(self._causes) == {cause}:
            raise RunError(
                f"the first {ALIKE} trials all failed alike, so the search stops: {row.reason}; mend it, then use name=…"
            )

    def _penalty(self) -> float | None:
        """What the sampler is told of an infeasible trial: the floor, or the worst value so far (P8)."""
        if self._contract.floor is not None:
            return self._contract.floor
        values = [row.value for row in self.rows if row.value is not None]
        return (min if self._plan.metric.direction == "maximize" else max)(values, default=None)

    def close(self) -> None:
        """Nothing more will be written."""
        self._curves.close()
