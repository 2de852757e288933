"""What is written of trials while a search runs: epochs, starts and ends, and the trials' records.

An epoch goes into the curves, a start and an end into the study.
"""

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from search.config.plan import Plan
from search.contract.contract import Contract
from search.errors import RunError
from search.execution.callbacks import Callback
from search.execution.end_reasons import StopDecision
from search.execution.messages import EpochTrained, FoldNumbers
from search.execution.running_trial import RunningTrial
from search.execution.slots import Slot
from search.stages.stage import Stage
from search.storage.curves import MEAN, CurveLog
from search.storage.folder import Folder
from search.storage.layers import LayerLog
from search.storage.logs import as_seen_from_here
from search.storage.standing import Standing, watched_files
from search.storage.study import Study
from search.storage.trial_rows import TrialRows
from search.storage.trials import (
    BY_ITSELF,
    ENDED_BY_ERROR,
    FROM_ZERO,
    EpochRecord,
    TrialRecord,
    TrialSpec,
    TrialState,
)

FIRST_FAILURES = 3  # the search ends if its first so many trials all fail for one reason
OTHER_SEEDS = 2  # fewest other seeds that must fail alike before the search ends for them
SYNC_EVERY = 0.05  # least time between two syncs [s]: where short trials end one after another
SYNC_SHARE = 0.1  # of the conductor's time, at most, that syncs of a busy disk may take


class Recorder:
    """Records all trials of a search, and holds those of earlier runs."""

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
        self._plan, self._study = plan, study
        self._stage, self._callback = stage, callback
        study.storage.on_wait(callback.note)
        self._layers, self._runs = LayerLog(folder.layers), folder.runs
        self._rows = TrialRows(study.rows(alive=True))
        self._worst = self._worst_of(contract.floor, *(row.value for row in self._rows))
        unfinished = [spec.trial for spec in self.unfinished()]
        self._curves = CurveLog(folder.curve_log, unfinished=unfinished)
        watched = watched_files(contract.data, labels=plan.config.data.get("labels"))
        self._standing = Standing(folder, self._curves, data=watched)
        self._causes: list[str | None] = []  # of each end; None where nothing failed
        self._other_seeds = Counter[int]()  # how many trials of each seed but the first have ended
        self._other_causes = set[str | None]()  # of those ends
        self._remarks = set[str]()
        self._ended, self._next_sync = False, 0.0  # whether a trial has, since the last sync

    @property
    def rows(self) -> TrialRows:
        """The trials as they stand."""
        return self._rows

    def unfinished(self) -> list[TrialSpec]:
        """Trials without a final state."""
        return [row.spec for row in self._rows.unfinished]

    def add(self, spec: TrialSpec) -> None:
        """Notes a trial that the stage wants."""
        self._rows.put(TrialRecord(spec=spec, state=TrialState.QUEUED))

    def begin(self, slot: Slot, spec: TrialSpec) -> None:
        """Records that a trial is handed out; the epochs gathered till then come first."""
        self._curves.flush()
        self._study.start(spec, values=self._stage.values)
        self._rows.put(TrialRecord(spec=spec, state=TrialState.RUNNING))
        self._callback.began(slot, spec)

    def epochs(self, trial: int) -> Sequence[EpochRecord]:
        """The recorded epochs of an unfinished trial."""
        return self._curves.records(trial)

    def is_trained(self, trial: RunningTrial) -> bool:
        """Whether all epochs that it may train are recorded."""
        return not trial.has_room(self._plan.epochs_of(trial.spec.knobs))

    def record_epoch(self, slot: Slot, trial: RunningTrial, message: EpochTrained) -> None:
        """Records an epoch.

        It survives a kill after `flush`.
        """
        number = trial.spec.trial
        common = {"trial": number, "epoch": message.epoch, "source": message.source}
        for fold, numbers in enumerate(message.folds):
            values = self._values(trial, numbers, seconds=message.seconds)
            self._curves.append({**common, "fold": fold, **values})
            self._keep_layers(number, message.epoch, numbers.layers, fold=fold)
        values = self._values(trial, message, seconds=message.seconds)
        record = {**common, "fold": MEAN if message.folds else 0, **values}
        self._curves.append(record)
        self._keep_layers(number, message.epoch, message.layers, fold=0)
        trial.add_epoch(record)
        if trial.decision is StopDecision.DIVERGED:
            if message.remark:
                trial.early_stopping.reason += f"; {message.remark}"
        else:
            self._say_once(number, message.remark)
            if self._stage.compares(trial.spec):
                self._study.report(
                    number, epoch=message.epoch, value=values[self._plan.metric.name]
                )
        if trial.decision is StopDecision.GO and trial.at_rung() and self._study.hopeless(number):
            trial.prune()
        self._callback.heard(slot, trial.early_stopping, record)

    def flush(self) -> None:
        """What was recorded survives a kill from now on; only then is a worker answered.

        First the curves, then the study. A kill in between repeats epochs and loses nothing. No
        decision reads the layers: if the disk refuses them, the user hears of it once.
        """
        if refused := self._layers.flush():
            self._callback.note(f"layers/ is written no more: {refused}")
        self._curves.flush()
        self._study.storage.flush()

    def sync(self) -> None:
        """As `flush`; soon the ends of trials survive a power cut, too: one call a file for many of
        them, since it takes a tenth of a millisecond, and ten on a disk that others write to.
        """
        self._standing.check_data(self._rows.unfinished, now=False)
        self._look_at_files()
        if time.monotonic() >= self._next_sync:
            self._sync()
        else:
            self.flush()

    def _sync(self) -> None:
        self.flush()
        if self._ended:
            self._ended, began = False, time.monotonic()
            self._curves.sync()  # first: an end without its curves would not be trained again
            self._study.storage.sync()
            now = time.monotonic()
            self._next_sync = now + max(SYNC_EVERY, (now - began) / SYNC_SHARE)

    def check_folder(self) -> None:
        """As `Standing.check`."""
        self._standing.check()

    def _look_at_files(self, *, now: bool = False) -> None:
        for text in self._standing.look(now=now):
            self._callback.note(text, style="yellow")

    def _say_once(self, trial: int, remark: str) -> None:
        """A line for a trainer's remark, at the first trial that makes it."""
        if remark and remark not in self._remarks:
            self._remarks.add(remark)
            self._callback.note(f"trial {trial}: {remark}", style="yellow")

    def finish(
        self, trial: RunningTrial, state: TrialState, *, reason: str, cause: str | None
    ) -> None:
        """Records the end of a trial.

        `cause`: equal for errors from the same line of code; None where nothing failed.

        Raises:
            RunError: the first trials, or those of other seeds, all failed for the same reason, or
                the folder is gone, for which no trial can do anything.
        """
        self._standing.check_data(self._rows.unfinished)  # no end of a trial on other data counts
        failed = state in ENDED_BY_ERROR
        if failed:
            self._look_at_files(now=True)
        row = trial.row(state, reason=reason)
        most = self._plan.epochs_of(row.spec.knobs)
        if state is TrialState.COMPLETE and not reason and trial.has_room(most):
            from_zero = trial.early_stopping.first_loss is not None
            hint = FROM_ZERO if from_zero else ""
            row = replace(row, reason=f"{BY_ITSELF} at epoch {row.epochs} of {most}{hint}")
        # What stands for an infeasible trial: the worse of the floor and the worst value (P8).
        penalty = self._worst if state is TrialState.INFEASIBLE else row.value
        self._worst = self._worst_of(self._worst, row.value)
        row = replace(row, sampler_value=penalty, clock=round(self._runs.seconds(), 3))
        self._curves.flush()
        self._study.finish(row)
        self._ended = True
        self._stage.ended(row)
        records = self._curves.forget(row.spec.trial)
        self._rows.put(row)
        self._callback.finished(row, records)
        self._check_failures(row, cause if failed else None)

    def _rows_hint(self, reason: str) -> str:
        """What an index beyond a trainer's rows may come from: the example's number of rows."""
        rows = self._plan.config.data.get("rows")
        return f"is data.rows={rows} right? " if rows and "IndexError" in reason else ""

    def _debugger_hint(self) -> str:
        """How a generator of the user's is stopped where it fails; a worker has no terminal."""
        if self._plan.stock or "command" in self._plan.config.trainer:
            return ""
        return " (breakpoint() in it stops there, with placement=inline rehearse=false name=look)"

    def _check_failures(self, row: TrialRecord, cause: str | None) -> None:
        """Ends the search where going on could only fail: `cause` is that of a trial's failure."""
        self._causes.append(cause)
        is_first = len(self._causes) == FIRST_FAILURES
        of_stage = " of this stage" if self._plan.first_trial else ""
        if is_first and cause is not None and set(self._causes) == {cause}:
            reason = as_seen_from_here(row.reason, self._plan.folder)
            raise RunError(
                f"the first {FIRST_FAILURES} trials{of_stage} all failed alike, so the search "
                f"stops: {reason}; {self._rows_hint(row.reason)}mend it{self._debugger_hint()}, "
                "then use name=…",
                code="first-trials-failed",
            )
        first = self._plan.seed
        if row.spec.seed != first:
            self._other_seeds[row.spec.seed] += 1
            self._other_causes.add(cause)
        alike = len(self._other_causes) == 1 and None not in self._other_causes
        if not alike:
            return
        fewest = min(FIRST_FAILURES, max(OTHER_SEEDS, self._plan.seeds - 1))
        several = self._other_seeds.total() >= fewest and len(self._other_seeds) >= OTHER_SEEDS
        trained = (row.spec.seed for row in self._rows if row.value is not None)
        if several and first in trained:
            raise RunError(
                f"seed {first} trains, but the first {self._other_seeds.total()} trials of other "
                f"seeds all failed alike, so the search stops: {self._last_failure()}; mend it, "
                "then use name=…, or seeds=1, which tells no gain from chance",
                code="other-seeds-failed",
            )

    def check_silent(self) -> None:
        """A trial has trained to its end and told no epoch. Raises RunError where none ever did:
        a second one would train as long for the same.
        """
        if all(row.value is None for row in self._rows):
            raise RunError(
                f"the search stops, since no other trial would tell more: {self._last_failure()}; "
                "mend it, then use name=…",
                code="no-trial-tells-more",
            )

    def _last_failure(self) -> str:
        """The reason of the last trial that failed."""
        reason = next(row.reason for row in reversed(self._rows) if row.state in ENDED_BY_ERROR)
        return as_seen_from_here(reason, self._plan.folder)

    def close(self) -> None:
        """Ends the writing."""
        self._sync()
        self._curves.close()

    def _keep_layers(
        self, trial: int, epoch: int, series: Mapping[str, Mapping[str, float]], *, fold: int
    ) -> None:
        if series:
            self._layers.add(trial, {"fold": fold, "epoch": epoch, "series": series})

    def _values(
        self, trial: RunningTrial, numbers: EpochTrained | FoldNumbers, *, seconds: float
    ) -> dict[str, float]:
        """The numbers of a fold or of the folds' mean, with the metric.

        A composite metric is computed here, where the seconds of all epochs are known.
        """
        metric, values = self._plan.metric, numbers.values
        if metric.formula:
            spent = trial.seconds + seconds
            value = metric.combine({**values, "seconds": spent})
        else:
            value = math.nan if numbers.value is None else numbers.value
        return {**values, metric.name: value, "seconds": seconds}

    def _worst_of(self, *values: float | None) -> float | None:
        """The worst of the values, None being none; None where there is none."""
        known = (value for value in values if value is not None)
        return (min if self._plan.metric.direction == "maximize" else max)(known, default=None)
