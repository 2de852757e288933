"""Augmentation: train rows, changed a little anew in every epoch; validation never sees it (R49).

Each class is called with a batch of inputs and returns another one of the same shape; it draws from
torch's generator, which the trainer seeds by trial and epoch. `strength` is a knob; 0 changes
nothing. Rows [batch, inputs] are read as tables, or, by `dimensions` and `channels`, as sequences
or square images, like the models of `trainers.models`.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from hydra.utils import instantiate
from torch import Tensor

from trainers.rows import side_of


class Augmentation(Protocol):
    """Called with inputs [batch, …]; returns new ones and leaves the given ones as they are."""

    def __call__(self, x: Tensor) -> Tensor:
        """Inputs of the same shape and type."""


def read_augmentation(config: Mapping[str, Any]) -> Augmentation | None:
    """The augmentation that a trial's config names under `augment`; None: rows stay as they are.

    Raises:
        TypeError: the class cannot be imported, or does not take the keys of `augment`.
    """
    settings = config.get("augment") or {}
    if not settings.get("_target_"):
        return None
    try:
        made: Augmentation = instantiate(settings, _convert_="all")
    except Exception as error:
        raise TypeError(
            f"augment._target_: {settings['_target_']!r} must be a class that takes the keys of "
            f"augment, but got {type(error).__name__}: {error.__cause__ or error}; mend augment"
        ) from error
    return made


def check_fits(augmentation: Augmentation | None, rows: Sequence[Tensor]) -> None:
    """Token ids cannot be changed a little, and padded sequences not be moved or cut.

    Raises:
        TypeError: `rows` (inputs, targets, lengths where sequences have some) are such.
    """
    if augmentation is None:
        return
    cause = "" if rows[0].is_floating_point() else "token ids"
    if len(rows) > 2 and isinstance(augmentation, WHOLE):
        cause = cause or "sequences of different lengths"
    if cause:
        raise TypeError(
            f"augment._target_: {type(augmentation).__name__} needs rows of numbers of one length, "
            f"but got {cause}; say augment=none"
            + ("" if cause == "token ids" else ", or noise, mask or scale")
        )


class ByStrength:
    """An augmentation with a `strength` from 0 to `most`."""

    most = 1.0

    def __init__(self, *, strength: float) -> None:
        number = isinstance(strength, int | float) and not isinstance(strength, bool)
        if not number or not 0 <= strength <= self.most or not math.isfinite(strength):
            limit = "at least 0" if self.most == math.inf else f"between 0 and {self.most:g}"
            raise ValueError(f"strength must be {limit}, but got {strength!r}")
        self._strength = float(strength)


class OfPictures(ByStrength):
    """One of images or sequences."""

    def __init__(self, *, strength: float, dimensions: int, channels: int = 1) -> None:
        super().__init__(strength=strength)
        self._dimensions, self._channels = dimensions, channels

    def __call__(self, x: Tensor) -> Tensor:
        """x, changed."""
        return self._changed(_shaped(x, self._dimensions, self._channels)).reshape(x.shape)

    @abstractmethod
    def _changed(self, x: Tensor) -> Tensor:
        """Other rows in place of [batch, channels, length] or [batch, channels, side, side]."""


class Noise(ByStrength):
    """Adds normal noise of deviation `strength`, in the units of the normalised inputs."""

    most = math.inf

    def __call__(self, x: Tensor) -> Tensor:
        """x + noise."""
        return x + self._strength * torch.randn_like(x)


class Mask(ByStrength):
    """Sets each number to 0, the mean of a z-scored feature, with probability `strength`."""

    def __call__(self, x: Tensor) -> Tensor:
        """x with gaps."""
        return x * (torch.rand_like(x) >= self._strength)


class Scale(ByStrength):
    """Multiplies each row by a factor between 1 − `strength` and 1 + `strength`."""

    def __call__(self, x: Tensor) -> Tensor:
        """x, stronger or weaker."""
        draw = torch.rand(len(x), *(1,) * (x.ndim - 1), device=x.device, dtype=x.dtype)
        return x * (1 + self._strength * (2 * draw - 1))


class Haze(ByStrength):
    """Moves each row towards its own greatest value by a share up to `strength`."""

    def __call__(self, x: Tensor) -> Tensor:
        """x with less contrast."""
        flat = x.flatten(1)
        share = self._strength * torch.rand(len(x), 1, device=x.device, dtype=x.dtype)
        return (flat + share * (flat.amax(dim=1, keepdim=True) - flat)).view_as(x)


class Shift(OfPictures):
    """Moves each sequence or image by up to `strength` of its length; what is left free is 0."""

    def _changed(self, x: Tensor) -> Tensor:
        for axis in range(2, x.ndim):
            x = _moved(x, axis, self._strength)
        return x


class Cutout(OfPictures):
    """Sets a window of `strength` of each length to 0 (DeVries and Taylor 2017, 1708.04552)."""

    def _changed(self, x: Tensor) -> Tensor:
        hole = torch.ones_like(x[:, :1], dtype=torch.bool)
        for axis in range(2, x.ndim):
            length = x.shape[axis]
            wide = round(self._strength * length)
            start = torch.randint(0, length - wide + 1, (len(x), 1), device=x.device)
            place = torch.arange(length, device=x.device)
            inside = (place >= start) & (place < start + wide)
            hole = hole & inside.view(_view(x, axis))
        return x * ~hole


class Flip(OfPictures):
    """Mirrors each sequence or image along its last axis with probability `strength`."""

    def _changed(self, x: Tensor) -> Tensor:
        chosen = torch.rand(len(x), *(1,) * (x.ndim - 1), device=x.device) < self._strength
        return torch.where(chosen, x.flip(-1), x)


class Rotate(OfPictures):
    """Turns each square image by up to `strength` degrees either way; what is left free is 0."""

    most = 180.0

    def __init__(self, *, strength: float, channels: int = 1) -> None:
        super().__init__(strength=strength, dimensions=2, channels=channels)

    def _changed(self, x: Tensor) -> Tensor:
        draw = 2 * torch.rand(len(x), device=x.device, dtype=x.dtype) - 1
        angle = math.radians(self._strength) * draw
        cosine, sine, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
        rows = [torch.stack(row, dim=1) for row in ([cosine, -sine, zero], [sine, cosine, zero])]
        return _resampled(x, torch.stack(rows, dim=1))


class Crop(OfPictures):
    """Stretches a window of each row to the whole; it has 1 − `strength` of the lengths or more."""

    def _changed(self, x: Tensor) -> Tensor:
        share = 1 - self._strength * torch.rand(len(x), device=x.device, dtype=x.dtype)
        place = 2 * torch.rand(len(x), self._dimensions, device=x.device, dtype=x.dtype) - 1
        return _framed(x, share, (1 - share)[:, None] * place)


class Zoom(OfPictures):
    """Brings each row nearer or farther by up to 1 + `strength` times; what is left free is 0."""

    most = math.inf

    def _changed(self, x: Tensor) -> Tensor:
        power = 2 * torch.rand(len(x), device=x.device, dtype=x.dtype) - 1
        share = (1 + self._strength) ** power
        middle = torch.zeros(len(x), self._dimensions, device=x.device, dtype=x.dtype)
        return _framed(x, share, middle)


class Mixup(ByStrength):
    """Each row becomes a mixture with another row of its batch, and so does its target.

    Zhang et al. 2018, arXiv 1710.09412: one share per batch, from a beta distribution with both
    parameters `strength`; 0 mixes nothing. The trainer takes the loss from `loss`.
    """

    most = math.inf

    def __init__(self, *, strength: float) -> None:
        super().__init__(strength=strength)
        self._share, self._partners = 1.0, torch.zeros(0, dtype=torch.long)

    def __call__(self, x: Tensor) -> Tensor:
        """x, mixed; which rows and how much is kept for the loss of this batch."""
        self._partners = torch.randperm(len(x)).to(x.device)
        if self._strength == 0:
            self._share = 1.0
            return x
        # Of the CPU's generator: two gamma numbers make one of a beta distribution.
        one, other = torch._standard_gamma(torch.full((2,), float(self._strength)))
        self._share = float(one / (one + other)) if one + other > 0 else 1.0
        return self._share * x + (1 - self._share) * x[self._partners]

    def loss(
        self, loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor
    ) -> Tensor:
        """The loss against both rows' targets, by their shares."""
        if self._share == 1.0:
            return loss(outputs, targets)
        own, partners = loss(outputs, targets), loss(outputs, targets[self._partners])
        return self._share * own + (1 - self._share) * partners


# what needs rows of one length, without padding
WHOLE = (Shift, Cutout, Flip, Rotate, Crop, Zoom, Haze, Mixup)


def _shaped(x: Tensor, dimensions: int, channels: int) -> Tensor:
    """[batch, channels, length] or [batch, channels, side, side]."""
    if x.ndim == dimensions + 2:
        return x
    side = side_of(x.shape[1:], dimensions=dimensions, channels=channels)
    return x.reshape(len(x), channels, *(side,) * dimensions)


def _framed(shaped: Tensor, share: Tensor, place: Tensor) -> Tensor:
    """A window of each row as the whole row; its `share` of the lengths, its middle in [−1, 1]."""
    theta = torch.zeros(len(shaped), 2, 3, device=shaped.device, dtype=shaped.dtype)
    theta[:, 0, 0] = theta[:, 1, 1] = share
    theta[:, : place.shape[1], 2] = place
    return _resampled(shaped, theta)


def _resampled(shaped: Tensor, theta: Tensor) -> Tensor:
    """Each row read at other places, between its points linearly; outside of it is 0."""
    images = shaped if shaped.ndim == 4 else shaped[:, :, None]  # a sequence is an image of a line
    grid = torch.nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images, grid, align_corners=False).view_as(shaped)


def _view(shaped: Tensor, axis: int) -> tuple[int, ...]:
    """The shape that spreads [batch, length] over all axes but one."""
    length = shaped.shape[axis]
    return (len(shaped), *(1,) * (axis - 1), length, *(1,) * (shaped.ndim - axis - 1))


def _moved(shaped: Tensor, axis: int, strength: float) -> Tensor:
    """Each row moved along one axis by its own whole number of places."""
    length = shaped.shape[axis]
    most = round(strength * length)
    by = torch.randint(-most, most + 1, (len(shaped), 1), device=shaped.device)
    source = torch.arange(length, device=shaped.device) - by
    inside = (source >= 0) & (source < length)
    view = _view(shaped, axis)
    index = source.clamp(0, length - 1).view(view).expand_as(shaped)
    return shaped.gather(axis, index) * inside.view(view)
