"""Where a knob's values stand on an axis, which ticks it has, what was best so far, and near it.

The SVG files and the page share it, so both show a knob in the same way.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from search.config.knobs import Knob, Value
from search.config.text import one_line
from search.results.findings import Findings
from search.results.summary.formatting import half_width
from search.storage.trials import TrialRecord

LABEL = 24  # characters of a choice's name that a tick shows
OFF_SCALE = 0.16  # share of a log range that lies between its lowest value and 0
ZOOM = 3.0  # a zoom is worth it if the whole range is so many times wider


@dataclass(frozen=True, kw_only=True)
class Places:
    """Positions of values on an axis. `ticks`: position → label; empty if any even ticks do."""

    places: tuple[float, ...]
    log: bool = False
    ticks: Mapping[float, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = None


def place(knob: Knob, values: Sequence[Value], *, most_ticks: int = 8) -> Places:
    """The positions of a knob's values: numbers in its scale, choices side by side.

    A log scale has no place for 0: it stands left of the lowest value, with a tick of its own.
    """
    if knob.choices:
        choices = list(dict.fromkeys([*knob.choices, *values]))
        return Places(
            places=tuple(float(choices.index(value)) for value in values),
            ticks={float(index): shortened(choice) for index, choice in enumerate(choices)},
            limits=(-0.5, len(choices) - 0.5),
        )
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if not knob.log:
        return Places(places=tuple(numbers))
    positive = [number for number in numbers if number > 0]
    low, high = min([*positive, knob.low]), max([*positive, knob.high])
    room = (high / low) ** (OFF_SCALE / 3)
    ticks = log_ticks(low, high, most=most_ticks)
    if len(positive) == len(numbers):
        return Places(
            places=tuple(numbers), log=True, ticks=ticks, limits=(low / room, high * room)
        )
    zero = low / (high / low) ** OFF_SCALE
    return Places(
        places=tuple(number if number > 0 else zero for number in numbers),
        log=True,
        ticks={zero: "0", **ticks},
        limits=(zero / room, high * room),
    )


def side_by_side(names: Sequence[str]) -> Places:
    """The positions of what has names and no scale."""
    places = tuple(map(float, range(len(names))))
    ticks = dict(zip(places, names, strict=True))
    return Places(places=places, ticks=ticks, limits=(-0.5, len(names) - 0.5))


def log_ticks(low: float, high: float, *, most: int) -> dict[float, str]:
    """Ticks of a log axis: decades, or 1, 2, 5 of each where there are few decades."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1,)):
        ticks = [digit * 10.0**power for power in decades for digit in digits]
        inside = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if 2 <= len(inside) <= most:
            return {tick: f"{tick:g}" for tick in inside}
    inside = [10.0**power for power in decades if low * 0.999 <= 10.0**power <= high * 1.001]
    if len(inside) < 2:
        inside = [float(f"{low:.3g}"), float(f"{high:.3g}")]
    return {tick: f"{tick:g}" for tick in inside[:: math.ceil(len(inside) / most)]}


def best_by_place(rows: Sequence[TrialRecord], *, sign: float) -> "pd.Series[float]":
    """The best value of so many trials, from 1, in the order they began; NaN before one."""
    places = range(1, len(rows) + 1)
    scores = pd.Series([row.result for row in rows], index=places, dtype=float) * sign
    return scores.cummax().ffill() * sign + 0.0  # 0, never −0


def near_best(
    values: Sequence[float], *, sign: float, reach: float | None
) -> tuple[float, float] | None:
    """The limits of an axis that shows the best values only; None if all are near the best.

    `reach`: how far below the best still counts as near; None: as far as the better half goes.
    """
    scores = sorted((sign * value for value in values if math.isfinite(value)), reverse=True)
    if len(scores) < 4:
        return None
    best, worst = scores[0], scores[-1]
    if reach is None:
        reach = best - float(np.median(scores))
    if not 0 < reach < math.inf or best - worst <= ZOOM * 1.5 * reach:
        return None
    low, high = sorted((sign * (best - 1.2 * reach), sign * (best + 0.3 * reach)))
    return low, high


def limits_by_dots(values: Sequence[float], ends: Sequence[float]) -> tuple[float, float] | None:
    """The limits of an axis where long intervals would press all dots into a line; else None.

    Args:
        values: of the dots, which are always inside.
        ends: of the intervals; they are cut where they leave the dots by more than these lie apart.
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    room = high - low
    inside = [end for end in ends if math.isfinite(end) and low - room <= end <= high + room]
    if room == 0 or len(inside) == sum(math.isfinite(end) for end in ends):
        return None
    margin = 0.05 * room
    return min([low, *inside]) - margin, max([high, *inside]) + margin


def near_values(findings: Findings) -> tuple[float, float] | None:
    """The limits of the metric around the best mean; None where nothing tells the noise."""
    decision, sign = findings.decision, findings.plan.metric.sign
    if decision is None or decision.best is None:
        return None
    values = [sign * score for group in findings.groups for score in group.clean]
    half = half_width(decision, decision.best)
    return near_best(values, sign=sign, reach=3 * half) if half > 0 else None


def dot_limits(findings: Findings) -> tuple[float, float] | None:
    """The limits of the metric where intervals are cut: they are much longer than the seeds lie
    apart, or go beyond the best value that the metric can have. None where nothing is cut.
    """
    metric, values, ends = findings.plan.metric, list[float](), list[float]()
    for index, group in enumerate(findings.groups):
        if group.clean:
            values += map(metric.value_of, group.clean)
            half, mean = half_width(findings.decision, index), metric.value_of(group.mean)
            ends += [mean - half, mean + half]
    if not values:
        return None
    limits = limits_by_dots(values, ends)
    shown = limits or [*values, *filter(math.isfinite, ends)]
    best = max(values, key=lambda value: metric.sign * value)
    perfect = best + metric.sign * metric.room(best)
    low, high = min(shown), max(shown)
    margin = 0.05 * (high - low)
    if metric.sign > 0 and high > perfect:
        return (low if limits else low - margin), perfect + margin
    if metric.sign < 0 and low < perfect:
        return perfect - margin, (high if limits else high + margin)
    return limits


def shortened(value: Value) -> str:
    """A choice as a tick's label."""
    text = one_line(value)
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"
