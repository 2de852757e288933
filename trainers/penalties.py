"""What holds a training back: L1 and maximum norm of weights (R46), flooding of the loss (R47), clipping of gradients (R48).

The settings, and what of them is a formula; the same for one training and for many. Changes nothing by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainers.settings import fits, least

NAMES = ("l1", "flood", "clip", "max_norm")  # keys of `trainer`
SMALL = 1e-7  # beside a norm that divides, as in torch.renorm


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """As `trainer.*` names them; None: not held back."""

    l1: float = 0.0
    flood: float | None = None
    clip: float | None = None
    max_norm: float | None = None


def read_penalties(trainer: Mapping[str, Any]) -> Penalties:
    """Of a config's `trainer`.

    Raises:
        ValueError: one of them is below 0, or where 0 would leave nothing to train.
    """
    told = {key: trainer.get(key) for key in NAMES}
    for key, value in told.items():
        positive = key in ("clip", "max_norm")
        if value is not None and not fits(value, positive=positive):
            raise ValueError(
                f"trainer.{key}: must be {least(positive=positive)}, or null, but got {value!r}; change it"
            )
    numbers = {key: None if value is None else float(value) for key, value in told.items()}
    return Penalties(
        l1=numbers["l1"] or 0.0,
        flood=numbers["flood"],
        clip=numbers["clip"],
        max_norm=numbers["max_norm"],
    )


def flooded(loss: Tensor, level: float | Tensor) -> Tensor:
    """|loss − level| + level, so that a loss below its level rises again (Ishida et al. 2020, eq. 3)."""
    return torch.where(loss < level, 2 * level - loss, loss)


def held(weights: Tensor, limit: float | Tensor) -> Tensor:
    """Factors [..., units, 1] that bring the incoming weights of each unit [..., units, inputs] to a norm of at most `limit`
    (Srivastava et al. 2014, section 5.1).
    """
    norm = torch.linalg.vector_norm(weights, dim=-1, keepdim=True)
    return torch.where(norm > limit, limit / (norm + SMALL), torch.ones_like(norm))
