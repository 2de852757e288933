"""What a search does, step by step: which trials, and which value wins."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from search.config.knobs import Value
from search.storage.trials import TrialRecord, TrialSpec


class Stage(Protocol):
    """What the conductor needs of a stage. Nothing here may take long: whoever must think does so in a thread of its own.

    `values`: what a knob may take beside its own domain.
    """

    values: Mapping[str, Sequence[Value]]

    @property
    def thinking(self) -> bool:
        """Whether trials may still come of what is being thought of now."""

    def wanted(self, rows: Sequence[TrialRecord], *, room: int) -> list[TrialSpec]:
        """Trials to be made now, given all that there are; so many seats wait."""

    def foreseen(self, rows: Sequence[TrialRecord]) -> int:
        """How many trials there will be in all, as far as can be told."""

    def candidates(self, rows: Sequence[TrialRecord]) -> Sequence[TrialSpec]:
        """Trials that may train at the same time, were there room for all."""

    def rungs(self, ask: TrialSpec) -> tuple[int, ...]:
        """Epochs at which the pruner is asked about a trial."""

    def compares(self, ask: TrialSpec) -> bool:
        """Whether the pruner measures others against a trial."""

    def ended(self, row: TrialRecord) -> None:
        """A trial has its row."""

    def close(self) -> None:
        """Nothing more will be asked."""


class FixedStage:
    """A stage that follows from its trials alone: they are asked for, and nobody thinks."""

    thinking = False

    def __init__(
        self,
        wanted: Callable[[Sequence[TrialRecord]], list[TrialSpec]],
        *,
        values: Mapping[str, Sequence[Value]],
    ) -> None:
        self._wanted, self.values = wanted, values
        self._seen, self._next = (-1, -1), list[TrialSpec]()

    def wanted(self, rows: Sequence[TrialRecord], *, room: int) -> list[TrialSpec]:
        """All of a round at once."""
        seen = len(rows), sum(row.finished for row in rows)
        if (
            seen != self._seen
        ):  # a conductor asks at every settlement, and nothing follows from what has not ended
            self._seen, self._next = seen, self._wanted(rows)
        return self._next

    def foreseen(self, rows: Sequence[TrialRecord]) -> int:
        """Those of the rounds begun."""
        return len(rows) + len(self.wanted(rows, room=0))

    def candidates(self, rows: Sequence[TrialRecord]) -> Sequence[TrialSpec]:
        """The rest of the round."""
        return [*(row.ask for row in rows if not row.finished), *self.wanted(rows, room=0)]

    def rungs(self, ask: TrialSpec) -> tuple[int, ...]:
        """Nobody is pruned."""
        return ()

    def compares(self, ask: TrialSpec) -> bool:
        """All are alike."""
        return True

    def ended(self, row: TrialRecord) -> None:
        """Nobody learns."""

    def close(self) -> None:
        """Nothing to close."""
