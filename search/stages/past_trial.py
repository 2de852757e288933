"""A trial of an earlier search, as far as this one's sampler may learn from it (R32)."""

from dataclasses import dataclass

from search.config.joint_settings import Point

ENOUGH = 5  # configurations from which a sampler can begin


@dataclass(frozen=True, kw_only=True)
class Past:
    """A trial of an earlier search as a point of this one's space.

    `value`: what a sampler is told.
    """

    point: Point
    value: float
