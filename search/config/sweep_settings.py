"""How a sweep goes on after its first round, and what moves with its knob (P2, R28, R30)."""

from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from search.config.follower import Follower, read_follower
from search.config.knob_roles import check_roles
from search.config.knobs import Knob


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """`refine`, `extend`: rounds that a sweep may add.

    `follower`: the key that moves with the knob (R28).
    `most_seeds`: seeds that a value may get where further ones decide (P5); `worth`: the gain, in
    the metric's units, above which they do, None: a third of the noise between seeds.
    `halving`: whether only the better half of the values gets more than its first seed.
    `budget`, `kept`, `pace`: as a joint search's; no round begins once it is spent.
    """

    refine: int = 0
    extend: int = 0
    most_seeds: int = 1
    worth: float | None = None
    follower: Follower | None = None
    halving: bool = False
    budget: float | None = None
    kept: float = 0.0
    pace: float = 0.0


def read_sweep(config: DictConfig, knobs: Sequence[Knob]) -> SweepSettings:
    """The settings of a sweep.

    Raises:
        UsageError: several knobs that the sweep is about, or a follower that cannot follow.
    """
    check_roles(knobs)
    return SweepSettings(
        refine=config.protocol.refine,
        extend=config.protocol.extend,
        follower=read_follower(config, knobs),
        most_seeds=config.protocol.get("most_seeds", 1),  # 1: no race
        worth=config.protocol.get("worth"),
        halving=bool(config.protocol.get("halving")),
    )
