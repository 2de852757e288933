"""What a learning-rate range test says: a range for the sweep, or why none can be told (R31). Pure
functions of loss curves.

Four ways of reading the same curve stand side by side: each alone is fooled by something (an early
spike, a flat start).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from search.config.counted import count

WIDTH = 100.0  # upper over lower end of a range: two decades
SMOOTH = 0.12  # standard deviation of the smoothing, in decades of the rate
FALL = 0.05  # least fall of the loss, relative to its start
NOISE = 4.5  # and in standard errors of the smoothed curve, whose least value is the least of many
SEEDS_APART = 2.0  # decades by which the least losses of seeds may differ
LEFT = 0.1  # share of the fall still to come where the bottom begins
BEGUN = 0.05  # share of the fall after which the fall has begun
RISEN = 0.5  # share of the fall lost again, from which a curve has diverged
LEAST = 20  # fewest steps of a ramp
Curve = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Range:
    """What was read. `low`, `high`: learning rates, None where `because` says why none can be told.

    `suggestions`: learning rate by each way of reading; `agreement`: decades between the least and
    the greatest of them. `rates`, `losses`: the curve that was read, the median over the seeds,
    smoothed. `momentum`: of the ramps, None where it was the training's.
    """

    low: float | None = None
    high: float | None = None
    because: str = ""
    suggestions: dict[str, float] = field(default_factory=dict)
    agreement: float = math.nan
    momentum: float | None = None
    rates: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()


def read_range(
    rates: Sequence[float],
    curves: Sequence[Sequence[float | None]],
    untrained: Sequence[Sequence[float | None]] = (),
) -> Range:
    """The range of a ramp.

    Args:
        curves: the loss of every step, per seed; a curve that ends early was lost there.
        untrained: the same at a rate of 0, where it was asked for.
    """
    grid = np.asarray(rates, dtype=float)
    table = _table(curves, len(grid))
    known = np.flatnonzero(np.isfinite(table).any(axis=0))
    if not len(known) or known[-1] + 1 < LEAST:
        steps = 0 if not len(known) else int(known[-1]) + 1
        return Range(
            because=(
                f"the loss was lost after {count(steps, 'step')}, "
                f"at a rate of {grid[max(steps - 1, 0)]:.2g}"
            )
        )
    if untrained:
        table = _calmer(np.log10(grid), table, _table(untrained, len(grid)))
    smooth = np.array([_smoothed(np.log10(grid), row) for row in table])
    middle = _median(smooth)
    end = int(np.flatnonzero(np.isfinite(middle))[-1]) + 1
    middle, grid = middle[:end], grid[:end]
    bottom = int(np.argmin(middle))
    lowest = bottom if untrained else None
    start, noise = _start(table[:, :end], smooth[:, :end], grid, bottom=lowest)
    read = Range(rates=tuple(grid.tolist()), losses=tuple(middle.tolist()))
    if start - middle[bottom] < max(FALL * abs(start), NOISE * noise):
        to_the_end = bottom > 0.9 * len(middle) and len(middle) == len(rates)
        return replace(read, because=_no_fall(start, middle[bottom], to_the_end=to_the_end))
    if bottom < _first(grid):
        because = f"the loss is least at the lowest rates, {middle[bottom]:.3g}, and only rises"
        return replace(read, because=f"{because} (lower lr_range.low)")
    lows = [grid[int(np.nanargmin(row[:end]))] for row in smooth if np.isfinite(row[:end]).any()]
    # One odd seed at either end proves nothing.
    inner = sorted(lows)[1:-1] if len(lows) > 3 else lows
    if math.log10(max(inner) / min(inner)) > SEEDS_APART:
        return replace(
            read,
            because=f"seeds have their least loss at rates from {min(lows):.2g} to {max(lows):.2g}",
        )
    suggestions = _suggestions(grid, middle, bottom=bottom, start=start)
    agreement = math.log10(max(suggestions.values()) / min(suggestions.values()))
    high = _highest(grid, middle, bottom=bottom, start=start)
    return replace(read, low=high / WIDTH, high=high, suggestions=suggestions, agreement=agreement)


def _no_fall(start: float, least: float, *, to_the_end: bool) -> str:
    """That the loss hardly falls or not at all, and what may help."""
    remedy = "more lr_range.seeds, steps or a larger batch may help"
    if least >= start:
        return f"the loss does not fall: {start:.3g} at first, then {least:.3g} at least ({remedy})"
    if to_the_end:
        remedy = "it falls to the end: raise lr_range.high"
    return f"the loss falls from {start:.3g} to {least:.3g} only, no more than its noise ({remedy})"


def _highest(rates: Curve, losses: Curve, *, bottom: int, start: float) -> float:
    """The upper end of the range: where half of the fall is lost again.

    Nearly all best rates of real sweeps lay less than two decades below it, and most others above
    it (`tests/benchmarks/lr_range_small.py`). Where the bottom begins says less: an easy part of
    the task may be learned long before the best rate. The last step below that loss counts, so that
    a bump in the bottom does not. Where the loss never rises, the range begins with the bottom.
    """
    fall = start - losses[bottom]
    good = np.flatnonzero(losses <= losses[bottom] + RISEN * fall)
    done = np.flatnonzero(losses[: bottom + 1] <= losses[bottom] + LEFT * fall)
    return float(min(rates[min(good[-1] + 1, len(rates) - 1)], rates[done[0]] * WIDTH))


def _suggestions(rates: Curve, losses: Curve, *, bottom: int, start: float) -> dict[str, float]:
    """Valley (fast.ai), steepest fall, a tenth of the rate of the least loss, a third of the rate
    where it diverges.
    """
    first = _beginning(losses, bottom=bottom, start=start)
    fall, decades = losses[first : bottom + 1], np.log10(rates[first : bottom + 1])
    return {
        "valley": float(rates[first + _valley(fall)]),
        "steepest": float(rates[first + int(np.argmin(np.gradient(fall, decades)))])
        if len(fall) > 1
        else float(rates[first]),
        "minimum/10": float(rates[bottom]) / 10,
        "divergence/3": float(rates[_divergence(losses, bottom=bottom, start=start)]) / 3,
    }


def _beginning(losses: Curve, *, bottom: int, start: float) -> int:
    """The last step before the fall: in a flat start, ripples are no slope."""
    before = np.flatnonzero(losses[: bottom + 1] > start - BEGUN * (start - losses[bottom]))
    return int(before[-1]) if len(before) else 0


def _valley(losses: Curve) -> int:
    """The middle of the middle third of the longest falling subsequence (`valley` of fastai)."""
    length = np.ones(len(losses), dtype=int)
    for index in range(1, len(losses)):
        before = length[:index][losses[:index] > losses[index]]
        length[index] = 1 + (int(before.max()) if len(before) else 0)
    end = int(np.argmax(length))
    begin = max(end + 1 - int(length[end]), 0)
    return begin + (end - begin) // 2


def _divergence(losses: Curve, *, bottom: int, start: float) -> int:
    """Where half of the fall is lost again; the last step where that never happens."""
    risen = np.flatnonzero(losses[bottom:] > losses[bottom] + RISEN * (start - losses[bottom]))
    return bottom + int(risen[0]) if len(risen) else len(losses) - 1


def _table(curves: Sequence[Sequence[float | None]], steps: int) -> Curve:
    """A row per seed, NaN behind its end and where a loss was not finite."""
    table = np.full((len(curves), steps), np.nan)
    for row, curve in zip(table, curves, strict=True):
        values = np.array(curve[:steps], dtype=float)  # None is NaN
        row[: len(values)] = np.where(np.isfinite(values), values, np.nan)
    return table


def _calmer(decades: Curve, losses: Curve, untrained: Curve) -> Curve:
    """The losses without what they share with those of untrained weights on the same batches: a
    batch with outliers is hard at every rate.

    The share (a control variate) is fitted around each rate: all of it where nothing is learned
    yet, little where nearly all is, none where every training draws its batches anew.
    """
    known = np.isfinite(losses) & np.isfinite(untrained)
    hard = np.where(known, untrained - np.median(untrained[known]), 0.0)
    values = np.where(known, losses, 0.0)
    weights = _kernel(decades)
    count, mean, ease, both, square = (
        weights @ part.sum(axis=0) for part in (known, values, hard, values * hard, hard**2)
    )
    apart, spread = both * count - mean * ease, square * count - ease**2
    share = np.clip(apart / np.where(spread > 0, spread, math.inf), 0.0, 1.0)
    calm: Curve = losses - share * hard
    return calm


def _kernel(decades: Curve) -> Curve:
    """Weights of all steps around each."""
    return np.exp(-0.5 * ((decades[:, None] - decades[None, :]) / SMOOTH) ** 2)


def _spread(values: Curve) -> float:
    """The standard deviation as the median deviation gives it, which outliers hardly move."""
    known = values[np.isfinite(values)]
    return float(np.median(np.abs(known - np.median(known)))) * 1.4826


def _smoothed(decades: Curve, losses: Curve) -> Curve:
    """A median over five steps against spikes, then a Gaussian kernel over the rate's logarithm."""
    known = np.flatnonzero(np.isfinite(losses))
    smooth = np.full(len(losses), np.nan)
    if not len(known):
        return smooth
    calm = np.array([np.median(losses[known[max(0, i - 2) : i + 3]]) for i in range(len(known))])
    weights = _kernel(decades[known])
    smooth[known] = weights @ calm / weights.sum(axis=1)
    return smooth


def _median(rows: Curve) -> Curve:
    """The median over the seeds; NaN where fewer than half of them have a loss left."""
    enough = np.isfinite(rows).sum(axis=0) * 2 >= len(rows)
    return np.array(
        [
            float(np.nanmedian(column)) if ok else math.nan
            for column, ok in zip(rows.T, enough, strict=True)
        ]
    )


def _first(rates: Curve) -> int:
    """The steps of a ramp in which nothing is learned yet."""
    return max(len(rates) // 10, 3)


def _start(table: Curve, smooth: Curve, rates: Curve, *, bottom: int | None) -> tuple[float, float]:
    """The loss of the first tenth of the ramp, where nothing is learned yet, and the standard error
    of the smoothed curve: there, or around its `bottom`, where untrained weights made the beginning
    calm.
    """
    first = _first(rates)
    values = table[:, :first]
    density = len(rates) / math.log10(rates[-1] / rates[0])  # steps per decade
    steps = max(2 * math.sqrt(math.pi) * SMOOTH * density, 1.0)  # that the kernel averages over
    noise = values
    if bottom is not None:
        noise = (table - smooth)[:, max(bottom - round(steps), 0) : bottom + round(steps) + 1]
    effective = steps * len(table) * 2 / math.pi  # of a median: 2 / π of a mean's
    return float(np.nanmedian(values)), _spread(noise) / math.sqrt(effective)
