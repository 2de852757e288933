"""One trial's checkpoint folder, `checkpoints/TRIAL/` of the search: the crash checkpoint, from
which a resumed trial goes on, and the best epoch's state.

A state that a trainer offers counts once the search has recorded its epoch. It is read then, while
the trainer waits at its yield; so the disk is never ahead of the records, and a state that is
neither the best nor due is never copied. Writing takes at most a tenth of the time, and what is
written is synced to the disk. A damaged file counts as none: the trial begins anew. Never decides
which epoch is best.
"""

import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from trainers import sealed_file
from trainers import state as states
from trainers.snapshots import snapshot_file, wave_ends

LAST, PREVIOUS = "last.safetensors", "previous.safetensors"
BEST, WEIGHTS = "best-epoch.safetensors", "best.safetensors"
# After a write of one of n trials that took t seconds, its next comes SHARE × n × t later or more.
SHARE = 10


class TrialCheckpoint:
    """A trial's checkpoints, one per fold.

    They are written at the same epochs, so that all folds can go on from one epoch.

    `every`: least seconds between two writes; `files`: for what a trainer writes that is to stay;
    `of`: the training, as `trainers.state.owner` names it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        folds: int,
        every: float,
        files: Path | None = None,
        of: str = states.NOBODY,
    ) -> None:
        files = files or folder / "files"
        names = [""] if folds == 1 else [f"fold-{fold}" for fold in range(folds)]
        self.parts = [
            FolderCheckpoint(folder / name, generations=min(folds, 2), files=files / name, of=of)
            for name in names
        ]
        self._every, self._not_before = every, time.monotonic() + every
        if folds > 1:
            common = set.intersection(*(part.epochs for part in self.parts))
            for part in self.parts:
                part.rewind(max(common, default=0))

    @property
    def epoch(self) -> int:
        """The epoch from which all folds go on; 0 for a fresh start."""
        return self.parts[0].epoch

    @property
    def damage(self) -> str:
        """Which file was damaged and counts as none, in words; empty if all were sound."""
        return "; ".join(part.damage for part in self.parts if part.damage)

    def keep_snapshots(self, config: Mapping[str, Any]) -> None:
        """Keeps the weights at the ends of the schedule's waves, of a training without folds."""
        if len(self.parts) == 1:
            self.parts[0].snapshots = wave_ends(config)

    def hold(self) -> None:
        """The trainer is about to go on."""
        for part in self.parts:
            part.hold()

    def confirm(self, epoch: int, *, best_epoch: int, trials: int = 1) -> None:
        """The search has recorded `epoch`, and `best_epoch` is the best so far.

        `trials`: how many train side by side, and write in turn.
        """
        for part in self.parts:
            part.confirm(epoch, best_epoch=best_epoch)
        if time.monotonic() >= self._not_before:
            begun = time.monotonic()
            self.flush()
            now = time.monotonic()
            self._not_before = now + max(self._every, SHARE * trials * (now - begun))

    def flush(self) -> None:
        """Writes what counts and is not on disk yet."""
        for part in self.parts:
            part.flush()

    def keep(self, state: str) -> None:
        """What stays on disk of a trial that has ended well, or is to go on later."""
        for part in self.parts:
            if state == "complete":
                part.finish()
            elif state == "interrupted":
                part.flush()


class FolderCheckpoint:
    """`trainers.api.Checkpoint` in a folder. `generations`: how many crash checkpoints are kept.

    `of`: the training; another's state counts as damaged. `snapshots`: epochs whose weights are
    kept beside the best one's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        generations: int = 1,
        files: Path | None = None,
        of: str = states.NOBODY,
    ) -> None:
        self.folder, self._generations, self._of = folder, generations, of
        self.files = files or folder / "files"
        self.damage = ""
        self.snapshots: Collection[int] = ()
        self._loaded = self._read(LAST)
        if self._loaded is not None and (folder / BEST).exists() and self._read(BEST) is None:
            self._loaded = None  # the best weights are lost, so the trial must find them again
        self._recorded = self.epoch
        self._best_epoch, self._is_checked = 0, False
        self._offered: dict[int, Any] = {}
        self._copied: set[int] = set()  # of these, epochs whose state is a copy already
        self._last: dict[str, Any] | None = None
        self._best: dict[str, Any] | None = None
        self._best_is_on_disk = True

    @property
    def epoch(self) -> int:
        """The last epoch that the loaded state holds; 0 where there is none."""
        return int(self._loaded["epoch"]) if self._loaded is not None else 0

    @property
    def epochs(self) -> set[int]:
        """All epochs from which this fold could go on."""
        return {
            int(state["epoch"])
            for state in (self._loaded, self._read(PREVIOUS))
            if state is not None
        }

    def rewind(self, epoch: int) -> None:
        """Goes on from that epoch instead of the last; from the start if it was not saved."""
        if epoch == self.epoch:
            return
        self._loaded = self._read(PREVIOUS)
        if self._loaded is not None and self.epoch == epoch:
            os.replace(self.folder / PREVIOUS, self.folder / LAST)
        else:
            self._loaded = None
            for name in (LAST, PREVIOUS):
                (self.folder / name).unlink(missing_ok=True)
        self._recorded = self.epoch

    def load(self) -> Any | None:
        """The last state saved, or None for a fresh start."""
        return self._loaded["state"] if self._loaded is not None else None

    def save(self, state: Any, *, epoch: int) -> None:
        """Offers a state that holds everything up to and with `epoch`.

        Raises:
            TypeError: the state holds something that cannot be saved.
        """
        if not self._is_checked:  # at once, and not once it is first written, minutes later
            states.copy(state)
            self._is_checked = True
        if epoch > self._recorded:
            self._offered[epoch] = state
            self._copied.discard(epoch)
        else:  # its epoch is recorded already, and the trainer will go on at once
            self._count(epoch, states.copy(state))

    def hold(self) -> None:
        """Copies states that are offered and not recorded yet: the trainer is about to go on."""
        for epoch in self._offered.keys() - self._copied:
            self._offered[epoch] = states.copy(self._offered[epoch])
        self._copied = set(self._offered)
        self._last = None

    def confirm(self, epoch: int, *, best_epoch: int) -> None:
        """Counts the states offered up to `epoch`, which the search has recorded."""
        self._recorded, self._best_epoch = epoch, best_epoch
        for offered in sorted(number for number in self._offered if number <= epoch):
            self._count(offered, self._offered.pop(offered))

    def flush(self) -> None:
        """Writes what counts and is not on disk yet.

        The best state comes first, since the crash checkpoint relies on it.
        """
        if self._best is not None and not self._best_is_on_disk:
            self._write(BEST, states.dump(self._best))
            self._best_is_on_disk = True
        if self._last is not None:
            if self._generations > 1 and (self.folder / LAST).exists():
                os.replace(self.folder / LAST, self.folder / PREVIOUS)
            self._write(LAST, states.dump(self._last))
            self._last = None

    def finish(self) -> None:
        """Keeps the best epoch's weights, if they were saved, and drops the crash checkpoint."""
        if self._best is None and not self.folder.exists():
            return
        best = self._best or self._read(BEST)
        if best is not None and best["epoch"] == self._best_epoch:
            self._write(WEIGHTS, states.weights(best["state"], of=self._of), sealed=False)
        for name in (LAST, PREVIOUS, BEST):
            (self.folder / name).unlink(missing_ok=True)

    def _count(self, epoch: int, state: Any) -> None:
        if epoch in self.snapshots:
            weights = states.weights(states.model(state), of=self._of)
            self._write(snapshot_file(epoch), weights, sealed=False)
        self._last = {"epoch": epoch, "state": state, "of": self._of}
        if epoch == self._best_epoch:
            self._best = {"epoch": epoch, "state": states.copy(states.model(state)), "of": self._of}
            self._best_is_on_disk = False

    def _read(self, name: str) -> dict[str, Any] | None:
        """What a file holds; None where there is none, or where it is damaged."""
        try:
            data = sealed_file.read(self.folder / name)
            state = states.load(data) if data is not None else None
            if state is not None and not {"epoch", "state"} <= state.keys():
                raise KeyError("epoch")
            if state is not None and len({state.get("of"), self._of} - {None, states.NOBODY}) > 1:
                raise sealed_file.DamagedFile("it is another training's")
        except Exception as error:  # noqa: BLE001  # of the file's readers: each has kinds of its own
            self.damage = f"the checkpoint {self.folder / name} is damaged ({error})"
            return None
        return state

    def _write(self, name: str, data: bytes, *, sealed: bool = True) -> None:
        try:
            self._write_there(name, data, sealed=sealed)
        except FileNotFoundError:  # somebody removes the folder at this moment
            self._write_there(name, data, sealed=sealed)

    def _write_there(self, name: str, data: bytes, *, sealed: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        sealed_file.write(self.folder / name, data, sealed=sealed)


class Unsaved:
    """`trainers.api.Checkpoint` that keeps nothing.

    `resume`: whether to go on from the crash checkpoint in `folder`.
    """

    def __init__(self, folder: Path | None = None, *, resume: bool = False) -> None:
        self.folder = folder or Path()
        self.files = self.folder / "files"
        self._read = FolderCheckpoint(folder) if resume and folder is not None else None

    @property
    def epoch(self) -> int:
        """The last epoch that the loaded state holds; 0 for a fresh start."""
        return self._read.epoch if self._read is not None else 0

    def load(self) -> Any | None:
        """What lies there, or None for a fresh start."""
        return self._read.load() if self._read is not None else None

    def save(self, state: Any, *, epoch: int) -> None:
        """Not kept."""
