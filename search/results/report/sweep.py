"""The section of a sweep: every value with its seeds, mean, interval, ties and edges."""

import math

from search.config.knobs import Knob
from search.results.figures.places import Placement, place
from search.results.figures.sweep import near_values
from search.results.findings import Findings
from search.results.report.answer import number, with_interval
from search.results.report.blocks import Figures, Section, table_of
from search.results.report.chart import Axis, Chart, Series
from search.results.summary import teller_of
from search.results.summary.formatting import LABELS
from search.stages.sweep import edge


def sweep_section(findings: Findings) -> Section | None:
    """None before a value has a result."""
    if findings.plan.kind != "sweep" or not any(group.clean for group in findings.groups):
        return None
    knob = findings.plan.knob
    table = table_of(teller_of(findings.plan).frame(findings), title=f"Every value of {knob.path}")
    return Section(
        name="sweep",
        title=f"The sweep of {knob.path}",
        lead=_lead(findings),
        blocks=[Figures(charts=[_chart(findings)], table=table)],
    )


def axis_of(knob: Knob, placement: Placement) -> Axis:
    """The axis of a knob."""
    return Axis(title=knob.path, log=placement.log, ticks=placement.ticks, limits=placement.limits)


def _lead(findings: Findings) -> str:
    decision, plan = findings.decision, findings.plan
    parts = ["Every dot is one seed; a bar is the 95 % interval of a mean."]
    if decision is not None and decision.best is not None:
        best = findings.groups[decision.best].value
        if decision.margin > 0:
            parts.append("Means inside the green band do not differ from the best beyond chance.")
        if not plan.knob.choices and edge(plan.knob, findings.values, best):
            parts.append(f"{best} lies at the edge of what was tried: the range may be wrong (P2).")
    if any(not group.clean for group in findings.groups):
        parts.append("An orange line marks a value that is not usable.")
    return " ".join(parts)


def _chart(findings: Findings) -> Chart:
    plan, decision = findings.plan, findings.decision
    placement = place(plan.knob, findings.values)
    shown = [index for index, group in enumerate(findings.groups) if group.clean]
    gaps = [
        placement.places[index] for index, group in enumerate(findings.groups) if not group.clean
    ]
    band = None
    if decision is not None and decision.best is not None and decision.margin > 0:
        best = plan.metric.sign * findings.groups[decision.best].mean
        ends = sorted((best, best - plan.metric.sign * decision.margin))
        band = (ends[0], ends[1], "a tie with the best")
    named = ", ".join(
        f"{findings.groups[index].value}: {number(plan.metric.sign * findings.groups[index].mean)}"
        for index in shown
    )
    winner = decision.winner if decision is not None else None
    end = f" Chosen: {findings.groups[winner].value}." if winner is not None else ""
    return Chart(
        title=f"{plan.metric.name} by {plan.knob.path}",
        alt=f"Mean {plan.metric.name} for each value of {plan.knob.path}. {named}.{end}",
        series=[_seeds(findings, placement), *_means(findings, placement, shown)],
        x=axis_of(plan.knob, placement),
        y=Axis(title=f"{plan.metric.name}, validation"),
        band=band,
        gaps=gaps,
        zoom=near_values(findings),
        height=420,
    )


def _seeds(findings: Findings, placement: Placement) -> Series:
    """A dot per seed."""
    points = [
        (spot, row)
        for spot, group in zip(placement.places, findings.groups, strict=True)
        for row in findings.of(group.value)
        if row.value is not None
    ]
    return Series(
        name="one seed",
        look="seed",
        x=[spot for spot, _ in points],
        y=[row.value for _, row in points],
        hover=[
            f"trial {row.ask.trial}, seed {row.ask.seed}\n{findings.plan.metric.name} "
            f"{number(row.value)} at epoch {row.best_epoch}\nclick: its learning curves"
            for _, row in points
        ],
        trials=[row.ask.trial for _, row in points],
    )


def _means(findings: Findings, placement: Placement, shown: list[int]) -> list[Series]:
    """The means, by what they are: baseline, chosen, others."""
    decision, sign = findings.decision, findings.plan.metric.sign
    winner = decision.winner if decision is not None else None
    kinds = {"mean, 95 % interval": "mean", "baseline": "baseline", "chosen": "chosen"}
    names = {0: "baseline"} | ({winner: "chosen"} if winner is not None else {})
    series = []
    for name, look in kinds.items():
        mine = [index for index in shown if names.get(index, "mean, 95 % interval") == name]
        if not mine:
            continue
        halves = [
            decision.interval(len(findings.groups[index].clean))
            if decision is not None
            else math.nan
            for index in mine
        ]
        series.append(
            Series(
                name="chosen: the baseline" if name == "chosen" and winner == 0 else name,
                look=look,
                x=[placement.places[index] for index in mine],
                y=[sign * findings.groups[index].mean for index in mine],
                errors=halves,
                hover=[
                    _hover(findings, index, half) for index, half in zip(mine, halves, strict=True)
                ],
            )
        )
    return series


def _hover(findings: Findings, index: int, half: float) -> str:
    group, decision, plan = findings.groups[index], findings.decision, findings.plan
    standing = LABELS[decision.standings[index]] if decision is not None else "no decision yet"
    return (
        f"{plan.knob.path} = {group.value}\n"
        f"mean {with_interval(plan.metric.sign * group.mean, half)} of {len(group.clean)} seeds\n"
        f"{standing}"
    )
