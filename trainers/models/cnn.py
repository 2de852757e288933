"""Small convolutional networks over sequences and images (R44).

Blocks of convolution, norm and activation, then the mean. They give logits or numbers, never
probabilities (R1).
"""

from torch import Tensor, nn

from trainers.models import parts

OPERATIONS = {1: (nn.Conv1d, nn.MaxPool1d), 2: (nn.Conv2d, nn.MaxPool2d)}


class CNN(nn.Module):
    """`depth` blocks of `width` filters of size 3, then mean, dropout and a linear layer.

    Each block but the last halves the length, where it is 4 or more. With `residual`, each block
    that keeps its number of channels is added to its input (R44).

    x [batch, inputs] is one channel: a sequence for `dimensions` 1, a square image for 2; x [batch,
    channels, …] is taken as it is. The result is [batch, outputs].

    Args:
        dimensions: 1 for sequences, 2 for square images.
        inputs, outputs: numbers per row, all channels; classes or numbers predicted.
        width, first_width: filters of a block; of the first one, where it differs.
        depth: blocks.
        dropout: share of features dropped in training, 0 to 1.
        channels: of the input.
        norm: none, batch, layer or group.
        residual: whether blocks are added to their input.
        activation, slope, pieces: see `parts.activation`.
        init, gain: initial weights (R42).
        parameters: at most so many; the width is then the greatest that fits, None: `width` counts.

    Raises:
        ValueError: no such activation, norm or init, or inputs that are no square image.
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
        first_width: int | None = None,
        norm: str = "batch",
        residual: bool = False,
        activation: str = "relu",
        slope: float | None = None,
        pieces: int = 2,
        init: str = "torch",
        gain: float = 1.0,
        parameters: int | None = None,
    ) -> None:
        super().__init__()
        if parameters is not None:
            width = parts.width_within(
                type(self), parameters, dimensions=dimensions, inputs=inputs, outputs=outputs,
                depth=depth, dropout=dropout, channels=channels, first_width=first_width,
                norm=norm, residual=residual, activation=activation, slope=slope, pieces=pieces,
            )  # fmt: skip
        parts.check_sizes(width=width, depth=depth, dropout=dropout)
        side = _side(inputs, channels=channels, dimensions=dimensions)
        self._shape = (channels, *(side,) * dimensions)
        convolution, pool = OPERATIONS[dimensions]
        layers: list[nn.Module] = []
        before = channels
        for index in range(depth):
            after = first_width if index == 0 and first_width is not None else width
            filters = parts.units(after, activation, pieces=pieces)
            block: list[nn.Module] = [convolution(before, filters, 3, padding=1)]
            if norm != "none":
                block.append(parts.norm(norm, filters, dimensions=dimensions))
            block.append(parts.activation(activation, slope=slope, pieces=pieces))
            is_residual = residual and before == after
            layers += [parts.Residual(nn.Sequential(*block))] if is_residual else block
            if index + 1 < depth and side >= 4:
                layers.append(pool(2))
                side //= 2
            before = after
        self.blocks = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, outputs)
        parts.initialise(self, init=init, gain=gain, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        features = self.blocks(x.reshape(len(x), *self._shape)).flatten(2).mean(dim=2)
        result: Tensor = self.head(self.dropout(features))
        return result


def _side(inputs: int, *, channels: int, dimensions: int) -> int:
    """The length of a sequence, or of a square's side. Raises ValueError: it is no square."""
    if dimensions not in OPERATIONS:
        raise ValueError(f"model.dimensions: must be 1 or 2, but got {dimensions}")

    def side_of(channels: int) -> int | None:
        side = round((inputs / channels) ** (1 / dimensions))
        return side if side**dimensions * channels == inputs else None

    side = side_of(channels)
    if side is None:
        fits = [str(number) for number in (1, 2, 3, 4) if side_of(number) is not None]
        remedy = f"say model.channels={' or '.join(fits)}" if fits else "choose another model"
        raise ValueError(
            f"model.channels: inputs must be channels × a square, but got {inputs} inputs "
            f"and {channels} channels; {remedy}"
        )
    return side
