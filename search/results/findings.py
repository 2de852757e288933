"""A search as it lies on disk, running or not: its plan, its trials, and what they say.

Never writes, needs no torch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

from search.config.knobs import Knob, Value
from search.config.plan import Plan, read_plan
from search.config.tune_settings import TuneSettings
from search.diagnostics.verdicts.across_trials import Together
from search.diagnostics.verdicts.advice import NOT_LEARNED
from search.diagnostics.verdicts.rules import Verdict
from search.errors import UsageError, refused
from search.results.folders import open_folder
from search.results.step_record import StepRecord, candidates_of, read_steps
from search.stages import joint
from search.stages.importance import importances
from search.stages.kinds import kind_of
from search.stages.outcome import Outcome, cell_of
from search.storage.folder import Folder
from search.storage.lost_trials import check_trials
from search.storage.study import Study, stages_of
from search.storage.trials import TrialRecord

ANSWER = "the answer"  # of a search of many stages, beside the baseline
ENOUGH = 10  # complete trials without which importances mean nothing


@dataclass(frozen=True, kw_only=True)
class Findings(Outcome):
    """The outcome of a search with what its learning curves say.

    `verdicts`: what each trial's curves say, and `together` what all say; empty until they are
    read.
    `steps`: the decisions of a search of many stages, as `decisions.jsonl` holds them.
    `without_curves`: trials whose curves are no longer there. `has_rows`: whether the rows are.
    `heads`: of several heads, the further ones' scores at each trial's best epoch, by column.
    """

    verdicts: Mapping[int, Verdict] = field(default_factory=dict)
    together: tuple[Together, ...] = ()
    steps: tuple[StepRecord, ...] = ()
    without_curves: tuple[int, ...] = ()
    heads: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    has_rows: bool = True

    @property
    def winner(self) -> TrialRecord | None:
        """As `Outcome.winner`; of a search of many stages the incumbent's first trial."""
        if not self.steps:
            return super().winner
        trials = self.steps[-1]["trials"]
        rows = (row for row in self.rows if row.spec.trial in trials and row.state == "complete")
        return next(rows, None)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to train; a search of many stages has come to its end then."""
        if isinstance(self.plan.settings, TuneSettings):
            return bool(self.steps) and not self.stage
        return sum(row.finished for row in self.rows) == self.foreseen

    @property
    def stage(self) -> str:
        """The stage in which a search of many stages stands; empty at its end, and of others."""
        settings = self.plan.settings
        if not isinstance(settings, TuneSettings):
            return ""
        if not self.steps:
            return f"01-{settings.stages[0].stage}"
        return str(self.steps[-1]["next"] or "")

    @cached_property
    def is_perfect(self) -> bool:
        """Whether no score can be better than the answer's, with every seed."""
        if self.steps:
            return self.steps[-1]["perfect"]
        winner, metric = self.winner, self.plan.metric
        if winner is None:
            return False
        verdict = self.verdicts.get(winner.spec.trial)
        if verdict is not None and verdict.name in NOT_LEARNED:
            return False
        seeds = self.by_cell.get(cell_of(winner.spec.knobs), [winner])
        unit = metric.unit(row.value for row in self.rows)
        return metric.is_best([row.value for row in seeds], unit=unit)

    @property
    def confirmed(self) -> dict[str, list[int]]:
        """The trials of the answer of a search of many stages, and of the baseline beside it."""
        if not self.steps:
            return {}
        trials = {ANSWER: list(self.steps[-1]["trials"])}
        confirms = (step for step in self.steps if step["kind"] == "confirm")
        judged = [candidates for step in confirms if (candidates := candidates_of(step))]
        if judged and self.steps[-1]["held"]:
            trials["the baseline"] = list(judged[-1][0]["trials"])
        return trials

    def scores_of(self, step: StepRecord) -> list[float | None]:
        """The scores of the incumbent after a stage, one per seed."""
        values = {row.spec.trial: row.value for row in self.rows}
        return [values.get(trial) for trial in step["trials"]]

    def verdicts_on(self, rows: Iterable[TrialRecord]) -> list[Verdict]:
        """The verdicts on some trials, of those that have one."""
        return [self.verdicts[row.spec.trial] for row in rows if row.spec.trial in self.verdicts]

    @cached_property
    def importance(self) -> dict[str, float]:
        """The knobs of a joint search that separate good configurations from the rest beyond
        chance, each with its share, the greatest first.

        Empty with too few trials to tell, or one knob; a baseline outside of the space is left out.
        """
        knobs, complete = self.plan.knobs, self._inside
        if len(complete) < ENOUGH or len(knobs) < 2:
            return {}
        return importances(complete, knobs=knobs, direction=self.plan.metric.direction)

    @property
    def knobs_by_importance(self) -> list[Knob]:
        """All knobs, the most important first."""
        return sorted(self.plan.knobs, key=lambda knob: -self.importance.get(knob.path, 0.0))

    @property
    def why_no_importance(self) -> str:
        """Why no knob of several has a share; empty where one has."""
        if self.importance or len(self.plan.knobs) < 2:
            return ""
        if len(self._inside) < ENOUGH:
            return "too few complete trials to say which knob matters"
        return "no knob separates good configurations from the rest beyond chance"

    @cached_property
    def _inside(self) -> list[tuple[Mapping[str, Value], float]]:
        """The complete trials of a joint search that lie inside of its space, with their values."""
        return [
            (row.spec.knobs, row.result)
            for row in self.rows
            if row.spec.stage == joint.STAGE
            and row.result is not None
            and all(
                knob.holds(row.spec.knobs[knob.path])
                for knob in self.plan.knobs
                if knob.path in row.spec.knobs
            )
        ]


def find(plan: Plan, rows: Sequence[TrialRecord], *, val_rows: int) -> Findings:
    """What the trials say. `val_rows`: rows of validation."""
    if isinstance(plan.settings, TuneSettings):
        return Findings(plan=plan, rows=tuple(rows), evidence=tuple(rows), foreseen=len(rows))
    outcome = kind_of(plan).outcome(plan, rows, resolution=1 / val_rows)
    return Findings(**{each.name: getattr(outcome, each.name) for each in fields(outcome)})


def find_stages(plan: Plan, folder: Folder) -> Findings:
    """A search of many stages: the trials of all, each with all its knobs, and the decisions."""
    rows = list[TrialRecord]()
    stages = stages_of(folder.storage(), search=plan.name, alive=folder.alive())
    for stage, held, trials in stages:
        staged = replace(plan, held=held)
        for row in trials:
            knobs = staged.all_knobs(row.spec.knobs)
            rows.append(replace(row, spec=replace(row.spec, stage=stage, knobs=knobs, idle={})))
    findings = find(plan, sorted(rows, key=lambda row: row.spec.trial), val_rows=0)
    findings = replace(findings, steps=tuple(read_steps(folder.decisions)))
    _check_steps(findings, folder.decisions)
    return findings


def _check_steps(findings: Findings, path: Path, *, whole: bool = False) -> None:
    """Whether the decisions are those of the trials. `whole`: each stage but the last has one."""
    stages = sorted({row.spec.stage for row in findings.rows})[: -1 if whole else 0]
    decided = {step["stage"] for step in findings.steps}
    got = next((f"none on {name}" for name in stages if name not in decided), "")
    for step in findings.steps:
        known = findings.scores_of(step)
        if known != step["scores"]:
            got = f"{step['scores']} for trials {step['trials']} on {step['stage']}, not {known}"
    if got:
        raise refused(
            str(path),
            code="decisions-of-other-trials",
            rule="holds the decisions on the search's own trials",
            got=got,
            remedy="restore it, or delete it and give the search's command again",
        )


def open_results(name: str, *, root: Path, retrains: bool = False) -> tuple[Folder, Findings]:
    """A search by its name below `root`, or by its folder's path.

    `retrains`: also where trials were lost, since the caller trains them again.

    Raises:
        UsageError: as of `open_folder`; or trials, settings or decisions cannot be read.
    """
    folder = open_folder(name, root=root)
    plan = replace(read_plan(folder.load_config(), root=root), folder=folder.path)
    if isinstance(plan.settings, TuneSettings):
        findings = find_stages(plan, folder)
        if not folder.alive():
            _check_steps(findings, folder.decisions, whole=True)
    else:
        study = Study.for_reading(folder.storage(), name=plan.name, knobs=plan.knobs)
        findings = find(plan, study.rows(alive=folder.alive()), val_rows=folder.val_rows)
    if not retrains:
        check_trials(folder, [row.spec.trial for row in findings.rows if row.finished])
    return folder, findings


def lineage(findings: Findings, *, root: Path) -> Iterator[Findings]:
    """A search, the one that it came `from`, and so on, as far as these are still there."""
    visited = set[str]()
    while True:
        yield findings
        source = findings.plan.config.get("from")
        if source is None or source in visited:
            return
        visited.add(source)
        try:
            _, findings = open_results(str(source), root=root)
        except UsageError:  # it has been removed
            return
