"""What a search shows while it runs: a live view on a terminal, elsewhere a line per trial."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from search.config.counted import count
from search.config.knobs import Value, assigned, is_number, short_names
from search.config.plan import Plan
from search.config.text import one_line
from search.execution.callbacks import Callback
from search.execution.early_stopping import EarlyStopping
from search.execution.pace import RecentEpochs, duration, epochs_left, seconds_left
from search.execution.slots import Slot
from search.execution.terminal import Line, Terminal, aligned
from search.stages.joint import CONFIRM
from search.stages.kinds import kind_of
from search.storage.logs import as_seen_from_here
from search.storage.trials import ENDED_BY_ERROR, EpochRecord, TrialRecord, TrialSpec

Rows = Sequence[TrialRecord]
WIDE = 110  # columns from which knobs stand beside their trial, not below it


@dataclass
class _RunningLine:
    """One running trial as it is shown; losses are None until the trainer reports them."""

    spec: TrialSpec
    epoch: int = 0
    train_loss: float | None = None
    val_loss: float | None = None
    best: float | None = None


@dataclass
class _SlotLines:
    """The trials of one slot, by number, and when its last epochs were recorded."""

    label: str
    running: dict[int, _RunningLine] = field(default_factory=dict)
    epochs: RecentEpochs = field(default_factory=RecentEpochs)


class ShownProgress(Callback):
    """For a person. `rows`: trials of earlier runs; `borrowed`: those of earlier stages."""

    def __init__(self, plan: Plan, *, rows: Rows, borrowed: Rows = (), console: Terminal) -> None:
        self._plan, self._console = plan, console
        self._names = short_names([knob.path for knob in plan.knobs])
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
        )
        done = sum(row.finished for row in rows)
        self._task = self._bar.add_task(one_line(plan.name), total=None, completed=done, left="")
        self._slots: dict[int, _SlotLines] = {}
        self._total = self._grown_by = self._ended = self._epochs_ended = self._epochs = 0
        self._tried = [row.spec for row in (*borrowed, *rows) if row.finished]
        self._best: TrialRecord | None = None
        self._began: float | None = None
        self._told = set[str]()
        self._live = (
            Live(self, console=console, refresh_per_second=4, transient=True)
            if console.is_interactive
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
        self._bar.update(self._task, left=self._time_left())
        return Group(self._bar, self._table(), self._footer())

    def foreseen(self, total: int) -> None:
        """There will be so many trials in all, as far as can be foreseen."""
        if self._ended:
            self._grown_by += total - self._total
        self._total = total
        self._bar.update(self._task, total=total)

    def began(self, slot: Slot, spec: TrialSpec) -> None:
        """A trial begins."""
        if self._grown_by > 0:
            reason = growth_reason(spec, self._tried, adaptive=kind_of(self._plan).adaptive)
            self.note(f"{count(self._grown_by, 'more trial')}, {self._total} in all: {reason}")
        self._grown_by = 0
        self._tried.append(spec)
        self._began = self._began or time.monotonic()
        lines = self._slots.setdefault(slot.number, _SlotLines(f"{slot.number} {slot.label}"))
        lines.running[spec.trial] = _RunningLine(spec)

    def heard(self, slot: Slot, early_stopping: EarlyStopping, record: EpochRecord) -> None:
        """An epoch has been recorded."""
        lines = self._slots[slot.number]
        line = lines.running.get(record["trial"])
        if line is not None:
            self._epochs += 1
            lines.epochs.add(time.monotonic())
            line.epoch, line.best = record["epoch"], early_stopping.value
            line.train_loss, line.val_loss = record.get("train_loss"), record.get("val_loss")

    def left(self, slot: Slot, spec: TrialSpec) -> None:
        """The trial is no longer there."""
        if slot.number in self._slots:
            self._slots[slot.number].running.pop(spec.trial, None)

    def finished(self, row: TrialRecord, records: Sequence[EpochRecord]) -> None:
        """A trial has its row."""
        self._ended += 1
        self._epochs_ended += row.epochs
        if row.value is not None and (
            self._best is None
            or self._best.value is None
            or self._plan.metric.better(row.value, self._best.value)
        ):
            self._best = row
        self._bar.advance(self._task)
        failed = row.state in ENDED_BY_ERROR
        reason = as_seen_from_here(row.reason, self._plan.folder)
        *what, why = re.split("[:;] ", reason, maxsplit=1)
        if what and why in self._told and row.value is not None:  # such as patience: once is enough
            (reason,) = what
        self._told.add(why)
        if self._live is None:
            result = (
                f"{self._plan.metric.name} {row.value:.4g} at epoch {row.best_epoch}"
                if row.value is not None
                else row.state
            )
            count = f"[{int(self._bar.tasks[0].completed)}/{self._total}] trial {row.spec.trial}"
            knobs = shown_knobs(row.spec.knobs, self._plan)
            about = f"{knobs}  seed {row.spec.seed}".lstrip()
            self.note(f"{count}  {about}  {result}  {row.seconds:.1f} s  {reason}".rstrip())
        elif failed:
            self.note(f"trial {row.spec.trial} {row.state}: {reason}", style="red")

    def note(self, text: str, *, style: str = "") -> None:
        """Something worth a line."""
        self._console.say(text, style=style)

    def _time_left(self) -> str:
        """The time left, by the epochs trained since this run's first trial began."""
        running = [line for lines in self._slots.values() for line in lines.running.values()]
        reached = [line.epoch for line in running]
        epochs = epochs_left(
            trained=self._epochs_ended + sum(reached),
            ended=self._ended,
            running=reached,
            waiting=self._total - int(self._bar.tasks[0].completed) - len(running),
            most=self._plan.most_epochs,
        )
        spent = time.monotonic() - self._began if self._began is not None else 0.0
        seconds = seconds_left(epochs, trained=self._epochs, seconds=spent)
        return f"{duration(max(seconds, 1.0))} left" if seconds is not None and running else ""

    def _table(self) -> Group:
        """A line per slot; on a narrow terminal its knobs stand below it."""
        wide = self._console.width >= WIDE
        header = ["slot", "trial", "epoch", "train loss", "val loss", "best"]
        rows = []
        for _, lines in sorted(self._slots.items()):
            if lines.running:
                cells, knobs = _cells(lines, self._plan, names=self._names)
                beside = [knobs] if wide else []
                rows.append(Line(cells=[*cells, *beside], below="" if wide else knobs))
        header += ["knobs"] if wide else []
        return aligned(header, rows, left=("slot", "knobs"))

    def _footer(self) -> Text:
        best, metric = self._best, self._plan.metric.name
        if best is not None:
            knobs = shown_knobs(best.spec.knobs, self._plan, names=self._names)
            text = f"best so far: {metric} {best.value:.4g}, trial {best.spec.trial}: {knobs}"
            text = text.removesuffix(": ")
            return Text(one_line(text), style="green", no_wrap=True, overflow="ellipsis")
        if self._ended:
            return Text(f"{self._ended} ended, none usable yet", style="yellow")
        if self._began is None:
            return Text("waiting for the workers: they import torch and the trainer", style="dim")
        return Text("no trial has ended yet", style="dim")


def _cells(lines: _SlotLines, plan: Plan, *, names: Mapping[str, str]) -> tuple[list[str], str]:
    """A slot's cells, and its knobs: of its one trial, or of all that train as one program.

    Of several trials the losses are means, and the best value is that of the best of them.
    """
    running = list(lines.running.values())
    first, several = running[0], len(running) > 1
    trials = f"{min(lines.running)}–{max(lines.running)}" if several else str(first.spec.trial)
    reached = [line.epoch for line in running]
    epoch = f"{min(reached)}–{max(reached)}" if min(reached) < max(reached) else str(reached[0])
    train = _mean([line.train_loss for line in running])
    val = _mean([line.val_loss for line in running])
    values = [line.best for line in running if line.best is not None]
    best = (max if plan.metric.direction == "maximize" else min)(values, default=None)
    if several:
        pace = f", {lines.epochs.pace:.3g} epochs/s" if lines.epochs.pace else ""
        knobs = f"{len(running)} lanes{pace}; mean losses, best of all"
    else:
        knobs = shown_trial(first.spec, plan, names=names)
    most = max(plan.epochs_of(line.spec.knobs) for line in running)
    return [lines.label, trials, f"{epoch}/{most}", *map(_number, (train, val, best))], knobs


def growth_reason(spec: TrialSpec, tried: Sequence[TrialSpec], *, adaptive: bool) -> str:
    """Why a search wants more trials than it first did, by the first of them and those tried."""
    if all(spec.stage != other.stage for other in tried):
        return f"the stage {spec.stage} begins"
    if spec.stage == CONFIRM:
        confirmed = [other.knobs for other in tried if other.stage == spec.stage]
        return "more seeds decide" if spec.knobs in confirmed else "further leaders may win"
    if adaptive:
        return "the sampler goes on"
    if spec.seed > min(other.seed for other in tried):  # a new value begins with the first seed
        return "more seeds of values that were tried"
    for path, value in spec.knobs.items():
        known = [number for other in tried if is_number(number := other.knobs.get(path))]
        if not known or not is_number(value) or value in known:
            continue
        if min(known) < value < max(known):
            return f"values of {path} closer to the best (R30)"
        return f"the best {path} lies at the edge, so the range is extended (P2)"
    return "more seeds of values that were tried"


def shown_trial(spec: TrialSpec, plan: Plan, *, names: Mapping[str, str] | None = None) -> str:
    """Its knobs, as `shown_knobs` shows them, and its seed."""
    return f"{shown_knobs(spec.knobs, plan, names=names)} seed {spec.seed}".lstrip()


def shown_knobs(
    knobs: Mapping[str, Value], plan: Plan, *, names: Mapping[str, str] | None = None
) -> str:
    """`optimizer.lr=0.1 …`; with `names`, those in place of the paths.

    A trial that turns nothing is the baseline; of one training, which compares nothing, no word.
    """
    named = {(names or {}).get(path, path): value for path, value in knobs.items()}
    shown = " ".join(map(one_line, assigned(named)))
    return shown or ("" if plan.kind == "train" else "the baseline")


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
