"""Parallel coordinates: every trial as a line over all knobs, its color the metric."""

from collections.abc import Sequence

import numpy as np

from search.config.knobs import Knob
from search.results.findings import Findings
from search.results.places import place, shortened
from search.results.report.chart import Axis, Chart, Series
from search.results.report.numbers import number
from search.storage.trials import TrialRecord

BINS = 8  # colors; all trials of one color are one trace, so that the page stays small


def parallel_chart(findings: Findings, knobs: Sequence[Knob], rows: Sequence[TrialRecord]) -> Chart:
    """The chart of complete trials. A line has a gap where a knob is idle."""
    metric = findings.plan.metric
    scores = np.array([metric.sign * (row.value or 0.0) for row in rows])
    ranks = _ranks(scores)
    columns: list[Sequence[float | None]] = [*(_shares(knob, rows) for knob in knobs), ranks]
    names = [*(knob.path for knob in knobs), metric.name]
    bins = [min(int(rank * BINS), BINS - 1) for rank in ranks]
    series = []
    for color in range(BINS):
        mine = [place for place, other in enumerate(bins) if other == color]
        if mine:
            series.append(_lines(findings, rows, columns, mine, names, shade=color / (BINS - 1)))
    ends = [_ends(knob) for knob in knobs] + [_span(rows, metric.sign)]
    return Chart(
        title="Parallel coordinates",
        alt=f"{len(rows)} trials as lines over {', '.join(names)}.",
        series=series,
        x=Axis(
            ticks={float(place): name for place, name in enumerate(names)},
            limits=(-0.25, len(names) - 0.75),
        ),
        y=Axis(ticks={0.0: "", 1.0: ""}, limits=(-0.1, 1.1)),
        notes=[
            note
            for place, (low, high) in enumerate(ends)
            for note in ((place, -0.02, low, "top"), (place, 1.02, high, "bottom"))
        ],
        height=460,
    )


def _shares(knob: Knob, rows: Sequence[TrialRecord]) -> list[float | None]:
    """Where each trial stands between the ends of the knob; None where the knob is idle."""
    mine = [row for row in rows if knob.path in row.spec.knobs]
    placement = place(knob, [row.spec.knobs[knob.path] for row in mine])
    spots = np.array(placement.places, dtype=float)
    if placement.log:
        spots = np.log(spots)
    low, high = 0.0, max(len(knob.choices) - 1.0, 1.0)
    if not knob.choices:
        low, high = knob.scaled(knob.low), knob.scaled(knob.high)
    shares = np.clip((spots - low) / (high - low), -0.05, 1.05)
    of_trial = dict(zip((row.spec.trial for row in mine), shares.tolist(), strict=True))
    return [of_trial.get(row.spec.trial) for row in rows]


def _ranks(scores: np.ndarray) -> list[float]:
    """Ranks from 0, the worst, to 1: values would crowd at the good end."""
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    return [float(rank) / max(len(scores) - 1, 1) for rank in order]


def _ends(knob: Knob) -> tuple[str, str]:
    if knob.choices:
        return shortened(knob.choices[0]), shortened(knob.choices[-1])
    return f"{knob.low:g}", f"{knob.high:g}"


def _span(rows: Sequence[TrialRecord], sign: float) -> tuple[str, str]:
    values = sorted((row.value for row in rows if row.value is not None), key=lambda v: sign * v)
    return (number(values[0]), number(values[-1])) if values else ("", "")


def _lines(
    findings: Findings,
    rows: Sequence[TrialRecord],
    columns: Sequence[Sequence[float | None]],
    mine: Sequence[int],
    names: Sequence[str],
    *,
    shade: float,
) -> Series:
    """The trials of one color as one trace, with a gap after each trial."""
    x: list[float | None] = []
    y: list[float | None] = []
    hover: list[str] = []
    for index in mine:
        row = rows[index]
        text = f"trial {row.spec.trial}: {findings.plan.metric.name} {number(row.value)}"
        x += [*map(float, range(len(columns))), None]
        y += [*(column[index] for column in columns), None]
        hover += [
            f"{name} = {row.spec.knobs[name]}\n{text}" if name in row.spec.knobs else text
            for name in [*names, ""]
        ]
    return Series(name="trials", look=f"{shade:.3f}", x=x, y=y, hover=hover, listed=False)
