"""The sections of a joint search's knobs: each one, which matter, all, and pairs (P12)."""

from collections.abc import Sequence
from itertools import combinations

from search.config.knobs import Knob
from search.results.findings import Findings
from search.results.places import near_best, place
from search.results.report.blocks import Figures, Section, Table
from search.results.report.candidates import axis_of
from search.results.report.chart import Axis, Chart, Series
from search.results.report.numbers import number
from search.results.report.parallel import parallel_chart
from search.results.report.thinning import thinned
from search.storage.trials import TrialRecord

DOTS, LINES = 300, 150  # trials of one chart
MAPPED = 5  # knobs whose pairs are drawn, the most important
Rows = Sequence[TrialRecord]


def knob_sections(findings: Findings, rows: Rows, table: Table) -> list[Section]:
    """Every knob, importance, all knobs at once, two knobs.

    `rows`: the search's own trials; `table`: every trial, which stands behind these figures.
    """
    plan, shares = findings.plan, findings.importance
    knobs = findings.knobs_by_importance
    valued = [row for row in rows if row.value is not None]
    shown, note = thinned(valued, DOTS, sign=plan.metric.sign)
    every = Figures(
        charts=[_knob_chart(findings, knob, shown) for knob in knobs],
        table=table,
        small=True,
        zoomed=True,
    )
    lead = "Each dot is a trial; the star is the chosen one (P12)."
    if why := findings.why_no_importance:
        lead += f" {why[0].upper()}{why[1:]}."
    sections = [Section(name="knobs", title="Every knob", lead=lead + note, blocks=[every])]
    if shares:
        sections.append(_importance(findings))
    if len(knobs) > 1:
        sections.append(_parallel(findings, knobs, valued, table))
        sections.append(_maps(findings, knobs[:MAPPED], shown, table))
    return sections


def _knob_chart(findings: Findings, knob: Knob, shown: Rows) -> Chart:
    plan = findings.plan
    mine = [row for row in shown if knob.path in row.spec.knobs]
    placement = place(knob, [row.spec.knobs[knob.path] for row in mine], most_ticks=5)
    spots = dict(zip((row.spec.trial for row in mine), placement.places, strict=True))
    winner = findings.winning
    chosen = findings.groups[winner].trial if winner is not None else None
    parts = {
        "complete": [row for row in mine if row.state == "complete" and row.spec.trial != chosen],
        "pruned": [row for row in mine if row.state == "pruned"],
        "chosen": [row for row in mine if row.spec.trial == chosen],
    }
    looks = {"complete": "trial"}
    series = [
        Series(
            name=name,
            look=looks.get(name, name),
            x=[spots[row.spec.trial] for row in part],
            y=[row.value for row in part],
            hover=[f"trial {row.spec.trial}, {row.state}" for row in part],
            trials=[row.spec.trial for row in part],
            says="x+y+text",
            listed=False,
        )
        for name, part in parts.items()
        if part
    ]
    values = [row.result for row in mine if row.result is not None]
    share = findings.importance.get(knob.path)
    weight = f" (importance {share:.2f})" if share is not None else ""
    return Chart(
        title=f"{knob.path}{weight}",
        alt=f"{plan.metric.name} of {len(mine)} trials against {knob.path}.",
        series=series,
        x=axis_of(knob.path, placement),
        y=Axis(title=plan.metric.name),
        zoom=near_best(values, sign=plan.metric.sign, reach=None),
        height=280,
    )


def _importance(findings: Findings) -> Section:
    shares = findings.importance
    paths = list(reversed(shares))
    named = ", ".join(f"{path} {share:.2f}" for path, share in shares.items())
    chart = Chart(
        title="Importance of the knobs",
        alt=f"Share of what separates the better half from the rest: {named}.",
        series=[
            Series(
                name="share", look="bar", x=[shares[path] for path in paths], y=range(len(paths))
            )
        ],
        x=Axis(title="share"),
        y=Axis(ticks={float(index): path for index, path in enumerate(paths)}),
        height=120 + 30 * len(paths),
    )
    table = Table(
        title="Importance", columns={"knob": list(shares), "share": list(shares.values())}
    )
    return Section(
        name="importance",
        title="Which knobs matter",
        lead=(
            "The share of each knob that stands out beyond chance in what separates the better "
            "half of the configurations from the rest (PED-ANOVA, against permuted values)."
        ),
        blocks=[Figures(charts=[chart], table=table)],
    )


def _parallel(findings: Findings, knobs: Sequence[Knob], valued: Rows, table: Table) -> Section:
    complete = [row for row in valued if row.state == "complete"]
    shown, note = thinned(complete, LINES, sign=findings.plan.metric.sign)
    return Section(
        name="parallel",
        title="All knobs at once",
        lead="Each line is a trial, from dark (worst) to yellow (best)." + note,
        blocks=[Figures(charts=[parallel_chart(findings, knobs, shown)], table=table)],
    )


def _maps(findings: Findings, knobs: Sequence[Knob], shown: Rows, table: Table) -> Section:
    charts = []
    values = [row.value for row in shown if row.value is not None]
    for across, up in combinations(knobs, 2):
        rows = [row for row in shown if {across.path, up.path} <= row.spec.knobs.keys()]
        if not rows:
            continue
        x = place(across, [row.spec.knobs[across.path] for row in rows])
        y = place(up, [row.spec.knobs[up.path] for row in rows])
        dots = Series(
            name="trials",
            look="shaded",
            x=x.places,
            y=y.places,
            shades=[row.value for row in rows],
            hover=[f"trial {row.spec.trial}: {number(row.value)}" for row in rows],
            trials=[row.spec.trial for row in rows],
            says="x+y+text",
        )
        best = max(rows, key=lambda row: findings.plan.metric.sign * (row.value or 0.0))
        charts.append(
            Chart(
                title=f"{across.path} and {up.path}",
                alt=f"{len(rows)} trials by {across.path} and {up.path}, colored by "
                f"{findings.plan.metric.name}; the best has {number(best.value)}.",
                series=[dots],
                x=axis_of(across.path, x),
                y=axis_of(up.path, y),
                shade_title=findings.plan.metric.name,
                shade_limits=near_best(values, sign=findings.plan.metric.sign, reach=None),
                height=440,
            )
        )
    return Section(
        name="maps",
        title="Two knobs as a map",
        lead="Each dot is a trial; its color is the metric.",
        blocks=[Figures(charts=charts, choose="Pair of knobs", table=table)],
    )
