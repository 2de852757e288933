"""Slots of a running search on disk: who trains where, and orders to the conductor.

The conductor writes `workers.json` and answers orders, which other processes leave in `orders/`.
"""

import json
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_IMODE

import msgspec

from search.storage.files import fresh_file, write_text

TABLE, ORDERS = "workers.json", "orders"
ASKED, ANSWERED = ".json", ".answer"  # ends of an order's two files
NOT_READ = (msgspec.MsgspecError, UnicodeDecodeError)  # a key that is not known is no reason


@dataclass(frozen=True, kw_only=True)
class SlotRow:
    """One slot.

    Attributes:
        slot: its number.
        device: as in `trials.csv`.
        node: the machine, or the cluster's name of a node there; empty while there is none.
        state: trains, idle, starts, leaves (it finishes its epochs) or freed.
        trials: their running numbers.
        since: when its first trial there began, in seconds since 1970; None without one.
    """

    slot: int
    device: str
    node: str
    state: str
    trials: list[int]
    since: float | None


@dataclass(frozen=True, kw_only=True)
class SlotOrder:
    """An order. `verb`: stop, start or drain. `target`: a slot's number, or a node."""

    verb: str
    target: str


def write_slots(folder: Path, rows: Sequence[SlotRow]) -> None:
    """Writes the table, whole or not at all; after a power cut nobody trains, so it is not synced.

    `folder`: of the search.
    """
    fresh = fresh_file(folder / TABLE)
    fresh.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    fresh.replace(folder / TABLE)


def read_slots(folder: Path) -> list[SlotRow]:
    """The table as it was written last; empty where there is none."""
    try:
        return msgspec.json.decode((folder / TABLE).read_bytes(), type=list[SlotRow])
    except (OSError, *NOT_READ):
        return []


def give_order(folder: Path, order: SlotOrder, *, seconds: float) -> str | None:
    """Leaves an order for the conductor, and waits for its answer; None if none comes in time."""
    place = folder / ORDERS
    with suppress(FileExistsError):
        place.mkdir()
        place.chmod(S_IMODE(folder.stat().st_mode))  # who may write there may take orders
    asked = place / f"{uuid.uuid4().hex}{ASKED}"
    write_text(asked, json.dumps(asdict(order)))
    answer, deadline = asked.with_suffix(ANSWERED), time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer.exists():
            text = answer.read_text(encoding="utf-8")
            answer.unlink()
            return text
        time.sleep(0.05)
    asked.unlink(missing_ok=True)
    return None


def take_orders(folder: Path) -> list[tuple[Path, SlotOrder]]:
    """Orders that wait, each with the file to answer by; what is no order is removed, and what
    cannot be removed, as in a folder of another user's, is none: nobody could answer it.
    """
    orders = []
    for path in sorted((folder / ORDERS).glob(f"*{ASKED}")):
        with suppress(OSError, *NOT_READ):
            data = path.read_bytes()
            path.unlink()
            orders.append((path, msgspec.json.decode(data, type=SlotOrder)))
    return orders


def answer_order(path: Path, text: str) -> None:
    """Answers the order that lay in a file."""
    write_text(path.with_suffix(ANSWERED), text)
