"""A conductor with a thousand slots: its share of a core, and how long a report waits.

    python tests/benchmarks/many_slots.py [--slots 1000] [--epoch 5] [--trials 1000]
        [--recorded results/lr_sweep]

The conductor, its records and its sockets are real; the workers are one other process that speaks
for all of them and trains nothing. An epoch lasts as long as one of the search at `--recorded`,
drawn anew each time and scaled so that the median is `--epoch` seconds; 0: no time at all, for the
most epochs that a conductor takes. Without `--recorded`, durations are log-normal with a deviation
of 0.3.
"""

import argparse
import heapq
import math
import os
import random
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pandas as pd
import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))
from kit import environment

from search.config.settings import PlacementSettings
from search.execution import messages
from search.execution.end_reasons import END_AFTER, TrialEnd
from search.execution.link import Link
from search.execution.placement import Event, WorkerJoined
from search.execution.slots import Slot

EPOCHS = 20
DURATIONS = "MANY_SLOTS"  # the file of epochs' durations, for the process of the workers


class Simulated:
    """`search.execution.placement.Placement` whose workers are one process."""

    starts_early = rehearses = False

    def __init__(
        self, slots: Sequence[Slot], *, trainer: str, post: Callable[[Event], None]
    ) -> None:
        self._number, self._post = len(slots), post
        self._ends: list[Link] = []
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def slots(cls, settings: PlacementSettings, *, by_torch: bool) -> tuple[Slot, ...]:
        return tuple(Slot(number=n, gpu=None, threads=1) for n in range(int(settings.slots)))

    def start(self, slot: Slot) -> None:
        ours, theirs = (Link(end) for end in socket.socketpair())
        self._ends.append(theirs)
        self._post(WorkerJoined(slot=slot, connection=ours))
        if len(self._ends) == self._number:
            numbers = [end.descriptor() for end in self._ends]
            command = [sys.executable, __file__, "--workers", *map(str, numbers)]
            self._process = subprocess.Popen(command, pass_fds=numbers)
            for end in self._ends:
                end.close()

    def kill(self, slot: Slot) -> None:
        """Nobody is there."""

    def avoid(self, node: str) -> bool:
        return False

    def close(self, *, grace: float) -> None:
        if self._process is not None:
            self._process.wait(30)


class Workers:
    """All workers, in the process that speaks for them. `durations`: of epochs [s]."""

    def __init__(self, descriptors: Sequence[int], *, durations: Sequence[float]) -> None:
        self._durations, self._random = durations, random.Random(0)
        self._selector = selectors.DefaultSelector()
        for descriptor in descriptors:
            link = Link(socket.socket(fileno=descriptor))
            self._selector.register(link.socket, selectors.EVENT_READ, link)
        self._links = [key.data for key in self._selector.get_map().values()]
        self._due: list[tuple[float, int, Link, int, int]] = []  # ends of epochs
        self._asked: dict[Link, tuple[float, int, int]] = {}  # when, trial, epoch
        self._waits: list[float] = []
        self._conductor = psutil.Process(os.getppid())
        self._begun = (0.0, 0.0)
        self._trials = 0

    def serve(self) -> None:
        """Until the conductor has no more work."""
        for link in self._links:
            link.send(messages.Hello(pid=os.getpid()))
        while self._links:
            rest = self._due[0][0] - time.monotonic() if self._due else 1.0
            for key, _ in self._selector.select(max(0.0, rest)):
                self._listen(key.data)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, link, trial, epoch = heapq.heappop(self._due)
                self._report(link, trial, epoch)
        self._print()

    def _listen(self, link: Link) -> None:
        received, is_open = link.poll()
        for message in received:
            match message:
                case messages.Setup():
                    link.send(messages.AskForWork(room=1, wants_candidates=False))
                case messages.Settled(answers=answers) if link in self._asked:
                    self._obey(link, answers)
                case messages.Work(trials=[trial]):
                    self._begun = self._begun if self._trials else self._now()
                    self._trials += 1
                    link.send(messages.TrialBegun(trial=trial.trial, epoch=0, strategy="alone"))
                    self._train(link, trial.trial, 1)
                case messages.Quit():
                    is_open = False
        if not is_open:
            self._selector.unregister(link.socket)
            self._links.remove(link)

    def _train(self, link: Link, trial: int, epoch: int) -> None:
        seconds = self._random.choice(self._durations)
        entry = (time.monotonic() + seconds, link.descriptor(), link, trial, epoch)
        heapq.heappush(self._due, entry)

    def _report(self, link: Link, trial: int, epoch: int) -> None:
        values = dict.fromkeys(("train_loss", "val_loss"), 1 / epoch)
        value = self._random.random()
        self._asked[link] = (time.monotonic(), trial, epoch)
        link.send(
            messages.EpochTrained(
                trial=trial,
                epoch=epoch,
                value=value,
                values={**values, "accuracy": value},
                seconds=0.0,
                source="reported",
            )
        )
        link.send(messages.Settle(room=0, wants_candidates=False))

    def _obey(self, link: Link, answers: dict[int, messages.Answer]) -> None:
        asked_at, trial, epoch = self._asked.pop(link)
        self._waits.append(time.monotonic() - asked_at)
        end = END_AFTER.get(answers[trial].decision)
        if end is None and epoch < EPOCHS:
            self._train(link, trial, epoch + 1)
            return
        self._ended = self._now()
        link.send(messages.TrialEnded(trial=trial, end=end or TrialEnd.COMPLETE))
        link.send(messages.AskForWork(room=1, wants_candidates=False))

    def _now(self) -> tuple[float, float]:
        """The time, and the conductor's processor time [s]."""
        used = self._conductor.cpu_times()
        return time.monotonic(), used.user + used.system

    def _print(self) -> None:
        wall, used = (end - begin for begin, end in zip(self._begun, self._ended, strict=True))
        waits, epochs = sorted(self._waits), len(self._waits)
        print(
            f"{self._trials} trials, {epochs} epochs in {wall:.1f} s: {epochs / wall:.0f} epochs/s;"
            f" {used / wall:.0%} of a core, {used / epochs * 1000:.2f} ms an epoch; "
            f"answers after {waits[epochs // 2] * 1000:.1f} ms (50 %), "
            f"{waits[epochs * 99 // 100] * 1000:.1f} ms (99 %)",
            flush=True,
        )


def durations(epoch: float, recorded: Path | None) -> list[float]:
    """Of epochs, with a median of `epoch` [s]."""
    if recorded is None:
        shape = [math.exp(random.Random(n).gauss(0, 0.3)) for n in range(1000)]
    else:
        curves = pd.read_parquet(recorded / "curves.parquet")
        shape = curves[curves.epoch > 0].seconds.tolist()
    return [each / median(shape) * epoch for each in shape]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--epoch", type=float, default=5.0)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--recorded", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workers:
        shape = [float(word) for word in Path(os.environ[DURATIONS]).read_text().split()]
        Workers(options.workers, durations=shape).serve()
        return
    least = 3 * options.slots + 100
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (least, max(least, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "durations"
        file.write_text(" ".join(map(str, durations(options.epoch, options.recorded))))
        command = [
            *(sys.executable, "-m", "search", "own_trainer", "placement=local", "lanes=off"),
            *("placement._target_=many_slots.Simulated", f"placement.slots={options.slots}"),
            *("trainer._target_=toys.quiet", f"trainer.epochs={EPOCHS}", "trainer.patience=null"),
            *("protocol.extend=0", "protocol.refine=0", "rehearse=false"),
            *("space.optimizer.lr.points=4", f"seeds={options.trials // 4}"),
        ]
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(PYTHONPATH=path, **{DURATIONS: str(file)}),
            capture_output=True,
            text=True,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if "epochs/s" in line]
        print(f"{options.slots} slots:", *(lines or [done.stdout[-2000:], done.stderr[-2000:]]))


if __name__ == "__main__":
    main()
