"""The section of what was compared: every candidate with its seeds, mean, interval and ties."""

from collections.abc import Sequence

from search.config.knobs import Knob
from search.config.sweep_settings import SweepSettings
from search.results.findings import Findings
from search.results.places import Places, dot_limits, near_values, place, side_by_side
from search.results.report.blocks import Figures, Section, table_of
from search.results.report.chart import Axis, Chart, Series
from search.results.report.numbers import number, setting, with_interval
from search.results.summary import view_of
from search.results.summary.formatting import LABELS, half_width
from search.stages.range_ends import clear_edge

RANKS = 500  # rows of the table


def candidates_section(findings: Findings) -> Section | None:
    """None before a candidate has a result.

    The candidates are the values of a sweep's knob, or the leading configurations of other stages.
    """
    plan = findings.plan
    if not any(group.clean for group in findings.groups):
        return None
    frame = view_of(plan).teller.frame(findings)
    is_sweep = isinstance(plan.settings, SweepSettings)
    subject = plan.knob.path if is_sweep else "the leaders"
    return Section(
        name="candidates",
        title=f"The sweep of {subject}" if is_sweep else "The leaders",
        lead=_lead(findings),
        blocks=[
            Figures(
                charts=[_chart(findings, subject)],
                table=table_of(
                    frame[:RANKS],
                    title=f"Every value of {subject}" if is_sweep else "By rank",
                    note=f"The first {RANKS} of {len(frame)} ranks." if len(frame) > RANKS else "",
                ),
            )
        ],
    )


def axis_of(knob: Knob, placement: Places) -> Axis:
    """The axis of a knob."""
    return Axis(title=knob.path, log=placement.log, ticks=placement.ticks, limits=placement.limits)


def _axis(findings: Findings) -> tuple[Axis, Places]:
    """Where the candidates stand: values in the knob's scale, configurations side by side."""
    plan, groups = findings.plan, findings.groups
    if isinstance(plan.settings, SweepSettings):
        placement = place(plan.knob, findings.values)
        return axis_of(plan.knob, placement), placement
    placement = side_by_side([group.words for group in groups])
    return Axis(ticks=placement.ticks, limits=placement.limits), placement


def _lead(findings: Findings) -> str:
    decision, plan = findings.decision, findings.plan
    parts = ["Every dot is one seed; a bar is the 95 % interval of a mean."]
    if decision is not None and decision.best is not None:
        best = findings.groups[decision.best].words
        if half_width(decision, decision.best) > 0:
            parts.append("The green band is the interval of the best mean.")
        is_ordered = isinstance(plan.settings, SweepSettings) and not plan.knob.choices
        if is_ordered and clear_edge(plan.knob, findings.values, decision):
            parts.append(f"{best} lies at the edge of what was tried: the range may be wrong (P2).")
    if limits := dot_limits(findings):
        parts.append(
            "Intervals are cut where they are longer than all dots lie apart, or go beyond the "
            "best value that there can be."
        )
        low, high = limits
        seeds = [row.value for group in findings.groups for row in findings.of(group.candidate)]
        outside = sum(value is not None and not low <= value <= high for value in seeds)
        if outside:
            parts.append(f"Seeds outside of the picture, collapsed or diverged: {outside}.")
    if any(not group.clean for group in findings.groups):
        parts.append("An orange line marks what is not usable.")
    return " ".join(parts)


def _chart(findings: Findings, subject: str) -> Chart:
    plan, decision = findings.plan, findings.decision
    axis, placement = _axis(findings)
    shown = [index for index, group in enumerate(findings.groups) if group.clean]
    empty = [index for index, group in enumerate(findings.groups) if not group.clean]
    band = None
    if decision is not None and decision.best is not None:
        half, best = half_width(decision, decision.best), findings.groups[decision.best].mean
        middle = plan.metric.value_of(best)
        band = (middle - half, middle + half, "the best mean, 95 %") if half > 0 else None
    groups = [findings.groups[index] for index in shown]
    named = ", ".join(
        f"{group.words}: {number(plan.metric.value_of(group.mean))}" for group in groups
    )
    winner = findings.winning
    end = f" Chosen: {findings.groups[winner].words}." if winner is not None else ""
    return Chart(
        title=f"{plan.metric.name} by {subject}",
        alt=f"Mean {plan.metric.name} by {subject}. {named}.{end}",
        series=[_seeds(findings, placement), *_means(findings, placement, shown)],
        x=axis,
        y=Axis(title=f"{plan.metric.name}, validation", limits=dot_limits(findings)),
        gaps=[placement.places[index] for index in empty],
        band=band,
        zoom=near_values(findings),
        height=420,
    )


def _seeds(findings: Findings, placement: Places) -> Series:
    points = [
        (spot, row)
        for spot, group in zip(placement.places, findings.groups, strict=True)
        for row in findings.of(group.candidate)
        if row.value is not None
    ]
    hover = [
        f"trial {row.spec.trial}, seed {row.spec.seed}\n{findings.plan.metric.name} "
        f"{number(row.value)} at epoch {row.best_epoch}\nclick: its learning curves"
        for _, row in points
    ]
    return seeds_of([(spot, row.value, row.spec.trial) for spot, row in points], hover=hover)


def seeds_of(points: Sequence[tuple[float, float | None, int]], *, hover: list[str]) -> Series:
    """A dot per seed: where it stands, its score, its trial."""
    return Series(
        name="one seed",
        look="seed",
        x=[spot for spot, _, _ in points],
        y=[score for _, score, _ in points],
        hover=hover,
        trials=[trial for _, _, trial in points],
    )


def _means(findings: Findings, placement: Places, shown: list[int]) -> list[Series]:
    """The means, by what they are: baseline, chosen, others."""
    decision, metric = findings.decision, findings.plan.metric
    winner = findings.winning
    kinds = {"mean, 95 % interval": "mean", "baseline": "baseline", "chosen": "chosen"}
    names = {0: "baseline"} | ({winner: "chosen"} if winner is not None else {})
    series = []
    for name, look in kinds.items():
        mine = [index for index in shown if names.get(index, "mean, 95 % interval") == name]
        if not mine:
            continue
        halves = [half_width(decision, index) for index in mine]
        series.append(
            Series(
                name="chosen: the baseline" if name == "chosen" and winner == 0 else name,
                look=look,
                x=[placement.places[index] for index in mine],
                y=[metric.value_of(findings.groups[index].mean) for index in mine],
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
    mean = with_interval(plan.metric.value_of(group.mean), half)
    return (
        f"{setting(findings.chosen[group.candidate])}\n"
        f"mean {mean} of {len(group.clean)} seeds\n"
        f"{standing}"
    )
