"""Training steps and evaluations of all lanes on the data, one call after the other.

Knows no trial. On a GPU, `graphs.py` replaces the calls by recorded ones.
"""

import torch
from torch import Tensor

from trainers.build import Sets
from trainers.lanes.evaluation import Observation, observe
from trainers.lanes.lane import LaneEpoch
from trainers.lanes.program import Program
from trainers.lanes.rows import WEIGHTS, Rows
from trainers.layer_series import sample


class Steps:
    """Steps of a program over the data of a trial.

    `count`: of an epoch. `sampled`: the train rows that are evaluated.
    """

    def __init__(self, program: Program, *, sets: Sets, batch: int) -> None:
        self.program, self.batch = program, batch
        (self.x, self.y), (self._val_x, self._val_y) = sets
        self.count = -(-len(self.x) // batch)
        self.sampled = sample(len(self.x), val=len(self._val_x))
        index = torch.tensor(self.sampled, device=self.x.device)
        self._sample = self.x[index], self.y[index]

    def advance(self, rows: Rows, epoch: LaneEpoch, steps: range, total: Tensor) -> Tensor:
        """Trains some steps of an epoch; adds losses [lanes] to `total`, times their data's rows.

        Returns:
            The gradients [lanes, …] of the last step; nothing where there are no steps.
        """
        gradients = torch.empty(0)
        for step in steps:
            index = epoch.order[:, step * self.batch : (step + 1) * self.batch]
            del gradients  # or they would stay while the next ones are made
            plain, gradients = self.step(rows, index, epoch, number=step)
            total += plain.double() * index.shape[1]
        return gradients

    def observe(self, rows: Rows, rates: Tensor) -> Observation:
        """The lanes on the validation data, and on a sample of the training data."""
        return observe(self.program, rows, self._val_x, self._val_y, rates, sample=self._sample)

    def step(
        self, rows: Rows, index: Tensor, epoch: LaneEpoch, *, number: int | Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step of all lanes, on the rows of data `index` [lanes, batch].

        Returns:
            The plain losses [lanes], and the gradients [lanes, …] that the step was made with.
        """
        weights, program = rows[WEIGHTS], self.program
        plain, objective, gradients = program.gradients(
            rows, self.x[index], self.y[index], epoch.numbers(number)
        )
        if epoch.flood is not None:  # the slope of a flooded loss is turned round
            gradients = gradients * torch.where(objective[:, None] < epoch.flood, -1.0, 1.0)
        if epoch.l1 is not None:
            gradients = gradients.addcmul(torch.sign(weights) * program.penalised, epoch.l1)
        if epoch.clip is not None:
            norm = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
            factors = (epoch.clip / (norm + 1e-6)).clamp(max=1.0)
            gradients = gradients * torch.where(epoch.clip.isinf(), 1.0, factors)
            epoch.clipped.add_((norm > epoch.clip).flatten())
        program.step(rows, gradients, epoch.columns(number))
        if epoch.max_norm is not None:
            program.hold(weights, epoch.max_norm)
        return plain, gradients
