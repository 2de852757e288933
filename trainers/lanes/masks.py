"""Dropout masks as a function of (key, call, element), not of a generator (R45).

So a trial's masks do not depend on the trials beside it. A key belongs to one step of one trial.
Used by `nn.Dropout` and `torch.nn.functional.dropout` alike, with and without channels; torch
refuses other random layers under `vmap`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

# Layers whose rate may differ between lanes.
LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
GOLDEN = 0x9E3779B9
Functions = Mapping[str, Callable[..., Tensor]]


def counted_dropout(key: Tensor) -> Functions:
    """Dropout functions for `torch.nn.functional` that draw from `key`.

    The key is a whole number of 32 bits, one per lane under `vmap`.
    """
    calls = 0

    def dropped(
        x: Tensor, p: float | Tensor, training: bool, inplace: bool, shape: Sequence[int]
    ) -> Tensor:
        nonlocal calls
        calls += 1
        if not training:
            return x
        result = masked(x, p, key=_wrapped(key, calls), shape=shape)
        return x.copy_(result) if inplace else result

    def dropout(
        input: Tensor, p: float | Tensor = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        return dropped(input, p, training, inplace, input.shape)

    def over(spatial: int) -> Callable[..., Tensor]:
        def channels(
            input: Tensor, p: float | Tensor = 0.5, training: bool = True, inplace: bool = False
        ) -> Tensor:
            if input.ndim != spatial + 2:  # torch then guesses which dimension is the channel
                raise NotImplementedError(
                    f"dropout{spatial}d of {input.ndim} dimensions has no form for lanes"
                )
            return dropped(input, p, training, inplace, (*input.shape[:2], *(1,) * spatial))

        return channels

    return {"dropout": dropout, **{f"dropout{spatial}d": over(spatial) for spatial in (1, 2, 3)}}


@contextmanager
def in_place_of_torchs(functions: Functions) -> Iterator[None]:
    """Within the block, these replace functions of `torch.nn.functional`, which modules call."""
    originals = {name: getattr(functional, name) for name in functions}
    for name, function in functions.items():
        setattr(functional, name, function)
    try:
        yield
    finally:
        for name, function in originals.items():
            setattr(functional, name, function)


def rates_of(model: nn.Module) -> list[float]:
    """The rates of a model's dropout layers, in order."""
    return [
        float(module.p)
        for module in model.modules()
        if isinstance(module, LAYERS) and type(module) in LAYERS
    ]


def masked(x: Tensor, p: float | Tensor, *, key: Tensor, shape: Sequence[int]) -> Tensor:
    """x with a share p of its elements zero and the others scaled by 1 / (1 − p).

    `shape`: of the mask; it is broadcast over x.
    """
    rate = (
        p.to(x.dtype)
        if isinstance(p, Tensor)
        else torch.full((), p, dtype=x.dtype, device=x.device)
    )
    limit = (rate.double() * 2**31).round().clamp(max=2**31 - 1).to(torch.int32)
    bits = _mixed(_elements(torch.Size(shape).numel(), x.device) + key) & 0x7FFFFFFF
    kept = (bits >= limit).reshape(shape)
    scale = torch.where(rate < 1, 1 / (1 - rate), 0.0)
    return torch.where(kept, x * scale, torch.zeros((), dtype=x.dtype, device=x.device))


def _wrapped(key: Tensor, call: int) -> Tensor:
    """The key of one call; 32-bit arithmetic wraps."""
    step = (call * GOLDEN) & 0xFFFFFFFF
    return key + (step - 2**32 if step >= 2**31 else step)


@lru_cache(maxsize=64)
def _elements(count: int, device: torch.device) -> Tensor:
    """Hashed element numbers, so that no two keys give shifted copies of one mask."""
    return _mixed(torch.arange(count, dtype=torch.int32, device=device))


def _mixed(x: Tensor) -> Tensor:
    """A pseudo-random permutation of 32-bit numbers (lowbias32, C. Wellons).

    Right shifts of int32 copy the sign bit; the masks remove it.
    """
    x = x ^ ((x >> 16) & 0xFFFF)
    x = x * 0x7FEB352D
    x = x ^ ((x >> 15) & 0x1FFFF)
    x = x * (0x846CA68B - 2**32)
    return x ^ ((x >> 16) & 0xFFFF)
