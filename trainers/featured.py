"""Seats for trials whose rows differ: one set of seats per choice of features and teacher.

Features (R54) change a row's inputs, a teacher (R52) adds its outputs. Rows of a choice are made
when its first trial comes, and dropped once another choice needs room.
"""

import json
from collections.abc import Callable
from typing import cast

from trainers.api import Checkpoint, Config, Data, Fusable, Key, Outcome, Pace, Seats
from trainers.features import widened, with_features
from trainers.teacher import teacher_of

PLAIN = ""  # the choice of the rows as they are
MARK = " rows "  # between a key's name and its choice


class FeaturedSeats:
    """`trainers.api.Seats`: a trial sits where the rows have its features."""

    def __init__(
        self, plain: Seats, data: Data, *, device: str, make: Callable[[Data], Seats]
    ) -> None:
        self._data, self._device, self._make = data, device, make
        self._seats: dict[str, Seats] = {PLAIN: plain}
        self._widths: dict[str, int] = {}  # features per row, by choice
        self._choices: dict[int, str] = {}  # by trial
        self.strategy = plain.strategy

    def admit(self, trial: int, *, config: Config, checkpoint: Checkpoint) -> None:
        """Seats a trial, with the rows and the number of inputs that its features give."""
        choice, own_config = self._prepared(config)
        self._choices[trial] = choice
        self._seats[choice].admit(trial, config=own_config, checkpoint=checkpoint)

    def step(self) -> list[Outcome]:
        """One epoch of every seat."""
        return [outcome for seats in self._seats.values() for outcome in seats.step()]

    def release(self, trial: int) -> None:
        """Frees the trial's seat."""
        choice = self._choices.pop(trial, None)
        if choice is not None:
            self._seats[choice].release(trial)

    def _prepared(self, config: Config) -> tuple[str, Config]:
        """The choice that a config makes, with its seats made, and the config for its rows."""
        choice = _choice_of(config)
        if choice == PLAIN:
            return PLAIN, config
        if config.get("features") and "inputs" not in (config.get("model") or {}):
            raise TypeError(
                "features: changes the number of inputs, which a model must take as model.inputs, "
                "but got a model without this key; add it, or say features=none"
            )
        if choice in self._seats:
            width = self._widths.get(choice)
            return choice, config if width is None else widened(config, width)
        own_config, data = prepared_rows(config, self._data, device=self._device)
        used = {PLAIN, *self._choices.values()}
        self._seats = {name: seats for name, seats in self._seats.items() if name in used}
        self._seats[choice] = self._opened(choice, data)
        if config.get("features"):
            self._widths[choice] = int(own_config["model"]["inputs"])
        return choice, own_config

    def _opened(self, choice: str, data: Data) -> Seats:
        return self._make(data)


class FeaturedFusable(FeaturedSeats):
    """`trainers.api.Fusable`: trials of one choice of features may share a program."""

    def __init__(
        self, plain: Seats, data: Data, *, device: str, make: Callable[[Data], Seats]
    ) -> None:
        super().__init__(plain, data, device=device, make=make)
        self._fused: set[tuple[str, str]] = set()  # choice and key

    def key(self, config: Config) -> Key:
        """The key of a training; its features are part of it."""
        choice, own_config = self._prepared(config)
        key = _fusable(self._seats[choice]).key(own_config)
        return key if choice == PLAIN else Key(name=f"{key.name}{MARK}{choice}", cause=key.cause)

    def measure(self, config: Config, *, trials: int | None) -> Pace:
        """Whether lanes are possible, and how fast they are."""
        choice, own_config = self._prepared(config)
        return _fusable(self._seats[choice]).measure(own_config, trials=trials)

    def fuse(self, key: str) -> None:
        """From now on, trials of this key share a program."""
        name, _, choice = key.partition(MARK)
        self._fused.add((choice, name))
        if choice in self._seats:
            _fusable(self._seats[choice]).fuse(name)

    def hear(self, trial: int, *, score: float) -> None:
        """The metric of a trial's last epoch, the higher the better."""
        choice = self._choices.get(trial)
        if choice is not None:
            _fusable(self._seats[choice]).hear(trial, score=score)

    def _opened(self, choice: str, data: Data) -> Seats:
        """Seats that know which of their keys are fused."""
        seats = super()._opened(choice, data)
        for fused, name in self._fused:
            if fused == choice:
                _fusable(seats).fuse(name)
        return seats


def _fusable(seats: Seats) -> Fusable:
    if not hasattr(seats, "fuse"):  # `isinstance` with a protocol takes 0.1 ms, in every epoch
        raise TypeError(f"{type(seats).__name__}: cannot train several trials as one program")
    return cast(Fusable, seats)


def prepared_rows(config: Config, data: Data, *, device: str) -> tuple[Config, Data]:
    """The rows of a trial: with its teacher's outputs, then with its features; and its config."""
    if teacher_of(config):
        # Imports torch, which a trainer of the user's own may not need.
        from trainers.distillation import with_teacher

        data = with_teacher(config, data, device=device)
    return with_features(config, data)


def _choice_of(config: Config) -> str:
    """What the rows of a trial depend on: teacher, steps, the train rows they are fitted on."""
    steps, teacher = config.get("features"), teacher_of(config)
    if not steps and not teacher:
        return PLAIN
    fraction = config["trainer"].get("fraction", 1.0)
    drawn = [fraction, config["seed"]] if steps and fraction != 1 else []
    return json.dumps([steps, teacher, *drawn])
