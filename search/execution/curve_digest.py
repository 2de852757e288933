"""Whether two trainings of one seed were the same to the last digit: their curves in a few letters.

Empty where equal curves would not show equal trainings: without a train loss of every epoch, with
one that rests, and with one that is rounded.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from struct import pack

DIGITS = 6  # a loss that so many significant digits hold may have been rounded


class CurveDigest:
    """The epochs of one trial so far."""

    def __init__(self) -> None:
        self._sum, self._told = blake2b(digest_size=8), True
        self._first: float | None = None
        self._moved = self._is_exact = False

    def add(self, epoch: int, *, losses: Sequence[float | None], value: float) -> None:
        """Takes one epoch: its losses, that of train first, and the metric."""
        if not self._told:  # an epoch without a train loss has come: nothing is told any more
            return
        numbers = (math.nan if each is None else each for each in (*losses, value))
        self._sum.update(pack(f"<q{len(losses) + 1}d", epoch, *numbers))
        train, *_ = losses
        if train is None:
            self._told = epoch == 0  # the untrained model may have none
            return
        self._first = train if self._first is None else self._first
        self._moved |= train != self._first
        self._is_exact |= train != float(f"{train:.{DIGITS}g}")

    def __str__(self) -> str:
        tells = self._told and self._moved and self._is_exact
        return self._sum.hexdigest() if tells else ""
