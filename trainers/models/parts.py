"""Parts of the shipped models: activations by name, initial weights by kind (R42, R43)."""

from collections.abc import Callable

from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
# Which initial weights an activation asks for, where init is `follow` (R28, R42).
FOLLOWS = {"tanh": "xavier_uniform", "sigmoid": "xavier_uniform"}
INITS: dict[str, Callable[..., object]] = {
    "zeros": lambda weight, gain: nn.init.zeros_(weight),
    "normal": lambda weight, gain: nn.init.normal_(weight, std=0.01 * gain),
    "uniform": lambda weight, gain: nn.init.uniform_(weight, -0.05 * gain, 0.05 * gain),
    "xavier_uniform": lambda weight, gain: nn.init.xavier_uniform_(weight, gain=gain),
    "xavier_normal": lambda weight, gain: nn.init.xavier_normal_(weight, gain=gain),
    "he_uniform": lambda weight, gain: _scaled(
        nn.init.kaiming_uniform_(weight, nonlinearity="relu"), gain
    ),
    "he_normal": lambda weight, gain: _scaled(
        nn.init.kaiming_normal_(weight, nonlinearity="relu"), gain
    ),
}
KINDS = ("torch", "follow", *INITS)


def activation(name: str) -> nn.Module:
    """An activation by its name.

    Raises:
        ValueError: there is none of that name; those that exist are named.
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"model.activation: {name!r} does not exist; there are: {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]()


def initialise(model: nn.Module, *, init: str, gain: float, activation: str) -> None:
    """Sets the initial weights of every layer.

    `torch` leaves torch's own; `follow` takes the kind that suits the activation. Biases become
    zero. The output layer is treated like the others, but never zeroed.

    Raises:
        ValueError: there is no such kind; those that exist are named.
    """
    if init not in KINDS:
        raise ValueError(f"model.init: {init!r} does not exist; there are: {', '.join(KINDS)}")
    kind = FOLLOWS.get(activation, "he_uniform") if init == "follow" else init
    layers = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d)
    ]
    for layer in layers:
        if kind == "torch":
            layer.weight.data.mul_(gain)
            continue
        if kind != "zeros" or layer is not layers[-1]:
            INITS[kind](layer.weight, gain)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _scaled(weight: Tensor, gain: float) -> None:
    weight.data.mul_(gain)
