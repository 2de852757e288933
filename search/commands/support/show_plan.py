"""What an experiment would run, as a table and in words, and for how long by one measured epoch."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.table import Table

from search.commands.support.documents import print_document
from search.commands.support.protocol_plan import show_protocol
from search.config.counted import count
from search.config.joint_settings import ADAPTIVE, JointSettings
from search.config.knobs import Knob, written
from search.config.plan import Plan
from search.config.sweep_settings import SweepSettings
from search.config.sweep_words import sweep_words
from search.config.tune_settings import TuneSettings
from search.config.words import take
from search.execution.pace import duration, in_words
from search.execution.slots import left_idle
from search.execution.terminal import Terminal
from search.execution.worker_pool import slots_of
from search.lifecycle.estimate import dearer_knobs, measure_epoch
from search.lifecycle.launch import plan_in_folder
from search.results.findings import open_results
from search.results.transfer import compose_from, protocol_from
from search.stages import joint_confirmation, sweep
from search.stages.kinds import kind_of
from search.stages.racing import Race
from search.storage.trials import TrialRecord

PROTOCOLS = ("tune", "sweep")  # the verbs whose plan it is, in place of an experiment


def show_plan(options: Namespace, config_dir: Path | None, console: Terminal) -> None:
    """Prints the plan; what a search of this name has done already is taken off."""
    plan, folder = plan_in_folder(composed(options, config_dir))
    folder.check_config(plan.config)
    rows: Sequence[TrialRecord] = ()
    if folder.has_trials():
        rows = open_results(str(plan.folder), root=plan.folder.parent)[1].rows
    slots = slots_of(plan)
    epochs = _show(plan, rows, console)
    missing = len(epochs)
    done = sum(row.finished for row in rows)
    labels = [slot.label for slot in slots]
    is_tune = isinstance(plan.settings, TuneSettings)
    each = "of the baseline's" if is_tune else "up to"
    length = f"{each} {count(max(epochs), 'epoch')} each, " if epochs else ""
    console.say(
        f"{count(missing, 'trial')} to run, {done} done already, {length}"
        f"on {count(len(slots), 'slot')}: {', '.join(labels)}"
    )
    if idle := left_idle(plan.placement, slots, by_torch=plan.stock):
        console.say(idle)
    measured = measure_epoch(plan) if missing else None
    total = 0.0
    if measured is not None:
        total = measured.search(epochs=epochs, slots=len(slots))
        lanes = " or train in lanes" if plan.lanes != 0 and plan.stock else ""
        begins = f" and each trial {measured.startup:.3g} s to begin" if measured.per_trial else ""
        dearer = dearer_knobs(plan)
        about = "about" if dearer or is_tune else "at most about"
        more = f"; by the baseline: a trial takes longer with {dearer}" if dearer else ""
        console.say(
            f"one epoch takes {in_words(measured.epoch)} here{begins}: these trials {about} "
            f"{duration(max(total, 1.0))}, less where trials stop early{lanes}{more}"
        )
    if options.json:
        content = {
            **_facts(plan),
            "trials_missing": missing,
            "trials_done": done,
            "slots": labels,
            "epoch_seconds": None if measured is None else measured.epoch,
            "seconds_at_most": total,
        }
        print_document("plan", content)


def _facts(plan: Plan) -> dict[str, Any]:
    """What follows from the config alone, as JSON."""
    return {
        "name": plan.name,
        "kind": plan.kind,
        "metric": plan.metric.name,
        "direction": plan.metric.direction,
        "knobs": [_record(plan, knob) for knob in plan.knobs],
        "epochs": plan.most_epochs,
    }


def composed(options: Namespace, config_dir: Path | None) -> DictConfig:
    """The config of an experiment, or of a protocol for the words `tune` and `sweep`."""
    source, overrides = take(options.overrides, "from")
    if options.experiment in PROTOCOLS:
        if options.experiment == "sweep":
            knobs, overrides = take(overrides, "knobs")
            overrides = sweep_words(knobs, overrides, config_dir)
        return protocol_from(overrides, config_dir=config_dir, source=source)[0]
    name = options.experiment
    return compose_from(name, overrides=overrides, config_dir=config_dir, source=source)[0]


def _show(plan: Plan, rows: Sequence[TrialRecord], console: Terminal) -> list[int]:
    """Stages and knobs; returns the epochs of each missing trial, as far as can be foreseen."""
    if isinstance(plan.settings, TuneSettings):
        return [plan.epochs] * show_protocol(plan, rows, console)
    if isinstance(plan.settings, SweepSettings):
        return _show_sweep(plan, plan.settings, rows, console)
    return [plan.most_epochs] * _show_knobs(plan, rows, console)


def _record(plan: Plan, knob: Knob) -> dict[str, Any]:
    """A knob as JSON: either its choices or its range."""
    ranged = {"low": knob.low, "high": knob.high, "scale": "log" if knob.log else "linear"}
    return {
        "path": knob.path,
        "baseline": plan.default(knob),
        **({"choices": knob.choices} if knob.choices else ranged),
        "whole": knob.integer,
        "group": knob.group,
        "why": knob.why,
        "nuisance": knob.nuisance,
        "under": "=".join(knob.choice) if knob.choice else None,
    }


def _show_sweep(
    plan: Plan, settings: SweepSettings, rows: Sequence[TrialRecord], console: Terminal
) -> list[int]:
    """Knobs and values of a sweep; the epochs of each missing trial of its first rounds."""
    columns = ("knob", "range", "baseline", "values", "seeds", "trials")
    table = Table(*columns, box=None, pad_edge=False)
    for knob in plan.knobs:
        row = [knob.path, knob.describe(), written(plan.default(knob))]
        if knob.nuisance:
            values = {*knob.grid(), plan.default(knob)}
            table.add_row(*row, str(len(values)), "", "tuned beside")
        else:
            count = sum(len(sweep.cells(plan, value)) for value in plan.first_round)
            numbers = len(plan.first_round), plan.seeds, count * plan.seeds
            table.add_row(*row, *map(str, numbers))
    console.print(table)
    first = ", ".join(map(written, plan.first_round))
    console.print(f"values of {plan.knob.path}: {first}", markup=False, highlight=False)
    for line in _later_rounds(plan, settings):
        console.say(line)
    begun = [row.spec for row in rows if not row.finished]
    missing = [*begun, *sweep.wanted(plan, rows, resolution=0.0)]
    return [plan.epochs_of(spec.knobs) for spec in missing]


def _later_rounds(plan: Plan, settings: SweepSettings) -> list[str]:
    """What may follow the first values, a line each."""
    lines, race = [], sweep.race_of(plan)
    if not plan.knob.choices and plan.nuisance(plan.first_round[0]) is None:
        if settings.extend:
            most = f"at most {_times(settings.extend)}"
            lines.append(f"then more values while the best lies at an edge, {most} (P2)")
        if settings.refine:
            lines.append(f"then 4 values beside the best, {_times(settings.refine)} (R30)")
    return [*lines, *_race_line(race)]


def _times(number: int) -> str:
    """A count in words."""
    return "once" if number == 1 else f"{number} times"


def _race_line(race: Race) -> list[str]:
    """How many trainings a race may add; nothing where there is none."""
    if not race.on:
        return []
    return [
        f"then further seeds of the baseline and its rivals, up to {race.most} each, where a "
        f"gain is worth resolving: at most about {race.further} trials (P5)"
    ]


def _show_knobs(plan: Plan, rows: Sequence[TrialRecord], console: Terminal) -> int:
    """The knobs that a search turns all at once, and how it goes on.

    Returns:
        How many of its trials are missing, as far as can be foreseen.
    """
    table = Table("knob", "range", "baseline", "counts under", box=None, pad_edge=False)
    for knob in plan.knobs:
        under = "=".join(knob.choice) if knob.choice else ""
        table.add_row(knob.path, knob.describe(), written(plan.default(knob)), under)
    console.print(table)
    for line in _of_joint(plan, plan.settings) if isinstance(plan.settings, JointSettings) else ():
        console.say(line)
    return kind_of(plan).foreseen(plan, rows) - sum(row.finished for row in rows)


def _of_joint(plan: Plan, settings: JointSettings) -> list[str]:
    """Sampler, pruner and confirmation of a joint search, a line each."""
    rungs = (
        f"{settings.pruner}, asked at epochs {', '.join(map(str, settings.rungs))}"
        if settings.rungs
        else "none"
    )
    start = (
        f"the baseline and {settings.startup - 1} quasi-random trials, then "
        if settings.sampler in ADAPTIVE
        else ""
    )
    return [
        f"sampler: {start}{settings.sampler}; pruner: {rungs}",
        f"then at most {settings.leaders} leaders and the baseline, "
        f"{settings.confirm} fresh seeds each",
        *_race_line(joint_confirmation.race_of(plan)),
    ]
