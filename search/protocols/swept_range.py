"""Over which range a knob is swept: its own, a measured one, or one around the incumbent.

Pure functions.
"""

from dataclasses import replace

from search.config.knobs import Knob, as_number
from search.protocols.history import History

AROUND = 4.0  # a stale rate is swept from a fourth to four times the incumbent's; sizes up to that


def moved_rate(rate: Knob, low: float, high: float, *, points: int) -> tuple[Knob, str]:
    """A learning rate over another range as far as its limits reach, and in words what they cut.
    Where less than a step of its own grid is left, its own range is swept.
    """
    low, high = (float(f"{end:.3g}") for end in (low, high))
    within = replace(rate, low=max(low, rate.least), high=min(high, rate.most), points=points)
    own = replace(rate, points=points)
    step = (own.scaled(own.high) - own.scaled(own.low)) / (points - 1)
    if within.high <= 0 or within.scaled(within.high) - within.scaled(within.low) < step:
        return own, f"; {low:g} to {high:g} lies beyond its limits, so its own range is swept"
    if (within.low, within.high) == (low, high):
        return within, ""
    return within, f"; of {low:g} to {high:g} what lies within its limits"


def affordable(knob: Knob, history: History) -> Knob:
    """A size of the model up to four times the incumbent's, unless the command names the knobs.

    A layer of eight times the width costs up to 64 times as much. Where the best lies at the
    edge, the range is extended (P2). An incumbent below the knob's range counts as its low end.
    """
    is_size = knob.path.startswith("model.") and knob.log and knob.integer
    if not is_size or history.base.protocol.get("chosen"):
        return knob
    size = max(as_number(history.value(knob)), knob.low)
    return replace(knob, high=min(knob.high, AROUND * size))
