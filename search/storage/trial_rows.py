"""All trials of a search as they stand, and how many there are, counted as they change.

A stage is asked after every trial. Were all rows looked at each time, a search of ten thousand
trials would spend most of its time on it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import overload

from search.storage.trials import TrialRecord


class TrialRows(Sequence[TrialRecord]):
    """The trials in the order in which they were asked for. `clock`: the latest of them [s]."""

    def __init__(self, rows: Iterable[TrialRecord] = ()) -> None:
        self._rows: list[TrialRecord] = []
        self._places: dict[int, int] = {}  # in the list, by running number
        self._unfinished: dict[int, TrialRecord] = {}
        self._stages = Counter[str]()
        self.clock = 0.0
        for row in rows:
            self.put(row)

    def put(self, row: TrialRecord) -> None:
        """Adds a trial, or replaces what was known of it."""
        number, many = row.spec.trial, len(self._rows)
        place = self._places.setdefault(number, many)
        if place == many:
            self._rows.append(row)
            self._stages[row.spec.stage] += 1
        else:
            self._rows[place] = row
        if row.finished:
            self._unfinished.pop(number, None)
            self.clock = max(self.clock, row.clock)
        else:
            self._unfinished[number] = row

    @property
    def unfinished(self) -> Collection[TrialRecord]:
        """Trials without a final state, in their order."""
        return self._unfinished.values()

    def count(self, stage: str) -> int:
        """How many trials have that name of a stage."""
        return self._stages[stage]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[TrialRecord]:
        return iter(self._rows)

    @overload
    def __getitem__(self, place: int) -> TrialRecord: ...

    @overload
    def __getitem__(self, place: slice) -> list[TrialRecord]: ...

    def __getitem__(self, place: int | slice) -> TrialRecord | list[TrialRecord]:
        return self._rows[place]


def counted(rows: Sequence[TrialRecord]) -> TrialRows:
    """The rows with their counts; those that have them already, as they are."""
    return rows if isinstance(rows, TrialRows) else TrialRows(rows)
