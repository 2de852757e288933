"""Small convolutional networks over sequences and images (R44).

Blocks of convolution, batch norm and activation, then the mean. They give logits or numbers, never
probabilities (R1).
"""

from torch import Tensor, nn

from trainers.models import parts


class CNN(nn.Module):
    """`depth` blocks of `width` filters of size 3, then mean, dropout and a linear layer.

    Each block but the last halves the length. x [batch, inputs] is one channel: a sequence for
    `dimensions` 1, a square image for 2; x [batch, channels, …] is taken as it is. The result is
    [batch, outputs]. `init` and `gain`: initial weights (R42).

    Raises:
        ValueError: no such activation or init, or inputs that are no square image.
    """

    def __init__(
        self,
        *,
        dimensions: int,
        inputs: int,
        outputs: int,
        width: int,
        depth: int,
        dropout: float,
        channels: int = 1,
        activation: str = "relu",
        init: str = "torch",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        side = round((inputs / channels) ** (1 / dimensions))
        if side**dimensions * channels != inputs:
            raise ValueError(
                f"model: inputs must be channels × a square, but got {inputs} inputs "
                f"and {channels} channels; set both"
            )
        convolution, norm, pool = (
            (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d)
            if dimensions == 1
            else (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d)
        )
        self._shape = (channels, *(side,) * dimensions)
        layers: list[nn.Module] = []
        for index in range(depth):
            before = channels if index == 0 else width
            layers += [
                convolution(before, width, 3, padding=1),
                norm(width),
                parts.activation(activation),
            ]
            if index + 1 < depth and side >= 4:
                layers.append(pool(2))
                side //= 2
        self.blocks = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width if depth else channels, outputs)
        parts.initialise(self, init=init, gain=gain, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        features = self.blocks(x.reshape(len(x), *self._shape)).flatten(2).mean(dim=2)
        result: Tensor = self.head(self.dropout(features))
        return result
