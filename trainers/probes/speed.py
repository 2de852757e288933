"""How long a step takes, and what it keeps in memory, by batch size (P6).

Measures; never judges.
"""

import numpy as np
import torch

from trainers.probes.answers import Speed, StepTime
from trainers.probes.run import with_batch
from trainers.probes.steer import Steer
from trainers.probes.subject import Subject, patient

BATCHES = (16, 32, 64, 128, 256, 512)


def speed(subject: Subject, *, sizes: bool) -> Speed:
    """Seconds of a step, and megabytes that it keeps for the backward pass; `sizes`: over batches
    of 16 … 512 rows (P6). A trainer that does not heed the batch size tells its own by its steps.
    """
    rows = len(subject.data.train.index)
    batches = [batch for batch in BATCHES if batch <= rows] if sizes else []
    measured: list[StepTime] = []
    for batch in sorted({*batches, min(subject.batch, rows)}):
        data, kept = subject.sample(train=max(batch * 4, 256), val=64), Kept()
        config, ends = with_batch(subject.config, batch), dict[int, int]()
        steer = Steer(most=24 if sizes else 72, until=patient(1.5))
        run = subject.train(
            data,
            epochs=72,
            config=config,
            contexts=[steer],
            compiled=True,
            stop=lambda run, at=ends, by=steer: not at.setdefault(run.trained, len(by.times)),
        )
        if len(steer.times) < 3:
            continue
        seconds = float(np.median(np.diff(steer.times[1:])))
        steps, seen = ends.get(1, 0), len(data.train.index)  # of its first epoch
        if not sizes and steps not in (0, -(-seen // batch)):
            batch = -(-seen // steps)
        subject.train(data, epochs=1, config=config, contexts=[Steer(most=1), kept])
        measured.append(
            {"batch": batch, "seconds": seconds, "megabytes": kept.most / 2**20, "error": run.error}
        )
    return {"batches": measured, "rows": rows}


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
