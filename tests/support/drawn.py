"""Sweeps whose values a function gives, for tests of what is told of them."""

import threading
from functools import cache
from pathlib import Path

import numpy as np

from search.config.compose import compose_experiment
from search.config.plan import read_plan
from search.results.findings import find
from search.stages import sweep
from search.stages.joint_stage import JointStage
from search.stages.stage import StageContext
from search.storage.trial_rows import TrialRows
from search.storage.trials import TrialRecord


def findings_of(value_of, *overrides, experiment="lr_sweep", seeds=3, leave=0, racing=False):
    """A sweep's first round, without refinement; `leave`: trials at its end that have not been
    run; `racing`: with the further seeds that it asks for.
    """
    points = ["space.optimizer.lr.points=5"] if experiment == "lr_sweep" else []
    words = [f"seeds={seeds}", *points, "protocol.refine=0", "protocol.extend=0", *overrides]
    plan = plan_of(experiment, *words)
    rows = []
    while wanted := sweep.wanted(plan, rows, resolution=0.0):
        for spec in wanted[: None if not leave else -leave]:
            value = value_of(spec.knobs[plan.knob.path], spec.seed)
            rows.append(
                TrialRecord(
                    spec=spec,
                    state="infeasible" if value is None else "complete",
                    value=None if value is None else float(value),
                    best_epoch=None if value is None else 4,
                    epochs=5,
                    seconds=2.0,
                )
            )
        if not racing:
            break
    return find(plan, rows, val_rows=250)


def planted(best):
    """A clear peak at one rate, with a little noise."""
    return lambda rate, seed: 0.9 - 0.05 * abs(np.log10(rate / best)) + 0.001 * seed


@cache
def plan_of(experiment, *overrides):
    """The plan of an experiment; composed once, which takes longer than most tests of it."""
    return read_plan(
        compose_experiment(experiment, overrides=list(overrides), config_dir=None), root=Path("/r")
    )


def joint_plan(*overrides):
    """The plan of a joint search."""
    return plan_of("joint", *overrides)


def joint_of(truth, *overrides, rows=(), past=(), slots=1, until=10**9):
    """A joint search whose trials get what `truth(knobs, seed)` gives at once; None is infeasible, an exception a failure.

    `until`: trials after which it is interrupted. Returns its plan and rows.
    """
    plan = joint_plan(*overrides)
    rows, woken = TrialRows(rows), threading.Event()
    stage = JointStage(plan, rows, StageContext(past=past, slots=1, resolution=0.0, wake=woken.set))
    try:
        while len(rows) < until:
            specs = stage.wanted(rows, room=slots)
            if not specs and not stage.thinking:
                break
            if not specs:
                assert woken.wait(60)
                woken.clear()
            for spec in specs[: until - len(rows)]:
                row = _row(truth, spec)
                rows.put(row)
                stage.ended(row)
    finally:
        stage.close()
    return plan, list(rows)


def _row(truth, spec):
    try:
        value = truth(spec.knobs, spec.seed)
    except ValueError:
        return TrialRecord(spec=spec, state="failed", ended=float(spec.trial + 1), seconds=1.0)
    state = "infeasible" if value is None else "complete"
    return TrialRecord(
        spec=spec,
        state=state,
        value=None if value is None else float(value),
        sampler_value=0.1 if value is None else float(value),
        best_epoch=4,
        epochs=5,
        seconds=1.0,
        ended=float(spec.trial + 1),
    )
