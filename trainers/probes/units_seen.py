"""Units that no row wakes, and units that a squashing function holds at its ends. Never judges."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trainers.layer_series import SQUASHED
from trainers.probes.functions import RELUS
from trainers.probes.seen import Seen

END = 0.01  # how near to its ends a tanh or a sigmoid passes on hardly any gradient


class UnitsSeen:
    """What activations put out in training, by their place in a pass."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._place, self._alive = 0, dict[int, Tensor]()

    def begin(self) -> None:
        """A pass of the model begins."""
        self._place = 0

    def end(self) -> None:
        """The training has ended."""
        self._seen.dead = [float((~alive).double().mean()) for alive in self._alive.values()]

    def put_out(self, func: Callable[..., Any], result: Any) -> None:
        """A function of torch was called."""
        if not isinstance(result, Tensor) or result.ndim < 2:
            return
        if func in SQUASHED and not self._seen.steps and result.requires_grad:
            low = -1.0 if "tanh" in func.__name__ else 0.0
            ends = (result.detach() > 1 - END) | (result.detach() < low + END)
            self._seen.saturated = max(self._seen.saturated, float(ends.double().mean()))
        if func in RELUS and torch.is_grad_enabled():
            alive = (result.detach() > 0).any(dim=0)
            known = self._alive.get(self._place)
            if known is None or known.shape == alive.shape:
                self._alive[self._place] = alive if known is None else known | alive
            self._seen.relu_rows += len(result) if self._place == 0 else 0
            self._place += 1
