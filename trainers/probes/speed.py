"""How long a step takes, and what it keeps in memory, by batch size (P6).

Measures; never judges.
"""

import math
from functools import partial

import numpy as np
import torch

from trainers.api import Config, Data
from trainers.probes.answers import Speed, StepTime
from trainers.probes.run import Run, with_batch
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient

BATCHES = (16, 32, 64, 128, 256, 512)


def speed(subject: Subject, *, sizes: bool) -> Speed:
    """Seconds of a step, and megabytes that it keeps for the backward pass; `sizes`: over batches
    of 16 … 512 rows (P6). A trainer that does not heed the batch size tells its own by its steps;
    one that takes rows of its own has as many steps, whichever rows it is given.
    """
    rows = len(subject.data.train.index)
    batches = [batch for batch in BATCHES if batch <= rows] if sizes else []
    measured: list[StepTime] = []
    own_steps = 0
    for batch in sorted({*batches, min(subject.batch, rows)}):
        data = subject.sample(train=max(batch * 4, 256), val=64)
        config = with_batch(subject.config, batch)
        steer = Steer(most=24 if sizes else 72, until=patient(1.5))
        ends: list[int] = []  # steps until the end of each epoch
        run = subject.train(
            data,
            epochs=72,
            config=config,
            contexts=[steer],
            compiled=True,
            stop=partial(_shows_no_step, steer=steer, ends=ends),
        )
        if len(steer.times) < 3:
            continue
        seconds = float(np.median(np.diff(steer.times[1:])))
        if not sizes and ends and ends[0] != math.ceil(len(data.train.index) / batch):
            fewer = subject.sample(train=len(data.train.index) // 2, val=64)
            if ends[0] > 1 and _steps_of_an_epoch(subject, fewer, config=config) == ends[0]:
                own_steps = ends[0]
            else:
                batch = math.ceil(len(data.train.index) / ends[0])  # its own
        kept = Kept()
        subject.train(data, epochs=1, config=config, contexts=[Steer(most=1), kept])
        measured.append(
            {"batch": batch, "seconds": seconds, "megabytes": kept.most / 2**20, "error": run.error}
        )
    return {"batches": measured, "rows": rows, "own_steps": own_steps}


def _steps_of_an_epoch(subject: Subject, data: Data, *, config: Config) -> int:
    steer, ends = Steer(most=72, until=patient(1.5)), list[int]()
    stop = partial(_shows_no_step, steer=steer, ends=ends)
    subject.train(data, epochs=2, config=config, contexts=[steer], compiled=True, stop=stop)
    return ends[0] if ends else 0


def _shows_no_step(run: Run, *, steer: Steer, ends: list[int]) -> bool:
    """Whether an epoch has passed of whose steps none is seen; those until its end go into `ends`.
    The untrained model's has none.
    """
    if run.trained > len(ends):
        ends.append(len(steer.times))
    return ends[:1] == [0]


class Kept(torch.autograd.graph.saved_tensors_hooks):
    """Counts the bytes that a forward pass keeps for its backward pass, each storage once."""

    def __init__(self) -> None:
        self.most = 0
        self._storages: dict[int, int] = {}
        super().__init__(self._pack, lambda tensor: tensor)

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        self._storages[storage.data_ptr()] = storage.nbytes()
        self.most = max(self.most, sum(self._storages.values()))
        return tensor
