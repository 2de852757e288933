"""The trials of a search as one Optuna study, written by one process only.

A trial is created in the state RUNNING, with all that is known of it, in one record. Proposing
values is the business of `search.stages`.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, Trial, create_trial
from optuna.trial import TrialState as OptunaState

from search.config.joint_settings import active
from search.config.knobs import Knob, Value
from search.contract.metrics import Metric
from search.errors import SearchError
from search.storage.competitors import pruning_study
from search.storage.distributions import distribution_of
from search.storage.sealed import damaged
from search.storage.trial_storage import CLAIM, SUPERSEDED, WRITER, TrialStorage
from search.storage.trials import TrialRecord, TrialSpec, TrialState

ATTRIBUTES = (
    "best_epoch", "epochs", "seconds", "wall", "clock", "device", "strategy", "source", "reason",
    "curve",
)  # fmt: skip
RANKED = (TrialState.COMPLETE, TrialState.PRUNED)
HELD = "held"  # study attribute: knobs that all trials of a stage share
# Optuna's constraints. `best_trial` leaves out trials above 0: those that did not train, and those
# that only repeat a leader on fresh seeds, since the luckiest of them is no better configuration.
INFEASIBLE, REPEATS = "infeasible", "repeats a leader"
REPEATING_STAGE = "confirm"


class Study:
    """All trials of one search. `storage`: where they lie.

    Open it with `for_writing` (the conductor) or `for_reading` (everybody else).
    """

    def __init__(
        self,
        study: optuna.Study,
        *,
        knobs: Sequence[Knob],
        storage: TrialStorage,
        older: Collection[int] = (),
    ) -> None:
        self._study, self.storage = study, storage
        self._older = frozenset(older)
        self._knobs = {knob.path: knob for knob in knobs}
        self._running: dict[int, int] = {}  # Optuna's number of a trial by its own
        for frozen in self._trials():
            if frozen.state == OptunaState.RUNNING:
                self._running[int(frozen.user_attrs["trial"])] = frozen._trial_id

    @classmethod
    def for_writing(
        cls,
        storage: TrialStorage,
        *,
        name: str,
        metric: Metric,
        knobs: Sequence[Knob],
        pruner: BasePruner | None = None,
        held: Mapping[str, Value] | None = None,
        older: Collection[int] = (),
    ) -> "Study":
        """Creates or resumes the study.

        Args:
            metric: of the trials; stock tools write its name at their axes.
            pruner: whom `hopeless` asks.
            held: knobs that all its trials share, and that their records leave out.
            older: trials of other code, with which the pruner compares none.

        Raises:
            UsageError: the storage is damaged, or another program has written to it.
        """
        with _damage_named(storage):
            opened = storage.open(name=name)
            if name not in optuna.get_all_study_names(opened):
                optuna.create_study(study_name=name, storage=opened, direction=metric.direction)
            study = optuna.load_study(
                study_name=name,
                storage=opened,
                sampler=_no_sampler(),
                pruner=pruner or optuna.pruners.NopPruner(),
            )
            study.set_user_attr(WRITER, CLAIM)
            if held and study.user_attrs.get(HELD) != dict(held):
                study.set_user_attr(HELD, dict(held))
            if study.metric_names != [metric.name]:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    study.set_metric_names([metric.name])
            return cls(study, knobs=knobs, storage=storage, older=older)

    @classmethod
    def for_reading(cls, storage: TrialStorage, *, name: str, knobs: Sequence[Knob]) -> "Study":
        """The study as it stands, also while a conductor writes.

        Raises:
            UsageError: the storage is damaged, or holds no such study.
        """
        with _damage_named(storage):
            study = optuna.load_study(
                study_name=name, storage=storage.read(), sampler=_no_sampler()
            )
            return cls(study, knobs=knobs, storage=storage)

    def rows(self, *, alive: bool) -> list[TrialRecord]:
        """All trials by running number.

        `alive`: True while a conductor lives; otherwise unfinished trials count as queued.
        """
        unfinished = TrialState.RUNNING if alive else TrialState.QUEUED
        with _damage_named(self.storage):
            rows = [_row(frozen, unfinished, knobs=self._knobs) for frozen in self._trials()]
        return sorted(rows, key=lambda row: row.spec.trial)

    def start(self, spec: TrialSpec, *, values: Mapping[str, Sequence[Value]]) -> None:
        """Records that a trial is running. A resumed trial is left as it is.

        `values`: by knob, what it may take beside its own domain.
        """
        if spec.trial in self._running:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of choices that are not scalars
            distributions = {
                path: distribution_of(self._knobs.get(path), [*values.get(path, ()), value])
                for path, value in spec.point.items()
            }
        template = create_trial(
            state=OptunaState.RUNNING,
            params=spec.point,
            distributions=distributions,
            user_attrs={"trial": spec.trial, "stage": spec.stage, "seed": spec.seed},
        )
        # By the storage itself: after `Study.add_trial`, all trials would be read for its number.
        self._running[spec.trial] = self._study._storage.create_new_trial(
            self._study._study_id, template_trial=template
        )

    def report(self, trial: int, *, epoch: int, value: float) -> None:
        """Adds one point of the metric's curve; of an epoch that is repeated the last one counts.

        By the storage itself: `Trial.report` reads the study each time, and warns of a repetition.
        """
        self._study._storage.set_trial_intermediate_value(self._running[trial], epoch, value)

    def hopeless(self, trial: int) -> bool:
        """True if the pruner would end the trial now."""
        study, number = self._pruning_study, self._running[trial]
        return study.pruner.prune(study, study._storage.get_trial(number))

    @cached_property
    def _pruning_study(self) -> optuna.Study:
        return pruning_study(self._study, older=self._older)

    def finish(self, row: TrialRecord) -> None:
        """Ends a trial. By the storage itself, as `report`: `tell` copies the trial."""
        storage, number = self._study._storage, self._running.pop(row.spec.trial)
        for name in ATTRIBUTES:
            if getattr(row, name) not in ("", None):
                storage.set_trial_user_attr(number, name, getattr(row, name))
        storage.set_trial_user_attr(number, "state", row.state)
        if row.state == TrialState.INFEASIBLE:
            Trial(self._study, number).set_constraint(INFEASIBLE, 1.0)
        if row.spec.stage == REPEATING_STAGE:
            Trial(self._study, number).set_constraint(REPEATS, 1.0)
        if row.state == TrialState.PRUNED:
            storage.set_trial_user_attr(number, "value", row.value)  # Optuna keeps the last one
            self._study.tell(Trial(self._study, number), state=OptunaState.PRUNED)
        elif row.sampler_value is None:
            storage.set_trial_state_values(number, OptunaState.FAIL)
        else:
            storage.set_trial_state_values(number, OptunaState.COMPLETE, [row.sampler_value])

    def close(self) -> None:
        """Ends the writing."""
        self.storage.close()

    def _trials(self) -> list[FrozenTrial]:
        trials = self._study.get_trials(deepcopy=False)
        return [trial for trial in trials if SUPERSEDED not in trial.user_attrs]


def stages_of(
    storage: TrialStorage, *, search: str, alive: bool
) -> list[tuple[str, dict[str, Value], list[TrialRecord]]]:
    """The stages of a search of many: name, the knobs that its trials share, and its trials.

    `alive`: as `Study.rows` takes it.
    """
    stages = []
    with _damage_named(storage):
        opened = storage.read()
        for name in sorted(optuna.get_all_study_names(opened)):
            if name.startswith(f"{search}/"):
                study = optuna.load_study(study_name=name, storage=opened, sampler=_no_sampler())
                rows = Study(study, knobs=(), storage=storage).rows(alive=alive)
                stages.append((name.partition("/")[2], dict(study.user_attrs.get(HELD, {})), rows))
    return stages


def begin_anew(storage: TrialStorage, *, search: str, trials: Collection[int]) -> None:
    """Ends unfinished trials as failed, and begins others in their place: what they reported
    tells a pruner nothing of the trainings to come.

    Args:
        storage: of the search; nobody else writes to it.
        trials: their running numbers.
    """
    with _damage_named(storage):
        opened = storage.open(name=search)
        for name in optuna.get_all_study_names(opened):
            study = optuna.load_study(study_name=name, storage=opened, sampler=_no_sampler())
            study.set_user_attr(WRITER, CLAIM)
            for frozen in study.get_trials(deepcopy=True, states=(OptunaState.RUNNING,)):
                if frozen.user_attrs["trial"] not in trials or not frozen.intermediate_values:
                    continue
                successor = create_trial(
                    state=OptunaState.RUNNING,
                    params=frozen.params,
                    distributions=frozen.distributions,
                    user_attrs=frozen.user_attrs,
                )
                Trial(study, frozen._trial_id).set_user_attr(SUPERSEDED, True)
                study.tell(frozen.number, state=OptunaState.FAIL)
                study.add_trial(successor)
        storage.close()


@contextmanager
def _damage_named(storage: TrialStorage) -> Iterator[None]:
    """Whatever Optuna raises over records that no search writes is told as damage."""
    try:
        yield
    except (SearchError, OSError):
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:100]
        raise damaged(storage.url, got=f"{type(error).__name__}: {text}") from error


def _no_sampler() -> optuna.samplers.BaseSampler:
    """Optuna wants a sampler; a study whose trials come with their values never asks it."""
    return optuna.samplers.RandomSampler(seed=0)


def _row(frozen: FrozenTrial, unfinished: str, *, knobs: Mapping[str, Knob]) -> TrialRecord:
    attrs, finished = dict[str, Any](frozen.user_attrs), frozen.state.is_finished()
    state = TrialState(attrs.get("state", unfinished)) if finished else unfinished
    results = {name: attrs[name] for name in ATTRIBUTES if name in attrs} if finished else {}
    used = active(list(knobs.values()), frozen.params)
    used |= {path: value for path, value in frozen.params.items() if path not in knobs}
    idle = {path: value for path, value in frozen.params.items() if path not in used}
    value = attrs.get("value", frozen.value)
    return TrialRecord(
        spec=TrialSpec(
            trial=int(attrs["trial"]),
            stage=str(attrs["stage"]),
            knobs=used,
            idle=idle,
            seed=int(attrs["seed"]),
        ),
        state=state,
        value=value if state in RANKED else None,
        sampler_value=value if state in (*RANKED, TrialState.INFEASIBLE) else None,
        ended=frozen.datetime_complete.timestamp() if frozen.datetime_complete else 0.0,
        **results,
    )
