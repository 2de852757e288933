"""What more rows would bring, by the errors on shares of train (R55).

Errors fall with the number of rows as a power of it (Hestness et al. 2017, arXiv 1712.00409), a
straight line of their logarithms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.contract.metrics import Metric
from search.diagnostics.verdicts.across_trials import Together, Trained

KNOB = "trainer.fraction"
SHARES, POINTS = 3, 5  # shares of train, and trainings, without which nothing is foretold
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """An error foretold, with its interval.

    `slope`: of errors over shares, in logarithms; `flattest`: the upper end of its interval.
    """

    error: float
    low: float
    high: float
    slope: float
    flattest: float

    @property
    def is_falling(self) -> bool:
        """Whether errors fall with more rows beyond chance."""
        return self.flattest < 0


def foretell(shares: Sequence[float], errors: Sequence[float], *, share: float) -> Forecast | None:
    """The mean error at a share of train, by a line through the logarithms of all trainings.

    Returns:
        None where errors are too few, or one of them is 0 or no number.
    """
    x, y = np.asarray(shares, dtype=float), np.asarray(errors, dtype=float)
    is_few = len(set(shares)) < SHARES or len(x) < POINTS
    if is_few or not (np.isfinite(y).all() and (y > 0).all() and (x > 0).all()):
        return None
    from scipy.stats import t  # takes a second

    x, y = np.log(x), np.log(y)
    spread = ((x - x.mean()) ** 2).sum()
    slope = ((x - x.mean()) * (y - y.mean())).sum() / spread
    deviation = np.sqrt(((y - y.mean() - slope * (x - x.mean())) ** 2).sum() / (len(x) - 2))
    factor = t.ppf((1 + CONFIDENCE) / 2, len(x) - 2) * deviation
    away = np.log(share) - x.mean()
    middle, half = y.mean() + slope * away, factor * np.sqrt(1 / len(x) + away**2 / spread)
    low, error, high = (float(np.exp(each)) for each in (middle - half, middle, middle + half))
    flattest = float(slope + factor / np.sqrt(spread))
    return Forecast(error=error, low=low, high=high, slope=float(slope), flattest=flattest)


def more_rows(trials: Sequence[Trained], *, metric: Metric) -> Together | None:
    """What twice as many rows as now would bring, by a sweep of `trainer.fraction`."""
    points = [
        (trial.value, metric.value_of(trial.score))
        for trial in trials
        if trial.value is not None and trial.score is not None
    ]
    shares, values = [share for share, _ in points], [value for _, value in points]
    errors = [metric.room(value) for value in values]
    twice = foretell(shares, errors, share=2.0)
    if twice is None:
        return None
    if not twice.is_falling:
        says = (
            f"between {100 * min(shares):.3g} and {100 * max(shares):.3g} % of the rows, "
            f"{metric.name} does not get better beyond chance: no sign that more rows would help"
        )
        return Together(name="more_rows", rule="R55", says=says)
    perfect = values[0] + metric.sign * errors[0]
    value, *ends = (perfect - metric.sign * error for error in (twice.error, twice.low, twice.high))
    says = (
        f"twice as many rows would bring {metric.name} to about {value:.4g} (95 % interval "
        f"{min(ends):.4g} to {max(ends):.4g}), if its error goes on falling as rows to the power "
        f"of {twice.slope:.2f}, as it does up to {100 * max(shares):.3g} % of them"
    )
    return Together(name="more_rows", rule="R55", says=says)
