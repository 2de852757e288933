"""How the page shows numbers, means and configurations."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from scipy import special

from search.config.knobs import Value, written
from search.results.summary.formatting import LARGE, two_digits
from search.stages.racing import LEVEL

MOST_DECIMALS = 8  # beyond these, a power of ten is shorter
SAME = 1e-9  # relative difference by which means of equal scores may be rounded


def setting(knobs: Mapping[str, Value]) -> str:
    """A configuration in words: `optimizer.lr = 0.1, model.width = 64`."""
    return ", ".join(f"{path} = {written(value)}" for path, value in knobs.items())


def number(value: float | None) -> str:
    """Four digits, as all texts of the page show a number."""
    return "–" if value is None or not math.isfinite(value) else f"{value:z.4g}"


def rough(value: float | None) -> str:
    """Two digits: a spread or a margin is not known better."""
    return "–" if value is None or not math.isfinite(value) else two_digits(value, sign="z")


def with_interval(mean: float | None, half: float) -> str:
    """`0.9709 ± 0.0086`: two digits of the interval, and as many decimals of the mean."""
    if mean is None or not math.isfinite(half) or half <= 0:
        return number(mean)
    decimals = 1 - math.floor(math.log10(half))
    if decimals > MOST_DECIMALS or abs(mean) >= LARGE:
        power = math.floor(math.log10(max(abs(mean), half)))
        return f"({with_interval(mean / 10.0**power, half / 10.0**power)})e{power:+03}"
    shown = max(decimals, 0)
    return f"{mean:z.{shown}f} ± {round(half, decimals):.{shown}f}"


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the values that there are."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def own_interval(values: Iterable[float | None], *, among: int = 1) -> float:
    """Half the 95 % interval of a mean, by its own seeds' noise; NaN with less than two seeds.

    `among`: how many means it was the best of; wider then, as `racing.interval_widths` says.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return math.nan
    level = LEVEL if among == 1 else LEVEL / 2
    quantile = max(
        float(special.stdtrit(len(known) - 1, 1 - level / 2)),
        float(special.ndtri(0.975 ** (1 / among))),
    )
    return quantile * statistics.stdev(known) / math.sqrt(len(known))


def limits_of_one(
    means: Sequence[float | None], halves: Sequence[float]
) -> tuple[float, float] | None:
    """The axis of a figure whose values are all the same, which Plotly would draw from 1 below to
    1 above; None where they differ. `halves`: of their intervals, NaN where there is none.
    """
    values = [mean for mean in means if mean is not None]
    if not values or max(values) - min(values) > SAME * abs(values[0]):
        return None
    if any(half > 0 for half in halves):
        return None
    room = abs(values[0]) / 20 or 1.0
    return values[0] - room, values[0] + room
