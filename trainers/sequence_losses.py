"""Losses of target sequences that have other lengths than their inputs: CTC, and a decoder's (R50).

Both are nats per label of the targets, which `END` pads, and `decode` outputs into labels.
"""

from typing import Protocol, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.api import END, IGNORED


class SequenceLoss(Protocol):
    """A loss that knows how its outputs become labels."""

    def __call__(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None) -> Tensor:
        """The loss of outputs [batch, classes, steps]; `lengths`: of the inputs."""

    def decode(self, outputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Labels [batch, …], padded by `END`."""


def decodes(loss: object) -> TypeGuard[SequenceLoss]:
    """Whether a loss is a `SequenceLoss`. Asked in every step: a look at the protocol is slow, and
    so is a module's own search for what it does not have.
    """
    return hasattr(type(loss), "decode")


class CTC(nn.Module):
    """Connectionist temporal classification: no step is told its label (Graves et al. 2006).

    The outputs are logits of the inputs' own steps; class `END` is the blank.
    """

    def forward(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """A scalar; a target that does not fit its input counts as 0."""
        batch, _, steps = outputs.shape
        ends = torch.full((batch,), steps) if lengths is None else lengths.cpu()
        labels = (targets != END).sum(dim=1)
        total = F.ctc_loss(
            F.log_softmax(outputs, dim=1).movedim(2, 0),
            targets,
            ends,
            labels.cpu(),
            blank=END,
            reduction="sum",
            zero_infinity=True,
        )
        return total / labels.sum()

    def decode(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The likeliest class of every step, without repetitions and blanks."""
        best = outputs.argmax(dim=1)
        steps = best.shape[1]
        kept = best != END
        kept[:, 1:] &= best[:, 1:] != best[:, :-1]
        if lengths is not None:
            kept &= torch.arange(steps, device=best.device) < lengths[:, None]
        return _closed_up(best, kept)


class SequenceCrossEntropy(nn.Module):
    """Cross-entropy of a decoder's labels one by one, the end included.

    The outputs have a step more than the longest target.

    Args:
        label_smoothing: share of the target spread over all classes, 0 to 1.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """A scalar."""
        ended = F.pad(targets, (0, 1), value=END)
        after = (ended == END).cumsum(dim=1) > 1
        total = F.cross_entropy(
            outputs,
            ended.masked_fill(after, IGNORED),
            ignore_index=IGNORED,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return total / (targets != END).sum()

    def decode(self, outputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The likeliest class of every step up to the first end."""
        best = outputs.argmax(dim=1)
        return best.masked_fill((best == END).cumsum(dim=1) > 0, END)


def _closed_up(labels: Tensor, kept: Tensor) -> Tensor:
    """The labels that are kept, in their order, at the beginning of each row."""
    order = torch.argsort((~kept).long(), dim=1, stable=True)
    return labels.masked_fill(~kept, END).gather(1, order)
