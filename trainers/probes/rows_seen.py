"""Which of the rows that a training was given it trained on, and on which it was evaluated.

A row is known by some of its values as float32, bit by bit, so rows that a loop changes
(augmentation, another normalisation) match none: then nothing is said. Never judges.
"""

import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.modules.module import register_module_forward_pre_hook

from trainers.layer_series import dense
from trainers.probes.hooks import is_transformed

ONCE = 0.9  # least share of distinct rows in an epoch: with fewer, rows are alike by chance
CENTRED = 1e-5  # a mean below this share of the spread is 0, to the rounding of singles
VALUES, KEPT = 256, 512  # values of a row, evenly drawn: that make its key, that are kept
MOST_CLASSES = 100  # kinds of targets that an input may name
DIGITS = 1e-9  # share of a column's variance that rounding may leave
Numbers = NDArray[np.float64]


class RowsTaught(AbstractContextManager["RowsTaught"]):
    """A context in which rows are noted, as long as they are fewer than `most`: those that the
    first module is given which is called with gradients. `keys`: of the rows.
    """

    def __init__(self, *, most: int) -> None:
        self.keys, self.most = set[int](), most
        self._first: torch.nn.Module | None = None

    def __enter__(self) -> "RowsTaught":
        self._handle = register_module_forward_pre_hook(self._entered)
        return self

    def __exit__(self, *_: Any) -> None:
        self._handle.remove()

    def _entered(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        if len(self.keys) < self.most and torch.is_grad_enabled() and not is_transformed():
            self._first = module if self._first is None else self._first
            if module is self._first and args and isinstance(args[0], torch.Tensor):
                self.keys.update(row_keys(args[0]))


def row_keys(rows: torch.Tensor | NDArray[Any]) -> tuple[int, ...]:
    """A key per row, by its values as float32."""
    array = dense(rows.detach()).float().cpu().numpy() if isinstance(rows, torch.Tensor) else rows
    if not len(array):
        return ()
    flat = array.reshape(len(array), -1)
    some = np.ascontiguousarray(flat[:, :: max(1, flat.shape[1] // VALUES)], dtype=np.float32)
    return tuple(zlib.crc32(row.tobytes()) for row in some + 0.0)


def has_several(rows: torch.Tensor) -> bool:
    """Whether rows have several values each."""
    return rows.ndim > 1 and len(rows) > 0 and rows[0].numel() > 1


def values_of(rows: torch.Tensor) -> Numbers:
    """Rows as lists of their values; of many, such as those of a picture, some evenly drawn."""
    plain = rows.detach().reshape(len(rows), -1)
    some: Numbers = plain[:, :: -(-plain.shape[1] // KEPT) or 1].double().cpu().numpy()
    return some


def widened(rows: Numbers, width: int) -> Numbers:
    """Rows of tokens with the usual padding behind them."""
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])))


def centred_share(rows: torch.Tensor) -> float:
    """Of the features that change in these rows, the share whose mean is 0, to rounding."""
    spread = rows.std(dim=0, correction=0)
    known = (rows.mean(dim=0).abs() < CENTRED * spread)[spread > 0]
    return float(known.double().mean()) if len(known) > 1 else 0.0


def rows_seen(
    trained: Sequence[Iterable[int]],
    evaluated: Iterable[int],
    *,
    train: frozenset[int],
    val: frozenset[int],
) -> dict[str, Any]:
    """How the rows seen match those given, as shares.

    Args:
        trained: keys of the rows of each epoch.
        evaluated: keys of the rows that models saw without gradients.
        train: keys of the train rows given.
        val: keys of the validation rows given.

    Returns:
        `taught`: share of the rows trained on that are train rows; `covered`: per epoch, share of
        the train rows that came; `distinct`: per epoch, how many rows that differ; `held`: how many
        were evaluated; `again`: share of the second epoch's rows that the first had;
        `on_train`, `on_val`: shares of the evaluated rows that are rows of these sets;
        `on_taught`: that were trained on, where few of those come twice. None where nothing was
        seen.
    """
    lists = [list(keys) for keys in trained if keys]
    epochs = [set(keys) for keys in lists]
    distinct = all(len(keys) > ONCE * len(rows) for keys, rows in zip(epochs, lists, strict=True))
    every, held = set().union(*epochs), set(evaluated)
    return {
        "taught": len(every & train) / len(every) if every else None,
        "covered": [len(keys & train) / max(len(train), 1) for keys in epochs],
        "distinct": [len(keys) for keys in epochs],
        "held": len(held),
        "again": len(epochs[0] & epochs[1]) / len(epochs[1]) if len(epochs) > 1 else None,
        "on_train": len(held & train) / len(held) if held else None,
        "on_val": len(held & val) / len(held) if held else None,
        "on_taught": len(held & every) / len(held) if held and every and distinct else None,
    }


def place_among(x: Numbers, y: Numbers) -> int | None:
    """The input [n, width] that is this target [n]."""
    if not np.ptp(y):
        return None
    spread, centred = y - y.mean(), x - x.mean(axis=0)
    variance = (centred**2).mean(axis=0)
    slope = (centred * spread[:, None]).mean(axis=0) / (spread**2).mean()
    left = ((centred - slope * spread[:, None]) ** 2).mean(axis=0)
    rounding = 1e-13 * (x**2).mean(axis=0)  # of singles
    told = (variance > 0) & (left < DIGITS * variance + rounding) & (variance > 4 * rounding)
    kinds, codes = np.unique(y, return_inverse=True)
    if len(kinds) <= MOST_CLASSES:
        first = np.stack([x[codes == one][0] for one in range(len(kinds))])
        several = np.array([len(np.unique(column)) for column in first.T]) == len(kinds)
        told |= several & (x == first[codes]).all(axis=0)
    return int(np.flatnonzero(told)[0]) if told.any() else None
