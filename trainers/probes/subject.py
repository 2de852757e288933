"""The training that is asked about: how it is trained on some of its rows, and a ramp of its rate.

Never judges.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from trainers.api import Config, Data, Part
from trainers.penalties import NAMES
from trainers.probes.limits import own_time
from trainers.probes.run import Run, some_rows, train, with_batch
from trainers.probes.steer import Steer

PATIENCE = 20.0  # seconds (`own_time`) that one training here may take
LOST, SURELY = 20.0, 1e4  # times the first losses: of several steps, of one
FIRST, LAST = 16, 11  # steps over which the first and the last losses are taken
UNSEEN = (
    "no step of a torch optimizer was seen in this process (a program, Keras and fastai step "
    "otherwise; fastai takes torch's by opt_func=partial(OptimWrapper, opt=torch.optim.Adam); "
    "without one leave the range test out: a sweep tries the range of its space)"
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The training that is asked about.

    `task`: classification | regression; `metric`: what it may report.
    """

    config: Config
    data: Data
    device: str
    folder: Path
    task: str
    metric: str = ""

    def train(self, data: Data, *, config: Config | None = None, **settings: Any) -> Run:
        """One training of it on these rows, as `run.train`; a batch is no larger than they are."""
        config = config or self.config
        batch = min(int(config["trainer"]["batch_size"]), len(data.train.index))
        return train(
            with_batch(config, batch), data=data, device=self.device, folder=self.folder, **settings
        )

    @property
    def batch(self) -> int:
        """Rows of a step, as the config says."""
        return int(self.config["trainer"]["batch_size"])

    @property
    def own_rate(self) -> float | None:
        """The learning rate of the config, where it has one at the usual place."""
        rate = self.config.get("optimizer", {}).get("lr")
        return float(rate) if isinstance(rate, int | float) else None

    def steps(self, data: Data) -> int:
        """Steps of an epoch, if the trainer heeds its batch size."""
        return max(1, -(-len(data.train.index) // self.batch))

    def sample(self, *, train: int, val: int) -> Data:
        """At most so many rows of either set, drawn at random, in their order."""
        return Data(train=_sample(self.data.train, train), val=_sample(self.data.val, val))


def patient(seconds: float = PATIENCE) -> Callable[[float], bool]:
    """Says when a training has taken long enough since its first step; loading takes no part."""
    ends: list[float] = []

    def enough(_: float) -> bool:
        now = own_time()
        ends[:] = ends or [now + seconds]
        return now > ends[0]

    return enough


def ramp(
    subject: Subject, data: Data, *, seed: int, rates: Sequence[float], plain: bool
) -> list[float]:
    """The loss of every step while the rate rises; it ends where the loss is lost.

    Fresh weights; nothing of it is kept (R31).

    Raises:
        RuntimeError: the training raised before its first step, or took none with a torch
            optimizer.
    """
    impatient, losses = patient(), list[float]()

    def lost(loss: float) -> bool:
        losses.append(loss)
        return is_lost(losses) or impatient(loss)

    steer = Steer(
        rate=lambda step: rates[min(step, len(rates) - 1)],
        own=subject.own_rate,
        plain=plain,
        most=len(rates),
        until=lost,
    )
    # Enough for a trainer whose epoch is one step, all rows at once; `most` ends the others.
    epochs = 2 + len(rates)
    config = _with_every_row({**subject.config, "seed": seed})
    run = subject.train(
        data,
        epochs=epochs,
        config=config,
        contexts=[steer],
        # of a training that no ramp reaches all those epochs would be trained for nothing
        stop=lambda run: run.trained > 1 and not steer.times,
    )
    if not steer.times and not (steer.losses and not math.isfinite(steer.losses[-1])):
        raise RuntimeError(run.error or UNSEEN)
    return steer.losses[: len(rates)]


def is_lost(losses: Sequence[float]) -> bool:
    """Whether the last loss is not finite, or the usual of the last steps far above the first ones.

    One batch alone can be far above: targets with a heavy tail have such batches at every rate.
    """
    first = list(map(abs, losses[:FIRST]))
    if not math.isfinite(losses[-1]) or losses[-1] > SURELY * median(first) + 1e-3:
        return True
    return len(losses) >= LAST and median(losses[-LAST:]) > LOST * fmean(first) + 1e-3


def is_cut(losses: Sequence[float], *, steps: int) -> bool:
    """Whether a ramp of so many steps ended before it lost the loss, or half of what it had won:
    where it ended then says nothing of the rate.
    """
    if len(losses) >= steps or not losses or is_lost(losses):
        return False
    if len(losses) < LAST:
        return True
    usual = [median(losses[end - LAST : end]) for end in range(LAST, len(losses) + 1)]
    return usual[-1] - min(usual) < (median(losses[:FIRST]) - min(usual)) / 2


def without_penalties(config: Config) -> Config:
    """Without the penalties and the augmentation in the config, on every row.

    What stands in the model is switched off by `Steer`.
    """
    config = _with_every_row(config)
    trainer = {**config["trainer"], **{key: None for key in NAMES if config["trainer"].get(key)}}
    constant = (
        {"schedule": {"_target_": None, "interval": "epoch"}} if config.get("schedule") else {}
    )
    return {**config, "trainer": trainer, "augment": None, **constant}


def _with_every_row(config: Config) -> Config:
    """Rows are a sample here already: a share of them (`trainer.fraction`, R55) would be little."""
    if not config["trainer"].get("fraction"):
        return config
    return {**config, "trainer": {**config["trainer"], "fraction": 1.0}}


def _sample(part: Part, most: int) -> Part:
    rows = len(part.index)
    if rows <= most:
        return part
    return some_rows(part, np.sort(np.random.default_rng(0).permutation(rows)[:most]))
