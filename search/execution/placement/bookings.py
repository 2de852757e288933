"""Which GPUs and CPUs of a node are taken, among all searches that run there.

A booking is a set of locked files on the node. The lock ends with the process that holds it, so
nothing stays booked after a kill. Used where a cluster's engine does not book GPUs itself, and by
searches with workers of one machine, which may share a GPU and say so.
"""

import fcntl
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote, unquote

GUARD = "guard"  # the file that is locked while a booking is made
PATIENCE = 10.0  # time that another booking may take [s]


@dataclass(frozen=True, kw_only=True)
class Share:
    """What somebody has taken of a resource. `holder`: who, in words."""

    resource: str
    size: Fraction
    holder: str


class Booking:
    """Shares that are taken until `release`, or until this process ends.

    Args:
        files: that are locked for them.
        gpus: their names.
    """

    def __init__(self, files: Mapping[Path, int], *, gpus: Sequence[str]) -> None:
        self._files, self.gpus = dict(files), tuple(gpus)

    def release(self) -> None:
        """Gives the shares back."""
        for path, descriptor in self._files.items():
            path.unlink(missing_ok=True)
            os.close(descriptor)
        self._files.clear()


class Bookings:
    """All bookings of a node. `folder`: where their files lie, the same for all searches."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir()) / "knobwise-bookings"

    def book(
        self,
        shares: Mapping[str, Fraction],
        *,
        gpus: Sequence[str] = (),
        number: int = 0,
        gpu_share: Fraction = Fraction(1),
    ) -> Booking | None:
        """Takes all that is asked for, or nothing.

        Args:
            shares: by resource, such as a node's CPUs, the share to take of it.
            gpus: those that may be taken; the freest ones are.
            number: of GPUs to take.
            gpu_share: to take of each.

        Returns:
            The booking; None where there is not enough.
        """
        with self._guarded():
            taken: dict[str, Fraction] = {}
            for share in self._shares():
                taken[share.resource] = taken.get(share.resource, Fraction(0)) + share.size
            fitting = [gpu for gpu in gpus if taken.get(gpu, 0) + gpu_share <= 1]
            chosen = sorted(fitting, key=lambda gpu: taken.get(gpu, Fraction(0)))[:number]
            wanted = {**shares, **dict.fromkeys(chosen, gpu_share)}
            enough = all(taken.get(name, 0) + size <= 1 for name, size in wanted.items())
            if len(chosen) < number or not enough:
                return None
            files = dict(self._lock_new(name, size, holder="") for name, size in wanted.items())
            return Booking(files, gpus=chosen)

    def join(self, gpus: Sequence[str], *, holder: str) -> tuple[Booking, list[Share]]:
        """Takes whole GPUs beside those who have them already, and returns what these have.

        `holder`: who takes them, in words for others.
        """
        with self._guarded():
            others = [share for share in self._shares() if share.resource in gpus]
            files = dict(self._lock_new(gpu, Fraction(1), holder=holder) for gpu in gpus)
            return Booking(files, gpus=gpus), others

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """One booking at a time on this node.

        Raises:
            TimeoutError: a process that stands still has it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # another user has made it
            self._folder.chmod(0o1777)
        path, deadline = self._folder / GUARD, time.monotonic() + PATIENCE
        guard = self._open(path)
        try:
            while not _has_locked(guard):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} is locked for {PATIENCE:g} s")
                time.sleep(0.01)
            yield
        finally:
            os.close(guard)

    def _shares(self) -> list[Share]:
        """All that is taken. Files that nobody has locked are removed."""
        shares = []
        for path in self._folder.glob("*@*"):
            with suppress(OSError):  # it is being released
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    if _has_locked(descriptor):
                        path.unlink()
                        continue
                    name, above, below, _ = path.name.split("@")
                    size = Fraction(int(above), int(below))
                    holder = path.read_text(encoding="utf-8")
                    shares.append(Share(resource=unquote(name), size=size, holder=holder))
                finally:
                    os.close(descriptor)
        return shares

    def _lock_new(self, name: str, size: Fraction, *, holder: str) -> tuple[Path, int]:
        share = f"{size.numerator}@{size.denominator}"
        path = self._folder / f"{quote(name, safe='')}@{share}@{uuid.uuid4().hex}"
        descriptor = self._open(path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        path.write_text(holder, encoding="utf-8")
        return path, descriptor

    def _open(self, path: Path) -> int:
        """A file that every user may lock."""
        with suppress(FileNotFoundError):  # made by whoever came first
            return os.open(path, os.O_RDONLY)
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
        with suppress(PermissionError):
            os.fchmod(descriptor, 0o666)
        return descriptor


def _has_locked(descriptor: int) -> bool:
    """Whether this process has the lock of a file now; False while another one has it."""
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
