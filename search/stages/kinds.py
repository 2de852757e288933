"""One object per kind of search: what it foresees, what it asks for, and what its trials decide.

Everything that differs between a sweep, a joint search, a confirmation and a single training is
asked here; nothing else in these stages looks at `plan.kind`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from search.config.plan import Plan
from search.stages import confirm, joint, joint_confirmation, single, sweep
from search.stages.joint_stage import JointStage
from search.stages.outcome import Outcome
from search.stages.stage import Stage, StageContext
from search.storage.trials import TrialRecord

Rows = Sequence[TrialRecord]


class _Decide(Protocol):
    def __call__(self, plan: Plan, rows: Rows, *, resolution: float) -> Outcome: ...


class _CheckResume(Protocol):
    def __call__(self, plan: Plan, rows: Rows, *, seeds: int) -> None: ...


def _any_rows(plan: Plan, rows: Rows, *, seeds: int) -> None:
    """A search without a sampler goes on from any trials."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of search, as pure functions of a plan and the trials that exist.

    `foreseen`: how many trials there will be in all, as far as can be foreseen.
    `outcome`: what is compared and what is decided; `resolution` as `decision.decide` takes it.
    `stage`: what the conductor carries out.
    `check_resume`: raises UsageError where the plan may not go on from its trials; `seeds`: those
    of the first start.
    `opening`: what a search that begins is told of its trials, if anything.
    `adaptive`: whether its sampler learns from the trials of earlier searches (R32).
    """

    foreseen: Callable[[Plan, Rows], int]
    outcome: _Decide
    stage: Callable[[Plan, Rows, StageContext], Stage]
    check_resume: _CheckResume = _any_rows
    opening: Callable[[Plan], str] = lambda plan: ""  # the progress bar says all there is to say
    adaptive: bool = False


CONFIRM = Kind(foreseen=confirm.foreseen, outcome=confirm.outcome, stage=confirm.make_stage)
KINDS = {
    "sweep": Kind(foreseen=sweep.foreseen, outcome=sweep.outcome, stage=sweep.make_stage),
    "joint": Kind(
        foreseen=joint_confirmation.foreseen,
        outcome=joint_confirmation.outcome,
        stage=JointStage,
        check_resume=joint.check_resume,
        opening=joint_confirmation.opening,
        adaptive=True,
    ),
    "baseline": CONFIRM,
    "confirm": CONFIRM,
    "train": Kind(foreseen=single.foreseen, outcome=single.outcome, stage=single.make_stage),
}


def kind_of(plan: Plan) -> Kind:
    """The object of a plan's kind."""
    return KINDS[plan.kind]
