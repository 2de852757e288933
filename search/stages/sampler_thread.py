"""An Optuna sampler in a thread of its own: it learns what has been tried, and proposes the next
point.

Every proposal asks a new study in memory, made of what is known, so that the journal keeps one
writer and answering workers never waits for a Gaussian process. Never decides how many trials
there are.
"""

import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from search.config.joint_settings import Point
from search.config.knobs import Knob
from search.config.plan import Plan
from search.errors import RunError
from search.stages import joint
from search.stages.observations import Observations
from search.stages.samplers import make_sampler, seed_of
from search.storage.distributions import distribution_of

AGAIN = 5  # proposals in a row that may repeat a configuration; then another point is taken
CLOSE = 0.05  # distance of that point: standard deviation, as a share of a knob's range
FEW = 20  # a range of more whole numbers is sampled as real numbers
PATIENCE = 10.0  # time that the last proposal gets at the end [s]


class SamplerThread:
    """`wake` is called whenever a proposal is ready."""

    def __init__(self, plan: Plan, *, wake: Callable[[], None]) -> None:
        # Whole, before the thread imports a part of it: of a package that another thread is still
        # importing, Python imports parts at once, and either thread may see the other's half.
        import scipy.stats  # noqa: F401

        self._plan, self._wake = plan, wake
        self._kind = joint.settings(plan).sampler
        self._space = {knob.path: distribution_of(_smooth(knob), ()) for knob in plan.knobs}
        self._observations = Observations(plan, self._space)
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Point | Exception | None] = queue.SimpleQueue()
        self._lock, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def begin(self, point: Point) -> None:
        """A point that the sampler has not proposed is tried."""
        self._inbox.put(lambda: self._observations.begin(point))

    def learn(self, point: Point, value: float | None, *, infeasible: bool = False) -> None:
        """What came of a point; None: a failure, which teaches nothing.

        `infeasible`: the value only stands for a training that could not be carried out.
        """
        self._inbox.put(lambda: self._observations.learn(point, value, infeasible=infeasible))

    def recall(self, point: Point, value: float) -> None:
        """Takes a point of another search and its value; here the point may still be proposed."""
        self._inbox.put(lambda: self._observations.recall(point, value))

    def request(self) -> None:
        """Propose one more point."""
        self._inbox.put(lambda: self._post(self._proposed()))

    def ready(self) -> list[Point | None]:
        """What has been proposed since; None where no configuration is left.

        Raises:
            RunError: the sampler failed.
        """
        proposals: list[Point | None] = []
        while not self._ready.empty():
            proposal = self._ready.get()
            if isinstance(proposal, Exception):
                name = type(proposal).__name__
                raise RunError(
                    f"sampler={self._kind} failed: {name}: {proposal}; use another sampler=",
                    code="sampler-failed",
                ) from proposal
            proposals.append(proposal)
        return proposals

    def close(self) -> None:
        """Ends the thread after the proposal that it works on; a very long one is left behind."""
        with self._lock:
            self._closed = True
        self._inbox.put(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        # Torch, which a Gaussian process needs, reads it when it is imported.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            self._warm_up()
            while (task := self._inbox.get()) is not None and not self._closed:
                task()
        except Exception as error:  # noqa: BLE001  # raised in the conductor's thread, by `ready`
            self._post(error)

    def _warm_up(self) -> None:
        """Imports torch, which a Gaussian process needs, while the first trials run."""
        scratch = optuna.create_study(sampler=make_sampler(self._kind, seed=0))
        space: dict[str, BaseDistribution] = {
            name: FloatDistribution(0.0, 1.0) for name in ("x", "y")
        }
        for value in (0.1, 0.9):
            scratch.add_trial(
                create_trial(params={"x": value, "y": value}, distributions=space, value=value)
            )
        scratch.ask(space)

    def _post(self, proposal: Point | Exception | None) -> None:
        """Nobody is woken who no longer listens."""
        self._ready.put(proposal)
        with self._lock:
            if not self._closed:
                self._wake()

    def _proposed(self) -> Point | None:
        """A new configuration: the sampler's; where it only repeats itself, one close by, or the
        next of the quasi-random sequence.

        A Gaussian process is told the value of a repetition once more, as another training with
        the same seed would tell it: it then takes the value for less noisy, and looks elsewhere.
        """
        for attempt in range(AGAIN):
            seed = seed_of(self._plan.seed, joint.STAGE, len(self._observations), attempt)
            point, attributes = self._ask(seed)
            if point not in self._observations:
                self._observations.begin(point, attributes)
                return point
            if self._kind == "gp" and attempt < AGAIN - 1:
                self._observations.repeat(point)
                continue
            close = self._close(point, np.random.default_rng(seed))
            if close not in self._observations:
                self._observations.begin(close)
                return close
        sequence = joint.points(self._plan)
        fresh = next((point for point in sequence if point not in self._observations), None)
        if fresh is not None:
            self._observations.begin(fresh)
        return fresh

    def _close(self, point: Point, dice: np.random.Generator) -> Point:
        """A point nearby: its numbers shifted; where that changes none, one choice replaced."""
        knobs = self._plan.knobs
        close = {k.path: k.near(point[k.path], dice.normal(0.0, CLOSE)) for k in knobs}
        named = [knob for knob in knobs if knob.choices]
        if close in self._observations and named:
            knob = named[dice.integers(len(named))]
            others = [choice for choice in knob.choices if choice != point[knob.path]]
            close[knob.path] = others[dice.integers(len(others))]
        return close

    def _ask(self, seed: int) -> tuple[Point, Mapping[str, Any]]:
        """The sampler's proposal, in the knobs' own values, and what it noted."""
        trials = self._observations.trials(for_process=self._kind == "gp")
        ended = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        study = optuna.create_study(
            direction=self._plan.metric.direction,
            sampler=make_sampler(self._kind, seed=seed, known=ended),
        )
        study.add_trials(trials)
        trial = study.ask(self._space)
        values = trial.params
        point = {
            knob.path: values[knob.path] if knob.choices else knob.clip(values[knob.path])
            for knob in self._plan.knobs
        }
        return point, study.get_trials(deepcopy=False)[-1].system_attrs


def _smooth(knob: Knob) -> Knob:
    """Many whole numbers as a real one, rounded later: a Gaussian process is ten times faster."""
    return replace(knob, integer=False) if knob.integer and knob.high - knob.low > FEW else knob
