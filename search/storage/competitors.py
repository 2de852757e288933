"""Whom a pruner compares a trial with: the trials of the present code, and no others.

Pruners read other trials from the study, halving from attributes that no storage deletes. So the
pruner's study sees a storage in which the others are left out.
"""

from collections.abc import Collection, Container
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from search.storage.trial_storage import SUPERSEDED


def pruning_study(study: optuna.Study, *, older: Collection[int]) -> optuna.Study:
    """The study as a pruner is to see it: itself where it has no others, since looking for them at
    every rung costs more than halving does. `older`: trials that were trained by other code.
    """
    trials = study.get_trials(deepcopy=False)
    if not older and not any(SUPERSEDED in trial.user_attrs for trial in trials):
        return study
    storage = cast(BaseStorage, _WithoutOlder(study._storage, older=older))
    return optuna.Study(study.study_name, storage, sampler=study.sampler, pruner=study.pruner)


class _WithoutOlder:
    """A storage that leaves out trials of other code when all trials are read."""

    def __init__(self, storage: BaseStorage, *, older: Container[int]) -> None:
        self._storage, self._older = storage, older

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: tuple[TrialState, ...] | None = None
    ) -> list[FrozenTrial]:
        """As the storage has them, those of other code left out."""
        trials = self._storage.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [trial for trial in trials if self._competes(trial)]

    def _competes(self, trial: FrozenTrial) -> bool:
        attributes = trial.user_attrs
        return SUPERSEDED not in attributes and attributes.get("trial") not in self._older
