"""Penalties: L1 and maximum norm of weights (R46), flooding (R47), clipping of gradients (R48).

Their settings and formulas, the same for one training and for many. Changes nothing by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

NAMES = ("l1", "flood", "clip", "max_norm")  # keys of `trainer`
SMALL = 1e-7  # added to a norm before dividing by it, as in torch.renorm


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """As `trainer.*` names them; None: no such penalty."""

    l1: float = 0.0
    flood: float | None = None
    clip: float | None = None
    max_norm: float | None = None


def read_penalties(trainer: Mapping[str, Any]) -> Penalties:
    """The penalties of a config's `trainer`."""
    return Penalties(**{key: float(trainer[key]) for key in NAMES if trainer.get(key) is not None})


def flooded(loss: Tensor, level: float | Tensor) -> Tensor:
    """|loss − level| + level: a loss below its level rises again (Ishida et al. 2020, eq. 3)."""
    return torch.where(loss < level, 2 * level - loss, loss)


def held(weights: Tensor, limit: float | Tensor) -> Tensor:
    """Factors [..., units, 1] that bring each unit's incoming weights to a norm of at most `limit`.

    `weights` [..., units, inputs]; Srivastava et al. 2014, section 5.1.
    """
    norm = torch.linalg.vector_norm(weights, dim=-1, keepdim=True)
    return torch.where(norm > limit, limit / (norm + SMALL), torch.ones_like(norm))
