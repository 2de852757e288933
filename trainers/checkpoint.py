"""One trial's checkpoint folder: the crash checkpoint, the best epoch's state, and the order in which they count.

A state that a trainer offers waits in memory until the search has recorded its epoch; only then may it reach the disk. So
the disk is never ahead of the records. Writing takes at most a tenth of the time. Never decides which epoch is best.
"""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from trainers import state as states

LAST, BEST, WEIGHTS = "last.safetensors", "best-epoch.safetensors", "best.safetensors"
SHARE = 10  # after a write that took t seconds, the next comes no sooner than SHARE × t later


class FolderCheckpoint:
    """`trainers.api.Checkpoint` in a folder. `every`: least seconds between two writes of the crash checkpoint."""

    def __init__(self, folder: Path, *, every: float) -> None:
        self.folder = folder
        self._every = every
        self._loaded = self._read(LAST)
        self._recorded = self.epoch
        self._best_epoch = 0
        self._offered: tuple[int, bytes] | None = None
        self._last: bytes | None = None
        self._best: bytes | None = None
        self._not_before = time.monotonic() + every

    @property
    def epoch(self) -> int:
        """The last epoch that the loaded state holds; 0 where there is none."""
        return int(self._loaded["epoch"]) if self._loaded is not None else 0

    def load(self) -> Any | None:
        """The last state saved, or None for a fresh start."""
        return self._loaded["state"] if self._loaded is not None else None

    def save(self, state: Any, *, epoch: int) -> None:
        """Offers a state that holds everything up to and with `epoch`. Raises TypeError for what cannot be saved."""
        self._offered = (epoch, states.dump({"epoch": epoch, "state": state}))
        self._count()

    def confirm(self, epoch: int, *, best_epoch: int) -> None:
        """The search has recorded `epoch`, and `best_epoch` is the best so far: what was offered up to it counts."""
        self._recorded, self._best_epoch = epoch, best_epoch
        self._count()
        if time.monotonic() >= self._not_before:
            self.flush()

    def _count(self) -> None:
        if self._offered is None or self._offered[0] > self._recorded:
            return
        (epoch, self._last), self._offered = self._offered, None
        if epoch == self._best_epoch:
            self._best = self._last

    def flush(self) -> None:
        """Writes what counts and is not on disk yet; the best first, since the crash checkpoint relies on it."""
        begun = time.monotonic()
        if self._best is not None:
            self._write(BEST, self._best)
        if self._last is not None:
            self._write(LAST, self._last)
        self._best = self._last = None
        now = time.monotonic()
        self._not_before = now + max(self._every, SHARE * (now - begun))

    def finish(self) -> None:
        """The trial has ended: the best epoch's weights stay, if that epoch was saved, and the crash checkpoint goes."""
        best = states.load(self._best) if self._best is not None else self._read(BEST)
        if best is not None and best["epoch"] == self._best_epoch:
            self._write(WEIGHTS, states.weights(best["state"]))
        for name in (LAST, BEST):
            (self.folder / name).unlink(missing_ok=True)

    def discard(self) -> None:
        """The trial has failed: nothing of it is worth keeping."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        return states.load(path.read_bytes()) if path.exists() else None

    def _write(self, name: str, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.folder / f"{name}.new"
        fresh.write_bytes(data)
        os.replace(fresh, self.folder / name)
