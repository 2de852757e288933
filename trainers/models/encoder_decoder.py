"""An encoder that reads a sequence, and a decoder with attention that writes another (R1, R51).

With a single step of input it is a decoder of one row into a sequence.
"""

import torch
from torch import Tensor, nn

from trainers.api import END
from trainers.models import parts
from trainers.models.steps import StepInputs, read_steps
from trainers.sequences import real_steps


class EncoderDecoder(nn.Module):
    """GRUs with dot-product attention over the steps read (Luong et al. 2015, arXiv 1508.04025).

    x as in `StepInputs`. The result is [batch, outputs, length + 1], class `END` ends a sequence.
    In evaluation, each label written is the likeliest one, and is read for the next.

    Args:
        inputs, outputs: numbers per row, all steps; classes, `END` among them.
        features: numbers per step.
        length: labels of the longest target.
        width: units of a layer, also per direction of the encoder.
        depth: layers of the encoder.
        dropout: share dropped between layers and before the output, 0 to 1.
        teacher_forcing: share of steps that read the true label before in training, 0 to 1, in
            place of the one written.
        bidirectional: whether the encoder reads in both directions.
        vocabulary, embedding, embedding_init, embedding_gain: of token ids, see `StepInputs`;
            labels written have an embedding of the same width and initial weights.
        init, gain: initial weights (R42).
    """

    reads_targets = True

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        features: int,
        length: int,
        width: int,
        depth: int,
        dropout: float,
        teacher_forcing: float = 1.0,
        bidirectional: bool = False,
        vocabulary: int | None = None,
        embedding: int = 32,
        embedding_init: str = "normal",
        embedding_gain: float = 1.0,
        init: str = "torch",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        parts.check_sizes(width=width, depth=depth, dropout=dropout)
        self._length, self._forced = length, teacher_forcing
        self.entrance = StepInputs(
            inputs=inputs,
            features=features,
            vocabulary=vocabulary,
            embedding=embedding,
            embedding_init=embedding_init,
            embedding_gain=embedding_gain,
        )
        self.encoder = nn.GRU(
            self.entrance.width,
            width,
            num_layers=depth,
            dropout=dropout if depth > 1 else 0.0,
            bidirectional=bidirectional,
            batch_first=True,
        )
        ways = 2 if bidirectional else 1
        self.bridge = nn.Linear(width * ways, width)
        self.keys = nn.Linear(width * ways, width, bias=False)
        self.labels = nn.Embedding(outputs, embedding)
        parts.initialise_embedding(self.labels.weight, kind=embedding_init, gain=embedding_gain)
        self.decoder = nn.GRU(embedding, width, batch_first=True)
        self.combine = nn.Linear(width * 2, width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, outputs)
        parts.initialise(self, init=init, gain=gain, activation="tanh")

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, targets: Tensor | None = None
    ) -> Tensor:
        """Logits; `lengths` [batch] of the sequences, `targets` [batch, length] of a training."""
        steps = self.entrance(x)
        states, last = read_steps(self.encoder, steps, lengths)
        keys, state = self.keys(states), torch.tanh(self.bridge(last))[None]
        real = None if lengths is None else real_steps(lengths, steps.shape[1])
        if targets is not None and self._forced >= 1:
            before = nn.functional.pad(targets[:, : self._length], (1, 0), value=END)
            states, _ = self.decoder(self.labels(before), state)
            return self._logits(states, keys, real).movedim(2, 1)
        label, written = torch.full((len(x),), END, device=x.device), []
        for step in range(self._length + 1):
            states, state = self.decoder(self.labels(label)[:, None], state)
            written.append(self._logits(states, keys, real)[:, 0])
            label = written[-1].argmax(dim=1)
            if targets is not None and step < targets.shape[1]:
                forced = torch.rand(len(x), device=x.device) < self._forced
                label = torch.where(forced, targets[:, step], label)
        return torch.stack(written, dim=2)

    def _logits(self, states: Tensor, keys: Tensor, real: Tensor | None) -> Tensor:
        """Logits of states [batch, labels, width], each with what it attends to."""
        mask = None if real is None else real[:, None]
        context = nn.functional.scaled_dot_product_attention(states, keys, keys, attn_mask=mask)
        combined = torch.tanh(self.combine(torch.cat([states, context], dim=2)))
        result: Tensor = self.head(self.dropout(combined))
        return result
