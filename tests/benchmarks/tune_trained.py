"""Whole protocols with real trainings, and their rivals (`tune.py starts`)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from trainings import Search, Trainings

from search.config.compose import compose_experiment
from search.config.compose_protocol import compose_protocol
from search.config.incumbent import canonical
from search.config.knobs import Value
from search.config.plan import Plan, read_plan
from search.config.trial_config import TrialConfigs
from search.config.tune_settings import TuneSettings
from search.diagnostics.lr_range import read_range
from search.diagnostics.probe_process import answer
from search.execution.end_reasons import StopDecision
from search.execution.running_trial import fresh_early_stopping
from search.lifecycle.range_test import ramp_rates
from search.protocols.conclude import conclude
from search.protocols.history import History
from search.protocols.next_stage import next_stage
from search.protocols.stage_plan import borrowed, past_trials, stage_plan, with_all_knobs
from search.protocols.step import Request, Step
from search.results.diagnosis import diagnosed, usual_updates
from search.results.findings import find
from search.storage.trials import TrialRecord


@cache
def plan_of(words: tuple[str, ...], *, joint: bool = False) -> Plan:
    """The plan of a command."""
    if joint:
        config = compose_experiment("joint", overrides=list(words), config_dir=None)
    else:
        config = compose_protocol(list(words), config_dir=None)
    return read_plan(config, root=Path("/nowhere"))


def tune(
    trainings: Trainings, words: list[str], *, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """A whole protocol: its answer, its epochs, its steps."""
    plan = plan_of(tuple(words), joint=False)
    search, rows = Search(plan, trainings), list[TrialRecord]()
    assert isinstance(plan.settings, TuneSettings)
    history, stages = History(plan.settings, plan.config, plan.seeds), []
    while (request := next_stage(history)) is not None:
        step = history.opened(request)
        before = search.epochs
        if request.stage == "lr_range":
            step = _range(replace(plan, config=history.config), trainings, step)
        elif not request.skip and request.stage not in ("preflight", "ensemble"):
            step = _stage(plan, search, history, request, rows)
        history = history.with_step(step)
        held = canonical(dict(step.held), base=plan.config)
        stages.append((step.name, step.trials, search.epochs, step.decision, dict(held)))
        say(
            f"{step.name} [{step.trials} trials, {search.epochs - before} epochs] {step.decision}: "
            f"{request.because} | {step.says} | held {dict(step.held)} | {step.verdicts[:3]}"
        )
    return {
        "knobs": canonical(dict(history.held), base=plan.config),
        "epochs": search.epochs,
        "trials": len(rows),
        "curve": _progress(plan, rows),
        "stages": stages,
    }


def _progress(plan: Plan, rows: list[TrialRecord]) -> list[tuple[int, float, dict[str, Value]]]:
    """The best trials so far: epochs of the search by its end, its score, its knobs."""
    total, best, line = 0, -np.inf, []
    for row in sorted(rows, key=lambda row: row.spec.trial):
        total += row.epochs
        if row.value is not None and plan.metric.sign * row.value > best:
            best = plan.metric.sign * row.value
            knobs = canonical(plan.trained_knobs(row.spec.knobs), base=plan.config)
            line.append((total, best, dict(knobs)))
    return line


def reached(
    trainings: Trainings, words: list[str], result: Mapping[str, Any], *, target: float, seeds: int
) -> int | None:
    """Epochs after which the best trial so far is of a configuration that scores the target in the
    mean of fresh seeds; None where none of them does. `target`: higher being better.
    """
    for epochs, best, knobs in result["curve"]:
        if best >= target and mean_of_fresh(trainings, words, knobs, seeds=seeds) >= target:
            return int(epochs)
    return None


def answers(
    trainings: Trainings, words: list[str], result: Mapping[str, Any], *, seeds: int
) -> list[tuple[int, list[float]]]:
    """Each incumbent of a protocol: after how many epochs of the whole search it was one, and its
    scores of fresh seeds, higher being better; none where one of them diverges.
    """
    found, last = list[tuple[int, list[float]]](), None
    for _, _, epochs, _, held in result["stages"]:
        if held != last:
            found.append((epochs, scores_of_fresh(trainings, words, held, seeds=seeds)))
            last = held
    return found


def best_by(result: Mapping[str, Any], epochs: int) -> dict[str, Value]:
    """The knobs of a search's best trial within its first so many epochs."""
    return next(knobs for spent, _, knobs in reversed(result["curve"]) if spent <= epochs)


def scores_of_fresh(
    trainings: Trainings, words: list[str], knobs: Mapping[str, Value], *, seeds: int
) -> list[float]:
    """The scores on validation of seeds that nobody has used, higher being better; none where one
    of them diverges.
    """
    plan = plan_of(tuple(words))
    found = [best_epoch(trainings, plan, knobs, 1000 + seed) for seed in range(seeds)]
    values = [plan.metric.sign * value for value, _ in filter(None, found)]
    return values if len(values) == seeds else []


def mean_of_fresh(
    trainings: Trainings, words: list[str], knobs: Mapping[str, Value], *, seeds: int
) -> float:
    """The mean of these scores; NaN where there are none."""
    scores = scores_of_fresh(trainings, words, knobs, seeds=seeds)
    return float(np.mean(scores)) if scores else float("nan")


def _range(plan: Plan, trainings: Trainings, step: Step) -> Step:
    config = TrialConfigs(plan.config).resolve(knobs={}, seed=plan.seed)
    rates = ramp_rates(plan.config)
    asked = {
        "config": config,
        "folder": str(trainings.folder.path),
        "device": "cpu",
        "task": plan.config.data.task,
        "metric": asdict(plan.metric),
        "kind": "lr_range",
        "rates": rates,
        "seeds": int(plan.config.lr_range.seeds),
    }
    answers = answer(asked)
    result = read_range(rates, answers["losses"], answers["untrained"])
    if result.low is None:
        return replace(step, says=f"no range: {result.because}")
    return replace(
        step,
        rates=(float(result.low), float(result.high)),
        says=f"rates from {result.low:.2g} to {result.high:.2g}",
    )


def _stage(
    plan: Plan, search: Search, history: History, request: Request, rows: list[TrialRecord]
) -> Step:
    trainings = search.trainings
    staged = stage_plan(plan, history, request, name=f"s/{len(history.steps) + 1}-{request.stage}")
    ours = borrowed(staged, rows)
    past = past_trials(staged, rows, floor=trainings.floor) if request.stage == "joint" else ()
    own = search.carry_out(staged, ours=ours, past=past)
    rows += [with_all_knobs(staged, row) for row in own]
    findings = find(staged, [*ours, *own], val_rows=trainings.val_rows)
    curves = search.frame([*ours, *own])
    findings = diagnosed(findings, curves, folder=trainings.folder)
    return conclude(
        request,
        findings,
        history,
        trials=own,
        floor=trainings.floor,
        val_rows=trainings.val_rows,
        update_ratios=usual_updates(curves),
    )


def joint(trainings: Trainings, words: list[str]) -> dict[str, Any]:
    """A joint search, its confirmation included: its answer and its epochs."""
    plan = plan_of(tuple(words), joint=True)
    search = Search(plan, trainings)
    rows = search.carry_out(plan, ours=[], past=())
    findings = find(plan, rows, val_rows=trainings.val_rows)
    winner = findings.winner
    assert winner is not None
    knobs = plan.trained_knobs(winner.spec.knobs)
    return {
        "knobs": canonical(dict(knobs), base=plan.config),
        "epochs": search.epochs,
        "trials": len(rows),
        "curve": _progress(plan, rows),
    }


def fresh(
    trainings: Trainings, words: list[str], knobs: Mapping[str, Value], *, seeds: int
) -> tuple[list[float], list[float]]:
    """The answer's scores on validation and on test, for seeds that nobody has used."""
    plan = plan_of(tuple(words), joint=False)
    found = [best_epoch(trainings, plan, knobs, seed) for seed in range(1000, 1000 + seeds)]
    if not all(found):
        raise SystemExit(f"the answer {dict(knobs)} diverges with a fresh seed")
    test = [
        trainings.epochs(plan, knobs, 1000 + place, rows="test")[epoch][plan.metric.name]
        for place, (_, epoch) in enumerate(filter(None, found))
    ]
    return [value for value, _ in filter(None, found)], test


def best_epoch(
    trainings: Trainings, plan: Plan, knobs: Mapping[str, Value], seed: int
) -> tuple[float, int] | None:
    """A training's best value on validation and its epoch; None where it diverges."""
    standing, decision = fresh_early_stopping(plan.metric, plan.limits), StopDecision.GO
    for record in trainings.epochs(plan, knobs, seed):
        losses = record.get("train_loss"), record.get("val_loss")
        decision = standing.see(record["epoch"], value=record[plan.metric.name], losses=losses)
    if standing.value is None or standing.best_epoch is None or decision is StopDecision.DIVERGED:
        return None
    return standing.value, standing.best_epoch
