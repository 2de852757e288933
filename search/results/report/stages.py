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
from search.results.report.candidates import axis_of, seeds_of
from search.results.report.chart import Axis, Chart, Series
from search.results.report.checks import preflight_section, range_section
from search.results.report.knobs import knob_sections
from search.results.report.numbers import (
    limits_of_one,
    mean_of,
    number,
    own_interval,
    setting,
)
from search.results.report.provenance import trials_table
from search.results.step_record import (
    Candidate,
    StepRecord,
    candidates_of,
    passed_over,
    sound_scores,
)
from search.results.summary import view_of
from search.results.summary.formatting import LABELS
from search.results.summary.tune import caveats, did_not_help, unresolved
from search.stages import joint
from search.storage.folder import Folder

MARKS = {"adopt": "adopted", "keep": "incumbent kept", "none": "no winner"}
NAMES = {"mean": "mean", "baseline": "where it began", "chosen": "chosen"}
LISTS = {
    "What did not help": did_not_help,
    "What could not be resolved": unresolved,
}


def overview_sections(findings: Findings) -> list[Section]:
    """What the stages brought, in their order, and what did not help; empty without a stage."""
    if not findings.steps:
        return []
    frame = view_of(findings.plan).teller.frame(findings)
    figures = Figures(
        charts=[_progress(findings)], table=table_of(frame, title="Every stage", open=True)
    )
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
        Section(
            name="caveats",
            title="Caveats",
            blocks=[Words(lines=caveats(findings), listed=True)],
        ),
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
    metric = findings.plan.metric.name
    axis, spots = _axis(findings, step, values)
    means = [mean_of(sound_scores(each)) for each in values]
    named = [f"{each['value']}: {number(mean)}" for each, mean in zip(values, means, strict=True)]
    chart = Chart(
        title=f"{metric} by {step['path'] or 'candidate'}",
        alt=f"Mean {metric} by candidate. {', '.join(named)}.",
        series=[_seeds(values, spots, metric), *_means(step, values, spots, means)],
        x=axis,
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


def _seeds(values: Sequence[Candidate], spots: Sequence[float], metric: str) -> Series:
    points = [
        (spot, score, trial)
        for spot, each in zip(spots, values, strict=True)
        for score, trial in zip(each["scores"], each["trials"], strict=False)
        if score is not None
    ]
    hover = [f"trial {trial}: {metric} {number(score)}" for _, score, trial in points]
    return seeds_of(points, hover=hover)


def _means(
    step: StepRecord,
    values: Sequence[Candidate],
    spots: Sequence[float],
    means: Sequence[float | None],
) -> list[Series]:
    """The means by what they are; the first candidate is what the stage began with."""
    chosen = step["value"]
    looks = [
        "chosen" if chosen is not None and each["value"] == chosen else look
        for each, look in zip(values, ["baseline", *["mean"] * (len(values) - 1)], strict=True)
    ]
    series = []
    for look, name in NAMES.items():
        mine = [index for index, other in enumerate(looks) if other == look]
        if any(means[index] is not None for index in mine):
            texts = [
                f"{setting(values[index]['knobs'])}\nmean {number(means[index])}\n"
                f"{LABELS[values[index]['standing']]}"
                for index in mine
            ]
            x, y = [spots[index] for index in mine], [means[index] for index in mine]
            series.append(Series(name=name, look=look, x=x, y=y, hover=texts))
    return series


def _axis(
    findings: Findings, step: StepRecord, values: Sequence[Candidate]
) -> tuple[Axis, Sequence[float]]:
    """Where the candidates stand: values in their knob's scale, configurations side by side."""
    knob = next((knob for knob in _knobs(findings) if knob.path == step["path"]), None)
    names = [each["value"] for each in values]
    if knob is not None:
        placement = place(knob, names)
        return axis_of(knob, placement), placement.places
    placement = side_by_side([f"candidate {name}" for name in names])
    title = step["path"] or "candidate"
    return Axis(title=title, ticks=placement.ticks, limits=placement.limits), placement.places


def _knobs(findings: Findings) -> list[Knob]:
    """All knobs that the search may turn."""
    settings = findings.plan.settings
    spaces = settings.spaces if isinstance(settings, TuneSettings) else {}
    return [knob for knobs in spaces.values() for knob in knobs]


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
