"""Maps that are turned, mirrored or moved beside their pictures, as where an augmentation changes
the picture alone.

What a pixel and its surroundings say of the map is learned from evaluated rows, by least squares of
numbers that know no direction: of a picture that is turned they say a map that is turned. Never
judges.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from trainers.probes.hooks import unwatched

KEPT, FEWEST = 96, 16  # rows of either kind that are looked at; that can tell
NARROW, SIDE = 8, 32  # sides from which targets are a map; of the squares that are compared
CHANNELS, AROUND = 3, (1, 3, 7)  # of pictures that are read; widths of a pixel's surroundings
PIXELS, KINDS = 20_000, 64  # that are learned from; most classes of a map
GAIN, NEAR = 0.25, 2  # of a correlation, by which a map fits better; pixels that are no move
Rows = list[tuple[Tensor, Tensor]]


class MapsTurned:
    """Pictures that a model was given, and the maps that losses asked of it, as they came."""

    def __init__(self) -> None:
        self._given: tuple[Tensor, bool] | None = None
        self._taught, self._held = list[tuple[Tensor, Tensor]](), list[tuple[Tensor, Tensor]]()
        self._kind: list[float | None] = []  # the class that is looked at; None of numbers

    def given(self, tensors: Sequence[Tensor], *, teaches: bool) -> None:
        """The model was given these."""
        first = next((one for one in tensors if one.ndim == 4 and one.is_floating_point()), None)
        self._given = None if first is None else (first, teaches)

    @unwatched
    def asked(self, targets: Any) -> None:
        """A loss was asked for against these."""
        if self._given is None or not isinstance(targets, Tensor):
            return
        pictures, teaches = self._given
        rows = self._taught if teaches else self._held
        maps = targets[:, None] if targets.ndim == 3 else targets
        alike = maps.shape == (len(pictures), 1, *pictures.shape[2:])
        if not alike or min(maps.shape[2:]) < NARROW or len(rows) >= KEPT:
            return
        self._given = None  # of several losses the first
        plain = maps.detach().cpu().float()
        self._kind = self._kind or [_most_varied(plain)]
        kind = self._kind[0]
        aims = plain if kind is None else (plain == kind).float()
        shown = pictures.detach()[:, :CHANNELS].cpu().float()
        small = (F.adaptive_avg_pool2d(one, (SIDE, SIDE)) for one in (shown, aims))
        rows += zip(*small, strict=True)

    @unwatched
    def told(self) -> dict[str, Any] | None:
        """Shares of the rows whose map fits its picture better `turned` or `moved`: of those that
        are taught, and of those evaluated, each predicted by others; `fits`: how well maps of the
        second fit as they are, and such of the first turned or moved. None where rows are too few.
        """
        if min(len(self._taught), len(self._held)) < FEWEST:
            return None
        taught, held = _stacked(self._taught), _stacked(self._held)
        if taught[0].shape[1] != held[0].shape[1]:
            return None
        halves = [[part[start::2] for part in held] for start in (0, 1)]
        here = torch.cat([_fits(_learned(*halves[1 - one]), *halves[one]) for one in (0, 1)])
        there = _fits(_learned(*held), *taught)
        better = [fits[:, 1:] - fits[:, :1] > GAIN for fits in (there, here)]
        away = there[better[0].any(dim=1)].amax(dim=1)
        shares = [one.double().mean(dim=0).tolist() for one in better]
        return {
            "turned": [share[0] for share in shares],
            "moved": [share[1] for share in shares],
            "fits": [float(here[:, 0].mean()), float(away.mean()) if len(away) else 0.0],
            "rows": [len(there), len(here)],
        }


def _most_varied(maps: Tensor) -> float | None:
    """Of a map of few classes that one whose share of the pixels is nearest to a half; None of
    numbers.
    """
    kinds, counts = maps.unique(return_counts=True)
    if len(kinds) > KINDS or bool((kinds % 1 != 0).any()):
        return None
    return float(kinds[(counts / maps.numel() - 0.5).abs().argmin()])


def _stacked(rows: Rows) -> tuple[Tensor, Tensor]:
    """What is read of each pixel [n, numbers, side, side], and maps [n, side, side]."""
    pictures, maps = (torch.stack(part).double() for part in zip(*rows, strict=True))
    seen = torch.cat(
        [F.avg_pool2d(pictures, width, 1, width // 2, count_include_pad=False) for width in AROUND],
        dim=1,
    )
    return torch.cat([seen, seen.square(), torch.ones_like(seen[:, :1])], dim=1), maps[:, 0]


def _learned(x: Tensor, maps: Tensor) -> Tensor:
    """By how much each number counts for a pixel of the map."""
    rows, aims = x.movedim(1, -1).flatten(0, -2), maps.flatten()[:, None]
    some = slice(None, None, len(rows) // PIXELS + 1)
    found: Tensor = torch.linalg.lstsq(rows[some], aims[some], driver="gelsd").solution
    return found[:, 0]


def _fits(weights: Tensor, x: Tensor, maps: Tensor) -> Tensor:
    """Correlations [n, 3] of maps with what pictures say: as they are, turned and mirrored as fits
    best, moved as fits best.
    """
    said = torch.einsum("nfhw,f->nhw", x, weights)
    both = (maps, maps.mT)
    flips = ((), (1,), (2,), (1, 2))
    plain, *others = (_fit(said, one.flip(axes)) for one in both for axes in flips)
    one, two = (torch.fft.rfft2(_centred(part)) for part in (said, maps))
    moved = torch.fft.irfft2(one * two.conj(), s=said.shape[1:])
    for place in itertools.product(range(1 - NEAR, NEAR), repeat=2):
        moved[:, place[0], place[1]] = -1.0
    return torch.stack([plain, torch.stack(others).amax(dim=0), moved.amax(dim=(1, 2))], dim=1)


def _fit(one: Tensor, two: Tensor) -> Tensor:
    return (_centred(one) * _centred(two)).sum(dim=(1, 2))


def _centred(maps: Tensor) -> Tensor:
    """Of mean 0 and length 1 each; a map of one number is all 0."""
    apart = maps - maps.mean(dim=(1, 2), keepdim=True)
    lengths: Tensor = apart.flatten(1).square().sum(dim=1).sqrt()
    return apart / lengths.clamp(min=1e-9)[:, None, None]
