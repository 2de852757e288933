"""What earlier starts of a search have made: today's rules may differ, and change none of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import refused
from search.protocols.budget import budgets_chosen_by
from search.protocols.history import History
from search.protocols.next_stage import sweep_made
from search.protocols.step import Request
from search.results.findings import Findings
from search.results.step_record import StepRecord


@dataclass(frozen=True, kw_only=True)
class Former:
    """`steps`: that were decided. `stages`: names of all that have begun. `budgets`: by which each
    was chosen, from the second on. `ended`: whether the protocol has come to its end.
    """

    steps: Sequence[StepRecord]
    stages: frozenset[str] = frozenset()
    budgets: Sequence[Mapping[str, Any]] = ()
    ended: bool = False

    @classmethod
    def of(cls, steps: Sequence[StepRecord], found: Findings | None) -> "Former":
        """Of the decisions, and of a search with trials as it stands on disk."""
        stages = frozenset(step["stage"] for step in steps)
        if found is None:
            return cls(steps=steps, stages=stages)
        return cls(
            steps=steps,
            stages=stages | {row.spec.stage for row in found.rows},
            budgets=budgets_chosen_by(found),
            ended=found.is_done,
        )

    def trained(self, number: int) -> int | None:
        """How many trials the stage of that number has trained; None where it is not decided."""
        return self.steps[number - 1]["trained"] if number <= len(self.steps) else None

    def kept(self, record: StepRecord, number: int) -> StepRecord:
        """The step as it was recorded, where others follow it and its trials are still the same."""
        if number >= len(self.steps) + self.ended:
            return record
        former = self.steps[number - 1]
        same = (former[key] == record[key] for key in ("stage", "trials", "scores", "trained"))
        return former if all(same) else record

    def due(
        self, history: History, request: Request | None, *, folder: Path
    ) -> tuple[Request | None, str]:
        """The next stage: where today's rules come to another one than was made, that one; and why
        the search stays as it is, if it has ended and they know no such stage.

        Args:
            history: the steps so far.
            request: the next stage by today's rules; None at the protocol's end.
            folder: of the search.

        Raises:
            UsageError: they know none, and the search is on its way. New trials would have the
                numbers of those there.
        """
        number = len(history.steps) + 1
        there = ", ".join(sorted(name for name in self.stages if name.startswith(f"{number:02d}-")))
        name = request.name(number) if request is not None else ""
        if name == there or not (there or self.ended):
            return request, ""
        says = self.steps[number - 1]["says"] if number <= len(self.steps) else ""
        if (made := sweep_made(history, there, says=says)) is not None:
            return made, ""
        text = f"the rules of this version, which come to {name or 'the end'}"
        text += f", where an earlier start came to {there or 'the end'}"
        if self.ended:
            return None, f"{text}: the search has ended, and stays as it is"
        raise refused(
            str(folder),
            code="protocol-leads-elsewhere",
            rule="goes on by the rules that chose its stages",
            got=text,
            remedy="go on with the version that began it, or use name=… for a new search",
        )
