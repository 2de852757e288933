"""Parts of the shipped models: activations and norms by name, residual blocks, initial weights.

Rules R42 (initial weights), R43 (activations), R44 (norms, residual blocks).
"""

from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.01),
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "celu": nn.CELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
    "hardtanh": nn.Hardtanh,
    "sigmoid": nn.Sigmoid,
}
MAXOUT = "maxout"  # needs a layer of `pieces` times the width in front of it
NORMS = ("none", "batch", "layer", "group")
GROUPS = 8  # groups of a group norm, or fewer where they do not divide the width
# Which initial weights an activation asks for, where init is `follow` (R28, R42).
FOLLOWS = dict.fromkeys(("tanh", "hardtanh", "softsign", "sigmoid"), "xavier_uniform")
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
    "orthogonal": lambda weight, gain: nn.init.orthogonal_(weight, gain=gain),
}
KINDS = ("torch", "follow", *INITS)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


class Residual(nn.Module):
    """x + inner(x): the inner layers learn what is to be added (He et al. 2016, arXiv 1512.03385).

    `inner` must keep the shape of its input.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """[batch, …] to [batch, …]."""
        result: Tensor = x + self.inner(x)
        return result


class Maxout(nn.Module):
    """The greatest of `pieces` linear functions per unit (Goodfellow et al. 2013, arXiv 1302.4389).

    x [batch, pieces × width, …] becomes [batch, width, …].
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        """The maximum over the pieces of each unit."""
        return x.reshape(len(x), -1, self.pieces, *x.shape[2:]).amax(dim=2)


def width_within(model: type[nn.Module], parameters: int, **settings: Any) -> int:
    """The greatest width with which a model has at most so many parameters.

    Deep and shallow models are so compared at equal size (R44). `settings`: the model's others.

    Raises:
        ValueError: even a width of 1 has more.
    """
    if isinstance(parameters, bool) or not isinstance(parameters, int) or parameters < 1:
        raise ValueError(
            f"model.parameters: must be a whole number of at least 1, but got {parameters!r}; "
            "say null for the width that model.width says"
        )

    @cache
    def count(width: int) -> int:
        with torch.device("meta"):  # shapes without memory
            made = model(**settings, width=width, parameters=None)
        return sum(parameter.numel() for parameter in made.parameters())

    if count(1) > parameters:
        raise ValueError(
            f"model.parameters: {count(1)} is the least with these settings, but got {parameters}; "
            "raise it or lower model.depth"
        )
    low, high = 1, 2
    while high <= parameters and count(high) <= parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= parameters else (low, middle)
    return low


def check_name(key: str, name: str, known: Collection[str]) -> None:
    """Whether something has that name.

    Raises:
        ValueError: nothing has; the key and those that exist are named.
    """
    if name not in known:
        raise ValueError(f"model.{key}: {name!r} does not exist; there are: {', '.join(known)}")


def check_sizes(*, width: Any, depth: Any, dropout: Any) -> None:
    """Whether a model of these sizes can be built.

    Raises:
        ValueError: it cannot; the key and the rule are named.
    """
    for key, value, least in (("width", width, 1), ("depth", depth, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            rule = f"must be a whole number of at least {least}"
            raise ValueError(f"model.{key}: {rule}, but got {value!r}; mend it")
    number = isinstance(dropout, int | float) and not isinstance(dropout, bool)
    if not number or not 0 <= dropout <= 1:
        raise ValueError(f"model.dropout: must lie between 0 and 1, but got {dropout!r}; mend it")


def activation(name: str, *, slope: float | None = None, pieces: int = 2) -> nn.Module:
    """An activation by its name.

    Args:
        name: one of `ACTIVATIONS`, or maxout.
        slope: below 0, of leaky_relu and (as its first value) of prelu; None: torch's own.
        pieces: linear functions per unit of maxout.

    Raises:
        ValueError: there is none of that name; those that exist are named.
    """
    check_name("activation", name, [*ACTIVATIONS, MAXOUT])
    if name == MAXOUT:
        return Maxout(pieces)
    if slope is not None and name == "leaky_relu":
        return nn.LeakyReLU(slope)
    if slope is not None and name == "prelu":
        return nn.PReLU(init=slope)
    return ACTIVATIONS[name]()


def units(width: int, name: str, *, pieces: int) -> int:
    """How many outputs the layer in front of an activation needs for `width` units."""
    return width * pieces if name == MAXOUT else width


def norm(name: str, width: int, *, dimensions: int = 0) -> nn.Module:
    """A normalisation of `width` units or channels (R44).

    Args:
        name: none, batch, layer or group.
        width: units of a vector, or channels of a sequence or image.
        dimensions: 0 for vectors, 1 for sequences, 2 for images.

    Raises:
        ValueError: there is none of that name; those that exist are named.
    """
    check_name("norm", name, NORMS)
    if name == "none":
        return nn.Identity()
    if name == "batch":
        return (nn.BatchNorm2d if dimensions == 2 else nn.BatchNorm1d)(width)
    if name == "layer":  # over all units of a row, which is a group norm of one group
        return nn.GroupNorm(1, width)
    groups = next(count for count in range(min(GROUPS, width), 0, -1) if width % count == 0)
    return nn.GroupNorm(groups, width)


def check_features(inputs: int, *, features: int) -> None:
    """A row is a whole number of steps of `features` numbers each.

    Raises:
        ValueError: it is not.
    """
    if inputs % features:
        raise ValueError(
            f"model.features: must divide the {inputs} numbers of a row, but got {features}; "
            "set it to the numbers per step"
        )


def initialise(model: nn.Module, *, init: str, gain: float, activation: str) -> None:
    """Sets the initial weights of every layer.

    `torch` leaves torch's own; `follow` takes the kind that suits the activation. Biases become
    zero. The output layer is treated like the others, but never zeroed.

    Raises:
        ValueError: there is no such kind; those that exist are named.
    """
    check_name("init", init, KINDS)
    kind = FOLLOWS.get(activation, "he_uniform") if init == "follow" else init
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    for layer in layers:
        if kind == "torch":
            layer.weight.data.mul_(gain)
            continue
        if kind != "zeros" or layer is not layers[-1]:
            INITS[kind](layer.weight, gain)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def initialise_embedding(weight: Tensor, *, kind: str, gain: float) -> None:
    """Initial weights of an embedding [vocabulary, width] (R42): uniform, normal or xavier.

    Raises:
        ValueError: there is no such kind; those that exist are named.
    """
    kinds: dict[str, Callable[[], object]] = {
        "uniform": lambda: nn.init.uniform_(weight, -0.1 * gain, 0.1 * gain),
        "normal": lambda: nn.init.normal_(weight, std=gain),
        "xavier": lambda: nn.init.xavier_uniform_(weight, gain=gain),
    }
    check_name("embedding_init", kind, kinds)
    with torch.no_grad():
        kinds[kind]()


def _scaled(weight: Tensor, gain: float) -> None:
    weight.data.mul_(gain)
