"""Files of weights in the working folder: which ones several trials write, or may be of any."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

SAVED = (
    *(".bin", ".ckpt", ".h5", ".joblib", ".keras", ".npy", ".npz"),
    *(".pkl", ".pt", ".pth", ".safetensors"),
)  # what trainings save and load; a log that grows hurts nobody
DEPTH = 5  # of folders looked at below the working folder, as `logs/name/fit/run/checkpoints`
OURS = "contract.yaml"  # in the folder of a search, which keeps its trials apart
FOLDERS, ENTRIES = 60, 1000  # folders in all, and entries of each, looked at
FRESH = 1.0  # time for which trials of a process share a look at what was there before [s]
# Where Lightning's Trainer writes that is given no `default_root_dir`.
LIGHTNING_ROOT = "PL_TRAINER_DEFAULT_ROOT_DIR"
# A folder that is named by a count or by the time, as version_3, exp2, 1128_181010, 18h_10m_10s.
COUNTED = re.compile(
    r"(?:version|exp|run|train|experiment)?[_-]?\d+|"
    r".*(?<![\d.])(?:\d\d[hm]?[-_: T]?){3,}.*"
)
# A part of a name that is drawn by chance, so that no other trial has it, as of W&B and MLflow.
RANDOM = re.compile(
    r"(?:^|[-_])(?!(?:\d\d[hms])+(?:$|[-_]))(?=[a-z]*\d+[a-z])[a-z\d]{8,}(?:$|[-_])"
)
NUMBER = re.compile(r"\d+")
WRITE = (
    "write to checkpoint.files, in a program to the folder that {folder} in trainer.command becomes"
)
REWRITTEN = (
    "was there before this trial and has been written again: "
    "a trial may load what another has saved"
)
COMMON = (
    "is a name by a count or the time: trials that start together share it, and none tells whose "
    "weights are in it"
)


_looks: dict[Path, tuple[float, dict[Path, int]]] = {}  # the last one: when, and what was there
_first: dict[Path, dict[Path, int]] = {}  # what was there when this process began to train


class SharedFiles:
    """Watches the working folder and the folders below it while a trial trains."""

    def __init__(self) -> None:
        self._place, self._epochs = Path.cwd(), 0
        self._before = self._lately()

    def _lately(self) -> dict[Path, int]:
        """What is there now, or was a moment ago: short trials would cost more than they train."""
        now = time.monotonic()
        at, seen = _looks.get(self._place, (-FRESH, {}))
        if now - at >= FRESH:
            _looks.clear()
            _looks[self._place] = (now, seen := _saved_at(self._place))
        _first.setdefault(self._place, seen)
        return seen

    def remark(self) -> str:
        """Call it once an epoch; names a file that was there before and has been written since, or
        a folder of new ones that trials may share.

        It looks at epochs 1, 2, 4, 8 and so on, since a folder may be large; empty otherwise. At
        what was there before it looks by its path: the search of all folders takes 20 ms.
        """
        self._epochs += 1
        if self._epochs & (self._epochs - 1):
            return ""
        for path, at in self._before.items():
            with suppress(OSError):  # gone meanwhile
                if path.stat().st_mtime_ns != at:
                    return self._told(path, REWRITTEN)
        new = (path for path in self._lately() if path not in _first[self._place])
        folder = next(filter(None, map(self._counted, new)), None)
        return self._told(folder, COMMON) if folder else ""

    def _counted(self, path: Path) -> Path | None:
        """The folder above a file that is named by a count or the time, with N for its numbers, so
        that all trials tell of it in the same words; None below a folder that one trial alone has.
        """
        folders = path.relative_to(self._place).parents
        if any(RANDOM.search(folder.name) for folder in folders):
            return None
        for folder in folders:
            if COUNTED.fullmatch(folder.name):
                return self._place / folder.with_name(NUMBER.sub("N", folder.name))
        return None

    def _told(self, path: Path, what: str) -> str:
        return (
            f"{path.relative_to(self._place)}, in the folder where all trials run, {what}; {WRITE}"
        )


def _saved_at(place: Path) -> dict[Path, int]:
    """Times of the last writing [ns] of the files of weights, by path."""
    times: dict[Path, int] = {}
    folders, looked_at = [str(place)], 0
    for _ in range(DEPTH + 1):
        deeper: list[str] = []
        for folder in folders[: FOLDERS - looked_at]:
            looked_at += 1
            for entry in _entries(folder):
                if _is_open_folder(entry):
                    deeper.append(entry.path)
                elif entry.name.endswith(SAVED):
                    with suppress(OSError):  # gone meanwhile
                        times[Path(entry.path)] = entry.stat().st_mtime_ns
        folders = sorted(deeper)
    return times


def _is_open_folder(entry: "os.DirEntry[str]") -> bool:
    is_open = not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
    return is_open and not os.path.exists(os.path.join(entry.path, OURS))


def _entries(folder: str) -> "Iterator[os.DirEntry[str]]":
    with suppress(OSError), os.scandir(folder) as entries:
        for _, entry in zip(range(ENTRIES), entries, strict=False):
            yield entry
