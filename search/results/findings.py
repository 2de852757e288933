"""A search as it lies on disk, running or not: its plan, its trials, and what they say. Never writes, needs no torch."""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from search.config.knobs import Knob, Value
from search.config.plan import Plan, read_plan
from search.diagnostics.verdicts.across_trials import Together
from search.diagnostics.verdicts.rules import Verdict
from search.errors import UsageError, unknown
from search.stages import joint
from search.stages.decision import Decision, Group, decide
from search.stages.samplers import importances
from search.stages.sweep import cells, values, wanted
from search.storage.folder import LR_RANGE, PREFLIGHT, Folder
from search.storage.study import Study
from search.storage.trials import TrialRecord

ENOUGH = 10  # complete trials without which importances mean nothing
Cell = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All trials, queued ones included, and what is compared, baseline first, with the decision.

    A sweep compares values of its knob, a joint search its leaders, each named by its first trial. `evidence`: the trials
    that decide. `chosen`: the knobs of each value's trials, with the best of its nuisance where it has one. `foreseen`: how
    many trials there will be. `verdicts`: what each trial's curves say, and `together` what all say; empty until they are read.
    """

    plan: Plan
    rows: tuple[TrialRecord, ...]
    evidence: tuple[TrialRecord, ...] = ()
    foreseen: int = 0
    groups: tuple[Group, ...] = ()
    decision: Decision | None = None
    chosen: Mapping[Value, Mapping[str, Value]] = field(default_factory=dict)
    verdicts: Mapping[int, Verdict] = field(default_factory=dict)
    together: tuple[Together, ...] = ()

    @property
    def values(self) -> list[Value]:
        """Of the knob, in the order of the groups."""
        return [group.value for group in self.groups]

    @property
    def winner(self) -> TrialRecord | None:
        """The winner's first seed: the trial that is exported, never the luckiest."""
        if self.plan.kind == "train":
            return next((row for row in self.rows if row.state == "complete"), None)
        if self.decision is None or self.decision.winner is None:
            return None
        value = self.groups[self.decision.winner].value
        return next((row for row in self.of(value) if row.state == "complete"), None)

    def of(self, value: Value) -> list[TrialRecord]:
        """The trials of one value, by seed; of the best cell, where a nuisance was tuned beside it."""
        return self.by_cell.get(_key(self.chosen[value]), [])

    def beside(self, value: Value) -> str:
        """The nuisance's value beside a value, in words; empty where there is none."""
        nuisance = self.plan.nuisance(value)
        return (
            f"{nuisance.path}={self.chosen[value][nuisance.path]}" if nuisance is not None else ""
        )

    @cached_property
    def importance(self) -> dict[str, float]:
        """Of a joint search, the share of each knob in what separates good from bad, the greatest first.

        Empty with too few trials to tell, or one knob; a baseline outside of the space is left out.
        """
        knobs = self.plan.knobs
        complete = [
            (row.ask.knobs, row.value)
            for row in self.rows
            if row.ask.stage == joint.STAGE
            and row.state == "complete"
            and row.value is not None
            and all(
                knob.holds(row.ask.knobs[knob.path]) for knob in knobs if knob.path in row.ask.knobs
            )
        ]
        if len(complete) < ENOUGH or len(knobs) < 2:
            return {}
        return importances(complete, knobs=knobs, direction=self.plan.metric.direction)

    @cached_property
    def by_cell(self) -> dict[Cell, list[TrialRecord]]:
        """The trials of each cell, by seed."""
        found = defaultdict[Cell, list[TrialRecord]](list)
        for row in sorted(self.evidence, key=lambda row: row.ask.seed):
            found[_key(row.ask.knobs)].append(row)
        return found


def find(plan: Plan, rows: Sequence[TrialRecord], *, val_rows: int) -> Findings:
    """What the trials say; a decision only once all that it rests on is there. `val_rows`: rows of validation."""
    resolution = plan.metric.resolution(val_rows)
    if plan.joint is not None:
        return _find_joint(plan, rows, resolution=resolution)
    known = (
        *rows,
        *(
            TrialRecord(ask=ask, state="queued")
            for ask in wanted(plan, rows, resolution=resolution)
        ),
    )
    findings = Findings(plan=plan, rows=known, evidence=known, foreseen=len(known))
    if plan.kind != "sweep":
        return findings
    chosen, groups = {}, []
    for value in values(plan, rows, resolution=resolution):
        options = cells(plan, value)
        tuned = [_group(findings, value, cell) for cell in options]
        inner = decide(tuned, resolution=resolution).winner or 0
        chosen[value] = options[inner]
        groups.append(tuned[inner])
    costs = _costs(plan.knob, groups) if plan.knob.group == "capacity" else None
    decision = (
        decide(groups, resolution=resolution, costs=costs)
        if all(row.finished for row in known)
        else None
    )
    return replace(findings, groups=tuple(groups), decision=decision, chosen=chosen)


def _find_joint(plan: Plan, rows: Sequence[TrialRecord], *, resolution: float) -> Findings:
    """The leaders on the seeds of the confirmation; without one, on those that they led with."""
    settings = joint.settings(plan)
    missing = tuple(TrialRecord(ask=ask, state="queued") for ask in joint.confirmations(plan, rows))
    known = (*rows, *missing)
    stage = joint.CONFIRM if settings.confirm else joint.STAGE
    evidence = tuple(row for row in known if row.ask.stage == stage)
    over = bool(joint.ended(plan, rows))
    findings = Findings(
        plan=plan, rows=known, evidence=evidence, foreseen=joint.foreseen(plan, rows)
    )
    if not over:
        return findings
    leaders = joint.leaders(plan, rows)
    chosen: dict[Value, Mapping[str, Value]] = {row.ask.trial: row.ask.knobs for row in leaders}
    groups = tuple(_group(findings, row.ask.trial, row.ask.knobs) for row in leaders)
    done = bool(groups) and all(row.finished for row in known)
    return replace(
        findings,
        groups=groups,
        chosen=chosen,
        decision=decide(groups, resolution=resolution) if done else None,
    )


def _group(findings: Findings, value: Value, cell: Mapping[str, Value]) -> Group:
    sign = findings.plan.metric.sign
    rows = findings.by_cell.get(_key(cell), [])
    return Group(
        value=value, scores=tuple(None if row.value is None else sign * row.value for row in rows)
    )


def _key(knobs: Mapping[str, Value]) -> Cell:
    return tuple(sorted(knobs.items()))


def _costs(knob: Knob, groups: Sequence[Group]) -> list[float]:
    """What a value of a capacity knob costs: the number itself, or its place among the choices."""
    if knob.choices:
        return [
            float(knob.choices.index(group.value)) if group.value in knob.choices else math.inf
            for group in groups
        ]
    return [float(group.value) for group in groups if isinstance(group.value, int | float)]


def searches(root: Path) -> list[Path]:
    """Folders of all searches that have begun to train, by name."""
    return sorted(
        path.parent for path in root.glob("*/config.yaml") if Folder(path.parent).journal.exists()
    )


def looks(root: Path) -> dict[str, str]:
    """Folders in which nothing was searched yet, and what lies there: a range test, a preflight."""
    folders = sorted(path.parent for path in root.glob("*/config.yaml"))
    return {path.name: _told(path) for path in folders if not Folder(path).journal.exists()}


def _told(path: Path) -> str:
    """What was looked at in a folder, in words."""
    ranged, checked = (path / name for name in (LR_RANGE, PREFLIGHT))
    if ranged.exists():
        found = json.loads(ranged.read_text())
        if found["low"] is None:
            return f"a range test without a range, because {found['because']}"
        return f"a range test: learning rates from {found['low']:.2g} to {found['high']:.2g}"
    if checked.exists():
        failed = json.loads(checked.read_text())["failed"]
        return f"a preflight: {', '.join(failed) or 'nothing'} failed"
    return "not begun yet"


def open_results(name: str, *, root: Path) -> tuple[Folder, Findings]:
    """A search by its name below `root`, or by its folder's path.

    Raises:
        UsageError: there is none; those that exist are named.
    """
    path = Path(name) if (Path(name) / "config.yaml").exists() else root / name
    folder = Folder(path)
    if not folder.started or not folder.journal.exists():
        if name in (there := looks(root)):
            raise UsageError(
                f"{name}: needs a search with trials, but got {there[name]}; start one under another name"
            )
        raise UsageError(
            unknown("search", name=name, known=[found.name for found in searches(root)])
        )
    plan = replace(read_plan(folder.load_config(), root=root), folder=path)
    study = Study.for_reading(folder.journal, name=plan.name, knobs=plan.knobs)
    rows = study.rows(alive=folder.alive())
    return folder, find(plan, rows, val_rows=int(folder.load_contract()["split"]["rows"]["val"]))
