"""Sweeps whose values a function gives, for tests of what is told of them."""

from pathlib import Path

import numpy as np

from search.compose import compose_experiment
from search.plan import read_plan
from search.results import find
from search.rows import Row
from search.stages import sweep


def findings_of(value_of, *overrides, experiment="lr_sweep", seeds=3, leave=0):
    """A sweep without further rounds; `leave`: trials at its end that have not been run."""
    points = ["space.optimizer.lr.points=5"] if experiment == "lr_sweep" else []
    words = [f"seeds={seeds}", *points, "protocol.refine=0", "protocol.extend=0", *overrides]
    plan = read_plan(compose_experiment(experiment, overrides=words, config_dir=None), root=Path("/r"))
    rows = []
    for ask in sweep.wanted(plan, [], resolution=0.0)[: None if not leave else -leave]:
        value = value_of(ask.knobs[plan.knob.path], ask.seed)
        state = "infeasible" if value is None else "complete"
        rows.append(Row(ask=ask, state=state, value=value, best_epoch=None if value is None else 4, epochs=5, seconds=2.0))
    return find(plan, rows, val_rows=250)


def planted(best):
    """A clear peak at one rate, with a little noise."""
    return lambda rate, seed: 0.9 - 0.05 * abs(np.log10(rate / best)) + 0.001 * seed
