"""A worker says hello: is its code that of the search, and what does it need to begin?

Workers on this machine have the search's own code. On a cluster each node has its own.
"""

import json

from search.config.plan import Plan
from search.config.version import KNOBWISE, code_here
from search.errors import RunError, broken_rule
from search.execution.callbacks import Callback
from search.execution.connections import WorkerHandle
from search.execution.lanes import Fusions
from search.execution.messages import Hello, Setup
from search.storage.code_record import CodeRecord
from search.storage.folder import Folder


class Reception:
    """Receives the workers of one search."""

    def __init__(self, plan: Plan, *, folder: Folder, fusions: Fusions, callback: Callback) -> None:
        self._plan, self._folder = plan, folder
        self._fusions, self._callback = fusions, callback
        self._code: dict[str, str] = {}
        self._said: set[str] = set()

    def greet(self, worker: WorkerHandle, hello: Hello) -> Setup:
        """What a worker needs.

        Raises:
            RunError: its node has another version of Knobwise.
        """
        worker.greet(hello)
        if worker.node:
            self._check_code(worker, hello.code)
        carried = not self._plan.placement.shared
        return Setup(
            config=json.dumps(self._plan.trial_base),
            folder=str(self._folder.path),
            device=worker.slot.device,
            log=worker.slot.log,
            metric=self._plan.metric,
            lanes=self._fusions.setup(),
            carried=carried,
            code=CodeRecord(self._folder.path).current() if carried else {},
        )

    def _check_code(self, worker: WorkerHandle, theirs: dict[str, str]) -> None:
        """Another torch, or sources of one version that differ, are told, once each."""
        self._code = self._code or code_here()
        differing = [name for name, own in self._code.items() if theirs.get(name) != own]
        if not differing:
            return
        if KNOBWISE in differing:
            text = broken_rule(
                f"a worker{worker.place}",
                rule=f"must have the Knobwise of the search, {self._code[KNOBWISE]}",
                got=theirs.get(KNOBWISE, "an older one"),
                remedy="install it there, and give the same command again",
            )
            raise RunError(text, code="worker-of-other-version")
        there = ", ".join(f"{name} {theirs.get(name)}" for name in differing)
        here = ", ".join(f"{name} {self._code[name]}" for name in differing)
        if there not in self._said:
            self._said.add(there)
            self._callback.note(
                f"a worker{worker.place} has {there}, but this search {here}: what a trial gives "
                "may depend on where it trains",
                style="yellow",
            )
