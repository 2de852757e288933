"""Which trainings share a program, and how many at once: decided once per key and kept (lanes).

Two files: `lanes.json` in the search's folder holds its decisions; the one in the results root
holds what was measured on this machine, so that the same search decides the same again. Never
measures, never imports torch.
"""

import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, MsgspecError, convert

from search.errors import refused
from search.storage.sealed import parse_json, write_json
from trainers.api import Pace

FILE = "lanes.json"
NUMBER = re.compile(r"[\d.]+")
# Trials per second, in lanes against one by one, from which lanes are used: towards the end of a
# search there are fewer of them.
GAIN = 1.5


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """How trainings of one key are made.

    `strategy`: `vmap`, at most `seats` at once, or `loop`, one by one. `why`: the reason in words.
    """

    strategy: Literal["vmap", "loop"]
    seats: Annotated[int, Meta(gt=0)]
    why: str


@dataclass(frozen=True, kw_only=True)
class LaneSetup:
    """What a new worker is sent.

    `most`: the number of lanes that the user wants; None where the pace decides. `slots`: workers
    of the search. `decisions`, `paces`: by key.
    """

    most: int | None
    slots: int
    decisions: Mapping[str, Fusion]
    paces: Mapping[str, Pace]


ALONE = Fusion(strategy="loop", seats=1, why="")
NO_ROOM = "one by one: two at once need too much memory"


def decide(pace: Pace, *, candidates: int, most: int | None) -> Fusion:
    """Whether lanes are used.

    Args:
        candidates: trials of the key that can train at the same time in one worker.
        most: the number of lanes that the user wants; None where the pace decides.
    """
    if candidates < 2 and most is None:
        return ALONE
    if pace.cause:
        return replace(ALONE, why=f"one by one: {pace.cause}")
    if most is not None:
        return Fusion(strategy="vmap", seats=most, why=f"up to {most} at a time (lanes={most})")
    gains = {lanes: lanes * pace.alone / seconds for lanes, seconds in pace.lanes.items()}
    possible = {lanes: gain for lanes, gain in gains.items() if lanes <= candidates}
    if not possible:
        return replace(ALONE, why=NO_ROOM)
    best = max(possible, key=lambda lanes: possible[lanes])
    doubt = "; measured times scattered and are not kept" if pace.doubtful else ""
    fast = f"{possible[best]:.1f} times as fast"
    if possible[best] < GAIN:
        return replace(ALONE, why=f"one by one: {best} at once would be {fast}{doubt}")
    seats = max(gains, key=lambda lanes: gains[lanes])
    why = f"up to {seats} trainings as one program, {best} of them {fast} as one by one{doubt}"
    return Fusion(strategy="vmap", seats=seats, why=why)


class Fusions:
    """The conductor's record of a search's decisions, and of the machine's measurements.

    `damage`: that what was measured cannot be read, in words; empty otherwise.

    Raises:
        UsageError: the search's own file is damaged.
    """

    def __init__(self, folder: Path, *, shared: Path, most: int | None, slots: int) -> None:
        self._path, self._shared, self._most, self.slots = folder / FILE, shared / FILE, most, slots
        self._decisions = _decisions(self._path)
        self._paces, self.damage = _paces(self._shared)
        self._shown: set[str] = set()  # reasons that the user has seen

    def setup(self) -> LaneSetup:
        """What a new worker is sent."""
        return LaneSetup(
            most=self._most, slots=self.slots, decisions=self._decisions, paces=self._paces
        )

    def settle(self, key: str, wanted: Fusion, pace: Pace) -> tuple[Fusion, str]:
        """Records a worker's measurement and the decision that it wants; the first decision holds.

        Returns:
            The decision, and a line for the user where its reason is new.
        """
        if key not in self._decisions:
            self._decisions[key] = wanted
            self._keep()
        if pace.lanes and not pace.doubtful and key not in self._paces:
            self._paces = {**_paces(self._shared)[0], key: pace}
            fresh = self._shared.with_suffix(f".{os.getpid()}")  # other searches write it too
            with suppress(OSError):  # it is another user's: other searches measure again
                write_json(fresh, {name: asdict(kept) for name, kept in self._paces.items()})
                fresh.replace(self._shared)
            with suppress(OSError):
                fresh.unlink()
        decided = self._decisions[key]  # of several programs the numbers alone would be new
        return decided, self._news(decided, NUMBER.sub("", decided.why) if pace.lanes else "")

    def crowded(self, key: str, *, seats: int) -> tuple[Fusion, str]:
        """Records that memory ran out with more than `seats` lanes.

        Returns:
            The decision from now on, and a line for the user where its reason is new.
        """
        fusion = self._decisions[key]
        if seats < fusion.seats:
            why = f"up to {seats} at once: more need too much memory"
            fusion = (
                replace(fusion, seats=seats, why=why) if seats > 1 else replace(ALONE, why=NO_ROOM)
            )
            self._decisions[key] = fusion
            self._keep()
        return fusion, self._news(fusion)

    def _keep(self) -> None:
        write_json(self._path, {key: asdict(fusion) for key, fusion in self._decisions.items()})

    def _news(self, fusion: Fusion, thought: str = "") -> str:
        """The reason, the first time that it, or another of the same `thought`, is given."""
        thought = thought or fusion.why
        news = "" if not fusion.why or thought in self._shown else f"lanes: {fusion.why}"
        self._shown.add(thought)
        return news


def _decisions(path: Path) -> dict[str, Fusion]:
    """A search's decisions: without them, a resumed search could go on in another way."""
    if not path.exists():
        return {}
    try:
        return convert(parse_json(path.read_bytes()), dict[str, Fusion])
    except (OSError, ValueError, MsgspecError) as error:
        raise refused(
            str(path),
            code="lanes-decisions-damaged",
            rule="must hold the search's decisions on lanes",
            got=str(error),
            remedy="restore it, or delete it to let the rest of the search decide anew",
        ) from error


def _paces(path: Path) -> tuple[dict[str, Pace], str]:
    """What was measured on this machine, and that the file is damaged, in words.

    A damaged file counts as none; an entry of another version is measured again.
    """
    paces = {}
    try:
        entries = parse_json(path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError) as error:
        return {}, f"{path}: {error}; what it says of lanes is measured again"
    for key, entry in entries.items():
        with suppress(MsgspecError):
            pace = convert(entry, Pace, str_keys=True)
            times = (pace.alone, *pace.lanes.values())
            is_possible = all(math.isfinite(time) and time > 0 for time in times)
            if pace.lanes and is_possible and "doubtful" in entry:  # else it was timed by the wall
                paces[key] = pace
    return paces, ""
