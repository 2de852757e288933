"""A small transformer encoder over sequences of one length: many steps in, one answer out (R51).

Gives logits or numbers, never probabilities.
"""

import torch
from torch import Tensor, nn

from trainers.models import parts


class Transformer(nn.Module):
    """Learned positions, `depth` encoder layers of torch's own (norm first), mean, linear layer.

    x [batch, inputs] is read as steps of `features` numbers each; x [batch, steps, features] is
    taken as it is. The result is [batch, outputs] (Vaswani et al. 2017, arXiv 1706.03762).

    Args:
        inputs, outputs: numbers per row, all steps; classes or numbers predicted.
        features: numbers per step; more than one step in a patch are read together.
        width: numbers per step inside; a multiple of `heads`.
        heads: attention heads.
        depth: encoder layers.
        dropout: share dropped in each layer, 0 to 1.
        init, gain: initial weights (R42).

    Raises:
        ValueError: inputs that are no whole number of steps, or a width that heads do not divide.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        features: int,
        width: int,
        heads: int,
        depth: int,
        dropout: float,
        init: str = "torch",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        parts.check_sizes(width=width, depth=depth, dropout=dropout)
        parts.check_features(inputs, features=features)
        if width % heads:
            raise ValueError(
                f"model.width: must be a multiple of model.heads={heads}, but got {width}; "
                "change one of them"
            )
        self._features = features
        self.entrance = nn.Linear(features, width)
        self.positions = nn.Parameter(torch.empty(inputs // features, width))
        nn.init.normal_(self.positions, std=0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, batch_first=True, norm_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(
            layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.head = nn.Linear(width, outputs)
        parts.initialise(self, init=init, gain=gain, activation="gelu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        steps = self.entrance(x.reshape(len(x), -1, self._features)) + self.positions
        result: Tensor = self.head(self.encoder(steps).mean(dim=1))
        return result
