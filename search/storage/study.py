"""The trials, as one Optuna study, written by one process only.

Trials are created already running, with all that is known of them, in one record. Never proposes values.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from search.config.joint_settings import active
from search.config.knobs import Knob, Value
from search.contract.metrics import Direction
from search.storage.distributions import distribution_of
from search.storage.journal import CLAIM, WRITER, Journal, ReadOnlyJournal
from search.storage.trials import TrialRecord, TrialSpec

ATTRIBUTES = ("best_epoch", "epochs", "seconds", "wall", "device", "strategy", "source", "reason")


class Study:
    """All trials of one stage. Open it with `for_writing` (the conductor) or `for_reading` (everybody else)."""

    def __init__(
        self, study: optuna.Study, *, knobs: Sequence[Knob], journal: Journal | None
    ) -> None:
        self._study, self._journal = study, journal
        self._knobs = {knob.path: knob for knob in knobs}
        self._handles: dict[int, Trial] = {}
        for frozen in study.get_trials(deepcopy=False):
            self._adopt(frozen)
        self.mended = journal.mended if journal is not None else ""

    @classmethod
    def for_writing(
        cls,
        path: Path,
        *,
        name: str,
        direction: Direction,
        knobs: Sequence[Knob],
        pruner: BasePruner | None = None,
    ) -> "Study":
        """Creates or resumes the study in a journal. `pruner`: who is asked by `hopeless`.

        Raises:
            UsageError: the journal is damaged, or somebody else wrote in it.
        """
        journal = Journal(path, name=name)
        storage = JournalStorage(journal)
        if name not in optuna.get_all_study_names(storage):
            optuna.create_study(study_name=name, storage=storage, direction=direction)
        pruner = pruner or optuna.pruners.NopPruner()
        study = optuna.load_study(
            study_name=name, storage=storage, sampler=_no_sampler(), pruner=pruner
        )
        study.set_user_attr(WRITER, CLAIM)
        return cls(study, knobs=knobs, journal=journal)

    @classmethod
    def for_reading(cls, path: Path, *, name: str, knobs: Sequence[Knob]) -> "Study":
        """The study as it stands, also while a conductor writes."""
        storage = JournalStorage(ReadOnlyJournal(path))
        return cls(
            optuna.load_study(study_name=name, storage=storage, sampler=_no_sampler()),
            knobs=knobs,
            journal=None,
        )

    def rows(self, *, alive: bool) -> list[TrialRecord]:
        """All trials by running number. `alive`: whether a conductor lives; else what is underway counts as queued."""
        unfinished = "running" if alive else "queued"
        rows = [
            _row(frozen, unfinished, knobs=self._knobs)
            for frozen in self._study.get_trials(deepcopy=False)
        ]
        return sorted(rows, key=lambda row: row.ask.trial)

    def start(self, ask: TrialSpec, *, values: Mapping[str, Sequence[Value]]) -> None:
        """Records that a trial is underway; `values` are those that a knob may take, beside its own domain.

        A resumed trial is left as it is.
        """
        if ask.trial in self._handles:
            return
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # Optuna frowns at choices that are not scalars
            distributions = {
                path: distribution_of(self._knobs.get(path), [*values.get(path, ()), value])
                for path, value in ask.point.items()
            }
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=ask.point,
                distributions=distributions,
                user_attrs={"trial": ask.trial, "stage": ask.stage, "seed": ask.seed},
            )
        )
        self._adopt(self._study.get_trials(deepcopy=False)[-1])

    def report(self, trial: int, *, epoch: int, value: float) -> None:
        """One point of the metric's curve."""
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # a resumed trial repeats epochs; the first report stays
            self._handles[trial].report(value, epoch)

    def hopeless(self, trial: int) -> bool:
        """Whether the pruner would end it, by what has been reported of it and of others."""
        return self._handles[trial].should_prune()

    def finish(self, row: TrialRecord) -> None:
        """Ends a trial, durably."""
        handle = self._handles.pop(row.ask.trial)
        for name in ATTRIBUTES:
            if getattr(row, name) not in ("", None):
                handle.set_user_attr(name, getattr(row, name))
        handle.set_user_attr("state", row.state)
        if row.state == "pruned":
            handle.set_user_attr("value", row.value)  # Optuna keeps the last epoch's, not the best
            self._study.tell(handle.number, state=TrialState.PRUNED)
        elif row.told is None:
            self._study.tell(handle.number, state=TrialState.FAIL)
        else:
            self._study.tell(handle.number, row.told)
        if self._journal is not None:
            self._journal.sync()

    def close(self) -> None:
        """Closes the journal."""
        if self._journal is not None:
            self._journal.close()

    def _adopt(self, frozen: FrozenTrial) -> None:
        if frozen.state == TrialState.RUNNING:
            self._handles[int(frozen.user_attrs["trial"])] = Trial(self._study, frozen._trial_id)


def _no_sampler() -> optuna.samplers.BaseSampler:
    """A stage that asks with fixed values needs none; Optuna wants one."""
    return optuna.samplers.RandomSampler(seed=0)


def _row(frozen: FrozenTrial, unfinished: str, *, knobs: Mapping[str, Knob]) -> TrialRecord:
    attrs: dict[str, Any] = dict(frozen.user_attrs)
    state = str(attrs.get("state", unfinished)) if frozen.state.is_finished() else unfinished
    known = (
        {name: attrs[name] for name in ATTRIBUTES if name in attrs}
        if frozen.state.is_finished()
        else {}
    )
    used = active(list(knobs.values()), frozen.params)
    used |= {path: value for path, value in frozen.params.items() if path not in knobs}
    idle = {path: value for path, value in frozen.params.items() if path not in used}
    ended = frozen.datetime_complete
    value = attrs.get("value", frozen.value)
    return TrialRecord(
        ask=TrialSpec(
            trial=int(attrs["trial"]),
            stage=str(attrs["stage"]),
            knobs=used,
            idle=idle,
            seed=int(attrs["seed"]),
        ),
        state=state,
        value=value if state in ("complete", "pruned") else None,
        told=value if state in ("complete", "pruned", "infeasible") else None,
        ended=ended.timestamp() if ended is not None else 0.0,
        **known,
    )
