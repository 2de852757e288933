"""The stock trainer: torch's own model, loss, optimizer and schedule classes, named by `_target_`.

Trainings of one key that share a program sit in a group of lanes (`vmap`); every other training
runs by itself (`loop`). The worker decides which. Knows no metric.
"""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from trainers.api import (
    Checkpoint,
    Config,
    Data,
    Disruption,
    End,
    Epoch,
    Failure,
    Key,
    Outcome,
    Pace,
    Values,
)
from trainers.build import Built, made, on_device, plain_loss, seeded, soft_outputs
from trainers.dry_run import rehearse
from trainers.features import with_features
from trainers.lanes.admission import admitted
from trainers.lanes.group import Group
from trainers.lanes.key import Unfusable, fusion_key
from trainers.lanes.lane import lane_of
from trainers.lanes.pace import measure
from trainers.lanes.program import Program
from trainers.replay import LONG, first_bad
from trainers.seat import EVALUATION_ROWS, Seat
from trainers.sequences import as_yielded, outputs_of, own_shape
from trainers.teacher import teacher_of


class Stock:
    """Seats for trials on the same data. `trainers.api.Fusable`. `sets`: train and validation."""

    strategy = "loop"

    def __init__(self, *, data: Data, device: str) -> None:
        self._device = torch.device(device)
        self.sets = on_device(data.train, self._device), on_device(data.val, self._device)
        self._soft = soft_outputs(data.train, self._device)
        self._rows = len(self.sets[0][0])
        self._seats: dict[int, Seat] = {}
        self._groups: dict[str, Group] = {}
        self._fused: set[str] = set()
        self._admitted: dict[int, tuple[Config, Checkpoint]] = {}
        # the config whose key was last asked for, and what was built for it
        self._asked: tuple[Config, Built, Key] | None = None

    rehearse = staticmethod(rehearse)

    # Lanes

    def key(self, config: Config) -> Key:
        """What trainings have in common that may share a program.

        Raises:
            TypeError: it cannot be built.
        """
        built = seeded(config, int(config["seed"]), self._device)
        cause = _rows_of_its_own(config) or own_shape(self.sets[0])
        key = (
            Key(name=f"alone: {cause}", cause=cause)
            if cause
            else _key(*built, batch=self._batch(config), rows=self._rows)
        )
        self._asked = config, built, key  # who asks for it is most often seated next
        return key

    def measure(self, config: Config, *, trials: int | None) -> Pace:
        """Whether lanes of this key give what plain training gives, and what they save; seconds."""
        batch = self._batch(config)
        try:
            program = admitted(config, sets=self.sets, batch=batch, device=self._device)
        except Unfusable as cause:
            return Pace(cause=str(cause))
        if trials is None:
            return Pace()
        return measure(
            program, config, sets=self.sets, batch=batch, device=self._device, trials=trials
        )

    def fuse(self, key: str) -> None:
        """From now on, trials of this key sit in lanes."""
        self._fused.add(key)

    # Seats

    def admit(self, trial: int, *, config: Config, checkpoint: Checkpoint) -> None:
        """Builds the trial's model, loss, optimizer and schedule from its config and seed."""
        self._admitted[trial] = config, checkpoint
        if not self._fused:
            self._seats[trial] = self._seat(config, checkpoint)
            return
        if self._asked is None or self._asked[0] is not config:
            self.key(config)
        assert self._asked is not None
        (_, (model, loss, optimizer), fusion), self._asked = self._asked, None
        key, batch = fusion.name, self._batch(config)
        if key not in self._fused:
            self._seats[trial] = self._seat(config, checkpoint)
            return
        if key not in self._groups:
            x, y = (tensor[:batch] for tensor in self.sets[0])
            program = Program(
                model, loss, optimizer, plain=plain_loss(config, loss, self._device), x=x, y=y
            )
            self._groups[key] = Group(program, sets=self.sets, batch=batch)
        steps = -(-self._rows // batch)
        lane = lane_of(
            trial,
            config,
            model=model,
            loss=loss,
            optimizer=optimizer,
            steps=steps,
            checkpoint=checkpoint,
        )
        self._groups[key].admit(lane, model, optimizer)

    def _seat(self, config: Config, checkpoint: Checkpoint) -> Seat:
        return Seat(
            config, sets=self.sets, soft=self._soft, device=self._device, checkpoint=checkpoint
        )

    def step(self) -> list[Outcome]:
        """One epoch of every seat; the untrained model counts as epoch 0."""
        begun = time.monotonic()
        outcomes = [self._step(trial, seat) for trial, seat in self._seats.items()]
        for group in self._groups.values():
            outcomes += _stepped(group)
        ended = time.monotonic()
        return [self._explained(outcome, pace=ended - begun, since=ended) for outcome in outcomes]

    def hear(self, trial: int, *, score: float) -> None:
        """The metric of a trial's last epoch, the higher the better."""
        if trial in self._seats:
            self._seats[trial].hear(score)
        for group in self._groups.values():
            group.hear(trial, score=score)

    def release(self, trial: int) -> None:
        """Forgets the trial's model."""
        self._seats.pop(trial, None)
        self._admitted.pop(trial, None)
        for group in self._groups.values():
            if trial in group.trials:
                group.release(trial)

    def _batch(self, config: Config) -> int:
        return min(int(config["trainer"]["batch_size"]), self._rows)

    def _explained(self, outcome: Outcome, *, pace: float, since: float) -> Outcome:
        """Adds to an epoch without a finite loss which tensor was the first to fail (R20).

        Such an epoch is the last of its trial. The worker sends nothing meanwhile, so it must not
        take long: `pace` in seconds per epoch; `since` when the replay began.
        """
        if (
            not isinstance(outcome, Epoch)
            or outcome.epoch == 0
            or outcome.trial not in self._admitted
        ):
            return outcome
        if all(math.isfinite(outcome.values[name]) for name in ("train_loss", "val_loss")):
            return outcome
        config, checkpoint = self._admitted.pop(outcome.trial)
        if not config["trainer"].get("replay", True):
            return outcome
        of_seat = outcome.trial in self._seats  # the replay is a seat, which reads no lane's state
        longest = min(LONG, float(config["trainer"].get("epoch_timeout") or math.inf) / 4)
        left = longest - (time.monotonic() - since)
        remark = first_bad(
            config,
            sets=self.sets,
            soft=self._soft,
            device=self._device,
            folder=checkpoint.folder if of_seat else None,
            epoch=outcome.epoch,
            most=int(left / max(pace, 1e-9)),
        )
        if not remark:
            return outcome
        return replace(outcome, values={**outcome.values, "remark": remark})

    def _step(self, trial: int, seat: Seat) -> Outcome:
        try:
            values = seat.next_epoch()
        except Exception as error:  # noqa: BLE001  # a user's model may raise anything
            return Failure(trial=trial, error=error)
        if values is None:
            return End(trial=trial)
        return Epoch(trial=trial, epoch=seat.epoch, values=values)


def warm() -> None:
    """Makes an optimizer while the worker waits for work: torch's first one imports for 0.7 s.

    Starts no threads and touches no GPU: a worker is forked after it.
    """
    torch.optim.SGD([nn.Parameter(torch.zeros(1))])


def _stepped(group: Group) -> list[Outcome]:
    """A group's epoch. What its one program raises is one lane's failure only where it is alone."""
    ended = group.finished()
    staying = [trial for trial in group.trials if trial not in ended]
    kind = Failure if len(staying) == 1 else Disruption
    outcomes: list[Outcome] = [End(trial=trial) for trial in ended]
    try:
        return [*outcomes, *group.step()]
    except Exception as error:  # noqa: BLE001  # as in a seat
        return [*outcomes, *(kind(trial=trial, error=error) for trial in staying)]


def _rows_of_its_own(config: Config) -> str:
    """Why a training cannot share a program's rows, or nothing."""
    if (config.get("augment") or {}).get("_target_"):
        return "its rows are augmented"
    if teacher_of(config):
        return "it learns from a teacher"
    if config["loss"].get("heads"):
        return "it has several heads"
    if config["trainer"].get("balance"):
        return "its rows are drawn by class"
    return "it trains on a share of the rows" if config["trainer"].get("fraction", 1.0) != 1 else ""


def _key(*built: Any, batch: int, rows: int) -> Key:
    try:
        return Key(name=fusion_key(*built, batch=batch, rows=rows))
    except Unfusable as cause:
        return Key(name=f"alone: {cause}", cause=str(cause))


def predict(config: Config, data: Data, device: str, weights: Path) -> Values:
    """`trainers.api.Predict` of the stock trainer.

    Logits [n_test, classes, …], numbers [n_test, outputs], or labels of target sequences.
    """
    if data.test is None:
        raise ValueError("predict: needs data.test, but got None; open the test set first")
    config, data = with_features(config, data)
    assert data.test is not None
    model: nn.Module = made(config, "model").to(device)
    model.load_state_dict(load_file(weights, device=device))
    model.eval()
    rows = on_device(data.test, torch.device(device))
    parts = zip(*(torch.split(part, EVALUATION_ROWS) for part in rows), strict=True)
    with torch.no_grad():
        outputs = torch.cat(
            [outputs_of(model, tuple(tensor.clone() for tensor in part)) for part in parts]
        )
    return {
        **as_yielded(made(config, "loss").to(device), outputs, rows[2:]),
        "parameters": sum(p.numel() for p in model.parameters()),
    }
