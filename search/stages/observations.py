"""What a joint search's sampler knows: points that run, values, and what stands for the infeasible.

Plain data that becomes Optuna's trials for one proposal; never proposes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.config.joint_settings import Point, point_for_sampler
from search.config.plan import Plan
from search.stages import joint

# The time of a Gaussian process grows with the cube of the trials that it sees.
MOST = 200
REPEATED = 50  # of the latest repetitions, so many are shown beside those trials
# Times the distance from the best value to the last of the best quarter, beyond which all values
# look alike to a Gaussian process: it scales by the standard deviation, so that one loss of 1e19
# would make all others equal.
FAR = 30.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One outcome. `attributes`: what the sampler noted when it proposed the point."""

    params: Mapping[str, Any]
    value: float
    infeasible: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Observations:
    """`space`: Optuna's domains, by path."""

    def __init__(self, plan: Plan, space: Mapping[str, BaseDistribution]) -> None:
        self._plan, self._space = plan, dict(space)
        self._known: set[joint.Key] = set()
        self._running: dict[joint.Key, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        self._ended: list[Observation] = []
        self._repeated: list[Observation] = []

    def __len__(self) -> int:
        """Configurations of this search."""
        return len(self._known)

    def __contains__(self, point: Point) -> bool:
        return joint.key(self._plan, point) in self._known

    def begin(self, point: Point, attributes: Mapping[str, Any] | None = None) -> None:
        """A point is tried; `attributes`: of the sampler's proposal, if it is one."""
        key = joint.key(self._plan, point)
        self._known.add(key)
        params = point_for_sampler(self._plan.knobs, point)
        if params is not None and key not in self._running:
            self._running[key] = (params, attributes or {})

    def learn(self, point: Point, value: float | None, *, infeasible: bool = False) -> None:
        """What came of a point; None: a failure, which teaches nothing."""
        key = joint.key(self._plan, point)
        self._known.add(key)
        _, attributes = self._running.pop(key, ({}, {}))
        self._add(point, value, infeasible=infeasible, attributes=attributes)

    def repeat(self, point: Point) -> None:
        """What came of a point is told once more; nothing of a point that still runs."""
        params = point_for_sampler(self._plan.knobs, point)
        self._repeated.extend([each for each in self._ended if each.params == params][-1:])

    def recall(self, point: Point, value: float) -> None:
        """What came of a point in another search; here it has not been tried."""
        self._add(point, value, infeasible=False, attributes={})

    def trials(self, *, for_process: bool) -> list[FrozenTrial]:
        """All that ended, the latest repetitions, then all that run. `for_process`: as a Gaussian
        process can take them: at most `MOST` that ended, and none far below the good ones.

        What is infeasible has the worst value of all: it must never look better than what could be
        trained, whatever a constant prediction scores (P8).
        """
        sign = self._plan.metric.sign
        worst = min((sign * each.value for each in self._ended), default=math.nan)
        least = _least(self._ended, sign) if for_process else -math.inf
        ended = _thin(self._ended, sign) if for_process else self._ended
        return [
            *(
                create_trial(
                    params=dict(each.params),
                    distributions=self._space,
                    value=sign * max(worst if each.infeasible else sign * each.value, least),
                    system_attrs=dict(each.attributes),
                )
                for each in (*ended, *self._repeated[-REPEATED:])
            ),
            *(
                create_trial(
                    state=TrialState.RUNNING,
                    params=dict(params),
                    distributions=self._space,
                    system_attrs=dict(attributes),
                )
                for params, attributes in self._running.values()
            ),
        ]

    def _add(
        self, point: Point, value: float | None, *, infeasible: bool, attributes: Mapping[str, Any]
    ) -> None:
        params = point_for_sampler(self._plan.knobs, point)
        if params is not None and value is not None:
            self._ended.append(
                Observation(
                    params=params, value=value, infeasible=infeasible, attributes=attributes
                )
            )


def _least(ended: Sequence[Observation], sign: float) -> float:
    """The value below which none is told to a Gaussian process; −inf where all good ones tie."""
    values = np.sort([sign * each.value for each in ended if not each.infeasible])[::-1]
    good = -(-len(values) // 4)
    lower = values[max(good - 1, 0) :]
    lower = lower[lower < values[0]] if len(values) else lower
    return float(values[0] - FAR * (values[0] - lower[0])) if len(lower) else -math.inf


def _thin(ended: Sequence[Observation], sign: float) -> list[Observation]:
    """The better half of `MOST`, the latest quarter, and an even share of the others."""
    if len(ended) <= MOST:
        return list(ended)
    ranked = sorted(range(len(ended)), key=lambda index: -sign * ended[index].value)
    kept = {*ranked[: MOST // 2], *range(len(ended) - MOST // 4, len(ended))}
    others = [index for index in range(len(ended)) if index not in kept]
    room = MOST - len(kept)
    kept |= {others[index * len(others) // room] for index in range(room)}
    return [ended[index] for index in sorted(kept)]
