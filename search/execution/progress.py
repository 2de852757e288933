"""What a search shows while it runs: bars and a line per slot on a terminal, one plain line per finished trial elsewhere."""

import os
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:  # what shows the first line of a command must not take long to import
    from search.config.plan import Plan
    from search.execution.early_stopping import EarlyStopping
    from search.execution.slots import Slot
    from search.storage.trials import TrialRecord, TrialSpec

RECENT = 200  # epochs of a slot that its pace is told by


class Terminal(Console):
    """Standard output; a reader that has gone, as in `… | head`, silences it and does not end the search."""

    def on_broken_pipe(self) -> None:
        """Called by rich when a write has failed."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def say(self, text: str) -> None:
        """A line as it is: no markup in it, never broken."""
        self.print(text, markup=False, highlight=False, soft_wrap=True)


class ShownProgress:
    """`search.execution.callbacks.Callback` for a person. `done`: trials finished in earlier runs."""

    def __init__(self, plan: "Plan", *, done: int, console: Console) -> None:
        self._plan, self._console = plan, console
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._task = self._bar.add_task(plan.name, total=None, completed=done, left="")
        self._lines: dict[int, dict[int, dict[str, str]]] = {}  # by slot and trial
        self._epochs: dict[int, deque[float]] = {}  # when a slot's last ones were recorded
        self._seconds: list[float] = []
        self._best: TrialRecord | None = None
        self._began = time.monotonic()
        self._live = (
            Live(self, console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> "ShownProgress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __rich__(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for column in (
            "slot",
            "trial",
            "knobs",
            "epoch",
            "train loss",
            "val loss",
            f"best {self._plan.metric.name}",
        ):
            table.add_column(column, no_wrap=True)
        for slot, lines in sorted(self._lines.items()):
            if len(lines) == 1:
                table.add_row(*next(iter(lines.values())).values())
            elif lines:
                table.add_row(*self._company(slot, lines))
        best = self._best
        incumbent = (
            f"best so far: {best.value:.4g}  trial {best.ask.trial}  {shown_knobs(best.ask)}"
            if best is not None
            else "no trial has ended yet"
        )
        return Group(self._bar, table, incumbent)

    def foreseen(self, total: int) -> None:
        """There will be so many trials in all, as far as can be told."""
        self._bar.update(self._task, total=total)

    def began(self, slot: "Slot", ask: "TrialSpec") -> None:
        """A trial sits down."""
        self._epochs.setdefault(slot.number, deque(maxlen=RECENT))
        self._lines.setdefault(slot.number, {})[ask.trial] = {
            "slot": f"{slot.number} {slot.label}", "trial": str(ask.trial), "knobs": f"{shown_knobs(ask)} seed {ask.seed}",
            "epoch": "", "train": "", "val": "", "best": "",
        }  # fmt: skip

    def heard(self, slot: "Slot", early_stopping: "EarlyStopping", record: dict[str, Any]) -> None:
        """An epoch has been recorded."""
        line = self._lines.get(slot.number, {}).get(record["trial"])
        if line is not None:
            self._epochs[slot.number].append(time.monotonic())
            line["epoch"] = f"{record['epoch']}/{self._plan.epochs}"
            line["train"], line["val"] = (
                _number(record.get("train_loss")),
                _number(record.get("val_loss")),
            )
            line["best"] = _number(early_stopping.value)

    def left(self, slot: "Slot", ask: "TrialSpec") -> None:
        """The trial is no longer there."""
        self._lines.get(slot.number, {}).pop(ask.trial, None)

    def _company(self, slot: int, lines: dict[int, dict[str, str]]) -> list[str]:
        """Several trials of one worker in one line: `16 lanes · 41 epochs/s`."""
        times = self._epochs[slot]
        pace = (
            (len(times) - 1) / (times[-1] - times[0])
            if len(times) > 1 and times[-1] > times[0]
            else 0.0
        )
        first = next(iter(lines.values()))
        trials = f"{min(lines)}–{max(lines)}"
        return [
            first["slot"],
            trials,
            f"{len(lines)} lanes · {pace:.0f} epochs/s",
            first["epoch"],
            "",
            "",
            "",
        ]

    def finished(self, row: "TrialRecord") -> None:
        """A trial has its row."""
        self._seconds.append(row.seconds)
        better = row.value is not None and (
            self._best is None
            or self._best.value is None
            or self._plan.metric.better(row.value, self._best.value)
        )
        if better:
            self._best = row
        self._bar.advance(self._task)
        task = self._bar.tasks[0]
        missing = int((task.total or 0) - task.completed)
        pace = (time.monotonic() - self._began) / len(self._seconds)
        self._bar.update(self._task, left=f"{duration(missing * pace)} left" if missing else "")
        if self._live is None:
            told = (
                f"{self._plan.metric.name} {row.value:.4g} at epoch {row.best_epoch}"
                if row.value is not None
                else row.state
            )
            count = f"[{int(task.completed)}/{int(task.total or 0)}] trial {row.ask.trial}"
            self.note(
                f"{count}  {shown_knobs(row.ask)}  seed {row.ask.seed}  {told}  {row.seconds:.1f} s  {row.reason}".rstrip()
            )
        elif row.state in ("failed", "lost"):
            self.note(f"trial {row.ask.trial} {row.state}: {row.reason}")

    def note(self, text: str) -> None:
        """Something worth a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def shown_knobs(ask: "TrialSpec") -> str:
    """`optimizer.lr=0.1 …`."""
    return " ".join(f"{path}={value}" for path, value in ask.knobs.items())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds in words."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )
