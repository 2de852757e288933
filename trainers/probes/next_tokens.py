"""Whether a model of sequences is asked for the next token, or for the one it has just read, and
whether it reads on beyond it. Changes nothing; never judges.

Known by the tokens: a target that is, at every step, the token of the step after. How far a step
reads is told by the gradient of its output by the embedded tokens.
"""

from typing import Any

import torch
from torch import Tensor

LEAST, KINDS, STEPS = 64, 4, 4  # targets that are compared; different tokens; steps of a sequence
HARDLY = 1e-4  # of the greatest gradient of a step, which rounding leaves
PASSES = 2  # backward passes that are looked at
KEPT = 8  # embeddings and losses of a pass


class NextTokens:
    """Embeddings and losses of one pass, looked at when its gradient is asked for."""

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = None
        self._left = PASSES
        self._read: list[tuple[Tensor, Tensor]] = []
        self._asked: list[tuple[Tensor, Tensor]] = []

    def embedded(self, tokens: Any, result: Any) -> None:
        """Tokens went through an embedding."""
        whole = isinstance(tokens, Tensor) and tokens.ndim == 2 and min(tokens.shape) > 0
        if self._left and whole and result.requires_grad:
            self._read = [*self._read, (tokens.detach(), result)][-KEPT:]

    def asked(self, outputs: Any, targets: Any) -> None:
        """A loss of class numbers is asked for."""
        known = isinstance(targets, Tensor) and not targets.is_floating_point()
        if self._left and known and outputs.requires_grad:
            self._asked = [*self._asked, (outputs, targets.detach())][-KEPT:]

    def look(self) -> None:
        """Just before the gradient comes."""
        if not self._left:
            return
        self._left -= bool(self._read and self._asked)
        for outputs, targets in self._asked:
            for tokens, embedded in self._read:
                if self.found is None:
                    self.found = _relation(outputs, targets, tokens, embedded)
        self._read, self._asked = [], []


def _relation(
    outputs: Tensor, targets: Tensor, tokens: Tensor, embedded: Tensor
) -> dict[str, Any] | None:
    """`ahead`: by how many steps the targets are ahead of the tokens, 0 or 1; `reads_on`: whether
    the output of a step changes with later tokens; `steps_first`: whether the first axis is that
    of the steps; None where no such relation is seen.
    """
    for turned in (False, True):  # rows first, or steps first
        read = tokens.T if turned else tokens
        rows, steps = read.shape
        length = targets.numel() // rows
        if steps < STEPS or targets.numel() % rows or not steps - 1 <= length <= steps:
            continue
        aims = targets.reshape(length, rows).T if turned else targets.reshape(rows, length)
        ahead = _ahead(read, aims)
        if ahead is None:
            continue
        at = length // 2
        answer = _of_step(outputs, at, rows=rows, length=length, turned=turned)
        if answer is None:
            return None
        slope = _slope(answer, embedded)
        if slope is None:
            return None
        slope = slope.transpose(0, 1) if turned else slope
        most = float(slope[0].abs().max())
        mixed = float(slope[1:].abs().max()) if rows > 1 else 0.0
        if not most or mixed:  # such as batch norm, by which all tokens take part
            return None
        later = float(slope[0, at + 1 :].abs().max())
        return {"ahead": ahead, "reads_on": later > HARDLY * most, "steps_first": turned}
    return None


def _ahead(read: Tensor, aims: Tensor) -> int | None:
    """How many steps all targets are ahead, those left out aside."""
    held = aims[:, : read.shape[1] - 1]
    counted = held >= 0
    if int(counted.sum()) < LEAST or len(torch.unique(held[counted])) < KINDS:
        return None
    for ahead, near in ((1, read[:, 1:]), (0, read[:, : held.shape[1]])):
        if bool((held == near)[counted].all()):
            return ahead
    return None


def _of_step(outputs: Tensor, at: int, *, rows: int, length: int, turned: bool) -> Tensor | None:
    """What is put out for one step of the first row."""
    if outputs.ndim == 3 and outputs.shape[0] == rows and outputs.shape[2] == length:
        return outputs[0, :, at]
    if outputs.ndim == 2 and len(outputs) == rows * length:
        return outputs[at * rows] if turned else outputs[at]
    return None


def _slope(answer: Tensor, embedded: Tensor) -> Tensor | None:
    """The gradient of an output by the embedded tokens; None where it cannot be asked for."""
    weighed = (answer * torch.linspace(-1, 1, len(answer), device=answer.device)).sum()
    try:
        (slope,) = torch.autograd.grad(weighed, embedded, retain_graph=True, allow_unused=True)
    except RuntimeError:
        return None
    return slope if slope is None else slope.detach()
