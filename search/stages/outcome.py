"""What the trials of a stage say: what is compared, and what was decided. Plain data."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from search.config.knobs import Value
from search.config.plan import Plan
from search.contract.metrics import Metric
from search.stages.decision import Decision
from search.stages.group import Candidate, Group
from search.storage.trials import ENDED_BY_ERROR, TrialRecord, TrialSpec, TrialState

Cell = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All trials, queued ones included, and what is compared, baseline first, with the decision.

    A sweep compares values of its knob, a joint search its leaders, a confirmation its
    configurations.

    `evidence`: the trials that decide. `chosen`: the knobs of each group's trials, with the best
    of its nuisance where it has one. `foreseen`: how many trials there will be. `decision`: None
    until all its trials have ended. `compares`: False for a single training, its own winner.
    """

    plan: Plan
    rows: tuple[TrialRecord, ...]
    evidence: tuple[TrialRecord, ...] = ()
    foreseen: int = 0
    groups: tuple[Group, ...] = ()
    decision: Decision | None = None
    chosen: Mapping[Candidate, Mapping[str, Value]] = field(default_factory=dict)
    compares: bool = True

    @property
    def values(self) -> list[Value]:
        """The values of a sweep's knob that are compared, in their order."""
        return [group.value for group in self.groups]

    @property
    def winner(self) -> TrialRecord | None:
        """The winner's first seed: the trial that is exported, never the luckiest.

        A single training is its own winner.
        """
        if not self.compares:
            return next((row for row in self.rows if row.state == "complete"), None)
        if self.decision is None or self.decision.winner is None:
            return None
        winner = self.groups[self.decision.winner]
        return next((row for row in self.of(winner.candidate) if row.state == "complete"), None)

    @property
    def winning(self) -> int | None:
        """The winner's place among the groups; None where there is none."""
        return None if self.decision is None else self.decision.winner

    @property
    def obstacle(self) -> str:
        """Why nothing can be decided although every trial has ended; empty if it can.

        Without a result of the baseline there is nothing that a value could be compared with; a
        baseline that diverged is a result.
        """
        if not self.groups or not any(row.value is not None for row in self.rows):
            return ""
        baseline = cell_of(self.chosen[self.groups[0].candidate])
        rows = [row for row in self.rows if cell_of(row.spec.knobs) == baseline]
        if not all(row.state in ENDED_BY_ERROR for row in rows):
            return ""
        first = rows[0]
        return (
            f"no decision: the baseline, trial {first.spec.trial}, has no result to compare with "
            f"({first.state}: {first.reason}); mend the cause, then give the command a new name=…"
        )

    def of(self, candidate: Candidate) -> list[TrialRecord]:
        """A candidate's trials, by seed; of the best cell, if a nuisance was tuned beside it."""
        return self.by_cell.get(cell_of(self.chosen[candidate]), [])

    def beside(self, value: Value) -> str:
        """The nuisance's value beside a value, in words; empty where there is none."""
        nuisance = self.plan.nuisance(value)
        return (
            f"{nuisance.path}={self.chosen[value][nuisance.path]}" if nuisance is not None else ""
        )

    @cached_property
    def by_cell(self) -> dict[Cell, list[TrialRecord]]:
        """The evidence by configuration, each by seed."""
        return by_cell(self.evidence)


def with_queued(
    rows: Sequence[TrialRecord], wanted: Iterable[TrialSpec]
) -> tuple[TrialRecord, ...]:
    """The trials, and behind them those still to be made."""
    return (*rows, *(TrialRecord(spec=spec, state=TrialState.QUEUED) for spec in wanted))


def by_cell(rows: Iterable[TrialRecord]) -> dict[Cell, list[TrialRecord]]:
    """Trials by configuration, each by seed."""
    cells = defaultdict[Cell, list[TrialRecord]](list)
    for row in sorted(rows, key=lambda row: row.spec.seed):
        cells[cell_of(row.spec.knobs)].append(row)
    return cells


def cell_of(knobs: Mapping[str, Value]) -> Cell:
    """A configuration as a key."""
    return tuple(sorted(knobs.items()))


def group_of(candidate: Candidate, rows: Sequence[TrialRecord], *, metric: Metric) -> Group:
    """The scores of one candidate's trials, higher being better."""
    return Group(
        candidate=candidate,
        scores=tuple(None if row.value is None else metric.sign * row.value for row in rows),
        perfect=metric.perfect,
        curves=tuple(row.curve for row in rows),
    )
