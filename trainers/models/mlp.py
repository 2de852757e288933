"""A multilayer perceptron. Gives logits or plain outputs, never probabilities: the loss belongs outside (R1)."""

from torch import Tensor, nn


class MLP(nn.Module):
    """`depth` hidden layers of `width` units with ReLU (R43), dropout behind each (R45), then a linear output layer.

    x [batch, …] is flattened to [batch, inputs]; the result is [batch, outputs].
    """

    def __init__(self, *, inputs: int, outputs: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for index in range(depth):
            layers += [nn.Linear(inputs if index == 0 else width, width), nn.ReLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(width if depth else inputs, outputs))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [batch, outputs]."""
        result: Tensor = self.layers(x)
        return result
