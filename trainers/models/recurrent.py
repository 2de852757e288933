"""Recurrent networks over sequences: an answer per sequence, or a label per step (R1, R51).

Give logits or numbers, never probabilities.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from trainers.models import parts
from trainers.models.squashed_lstm import SquashedLSTM
from trainers.models.steps import (
    PER_STEP,
    POOLS,
    Attention,
    StepInputs,
    answered,
    pooled_max,
    pooled_mean,
    read_steps,
)
from trainers.sequences import real_steps

KINDS: dict[str, Callable[..., nn.RNNBase | SquashedLSTM]] = {
    "rnn": partial(nn.RNN, batch_first=True),
    "lstm": partial(nn.LSTM, batch_first=True),
    "gru": partial(nn.GRU, batch_first=True),
    "lstm_softsign": SquashedLSTM,
}


class Recurrent(nn.Module):
    """`depth` recurrent layers of `width` units, a pool over the steps, and a linear layer.

    x as in `StepInputs`. The result is [batch, outputs], or [batch, outputs, steps] for
    tagging and transduction.

    Args:
        inputs, outputs: numbers per row, all steps; classes or numbers predicted.
        features: numbers per step.
        width: units per direction of a layer.
        depth: recurrent layers.
        dropout: share of units dropped between layers and before the output, 0 to 1.
        task: tagging and transduction give an answer per step, without a pool; any other one per
            sequence.
        vocabulary, embedding, embedding_init, embedding_gain: of token ids, see `StepInputs`.
        cell: rnn, lstm, gru or lstm_softsign.
        nonlinearity: tanh or relu; only rnn has a choice.
        bidirectional: whether each layer reads the sequence in both directions.
        pool: last (the final state), mean, max or attention over the steps.
        init, gain: recurrent weights: torch's own or orthogonal; others as in `parts.initialise`.

    Raises:
        ValueError: no such cell, pool or init, or inputs that are no whole number of steps.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        features: int,
        width: int,
        depth: int,
        dropout: float,
        task: str = "classification",
        vocabulary: int | None = None,
        embedding: int = 32,
        embedding_init: str = "normal",
        embedding_gain: float = 1.0,
        cell: str = "gru",
        nonlinearity: str = "tanh",
        bidirectional: bool = False,
        pool: str = "last",
        init: str = "torch",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        parts.check_sizes(width=width, depth=depth, dropout=dropout)
        parts.check_name("cell", cell, KINDS)
        parts.check_name("pool", pool, POOLS)
        parts.check_name("nonlinearity", nonlinearity, ("tanh", "relu"))
        self.entrance = StepInputs(
            inputs=inputs,
            features=features,
            vocabulary=vocabulary,
            embedding=embedding,
            embedding_init=embedding_init,
            embedding_gain=embedding_gain,
        )
        self._pool = "none" if task in PER_STEP else pool
        own = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
        between = dropout if depth > 1 else 0.0  # torch warns of a dropout between no layers
        shape = {"num_layers": depth, "bidirectional": bidirectional}
        self.recurrent = KINDS[cell](self.entrance.width, width, dropout=between, **shape, **own)
        ways = 2 if bidirectional else 1
        self.attention = Attention(width * ways) if self._pool == "attention" else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width * ways, outputs)
        parts.initialise(self, init=init, gain=gain, activation=nonlinearity)
        if init != "torch":
            self._initialise_gates(width, gain=gain)

    def _initialise_gates(self, width: int, *, gain: float) -> None:
        """Orthogonal weights from state to state, gate by gate."""
        for name, weight in self.recurrent.named_parameters():
            if "weight_hh" in name:
                for gate in torch.split(weight.data, width):
                    nn.init.orthogonal_(gate, gain=gain)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits; `lengths` [batch]: the real steps of each sequence, None: all are."""
        steps, last = read_steps(self.recurrent, self.entrance(x), lengths)
        return answered(self.head, self.dropout(self._pooled(steps, last, lengths)))

    def _pooled(self, steps: Tensor, last: Tensor, lengths: Tensor | None) -> Tensor:
        if self._pool == "none":
            return steps
        if self._pool == "last":
            return last
        if self.attention is not None:
            real = None if lengths is None else real_steps(lengths, steps.shape[1])
            pooled: Tensor = self.attention(steps, real)
            return pooled
        return (pooled_mean if self._pool == "mean" else pooled_max)(steps, lengths)
