"""Protocols carried out without training: a function of knobs and seed gives the value, another the verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from next_by_hand import repeated
from omegaconf import OmegaConf

from search.config.compose_protocol import compose_protocol
from search.config.joint_settings import JointSettings
from search.config.knobs import Value
from search.config.plan import Plan, read_plan
from search.diagnostics.verdicts.rules import Verdict
from search.protocols.conclude import conclude
from search.protocols.history import History
from search.protocols.next_stage import next_stage
from search.protocols.record import record_of
from search.protocols.stage_plan import borrowed, past_trials, stage_plan, with_all_knobs
from search.protocols.step import Request, Step
from search.results.findings import find
from search.stages.kinds import kind_of
from search.stages.stage import StageContext
from search.storage.trial_rows import TrialRows
from search.storage.trials import TrialRecord

Value_of = Callable[
    [Mapping[str, Value], int], float | str | None
]  # None: diverged; or how it ended
Verdict_of = Callable[[Mapping[str, Value]], str]
VAL_ROWS = 10_000


def dice_of(seed: int, knobs: object) -> np.random.Generator:
    """Draws that hang on a seed and on what knobs are written as, one letter a word of its own."""
    words = [seed, *map(ord, str(knobs))]
    return np.random.default_rng(np.array(words, dtype=np.uint32))  # a list costs six times as much


@cache
def tune_plan(*words: str) -> Plan:
    """The plan of `python -m search tune` with these words."""
    return read_plan(compose_protocol(list(words), config_dir=None), root=Path("/nowhere"))


def begun(plan: Plan, *steps: Step) -> History:
    """A history with these steps. The histories of a plan share the configs of its incumbents."""
    configs = vars(plan).setdefault("incumbents", {})
    return History(plan.settings, plan.config, plan.seeds, steps, configs)


def carried_out(
    plan: Plan,
    value_of: Value_of,
    verdict_of: Verdict_of = lambda knobs: "converged",
    *,
    floor: float | None = None,
    epochs: int | None = None,
    seconds: Callable[[float], float] = lambda now: 0.0,
    best_epoch: int = 9,
    curve_of: Value_of = lambda knobs, seed: None,
) -> tuple[History, list[TrialRecord]]:
    """The whole protocol, and its trials with all their knobs.

    `epochs`: after which patience ended each; None: it did not. `seconds`: that a trial takes which
    begins at a time of the search's clock, one at a time. `best_epoch`: of every trial.
    `curve_of`: what stands for a trial's curve; None: it tells nothing.
    """
    history, rows = begun(plan), list[TrialRecord]()
    while (request := next_stage(history)) is not None:
        step = history.opened(request)
        if not request.skip and request.stage not in ("preflight", "lr_range", "ensemble"):
            step, own = _trained(
                plan,
                history,
                request,
                rows,
                value_of,
                verdict_of,
                floor,
                epochs,
                seconds,
                best_epoch,
                curve_of,
            )
            rows += own
        history = history.with_step(step)
    made = (step for step in history.steps if step.request.skip or step.request.stage != "ensemble")
    lines = [record_of(step, following="", command="", budget={}) for step in made]
    by_hand = repeated(lines, OmegaConf.to_container(plan.config))
    assert [each for each in by_hand if each[1] == "different"] == []
    return history, rows


def _trained(
    plan: Plan,
    history: History,
    request: Request,
    rows: Sequence[TrialRecord],
    value_of: Value_of,
    verdict_of: Verdict_of,
    floor: float | None,
    epochs: int | None,
    seconds: Callable[[float], float],
    best_epoch: int,
    curve_of: Value_of,
) -> tuple[Step, list[TrialRecord]]:
    staged = stage_plan(plan, history, request, name="simulated")
    vars(staged)["trial_base"] = plan.trial_base  # it is the same for all stages
    if isinstance(staged.settings, JointSettings):  # the simulation needs no Gaussian process
        staged = replace(staged, settings=replace(staged.settings, sampler="random"))
    ours = borrowed(staged, rows)
    past = past_trials(staged, rows, floor=None) if request.stage == "joint" else ()
    context = StageContext(past=past, borrowed=ours, slots=2, resolution=0.0, wake=lambda: None)
    stage = kind_of(staged).stage(staged, [], context)
    own = TrialRows()
    now = history.clock
    while specs := stage.wanted(own, room=1 if seconds(now) else 10):
        for spec in specs:
            knobs = staged.trained_knobs(spec.knobs)
            value, curve = value_of(knobs, spec.seed), curve_of(knobs, spec.seed)
            if not isinstance(state := value, str):
                state = "complete" if value is not None else "infeasible"
            ended = spec.knobs.get("trainer.epochs", staged.epochs) if epochs is None else epochs
            score = None if state != "complete" else float(value)
            took = seconds(now)
            now += took
            row = TrialRecord(
                spec=spec,
                state=state,
                value=score,
                best_epoch=best_epoch,
                epochs=ended,
                seconds=took,
                curve="" if score is None or curve is None else str(curve),
                ended=now,
                clock=now,
            )
            own.put(row)
            stage.ended(row)
    stage.close()
    findings = find(staged, [*ours, *own], val_rows=VAL_ROWS)
    full = [with_all_knobs(staged, row) for row in own]
    verdicts = {
        row.spec.trial: Verdict(name=verdict_of(row.spec.knobs), why="simulated")
        for row in (*rows, *full)
    }
    findings = replace(findings, verdicts=verdicts)
    step = conclude(
        request, findings, history, trials=own, clock=now, floor=floor, val_rows=VAL_ROWS
    )
    return step, full
