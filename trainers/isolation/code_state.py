"""What a user's code leaves in its process: their trainer, or a model that our trainer trains.

A model may keep state outside itself: in an environment variable, a cache of its module, a thread's
storage. Trials that follow one another in a process would then depend on who came before them. What
libraries are set to is put back once no trial is left here; where the user's modules hold something
else than before, the process takes no further trial.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

from hydra.utils import get_object

from trainers.isolation.process_state import LibraryState, StepState
from trainers.isolation.shared_numbers import SharedNumbers, is_own


class CodeState:
    """Watches a process from its first trial until none is left.

    `left_behind`: what the next trial would find, by name; `tainted`: why the one trial here is not
    what it would be in a fresh process. Both empty if there is nothing.
    """

    def __init__(self) -> None:
        self.left_behind, self.tainted = "", ""
        self._numbers: SharedNumbers | None = None  # None: the config names no code of a user's
        self._before: tuple[LibraryState, StepState] | None = None

    def begin(self, config: Mapping[str, Any]) -> None:
        """Before the first of the trials here is built."""
        self.tainted, self._numbers = "", None
        are_users = list(map(_is_users, _targets(config)))  # all imported: what that sets stays
        if any(are_users):
            self.watch(config)

    def watch(self, config: Mapping[str, Any]) -> None:
        """As `begin`, of a config that is known to name code of a user's."""
        self.tainted = ""
        self._before = LibraryState.read(), StepState.read()
        self._numbers = SharedNumbers(config)

    def look(self) -> None:
        """When a trial has ended: has anything changed that another would find?"""
        if self._numbers is not None and not self.left_behind:
            self.left_behind = self._numbers.changed()

    def put_back(self) -> None:
        """After what was no trial's: numbers that building has changed are as they were.

        Not inline, where a callback of the user's may count in another thread meanwhile.
        """
        if self._numbers is not None and threading.current_thread() is threading.main_thread():
            self._numbers.put_back()

    def remark(self) -> str:
        """After an epoch of a trial that is alone here: what the user should know of its first."""
        if self._numbers is None:
            return ""
        remark = self._numbers.remark()
        self.tainted = self._numbers.tainted
        return remark

    def end(self) -> None:
        """When no trial is left here: puts back what code may set of its process."""
        if self._before is not None:
            whole, step = self._before
            step.restore()
            whole.restore()
            self._before = None


def _targets(node: Mapping[str, Any]) -> Iterator[str]:
    """All import paths of a config."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _targets(value)
        elif key == "_target_" and isinstance(value, str):
            yield value


@cache  # asked at each trial, of the same few paths
def _is_users(target: str) -> bool:
    """Whether an import path names code of the user's; it is imported."""
    with suppress(Exception):  # whoever builds it says what is wrong
        return is_own(get_object(target))
    return False
