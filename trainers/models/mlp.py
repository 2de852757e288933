"""A multilayer perceptron. Gives logits or numbers, never probabilities (R1)."""

from torch import Tensor, nn

from trainers.models import parts


class MLP(nn.Module):
    """`depth` hidden layers of `width` units, then a linear output layer.

    Each hidden layer has an activation (R43) and dropout (R45).

    x [batch, …] is flattened to [batch, inputs]; the result is [batch, outputs]. `init` and `gain`:
    initial weights (R42).

    Raises:
        ValueError: no such activation or init.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        width: int,
        depth: int,
        dropout: float,
        activation: str = "relu",
        init: str = "torch",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for index in range(depth):
            layers += [
                nn.Linear(inputs if index == 0 else width, width),
                parts.activation(activation),
            ]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(width if depth else inputs, outputs))
        self.layers = nn.Sequential(*layers)
        parts.initialise(self, init=init, gain=gain, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        result: Tensor = self.layers(x)
        return result
