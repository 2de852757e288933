"""Whether steps lead to a better score, or steps the other way do: of what draws its actions, as a
policy does, whose loss says nothing of how good it is.

Measures; never judges.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from torch.optim import Optimizer

from trainers.probes.answers import Uphill
from trainers.probes.hooks import Hooked, has_closure, is_idle, parameters_of, unwatched
from trainers.probes.limits import own_time
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient

SEEDS, EPOCHS = 3, 8  # trainings of each kind, each of so many epochs
ROWS, LAST = 500, 3  # of either set; epochs whose scores are averaged
ENOUGH = 20.0  # seconds (`own_time`) after which no further training begins


class Backwards(Hooked):
    """A context in which every step goes the other way."""

    def _on_call(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Any) -> Any:
        return func(*args, **kwargs)

    def _on_backward(self, loss: Any) -> None:
        """Nothing: a gradient is turned once it is used."""

    @unwatched
    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if is_idle(optimizer) or has_closure(args, kwargs):
            return
        for parameter in parameters_of(optimizer):
            if parameter.grad is not None:
                parameter.grad = -parameter.grad

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Nothing: gradients are no more used."""


def uphill(subject: Subject, *, higher: bool) -> Uphill:
    """Scores of trainings at a rate of 0, as they are, and with steps the other way, a list each,
    seed by seed. No further seed is asked once one of them shows that steps do no harm.

    `higher`: whether a higher score is better.
    """
    scores: tuple[list[float], ...] = ([], [], [])
    ends = own_time() + ENOUGH
    for seed in range(SEEDS):
        others: tuple[Sequence[Hooked], ...] = [Steer(rate=lambda _: 0.0)], [], [Backwards()]
        for place, ways in enumerate(others):
            if own_time() > ends:
                return {"cause": f"after {ENOUGH:.0f} s not all trainings were made"}
            scores[place].append(_score(subject, seed, ways))
            if not math.isfinite(scores[place][-1]):
                return {"cause": "the trainer tells no score"}
            signed = [part[-1] if higher else -part[-1] for part in scores[: place + 1]]
            harmless = place > 0 and signed[1] >= signed[0]
            if harmless or (place == 2 and signed[2] <= signed[0]):
                return {"still": scores[0], "own": scores[1], "turned": scores[2]}
    return {"still": scores[0], "own": scores[1], "turned": scores[2]}


def _score(subject: Subject, seed: int, ways: Sequence[Hooked]) -> float:
    config = {**subject.config, "seed": int(subject.config["seed"]) + seed}
    data = subject.sample(train=ROWS, val=ROWS)
    run = replace(subject, config=config).train(
        data,
        contexts=[Steer(until=patient()), *ways],
        stop=lambda run: run.trained == EPOCHS,
    )
    told = run.series(subject.metric)[-LAST:]
    return fmean(told) if told and not run.error else math.nan
