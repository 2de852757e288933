"""A multilayer perceptron. Gives logits or numbers, never probabilities (R1)."""

from torch import Tensor, nn

from trainers.models import parts


class MLP(nn.Module):
    """`depth` hidden layers of `width` units, then a linear output layer.

    Each hidden layer has a norm (R44), an activation (R43) and dropout (R45). With `residual`, each
    hidden layer that keeps its width is added to its input (R44).

    x [batch, …] is flattened to [batch, inputs]; the result is [batch, outputs].

    Args:
        inputs, outputs: features per row; classes or numbers predicted.
        width, first_width: units of a hidden layer; of the first one, where it differs.
        depth: hidden layers.
        dropout: share of units dropped in training, 0 to 1.
        norm: none, batch, layer or group.
        residual: whether hidden layers are added to their input.
        activation, slope, pieces: see `parts.activation`.
        init, gain: initial weights (R42).
        parameters: at most so many; the width is then the greatest that fits, None: `width` counts.

    Raises:
        ValueError: no such activation, norm or init.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        width: int,
        depth: int,
        dropout: float,
        first_width: int | None = None,
        norm: str = "none",
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
                type(self), parameters, inputs=inputs, outputs=outputs, depth=depth,
                dropout=dropout,
                first_width=first_width, norm=norm, residual=residual, activation=activation,
                slope=slope, pieces=pieces,
            )  # fmt: skip
        parts.check_sizes(width=width, depth=depth, dropout=dropout)
        layers: list[nn.Module] = [nn.Flatten()]
        before = inputs
        for index in range(depth):
            after = first_width if index == 0 and first_width is not None else width
            size = parts.units(after, activation, pieces=pieces)
            block: list[nn.Module] = [nn.Linear(before, size)]
            if norm != "none":
                block.append(parts.norm(norm, size))
            block.append(parts.activation(activation, slope=slope, pieces=pieces))
            if dropout > 0:
                block.append(nn.Dropout(dropout))
            is_residual = residual and before == after
            layers += [parts.Residual(nn.Sequential(*block))] if is_residual else block
            before = after
        layers.append(nn.Linear(before, outputs))
        self.layers = nn.Sequential(*layers)
        parts.initialise(self, init=init, gain=gain, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        result: Tensor = self.layers(x)
        return result
