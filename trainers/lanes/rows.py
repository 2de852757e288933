"""Lanes as rows: every tensor of a training, one row per lane; joins and takes rows.

A dict of rows holds the trained weights [lanes, numbers] under `WEIGHTS`; parameters that are not
trained, buffers and the optimizer's state stand under prefixes. Computes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Rows = dict[str, Tensor]
COPIED = 2**26  # bytes of rows that are copied to the host after every epoch
WEIGHTS, HELD, BUFFER, STATE = "weights", "held.", "buffer.", "state."


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What the lanes of one step differ in.

    `key` [lanes] int32: of the dropout masks; `rates` [lanes, layers]: of dropout; `smoothing`
    [lanes]: of labels.
    """

    key: Tensor
    rates: Tensor
    smoothing: Tensor


def under(prefix: str, rows: Rows) -> Rows:
    """The rows of one kind, by their own names."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in rows.items()
        if name.startswith(prefix)
    }


def joined(parts: Sequence[Rows]) -> Rows:
    """Rows of several groups of lanes as one."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def taken(rows: Rows, lanes: Sequence[int]) -> Rows:
    """A copy of some of the rows."""
    index = torch.tensor(list(lanes), device=rows[WEIGHTS].device)
    return {name: tensor.index_select(0, index) for name, tensor in rows.items()}


def size_of(rows: Rows) -> int:
    """Their memory [bytes]."""
    return sum(tensor.nbytes for tensor in rows.values())


def on_host(rows: Rows) -> Rows:
    """The rows in the host's memory, from a GPU in one copy each; very large ones stay there.

    Every lane's state is saved after every epoch: tensor by tensor, 64 lanes would wait for a
    thousand small copies.
    """
    return rows if size_of(rows) > COPIED else {name: tensor.cpu() for name, tensor in rows.items()}
