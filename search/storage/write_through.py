"""A database with one writer: an exact copy in memory answers every read, and a write that the
server cannot take is tried again until it can.

Which studies are a search's own is the business of `search.storage.database`.
"""

import os
import socket
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from search.errors import RunError
from search.storage.trial_storage import CLAIM, CONDUCTOR, SUPERSEDED, WRITER, ServerAway

PAUSE = 0.5  # time between two attempts [s]
T = TypeVar("T")


class Patience:
    """How long a write waits for the server.

    Attributes:
        say: tells the user that the search waits, and that it goes on.
        ended: True once nobody wants to wait any more.
    """

    def __init__(self, url: str, *, seconds: float) -> None:
        self._url, self._seconds = url, seconds
        self._since: float | None = None
        self.say: Callable[[str], None] = print
        self.ended = False

    @property
    def is_waiting(self) -> bool:
        """True from a failed attempt until one succeeds."""
        return self._since is not None

    def wait(self, reason: str) -> None:
        """Waits before the next attempt. Raises ServerAway: there is none."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self.say(
                f"{self._url}: cannot be written ({reason}); the search waits for it, "
                f"storage.patience={self._seconds:g} s at most"
            )
        if self.ended or now - self._since > self._seconds:
            raise ServerAway(
                f"{self._url}: could not be written for {now - self._since:.0f} s ({reason}); "
                "give the same command again once it can: every trial goes on, and nothing that "
                "was recorded is lost",
                code="database-stayed-away",
            )
        time.sleep(PAUSE)

    def succeeded(self) -> None:
        """An attempt has succeeded."""
        if self._since is not None:
            waited, self._since = time.monotonic() - self._since, None
            self.say(f"{self._url}: is there again after {waited:.0f} s; the search goes on")


class WriteThrough(InMemoryStorage):
    """The studies of one search: each write goes to the database first, then into the copy.

    A failed attempt may have arrived although its answer was lost, so the next attempt first looks
    whether it has: nothing is recorded twice. `writer`: the name that claims them.
    """

    def __init__(
        self,
        database: RDBStorage,
        *,
        studies: Sequence[FrozenStudy],
        writer: str,
        patience: Patience,
    ) -> None:
        super().__init__()
        self._database, self._writer, self._patience = database, writer, patience
        self._conductor = f"process {os.getpid()} on {socket.gethostname()}#{uuid.uuid4().hex[:12]}"
        self._claimed: int | None = None  # the study of the database that was claimed last
        self._study_ids: dict[int, int] = {}  # of the database, by those of the copy
        self._trial_ids: dict[int, int] = {}
        for study in studies:
            self._load(study)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """As of Optuna, and so are all the others."""

        def create() -> int:
            try:
                return self._database.create_new_study(directions, study_name)
            except DuplicatedStudyError:
                if not self._patience.is_waiting or study_name is None:
                    raise
                return self._database.get_study_id_from_name(study_name)

        there = self._write(create)
        study_id = super().create_new_study(directions, study_name)
        self._study_ids[study_id] = there
        return study_id

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """See Optuna; a claim becomes the writer's name, and names this conductor beside it."""
        there = self._study_ids[study_id]
        if (key, value) == (WRITER, CLAIM):
            value, self._claimed = self._writer, there
            self._write(
                lambda: self._database.set_study_user_attr(there, CONDUCTOR, self._conductor)
            )
        self._write(lambda: self._database.set_study_user_attr(there, key, value))
        super().set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """See Optuna."""
        there = self._study_ids[study_id]
        self._write(lambda: self._database.set_study_system_attr(there, key, value))
        super().set_study_system_attr(study_id, key, value)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """See Optuna; a template is needed."""
        if template_trial is None:
            raise ValueError("a trial of a search comes with its values")
        study, number = self._study_ids[study_id], len(self._studies[study_id].trials)
        repeated: list[FrozenTrial] = []

        def create() -> int:
            if not self._patience.is_waiting:
                there = self._database.create_new_trial(study, template_trial)
                if self._database.get_trial_number_from_id(there) == number:
                    return there  # else Optuna has tried again by itself after a lost answer
            elif self._database.get_n_trials(study) == number:
                self._database.create_new_trial(study, template_trial)
            first, *others = self._database.get_all_trials(study, deepcopy=False)[number:]
            repeated[:] = [self._ended_as_repeated(trial) for trial in others]
            return first._trial_id

        there = self._write(create)
        trial_id = super().create_new_trial(study_id, template_trial)
        self._trial_ids[trial_id] = there
        for trial in repeated:
            super().create_new_trial(study_id, trial)
        return trial_id

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See Optuna."""
        there = self._trial_ids[trial_id]

        def tell() -> bool:
            try:
                return self._database.set_trial_state_values(there, state, values)
            except UpdateFinishedTrialError:
                if not self._patience.is_waiting:
                    raise
                return True

        self._write(tell)
        return super().set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """See Optuna."""
        there = self._trial_ids[trial_id]
        self._write(
            lambda: self._database.set_trial_intermediate_value(there, step, intermediate_value)
        )
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See Optuna."""
        there = self._trial_ids[trial_id]
        self._write(lambda: self._database.set_trial_user_attr(there, key, value))
        super().set_trial_user_attr(trial_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See Optuna."""
        there = self._trial_ids[trial_id]
        self._write(lambda: self._database.set_trial_system_attr(there, key, value))
        super().set_trial_system_attr(trial_id, key, value)

    def check_alone(self) -> None:
        """No other conductor has claimed the study since, as one in a copy of the folder does.

        Raises:
            RunError: one has.
        """
        study = self._claimed
        if study is None:
            return
        claimed = self._write(lambda: self._database.get_study_user_attrs(study)).get(CONDUCTOR)
        if claimed != self._conductor:
            raise self._taken_over()

    def _taken_over(self) -> RunError:
        assert self._claimed is not None
        other = self._database.get_study_user_attrs(self._claimed).get(CONDUCTOR, "unknown")
        who = (
            "the one that began before this one"
            if other == self._conductor
            else str(other).partition("#")[0]
        )
        return RunError(
            "one conductor per search, but another one writes to the same study in the database "
            f"({who}), so this one stops; go on in one of the two folders, where trials that the "
            "other one ended have their values, but no curves",
            code="study-was-taken-over",
        )

    def _load(self, study: FrozenStudy) -> None:
        study_id = super().create_new_study(study.directions, study.study_name)
        self._study_ids[study_id] = study._study_id
        for key, value in study.user_attrs.items():
            super().set_study_user_attr(study_id, key, value)
        for key, value in study.system_attrs.items():
            super().set_study_system_attr(study_id, key, value)
        for trial in self._database.get_all_trials(study._study_id, deepcopy=False):
            trial_id = super().create_new_trial(study_id, trial)
            self._trial_ids[trial_id] = trial._trial_id

    def _ended_as_repeated(self, trial: FrozenTrial) -> FrozenTrial:
        """A trial that a lost answer has made twice: no search has it, and it does not run."""
        if not trial.state.is_finished():
            self._database.set_trial_user_attr(trial._trial_id, SUPERSEDED, True)
            self._database.set_trial_state_values(trial._trial_id, TrialState.FAIL)
        return self._database.get_trial(trial._trial_id)

    def _write(self, write: Callable[[], T]) -> T:
        """Carries out a write, again and again while the server is away.

        Raises:
            RunError: the server refuses it, or is away for too long, or another conductor writes.
        """
        while True:
            try:
                result = write()
            except UpdateFinishedTrialError as error:  # by somebody else
                raise self._taken_over() from error
            except (StorageInternalError, SQLAlchemyError) as error:
                if not _is_away(error):
                    raise RunError(
                        f"the database must take records, but refuses one: {reason_of(error)}; "
                        "mend it and give the same command again, nothing recorded is lost",
                        code="storage-refuses-record",
                    ) from error
                self._patience.wait(reason_of(error))
            else:
                self._patience.succeeded()
                return result


def _is_away(error: Exception) -> bool:
    """Whether the server cannot be reached, as against a statement that it refuses."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, OperationalError | InterfaceError) or (
        isinstance(cause, DBAPIError) and cause.connection_invalidated
    )


def reason_of(error: Exception) -> str:
    """What the driver says, on one line."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    cause = getattr(cause, "orig", None) or cause or error
    return " ".join(str(cause).split())[:200]
