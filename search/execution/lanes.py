"""Which trainings share a program, and how many at once: decided once per key, from what was measured, and kept (lanes).

Two files: `lanes.json` in the search's folder holds what was decided there; the one beside all searches holds what was measured
on this machine, so that the same search decides the same again. Never measures, never imports torch.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from search.execution.messages import Message
from trainers.api import Pace

FILE = "lanes.json"
GAIN = 1.5  # trials per second, lanes against one by one, from which lanes are worth it: towards the end they are fewer


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """How trainings of one key are made: `vmap`, at most so many at once, or `loop`, one by one. `why`: in words."""

    strategy: str
    seats: int
    why: str


ALONE = Fusion(strategy="loop", seats=1, why="")
NO_ROOM = "one by one: two at once need too much memory"


def decide(pace: Pace, *, company: int, most: int | None) -> Fusion:
    """What a key's pace means for a search where `company` trials of it can train side by side in a worker.

    `most`: the lanes that the user wants; None where the pace is to say.
    """
    if company < 2 and most is None:
        return ALONE
    if pace.cause:
        return replace(ALONE, why=f"one by one: {pace.cause}")
    if most is not None:
        return Fusion(strategy="vmap", seats=most, why=f"up to {most}, as told")
    rates = {lanes: lanes * pace.alone / seconds for lanes, seconds in pace.lanes.items()}
    here = {lanes: rate for lanes, rate in rates.items() if lanes <= company}
    if not here:
        return replace(ALONE, why=NO_ROOM)
    best = max(here, key=lambda lanes: here[lanes])
    if here[best] < GAIN:
        return replace(
            ALONE, why=f"one by one: {best} at once would be {here[best]:.1f} times as fast"
        )
    seats = max(rates, key=lambda lanes: rates[lanes])
    return Fusion(
        strategy="vmap",
        seats=seats,
        why=f"up to {seats} at once, {best} of them {here[best]:.1f} times as fast as one by one",
    )


class Fusions:
    """The conductor's book of what was decided, and the machine's of what was measured."""

    def __init__(self, folder: Path, *, shared: Path, most: int | None, slots: int) -> None:
        self._path, self._shared, self._most, self.slots = folder / FILE, shared / FILE, most, slots
        self._known = {key: Fusion(**told) for key, told in _read(self._path).items()}
        self._paces = _read(self._shared)
        self._told: set[str] = set()

    def setup(self) -> Message:
        """What a new worker is told."""
        known = {key: asdict(fusion) for key, fusion in self._known.items()}
        return {"most": self._most, "slots": self.slots, "known": known, "paces": self._paces}

    def told(self, message: Message) -> tuple[Fusion, str]:
        """A worker's word on a key: what it has measured, or that memory ran out. See `settle` and `crowded`."""
        key = str(message["key"])
        if message["kind"] == "crowded":
            return self.crowded(key, seats=int(message["seats"]))
        return self.settle(key, message["wanted"], message["pace"])

    def settle(
        self, key: str, wanted: Mapping[str, Any], pace: Mapping[str, Any]
    ) -> tuple[Fusion, str]:
        """What holds for a key: what was decided first. With it a line for the user, the first time that it is news."""
        if key not in self._known:
            self._known[key] = Fusion(**wanted)
            self._keep()
        if pace.get("lanes") and key not in self._paces:
            self._paces = {**_read(self._shared), key: dict(pace)}
            _write(self._shared, self._paces)
        return self._known[key], self._news(self._known[key])

    def crowded(self, key: str, *, seats: int) -> tuple[Fusion, str]:
        """Memory has run out with more than so many: what holds for the key now, and a line for the user."""
        fusion = self._known[key]
        if seats < fusion.seats:
            why = f"up to {seats} at once: more need too much memory"
            fusion = (
                replace(fusion, seats=seats, why=why) if seats > 1 else replace(ALONE, why=NO_ROOM)
            )
            self._known[key] = fusion
            self._keep()
        return fusion, self._news(fusion)

    def _keep(self) -> None:
        _write(self._path, {key: asdict(fusion) for key, fusion in self._known.items()})

    def _news(self, fusion: Fusion) -> str:
        """Why, the first time."""
        news = "" if not fusion.why or fusion.why in self._told else f"lanes: {fusion.why}"
        self._told.add(fusion.why)
        return news


def pace_of(told: Mapping[str, Any]) -> Pace:
    """A pace as it was written down."""
    lanes = {int(count): float(seconds) for count, seconds in told["lanes"].items()}
    return Pace(cause=str(told["cause"]), alone=float(told["alone"]), lanes=lanes)


def _read(path: Path) -> dict[str, Any]:
    """Nothing where there is no such file, or where it was cut off: it can be measured again."""
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _write(path: Path, told: Mapping[str, Any]) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps(told, indent=1) + "\n")
    fresh.replace(path)
