"""What the conductor asks of a stage, and the stage whose trials follow from its rows alone."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from search.config.joint_settings import Point
from search.config.knobs import Value
from search.config.plan import Plan
from search.storage.trial_rows import TrialRows
from search.storage.trials import TrialRecord, TrialSpec, UnnumberedTrial

PEEK = 256  # trials that are looked at, to see how many share a key


class Silence:
    """Trials in a row without a result. `most`: that make it long, None: none do. `rows`: of
    earlier runs.
    """

    def __init__(self, most: int | None, rows: Iterable[TrialRecord] = ()) -> None:
        self._most, self._count = most, 0
        for row in rows:
            if row.finished:
                self.hear(row)

    @property
    def is_long(self) -> bool:
        """Whether it is time to ask if trainings still work."""
        return self._most is not None and self._count >= self._most

    def hear(self, row: TrialRecord) -> None:
        """A trial has its row."""
        self._count = self._count + 1 if row.value is None else 0


class Stage:
    """What the conductor asks of a stage. Every call returns at once: a slow sampler runs in a
    thread of its own, and what is asked after every trial takes no longer the more there are.

    `values`: what a knob may take beside its own domain. `silence`: at which it pauses.
    """

    def __init__(
        self, *, values: Mapping[str, Sequence[Value]], silence: Silence | None = None
    ) -> None:
        self.values = values
        self._silence = silence or Silence(None)

    @property
    def thinking(self) -> bool:
        """Whether the sampler is proposing now, so that more trials may come."""
        return False

    @property
    def paused(self) -> bool:
        """Whether it wants nothing more for now, since its last trials gave no result."""
        return self._silence.is_long

    def wanted(self, rows: TrialRows, *, room: int) -> list[TrialSpec]:
        """Trials to start now, given all that exist; `room`: seats that wait."""
        raise NotImplementedError

    def foreseen(self, rows: TrialRows) -> int:
        """How many trials there will be in all, as far as can be foreseen."""
        raise NotImplementedError

    def candidates(self, rows: TrialRows) -> Iterable[UnnumberedTrial]:
        """Trials that may train at the same time if there is room for all."""
        raise NotImplementedError

    def rungs(self, spec: TrialSpec) -> tuple[int, ...]:
        """Epochs at which the pruner is asked about a trial."""
        return ()

    def compares(self, spec: TrialSpec) -> bool:
        """Whether the pruner measures others against a trial."""
        return True

    def ended(self, row: TrialRecord) -> None:
        """A trial has its row."""
        self._silence.hear(row)

    def close(self) -> None:
        """Nothing more will be asked."""


def looked_ahead(candidates: Iterable[UnnumberedTrial]) -> list[tuple[dict[str, Value], int]]:
    """The knobs of the first trials, and how many of these have them."""
    counts = Counter(tuple(trial.knobs.items()) for trial in islice(candidates, PEEK))
    return [(dict(knobs), count) for knobs, count in counts.items()]


@dataclass(frozen=True, kw_only=True)
class Past:
    """A trial of an earlier search as a point of this one's space (R32).

    `value`: what a sampler is told.
    """

    point: Point
    value: float


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """What a stage needs beside the plan and its trials.

    `past`: earlier trials, for a sampler that learns from them. `borrowed`: trials of earlier
    stages that are this stage's too, so that it need not train them again. `slots`: workers.
    `resolution`: as `decision.decide` takes it. `wake`: called when a sampler has a proposal.
    `silent`: trials in a row without a result, after which it pauses.
    """

    past: Sequence[Past] = ()
    borrowed: Sequence[TrialRecord] = ()
    slots: int
    resolution: float
    wake: Callable[[], None]
    silent: int | None = None


class FixedStage(Stage):
    """A stage without a sampler or a pruner: its trials follow from the rows alone."""

    def __init__(
        self,
        wanted: Callable[[Sequence[TrialRecord]], list[TrialSpec]],
        *,
        values: Mapping[str, Sequence[Value]],
        silence: Silence | None = None,
    ) -> None:
        super().__init__(values=values, silence=silence)
        self._wanted = wanted
        self._seen, self._next = (-1, -1), list[TrialSpec]()

    def wanted(self, rows: TrialRows, *, room: int) -> list[TrialSpec]:
        """All of a round at once."""
        seen = len(rows), len(rows.unfinished)
        # The conductor asks very often, and the answer changes only when a trial has ended.
        if seen != self._seen:
            self._seen, self._next = seen, self._wanted(rows)
        return self._next

    def foreseen(self, rows: TrialRows) -> int:
        """The trials of the rounds begun."""
        return len(rows) + len(self.wanted(rows, room=0))

    def candidates(self, rows: TrialRows) -> Iterable[UnnumberedTrial]:
        """The rest of the round, all of which has been asked for."""
        return (row.spec for row in rows.unfinished)


def missing(
    plan: Plan,
    points: Sequence[Mapping[str, Value]],
    rows: Sequence[TrialRecord],
    *,
    stage: str,
    seeds: Sequence[int],
) -> list[TrialSpec]:
    """The trials of these points that are not there yet, seed by seed, numbered behind those there.

    The order is fixed, so an interrupted search numbers as an undisturbed one.
    """
    return further(plan, points, [len(seeds)] * len(points), rows, stage=stage, seeds=seeds)


def further(
    plan: Plan,
    points: Sequence[Mapping[str, Value]],
    needed: Sequence[int],
    rows: Sequence[TrialRecord],
    *,
    stage: str,
    seeds: Sequence[int],
) -> list[TrialSpec]:
    """The trials that a race still wants: of every point the first `needed` of the seeds."""
    if plan.closed:
        return []
    there = {row.spec.key for row in rows}
    specs = (
        UnnumberedTrial(stage=stage, knobs=knobs, seed=seed)
        for place, seed in enumerate(seeds)
        for knobs, count in zip(points, needed, strict=True)
        if place < count
    )
    fresh = [spec for spec in specs if spec.key not in there]
    return numbered(fresh, start=next_number(plan, rows))


def next_number(plan: Plan, rows: Sequence[TrialRecord]) -> int:
    """The running number behind the stage's own trials and those of earlier stages."""
    return plan.first_trial + sum(row.spec.trial >= plan.first_trial for row in rows)


def numbered(wanted: Sequence[UnnumberedTrial], *, start: int) -> list[TrialSpec]:
    """The trials with running numbers."""
    return [trial.numbered(number) for number, trial in enumerate(wanted, start=start)]
