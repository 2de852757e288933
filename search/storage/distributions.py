"""A knob's domain as Optuna's distribution: what the journal keeps and samplers see."""

from collections.abc import Sequence

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.config.knobs import Knob, Value


def distribution_of(knob: Knob | None, values: Sequence[Value]) -> BaseDistribution:
    """A knob's domain, widened to contain `values`; None: a follower of a knob, with one value."""
    if knob is None:
        (number,) = (value for value in values if isinstance(value, int | float))
        if isinstance(number, int):
            return IntDistribution(number, number)
        return FloatDistribution(number, number)
    if knob.choices:
        return CategoricalDistribution(list(dict.fromkeys([*knob.choices, *values])))
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    low, high = min(knob.low, *numbers, knob.high), max(knob.high, *numbers, knob.low)
    log = knob.log and low > 0
    return (
        IntDistribution(round(low), round(high), log=log)
        if knob.integer
        else FloatDistribution(low, high, log=log)
    )
