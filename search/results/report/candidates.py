"""The section of what was compared: every candidate with its seeds, mean, interval and ties."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was compared, as a chart shows it: where it stands, what it is, and its seeds.

    `mean`: None where nothing is usable; `half`: of its interval. `seeds`: score, trial, hover.
    """

    spot: float
    look: str
    mean: float | None
    hover: str
    seeds: Sequence[tuple[float, int, str]]
    half: float = math.nan


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


def axis_of(title: str, placement: Places) -> Axis:
    """The axis of values that stand so."""
    return Axis(title=title, log=placement.log, ticks=placement.ticks, limits=placement.limits)


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
    plan, decision, winner = findings.plan, findings.decision, findings.winning
    is_sweep = isinstance(plan.settings, SweepSettings)
    names = [group.words for group in findings.groups]
    placement = place(plan.knob, findings.values) if is_sweep else side_by_side(names)
    band = None
    if decision is not None and decision.best is not None:
        half, best = half_width(decision, decision.best), findings.groups[decision.best].mean
        middle = plan.metric.value_of(best)
        band = (middle - half, middle + half, "the best mean, 95 %") if half > 0 else None
    shown = [_shown(findings, index, spot) for index, spot in enumerate(placement.places)]
    named = ", ".join(
        f"{name}: {number(each.mean)}"
        for name, each in zip(names, shown, strict=True)
        if each.mean is not None
    )
    end = f" Chosen: {names[winner]}." if winner is not None else ""
    chosen = "chosen: the baseline" if winner == 0 else "chosen"
    looks = {"mean": "mean, 95 % interval", "baseline": "baseline", "chosen": chosen}
    return Chart(
        title=f"{plan.metric.name} by {subject}",
        alt=f"Mean {plan.metric.name} by {subject}. {named}.{end}",
        series=series_of(shown, names=looks),
        x=axis_of(plan.knob.path if is_sweep else "", placement),
        y=Axis(title=f"{plan.metric.name}, validation", limits=dot_limits(findings)),
        gaps=[each.spot for each in shown if each.mean is None],
        band=band,
        zoom=near_values(findings),
        height=420,
    )


def _shown(findings: Findings, index: int, spot: float) -> Shown:
    group, decision, metric = findings.groups[index], findings.decision, findings.plan.metric
    half = half_width(decision, index)
    mean = metric.value_of(group.mean) if group.clean else None
    standing = LABELS[decision.standings[index]] if decision is not None else "no decision yet"
    return Shown(
        spot=spot,
        look="chosen" if index == findings.winning else "mean" if index else "baseline",
        mean=mean,
        half=half,
        hover=f"{setting(findings.chosen[group.candidate])}\n"
        f"mean {with_interval(mean, half)} of {len(group.clean)} seeds\n{standing}",
        seeds=[
            (
                row.value,
                row.spec.trial,
                f"trial {row.spec.trial}, seed {row.spec.seed}\n{metric.name} "
                f"{number(row.value)} at epoch {row.best_epoch}\nclick: its learning curves",
            )
            for row in findings.of(group.candidate)
            if row.value is not None
        ],
    )


def series_of(shown: Sequence[Shown], *, names: Mapping[str, str]) -> list[Series]:
    """A dot per seed, and the means by what they are. `names`: in the legend, by look."""
    dots = [(each.spot, *seed) for each in shown for seed in each.seeds]
    spots, scores, trials, hover = zip(*dots, strict=True) if dots else ((), (), (), ())
    series = [Series(name="one seed", look="seed", x=spots, y=scores, hover=hover, trials=trials)]
    for look, name in names.items():
        mine = [each for each in shown if each.look == look and each.mean is not None]
        if mine:
            series.append(
                Series(
                    name=name,
                    look=look,
                    x=[each.spot for each in mine],
                    y=[each.mean for each in mine],
                    errors=[each.half for each in mine],
                    hover=[each.hover for each in mine],
                )
            )
    return series
