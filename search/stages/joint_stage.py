"""The joint search as a stage: first points of a sequence, then the sampler's, then the
confirmation.

It says how many trials there are and numbers them; what they are, the sequence and the sampler say.
Never trains.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import islice

from search.config.joint_settings import ADAPTIVE, default_point
from search.config.plan import Plan
from search.stages import joint, joint_confirmation
from search.stages.sampler_thread import SamplerThread
from search.stages.stage import PEEK, FixedStage, Silence, Stage, StageContext, numbered
from search.storage.trial_rows import TrialRows
from search.storage.trials import TrialRecord, TrialSpec, TrialState, UnnumberedTrial

ENOUGH = 5  # configurations of earlier searches from which a sampler can begin


class JointStage(Stage):
    """`rows`: the trials of earlier runs.

    An adaptive sampler has no more trials under way than there are slots, or an eighth of all
    trials: it would learn too late.
    """

    def __init__(self, plan: Plan, rows: Sequence[TrialRecord], context: StageContext) -> None:
        self._plan, self._settings = plan, joint.settings(plan)
        slots, past = context.slots, context.past
        self._candidates = (
            max(slots, self._settings.n_trials // 8) if self._settings.sampler in ADAPTIVE else PEEK
        )
        default = default_point(plan.config, plan.knobs)
        values = {path: (value,) for path, value in default.items()}
        super().__init__(values=values, silence=Silence(context.silent))
        self._baseline = joint.key(plan, default)
        self._confirmation = FixedStage(
            lambda own: joint_confirmation.confirmations(plan, own, resolution=context.resolution),
            values={},
        )
        is_known = len({joint.key(plan, known.point) for known in past}) >= ENOUGH
        self._start = joint.start(plan, [*context.borrowed, *rows], history=is_known)
        beyond = bool(past) or self._settings.n_trials > self._settings.startup * plan.seeds
        self._sampler_thread = (
            SamplerThread(plan, wake=context.wake)
            if beyond and self._settings.sampler in ADAPTIVE
            else None
        )
        self._requested = 0
        self._spent = False
        if self._sampler_thread is not None:
            for known in past:
                self._sampler_thread.recall(known.point, known.value)
        for row in rows:
            if self._sampler_thread is not None and row.spec.stage == joint.STAGE:
                self._sampler_thread.begin(row.spec.point)
            if row.finished:
                self.ended(row)

    @property
    def thinking(self) -> bool:
        """Whether the sampler is at it."""
        return self._requested > 0 and not self.paused

    def wanted(self, rows: TrialRows, *, room: int) -> list[TrialSpec]:
        """Trials for the workers that wait: of the start, the sampler, or the confirmation."""
        if self.paused:
            return []
        ready = self._sampler_thread.ready() if self._sampler_thread is not None else []
        self._requested -= len(ready)
        self._spent = self._spent or None in ready
        left = joint.room(self._plan, rows)
        specs = [
            spec
            for point in ready
            if point is not None
            for spec in joint.repeats(self._plan, point)
        ][:left]
        while len(specs) < min(room, left) and (spec := next(self._start, None)) is not None:
            specs.append(spec)
            if self._sampler_thread is not None:
                self._sampler_thread.begin(spec.point)
        if self._sampler_thread is not None and not self._spent:
            underway = len(rows.unfinished) + len(specs)
            free = -(-(self._candidates - underway) // self._plan.seeds)
            points = min(room - len(specs), (left - len(specs)) // self._plan.seeds, free)
            for _ in range(points - self._requested):
                self._sampler_thread.request()
                self._requested += 1
        if specs or self.thinking:
            return numbered(specs, start=self._plan.first_trial + len(rows))
        return self._confirmation.wanted(rows, room=room)

    def foreseen(self, rows: TrialRows) -> int:
        """All of `n_trials`, and the confirmation."""
        if joint.ended(self._plan, rows):
            return self._confirmation.foreseen(rows)
        return joint_confirmation.expected(self._plan, rows)

    def candidates(self, rows: TrialRows) -> Sequence[UnnumberedTrial]:
        """As many points of the sequence as may be under way."""
        return self._ahead

    @cached_property
    def _ahead(self) -> list[UnnumberedTrial]:
        """They follow from the plan alone."""
        most = min(self._candidates, PEEK)
        points = islice(joint.points(self._plan), most)
        return [spec for point in points for spec in joint.repeats(self._plan, point)][:most]

    def compares(self, spec: TrialSpec) -> bool:
        """Confirmations are of the best only: nobody is pruned for being worse than them."""
        return spec.stage == joint.STAGE

    def rungs(self, spec: TrialSpec) -> tuple[int, ...]:
        """The pruner's; neither the baseline nor a confirmation is ever pruned."""
        spared = spec.stage != joint.STAGE or tuple(spec.knobs.items()) == self._baseline
        return () if spared else self._settings.rungs

    def ended(self, row: TrialRecord) -> None:
        """The sampler learns of it.

        A pruned trial counts with its best so far: unknown, it would be proposed again.
        """
        super().ended(row)
        if self._sampler_thread is not None and row.spec.stage == joint.STAGE:
            infeasible = row.state == TrialState.INFEASIBLE
            self._sampler_thread.learn(row.spec.point, row.sampler_value, infeasible=infeasible)

    def close(self) -> None:
        """Ends the sampler's thread, after the proposal that it works on."""
        if self._sampler_thread is not None:
            self._sampler_thread.close()
