"""How a sweep goes on after its first round, and what moves with its knob (P2, R28, R30)."""

from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from search.config.fields import whole
from search.config.follower import Follower, read_follower
from search.config.knob_roles import check_roles
from search.config.knobs import Knob


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """`refine`, `extend`: rounds that a sweep may add.

    `follower`: the key that moves with the knob (R28).
    """

    refine: int = 0
    extend: int = 0
    follower: Follower | None = None


def read_sweep(config: DictConfig, knobs: Sequence[Knob]) -> SweepSettings:
    """The settings of a sweep.

    Raises:
        UsageError: several knobs that the sweep is about, or a follower that cannot follow.
    """
    check_roles(knobs)
    return SweepSettings(
        refine=whole(config, "protocol.refine", least=0),
        extend=whole(config, "protocol.extend", least=0),
        follower=read_follower(config, knobs),
    )
