"""An Optuna sampler in a thread of its own: it is told what has been tried, and thinks of the next point.

Its study lives in memory and is fed from the trials on disk, so the journal keeps one writer, and answering workers never waits
for a Gaussian process. Never decides how many trials there are.
"""

import os
import queue
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import Trial, TrialState, create_trial

from search.config.joint_settings import Point, point_for_sampler
from search.config.knobs import Knob
from search.config.plan import Plan
from search.errors import RunError
from search.stages import joint
from search.stages.samplers import make_sampler, seed_of
from search.storage.distributions import distribution_of

AGAIN = 5  # asks that may repeat a known configuration before the next quasi-random point stands in
CLOSE = 0.05  # standard deviation, as a share of a knob's range, of what stands in for a repetition
FEW = 20  # whole numbers that are told apart
PATIENCE = 10.0  # seconds that the last thought gets at the end


class SamplerThread:
    """`wake` is called whenever a thought is ready."""

    def __init__(self, plan: Plan, *, wake: Callable[[], None]) -> None:
        self._plan, self._wake = plan, wake
        self._space = {knob.path: distribution_of(_smooth(knob), ()) for knob in plan.knobs}
        self._study = optuna.create_study(direction=plan.metric.direction)
        self._values: dict[
            joint.Key, float | None
        ] = {}  # of all configurations that are known; None while one runs
        self._asked: dict[joint.Key, Trial] = {}
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[Point | Exception | None] = queue.SimpleQueue()
        self._lock, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, name="thinker", daemon=True)
        self._thread.start()

    def begin(self, point: Point) -> None:
        """A point that somebody else has chosen is underway."""
        self._inbox.put(lambda: self._begin(point))

    def learn(self, point: Point, value: float | None) -> None:
        """What came of a point; None: a failure, which teaches nothing."""
        self._inbox.put(lambda: self._learn(point, value))

    def recall(self, point: Point, value: float) -> None:
        """What came of a point in another search; here it has not been tried, and may be proposed."""
        self._inbox.put(lambda: self._add(point, value))

    def request(self) -> None:
        """Think of one more point."""
        self._inbox.put(self._think)

    def ready(self) -> list[Point | None]:
        """What has been thought of since; None where no configuration is left.

        Raises:
            RunError: the sampler failed.
        """
        found: list[Point | None] = []
        while not self._ready.empty():
            thought = self._ready.get()
            if isinstance(thought, Exception):
                kind = joint.settings(self._plan).sampler
                raise RunError(
                    f"sampler={kind} failed: {type(thought).__name__}: {thought}; use another sampler="
                ) from thought
            found.append(thought)
        return found

    def close(self) -> None:
        """Ends the thread once it has finished the thought that it is at; a very long one is left to itself, unheard."""
        with self._lock:
            self._closed = True
        self._inbox.put(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        os.environ.setdefault(
            "OMP_NUM_THREADS", "1"
        )  # read by torch, which a Gaussian process needs
        try:
            self._warm_up()
            while (task := self._inbox.get()) is not None and not self._closed:
                task()
        except Exception as error:  # noqa: BLE001  # told to the conductor, in whose thread it is raised
            self._tell_of(error)

    def _warm_up(self) -> None:
        """The first thought of a Gaussian process imports torch: while the first trials run, and nobody waits for it."""
        scratch = optuna.create_study(
            sampler=make_sampler(joint.settings(self._plan).sampler, seed=0)
        )
        space: dict[str, BaseDistribution] = {
            name: FloatDistribution(0.0, 1.0) for name in ("x", "y")
        }
        for value in (0.1, 0.9):
            scratch.add_trial(
                create_trial(params={"x": value, "y": value}, distributions=space, value=value)
            )
        scratch.ask(space)

    def _begin(self, point: Point) -> None:
        key = joint.key(self._plan, point)
        self._values.setdefault(key, None)
        held = point_for_sampler(self._plan.knobs, point)
        if held is not None and key not in self._asked:
            self._study.add_trial(
                create_trial(state=TrialState.RUNNING, params=held, distributions=self._space)
            )
            self._asked[key] = Trial(
                self._study, self._study.get_trials(deepcopy=False)[-1]._trial_id
            )

    def _learn(self, point: Point, value: float | None) -> None:
        key = joint.key(self._plan, point)
        self._values[key] = value
        handle = self._asked.pop(key, None)
        if handle is not None:
            self._tell(handle, value)
        elif value is not None:
            self._add(point, value)

    def _add(self, point: Point, value: float) -> None:
        held = point_for_sampler(self._plan.knobs, point)
        if held is not None:
            self._study.add_trial(create_trial(value=value, params=held, distributions=self._space))

    def _think(self) -> None:
        self._tell_of(self._thought())

    def _tell_of(self, thought: Point | Exception | None) -> None:
        """Nobody is woken who no longer listens."""
        self._ready.put(thought)
        with self._lock:
            if not self._closed:
                self._wake()

    def _thought(self) -> Point | None:
        """A new configuration: the sampler's; where it only repeats itself, one close by, or the next of the quasi-random
        sequence.
        """
        for attempt in range(AGAIN):
            seed = seed_of(self._plan.seed, joint.STAGE, len(self._values), attempt)
            trial, point = self._ask(seed)
            key = joint.key(self._plan, point)
            if key not in self._values:
                self._values[key], self._asked[key] = None, trial
                return point
            self._tell(trial, self._values[key])
            dice = np.random.default_rng(seed)
            close = {
                knob.path: knob.near(point[knob.path], dice.normal(0.0, CLOSE))
                for knob in self._plan.knobs
            }
            if joint.key(self._plan, close) not in self._values:
                self._begin(close)
                return close
        fresh = (
            point
            for point in joint.points(self._plan)
            if joint.key(self._plan, point) not in self._values
        )
        found = next(fresh, None)
        if found is not None:
            self._begin(found)
        return found

    def _ask(self, seed: int) -> tuple[Trial, Point]:
        """The sampler's proposal, in the knobs' own values."""
        known = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self._study.sampler = make_sampler(
            joint.settings(self._plan).sampler, seed=seed, known=known
        )
        trial, knobs = self._study.ask(self._space), self._plan.knobs
        told = trial.params
        return trial, {k.path: told[k.path] if k.choices else k.clip(told[k.path]) for k in knobs}

    def _tell(self, trial: Trial, value: float | None) -> None:
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, value)


def _smooth(knob: Knob) -> Knob:
    """Many whole numbers as a real one, rounded afterwards: a Gaussian process searches them ten times faster."""
    return replace(knob, integer=False) if knob.integer and knob.high - knob.low > FEW else knob
