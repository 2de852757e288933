"""A small transformer encoder over sequences: an answer per sequence, or a label per step (R51).

Gives logits or numbers, never probabilities.
"""

import torch
from torch import Tensor, nn

from trainers.models import parts
from trainers.models.steps import PER_STEP, StepInputs, answered, pooled_mean
from trainers.sequences import real_steps


class Transformer(nn.Module):
    """Learned positions, `depth` encoder layers of torch's own (norm first), mean, linear layer.

    x as in `StepInputs`. The result is [batch, outputs], or [batch, outputs, steps] for tagging
    and transduction (Vaswani et al. 2017, arXiv 1706.03762).

    Args:
        inputs, outputs: numbers per row, all steps; classes or numbers predicted.
        features: numbers per step; more than one step in a patch are read together.
        width: numbers per step inside; a multiple of `heads`.
        heads: attention heads.
        depth: encoder layers.
        dropout: share dropped in each layer, 0 to 1.
        task: tagging and transduction give an answer per step, without a mean; any other one per
            sequence.
        vocabulary, embedding, embedding_init, embedding_gain: of token ids, see `StepInputs`.
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
        task: str = "classification",
        vocabulary: int | None = None,
        embedding: int = 32,
        embedding_init: str = "normal",
        embedding_gain: float = 1.0,
        init: str = "torch",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        parts.check_sizes(width=width, depth=depth, dropout=dropout)
        if width % heads:
            raise ValueError(
                f"model.width: must be a multiple of model.heads={heads}, but got {width}; "
                "change one of them"
            )
        self.inputs = StepInputs(
            inputs=inputs,
            features=features,
            vocabulary=vocabulary,
            embedding=embedding,
            embedding_init=embedding_init,
            embedding_gain=embedding_gain,
        )
        self._per_step = task in PER_STEP
        self.entrance = nn.Linear(self.inputs.width, width)
        self.positions = nn.Parameter(torch.empty(self.inputs.steps, width))
        nn.init.normal_(self.positions, std=0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, batch_first=True, norm_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(
            layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        self.head = nn.Linear(width, outputs)
        parts.initialise(self, init=init, gain=gain, activation="gelu")

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits; `lengths` [batch]: the real steps of each sequence, None: all are."""
        steps = self.inputs(x)
        count = steps.shape[1]
        padding = None if lengths is None else ~real_steps(lengths, count)
        steps = self.encoder(
            self.entrance(steps) + self.positions[:count], src_key_padding_mask=padding
        )
        return answered(self.head, steps if self._per_step else pooled_mean(steps, lengths))
