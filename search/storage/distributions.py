"""A knob's domain as Optuna's distribution: what the journal keeps and samplers see."""

from collections.abc import Sequence

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.config.knobs import Knob, Value, is_number


def distribution_of(knob: Knob | None, values: Sequence[Value]) -> BaseDistribution:
    """A knob's domain, widened to contain `values`; None: a key that only takes these values."""
    if knob is None:
        return _just(values)
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


def _just(values: Sequence[Value]) -> BaseDistribution:
    """The narrowest domain of some values."""
    numbers = list(filter(is_number, values))
    if len(numbers) < len(values):
        return CategoricalDistribution(list(dict.fromkeys(values)))
    low, high = min(numbers), max(numbers)
    if all(isinstance(number, int) for number in numbers):
        return IntDistribution(int(low), int(high))
    return FloatDistribution(float(low), float(high))
