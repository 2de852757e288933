"""Which other searches of this machine use the same GPUs: a line for the screen, and no refusal.

Two small searches on one GPU are often wanted; that one slows the other must be no riddle.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from search.errors import UsageError
from search.execution.gpus import uuids_of
from search.execution.placement.bookings import Bookings, Share
from search.execution.slots import Slot


@contextmanager
def gpus_announced(
    slots: Sequence[Slot], *, search: str, bookings: Bookings | None = None
) -> Iterator[list[str]]:
    """Within the block, other searches hear that this one uses the GPUs of its slots.

    Args:
        slots: on this machine; those of a cluster name no GPUs.
        search: its name.
        bookings: of this machine; None: the usual ones.

    Yields:
        Lines for the user: who else uses them.
    """
    names = sorted({gpu for slot in slots if slot.gpu for gpu in slot.gpu.split(",")})
    if not names:
        yield []
        return
    try:
        uuids = uuids_of(names)
        booking, others = (bookings or Bookings()).join(
            sorted({*uuids.values()}), holder=f"the search {search} (process {os.getpid()})"
        )
    except (OSError, UsageError) as error:
        yield [f"whether other searches use the same GPUs is not known: {error}"]
        return
    try:
        yield [line for name in names if (line := _line(name, uuids[name], others))]
    finally:
        booking.release()


def _line(name: str, uuid: str, others: Sequence[Share]) -> str:
    """Who else uses a GPU; empty if nobody does."""
    holders = {
        share.holder or "a search on a Dask cluster" for share in others if share.resource == uuid
    }
    return f"GPU {name} is also used by {', '.join(sorted(holders))}" if holders else ""
