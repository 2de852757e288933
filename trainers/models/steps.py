"""Steps of a sequence: token ids or numbers in, vectors out; many steps pooled into one (R1, R51).

Padding never counts: what stands in it, and how much of it there is, changes no result.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from trainers.models import parts
from trainers.models.squashed_lstm import SquashedLSTM
from trainers.sequences import real_steps

POOLS = ("last", "mean", "max", "attention")
PER_STEP = ("tagging", "transduction", "step_regression")  # tasks with outputs per step


class TokensNotRead(TypeError):
    """A model of numbers got token ids: no setting of its other keys mends that."""


class StepInputs(nn.Module):
    """Rows as steps: [batch, steps] ids through an embedding, or numbers as they are.

    x [batch, inputs] is read as steps of `features` numbers each; x [batch, steps, features] is
    taken as it is. The result is [batch, steps, width].

    Args:
        inputs: numbers per row, all steps.
        features: numbers per step.
        vocabulary: number of token ids; None: x holds numbers.
        embedding: width of the embedding of ids.
        embedding_init, embedding_gain: its initial weights, see `parts.initialise_embedding`.
    """

    def __init__(
        self,
        *,
        inputs: int,
        features: int,
        vocabulary: int | None,
        embedding: int,
        embedding_init: str,
        embedding_gain: float,
    ) -> None:
        super().__init__()
        self.embedding = None
        self.width, self.steps = features, inputs // max(features, 1)
        if vocabulary is None:
            parts.check_features(inputs, features=features)
            return
        self.embedding = nn.Embedding(vocabulary, embedding)
        parts.initialise_embedding(self.embedding.weight, kind=embedding_init, gain=embedding_gain)
        self.width, self.steps = embedding, inputs

    def forward(self, x: Tensor) -> Tensor:
        """[batch, steps, width]."""
        if self.embedding is not None:
            result: Tensor = self.embedding(x.long())
            return result
        if not x.is_floating_point():
            raise TokensNotRead(
                "model.vocabulary: this model reads numbers, but got rows of token ids; choose one "
                "that reads them, such as gru or transformer (encoder_decoder where sequences are "
                "written), or say +model.vocabulary='${data.vocabulary}'"
            )
        if x.ndim == 3 and x.shape[2] != self.width:
            raise ValueError(
                f"model.features: the steps have {x.shape[2]} numbers each, but got {self.width}; "
                f"say model.features={x.shape[2]}"
            )
        return x.reshape(len(x), -1, self.width)


def read_steps(
    recurrent: nn.RNNBase | SquashedLSTM, x: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What recurrent layers read of steps x [batch, steps, width].

    Returns:
        The last layer's states at every step [batch, steps, ways × units], and its final ones
        [batch, ways × units]; two ways, where both directions are read.
    """
    if isinstance(recurrent, SquashedLSTM):
        read_all: tuple[Tensor, Tensor] = recurrent(x, lengths)
        return read_all
    if lengths is None:
        steps, state = recurrent(x)
    else:
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        read, state = recurrent(packed)
        steps, _ = pad_packed_sequence(read, batch_first=True, total_length=x.shape[1])
    hidden = state[0] if isinstance(state, tuple) else state
    ways = 2 if recurrent.bidirectional else 1
    return steps, torch.cat(list(hidden[-ways:]), dim=1)


class Attention(nn.Module):
    """A weighted mean of the steps; the weights are learned (Bahdanau et al. 2014, arXiv
    1409.0473).

    x [batch, steps, width] becomes [batch, width].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.score = nn.Linear(width, width), nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """The mean over the `real` steps [batch, steps], weighted by a softmax of their scores."""
        scores = self.score(torch.tanh(self.hidden(x)))
        if real is not None:
            scores = scores.masked_fill(~real[:, :, None], -math.inf)
        return (torch.softmax(scores, dim=1) * x).sum(dim=1)


def pooled_mean(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean over the real steps, [batch, width]."""
    if lengths is None:
        return steps.mean(dim=1)
    real = real_steps(lengths, steps.shape[1])[:, :, None]
    return steps.masked_fill(~real, 0.0).sum(dim=1) / lengths[:, None]


def pooled_max(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """The greatest of the real steps, [batch, width]."""
    if lengths is None:
        return steps.amax(dim=1)
    real = real_steps(lengths, steps.shape[1])[:, :, None]
    return steps.masked_fill(~real, -math.inf).amax(dim=1)


def answered(head: nn.Module, features: Tensor) -> Tensor:
    """An answer per row, [batch, outputs]; of features per step, [batch, outputs, steps].

    The classes come before the steps, as torch's losses take them.
    """
    result: Tensor = head(features)
    return result.movedim(2, 1) if result.ndim == 3 else result
