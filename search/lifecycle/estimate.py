"""How long an epoch takes here, by training one in a folder that is thrown away.

Never writes results.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import heapreplace
from pathlib import Path

from search.config.knob_parts import EPOCHS
from search.config.knobs import as_number, is_number, written
from search.config.plan import Plan, check_task
from search.config.tune_settings import TuneSettings
from search.contract.contract import prepare
from search.errors import RunError
from search.execution.dry_run import dry_run
from search.execution.terminal import Terminal
from search.lifecycle.run_stage import train_apart
from search.protocols.history import BATCH
from search.storage.curves import followed, read_curves
from search.storage.folder import Folder
from search.storage.logs import log_tail

DEARER = ("model.width", "model.depth", EPOCHS)  # parts whose greater values take longer
SHORT = 60.0  # seconds; in a longer first epoch, what a trainer does once does not show


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds.

    `startup`: everything before the first trained epoch: the time of epoch 0 where the trainer
    tells it, else what the first epoch takes longer than the second. `per_trial`: whether each
    trial takes it, as a program does; else each worker.
    """

    startup: float
    epoch: float
    per_trial: bool = False

    def search(self, *, epochs: Sequence[int], slots: int) -> float:
        """Seconds of trials of so many epochs, each on the first free slot, none stopped (R15a)."""
        once, each = (0.0, self.startup) if self.per_trial else (self.startup, 0.0)
        loads = [once] * slots
        for most in epochs:
            heapreplace(loads, loads[0] + each + self.epoch * most)
        return max(loads)


def dearer_knobs(plan: Plan) -> str:
    """The knobs by which a trial may take longer than the baseline, and how far they go; epochs of
    a single stage are left out, as each trial's own are counted.
    """
    settings, named = plan.settings, list[str]()
    about = [knob for knob in plan.knobs if knob.path != EPOCHS]
    parts: Mapping[str, str] = {}
    if isinstance(settings, TuneSettings):
        about, parts = [knobs[0] for knobs in settings.spaces.values()], settings.parts
    for knob in about:
        value, part = plan.default(knob), parts.get(knob.path) or knob.path
        if knob.choices or not is_number(value):
            continue
        if (knob.group == "capacity" or part in DEARER) and knob.high > as_number(value):
            named.append(f"{knob.path} up to {written(knob.typed(knob.high))}")
        elif part == BATCH and knob.low < as_number(value):
            named.append(f"{knob.path} down to {written(knob.typed(knob.low))}")
    return ", ".join(named)


def measure_epoch(plan: Plan) -> Measured:
    """Trains the baseline for one epoch in a worker of its own; for two where the first one may
    hold what is done once, such as imports.

    Raises:
        UsageError: the data do not fit the config, the trainer cannot be built, or a knob has no
            effect.
        RunError: the training failed; its log's end is told.
    """
    check_task(plan)
    seconds = _seconds(plan, epochs=1)
    if 0 in seconds or seconds[1] > SHORT or plan.epochs < 2:
        startup, epoch = seconds.get(0, 0.0), seconds[1]
    else:
        seconds = _seconds(plan, epochs=2)
        epoch = seconds.get(2, seconds[1])
        startup = max(0.0, seconds[1] - epoch)
    return Measured(startup=startup, epoch=epoch, per_trial=plan.program)


def _seconds(plan: Plan, *, epochs: int) -> dict[int, float]:
    """How long each epoch took [s]."""
    with dry_run(plan):
        prepared = prepare(plan.config, metric=plan.metric)
    with tempfile.TemporaryDirectory(prefix="knobwise-") as scratch:
        folder = Folder(Path(scratch) / plan.name)
        with folder.locked():
            folder.begin(prepared, plan.config)
        contract = prepared.contract
        del prepared  # and the test rows with it (R8)
        row = train_apart(
            plan,
            folder,
            contract,
            config=plan.config,
            last_epoch=epochs,
            console=Terminal(quiet=True),
        )
        curves = followed(read_curves(folder.curve_log, folder.curves, metric=plan.metric.name))
        if not len(curves[curves.epoch == 1]):
            raise RunError(
                f"the baseline must train for one epoch, but it has not: {row.reason}; mend it, "
                f"then give the command again\n{log_tail(folder.logs / '0.log')}",
                code="baseline-cannot-be-trained",
            )
    return {
        int(epoch): float(value) for epoch, value in zip(curves.epoch, curves.seconds, strict=True)
    }
