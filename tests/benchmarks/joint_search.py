"""A joint search asked one by one, of this program and of plain Optuna, and intervals of many."""

import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optuna

from search.config.knobs import Value
from search.config.plan import Plan
from search.results.warm_start import Past
from search.stages import joint
from search.stages.joint_stage import JointStage
from search.stages.stage import StageContext
from search.storage.distributions import distribution_of
from search.storage.trial_rows import TrialRows
from search.storage.trials import TrialRecord

SAMPLERS = {"gp": optuna.samplers.GPSampler, "tpe": optuna.samplers.TPESampler}
Truth = Callable[[Mapping[str, Value]], float]


def ours(truth: Truth, plan: Plan, *, past: Sequence[Past] = ()) -> list[float]:
    """Values in order, asked one by one of the stage that the program uses."""
    rows = TrialRows()
    woken = threading.Event()
    stage = JointStage(plan, [], StageContext(past=past, slots=1, resolution=0.0, wake=woken.set))
    while len(rows) < joint.settings(plan).n_trials:
        specs = stage.wanted(rows, room=1)
        if not specs:
            woken.wait(60)
            woken.clear()
        for spec in specs:
            value = truth(spec.knobs)
            row = TrialRecord(
                spec=spec, state="complete", value=value, sampler_value=value, best_epoch=1
            )
            rows.put(row)
            stage.ended(row)
    stage.close()
    return [float(row.value or 0.0) for row in rows]


def plain(truth: Truth, plan: Plan, sampler: optuna.samplers.BaseSampler) -> list[float]:
    """Optuna alone, over the same space."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = {knob.path: distribution_of(knob, ()) for knob in plan.knobs}
    values = []
    for _ in range(joint.settings(plan).n_trials):
        trial = study.ask(space)
        values.append(truth(trial.params))
        study.tell(trial, values[-1])
    return values


def interval(numbers: np.ndarray) -> str:
    """Mean and 95 % bootstrap interval over tables (rows) and seeds (columns)."""
    dice = np.random.default_rng(0)
    means = []
    for _ in range(2000):
        tables = dice.integers(0, numbers.shape[0], numbers.shape[0])
        means.append(
            np.mean(
                [
                    numbers[t, dice.integers(0, numbers.shape[1], numbers.shape[1])].mean()
                    for t in tables
                ]
            )
        )
    return f"{numbers.mean():+.3f} [{np.quantile(means, 0.025):+.3f}, {np.quantile(means, 0.975):+.3f}]"
