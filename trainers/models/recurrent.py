"""Recurrent networks over sequences of one length: many steps in, one answer out (R1, R51).

Give logits or numbers, never probabilities.
"""

import torch
from torch import Tensor, nn

from trainers.models import parts

CELLS = ("rnn", "lstm", "gru")
POOLS = ("last", "mean", "max", "attention")


class Attention(nn.Module):
    """A weighted mean of the steps; the weights are learned (Bahdanau et al. 2014, arXiv
    1409.0473).

    x [batch, steps, width] becomes [batch, width].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.score = nn.Linear(width, width), nn.Linear(width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The mean over steps, weighted by a softmax of each step's score."""
        weights = torch.softmax(self.score(torch.tanh(self.hidden(x))), dim=1)
        return (weights * x).sum(dim=1)


class Recurrent(nn.Module):
    """`depth` recurrent layers of `width` units, a pool over the steps, and a linear layer.

    x [batch, inputs] is read as steps of `features` numbers each; x [batch, steps, features] is
    taken as it is. The result is [batch, outputs].

    Args:
        inputs, outputs: numbers per row, all steps; classes or numbers predicted.
        features: numbers per step.
        width: units per direction of a layer.
        depth: recurrent layers.
        dropout: share of units dropped between layers and before the output, 0 to 1.
        cell: rnn, lstm or gru.
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
        cell: str = "gru",
        nonlinearity: str = "tanh",
        bidirectional: bool = False,
        pool: str = "last",
        init: str = "torch",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        parts.check_sizes(width=width, depth=depth, dropout=dropout)
        _check("model.cell", cell, CELLS)
        _check("model.pool", pool, POOLS)
        _check("model.nonlinearity", nonlinearity, ("tanh", "relu"))
        parts.check_features(inputs, features=features)
        self._features, self._pool = features, pool
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        own = {"nonlinearity": nonlinearity} if cell == "rnn" else {}
        between = dropout if depth > 1 else 0.0  # torch warns of a dropout between no layers
        self.recurrent = kind(
            features,
            width,
            num_layers=depth,
            dropout=between,
            bidirectional=bidirectional,
            batch_first=True,
            **own,
        )
        ways = 2 if bidirectional else 1
        self.attention = Attention(width * ways) if pool == "attention" else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width * ways, outputs)
        parts.initialise(self, init=init, gain=gain, activation=nonlinearity)
        if init != "torch":
            for name, weight in self.recurrent.named_parameters():
                if name.startswith("weight_hh"):
                    for gate in weight.data.split(width):
                        nn.init.orthogonal_(gate, gain=gain)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        steps, state = self.recurrent(x.reshape(len(x), -1, self._features))
        if self._pool == "last":
            hidden = state[0] if isinstance(state, tuple) else state
            ways = 2 if self.recurrent.bidirectional else 1
            pooled = torch.cat(list(hidden[-ways:]), dim=1)
        elif self.attention is not None:
            pooled = self.attention(steps)
        else:
            pooled = steps.mean(dim=1) if self._pool == "mean" else steps.amax(dim=1)
        result: Tensor = self.head(self.dropout(pooled))
        return result


def _check(where: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{where}: {value!r} does not exist; there are: {', '.join(allowed)}")
