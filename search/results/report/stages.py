"""The groups of a search of many stages: what each stage asked, found and decided, in order."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from search.config.counted import count
from search.config.joint_settings import default_point
from search.config.knobs import Knob
from search.config.tune_settings import TuneSettings
from search.results.findings import Findings
from search.results.places import place, side_by_side
from search.results.report.blocks import (
    Block,
    Entry,
    Figures,
    Group,
    Section,
    Table,
    Words,
    present,
    table_of,
)
from search.results.report.budget import budget_section
from search.results.report.candidates import Shown, axis_of, series_of
from search.results.report.chart import Axis, Chart, Series
from search.results.report.checks import preflight_section, range_section
from search.results.report.knobs import knob_sections
from search.results.report.numbers import limits_of_one, mean_of, number, own_interval, setting
from search.results.report.records import trials_table
from search.results.step_record import (
    Candidate,
    StepRecord,
    candidates_of,
    passed_over,
    sound_scores,
)
from search.results.summary import view_of
from search.results.summary.formatting import LABELS
from search.results.summary.tune import caveats, did_not_help, left_alone, unresolved
from search.stages import joint
from search.storage.folder import Folder

MARKS = {"adopt": "adopted", "keep": "incumbent kept", "none": "no winner"}
NAMES = {"mean": "mean", "baseline": "where it began", "chosen": "chosen"}
LISTS = {"What did not help": did_not_help, "What could not be resolved": unresolved}


def overview_sections(findings: Findings) -> list[Section]:
    """What the stages brought, in their order, and what did not help; empty without a stage."""
    if not findings.steps:
        return []
    frame = view_of(findings.plan).teller.frame(findings)
    figures = Figures(
        charts=[_progress(findings)], table=table_of(frame, title="Every stage", open=True)
    )
    cautions = [*caveats(findings), *left_alone(findings)]
    lists = [
        Section(name=f"list-{number}", title=title, blocks=[Words(lines=lines, listed=True)])
        for number, (title, read) in enumerate(LISTS.items())
        if (lines := read(findings.steps))
    ]
    return [
        Section(
            name="stages",
            title="Stage by stage",
            lead="The score of the best configuration so far, after each stage. A bar is the 95 % "
            "interval by its seeds; until the confirmation it flatters what was chosen.",
            blocks=[figures],
        ),
        *lists,
        Section(name="caveats", title="Caveats", blocks=[Words(lines=cautions, listed=True)]),
    ]


def stage_groups(findings: Findings, folder: Folder) -> list[Group]:
    """A group per stage, folded."""
    return [
        Group(
            name=f"stage-{step['stage']}",
            title=f"{step['stage']}: {MARKS.get(step['decision'], step['decision'])}",
            sections=_sections(findings, step, folder),
            folded=True,
        )
        for step in findings.steps
    ]


def _sections(findings: Findings, step: StepRecord, folder: Folder) -> list[Section]:
    kind = step["kind"]
    return present(
        _decision(findings, step),
        preflight_section(folder) if kind == "preflight" else None,
        range_section(findings, folder) if kind == "lr_range" else None,
        *(_joint_sections(findings, step) if kind == "joint" else []),
    )


def _decision(findings: Findings, step: StepRecord) -> Section:
    """Why the stage was made, what was decided, and on which evidence."""
    verdicts = ", ".join(f"{count} {name}" for name, count in step["verdicts"].items())
    beside = ", ".join(step["beside"])
    passed = passed_over(step)
    lines = [
        *([f"passed over before it: {passed}"] if passed else []),
        f"the best configuration after it: {setting(step['held']) or 'the defaults'}",
        *([f"the curves of its trials: {verdicts}"] if verdicts else []),
        *([f"to be seen beside: {beside}"] if beside else []),
        *([f"this stage by itself: {step['command']}"] if step["command"] else []),
    ]
    mark = str(MARKS.get(step["decision"], step["decision"]))
    entry = Entry(title=step["says"], mark=mark, lines=lines, rules=step["rules"])
    values = candidates_of(step)
    evidence: list[Block] = [_evidence(findings, step, values)] if values else []
    return Section(
        name="decision",
        title="Decision",
        lead=f"Why: {step['because']}." if step["because"] else "",
        blocks=[entry, *evidence],
    )


def _evidence(findings: Findings, step: StepRecord, values: Sequence[Candidate]) -> Figures:
    """The candidates of a stage with every seed."""
    metric, names = findings.plan.metric.name, [each["value"] for each in values]
    knob = next((knob for knob in _knobs(findings) if knob.path == step["path"]), None)
    beside = side_by_side([f"candidate {name}" for name in names])
    placement = beside if knob is None else place(knob, names)
    means = [mean_of(sound_scores(each)) for each in values]
    named = [f"{name}: {number(mean)}" for name, mean in zip(names, means, strict=True)]
    shown = [
        Shown(
            spot=spot,
            look=_look(step, values, index),
            mean=mean,
            hover=f"{setting(each['knobs'])}\nmean {number(mean)}\n{LABELS[each['standing']]}",
            seeds=[
                (score, trial, f"trial {trial}: {metric} {number(score)}")
                for score, trial in zip(each["scores"], each["trials"], strict=False)
                if score is not None
            ],
        )
        for index, (spot, each, mean) in enumerate(
            zip(placement.places, values, means, strict=True)
        )
    ]
    about = step["path"] or "candidate"
    chart = Chart(
        title=f"{metric} by {about}",
        alt=f"Mean {metric} by candidate. {', '.join(named)}.",
        series=series_of(shown, names=NAMES),
        x=axis_of(about, placement),
        y=Axis(title=f"{metric}, validation"),
    )
    columns: dict[str, list[Any]] = {
        "candidate": [str(each["value"]) for each in values],
        "settings": [setting(each["knobs"]) for each in values],
        "standing": [LABELS[each["standing"]] for each in values],
        "mean": means,
        "scores": [", ".join(map(number, each["scores"])) for each in values],
        "trials": [", ".join(map(str, each["trials"])) for each in values],
    }
    broken = [", ".join(map(str, each.get("broken_trials", ()))) for each in values]
    if any(broken):
        columns["broken trials, in no mean"] = broken
    return Figures(charts=[chart], table=Table(title="Every candidate", columns=columns))


def _look(step: StepRecord, values: Sequence[Candidate], index: int) -> str:
    """What a candidate is; the first one is what the stage began with."""
    is_chosen = step["value"] is not None and values[index]["value"] == step["value"]
    return "chosen" if is_chosen else "mean" if index else "baseline"


def _knobs(findings: Findings) -> list[Knob]:
    """All knobs that the search may turn."""
    settings = findings.plan.settings
    return settings.knobs if isinstance(settings, TuneSettings) else []


def _joint_sections(findings: Findings, step: StepRecord) -> list[Section]:
    """The joint stage as a joint search shows itself, over the knobs that it turned.

    A trial's knobs are relative to the search's config: what they do not name is as there.
    """
    mine = [row for row in findings.rows if row.spec.stage == step["stage"]]
    if not any(row.value is not None for row in mine):
        return []
    tried = pd.DataFrame([row.spec.knobs for row in mine])
    by_path: dict[str, Knob] = {}
    for knob in _knobs(findings):
        by_path.setdefault(knob.path, knob)
    turned = tuple(
        knob
        for knob in by_path.values()
        if knob.path in tried and tried[knob.path].nunique(dropna=False) > 1
    )
    usual = default_point(findings.plan.config, turned)
    rows = tuple(
        replace(
            row,
            spec=replace(
                row.spec,
                stage=joint.STAGE,
                knobs={path: row.spec.knobs.get(path, value) for path, value in usual.items()},
            ),
        )
        for row in mine
    )
    stage = replace(findings, rows=rows, plan=replace(findings.plan, knobs=turned))
    return [budget_section(stage, rows), *knob_sections(stage, rows, trials_table(stage))]


def _progress(findings: Findings) -> Chart:
    """The incumbent's mean after each stage."""
    steps = findings.steps
    scores = [*map(findings.scores_of, steps)]
    means, halves = [*map(mean_of, scores)], [*map(own_interval, scores)]
    metric = findings.plan.metric.name
    shown = [number(mean) for mean in means if mean is not None]
    return Chart(
        title=f"{metric} of the best configuration after each stage",
        alt=f"{metric} from {shown[0]} to {shown[-1]} over {count(len(steps), 'stage')}."
        if shown
        else "",
        series=[
            Series(
                name="best configuration",
                look="progress",
                x=[*map(float, range(len(steps)))],
                y=means,
                errors=halves,
                hover=[
                    f"{step['stage']}, {step['decision']}\n{number(mean)}\n{setting(step['held'])}"
                    for step, mean in zip(steps, means, strict=True)
                ],
            )
        ],
        x=Axis(
            ticks={float(spot): step["stage"] for spot, step in enumerate(steps)},
            limits=(-0.5, len(steps) - 0.5),
            slanted=True,
        ),
        y=Axis(title=f"{metric}, validation", limits=limits_of_one(means, halves)),
    )
