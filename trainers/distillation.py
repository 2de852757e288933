"""A student learns from a trained model's outputs (R52; Hinton et al. 2015, arXiv 1503.02531).

The teacher answers each train row once, before the first epoch; augmented rows keep the answer of
the row that they come from.
"""

from dataclasses import dataclass, replace

import numpy as np
from hydra.utils import get_object
from torch import Tensor, cat, nn, zeros_like

from trainers.api import Config, Data
from trainers.predicted import predicted
from trainers.settings import fits
from trainers.teacher import read_teacher, teacher_files, teacher_of

SMALL = 1e-12  # the least probability whose logarithm is taken


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """`temperature` divides the logits of both; `weight`: of the teacher's part, 0 to 1.

    `classes`: what the rows' targets are; numbers have no temperature.
    """

    temperature: float
    weight: float
    classes: bool

    def mixed(self, loss: Tensor, outputs: Tensor, soft: Tensor) -> Tensor:
        """The student's loss with the teacher's part.

        Args:
            loss: against the labels.
            outputs: the student's logits [batch, classes], or numbers [batch, outputs].
            soft: the teacher's, of the same rows.
        """
        if outputs.shape != soft.shape:
            raise ValueError(
                f"distillation: outputs must have the teacher's shape {tuple(soft.shape)}, "
                f"but got {tuple(outputs.shape)}; give the student as many outputs"
            )
        return (1 - self.weight) * loss + self.weight * self._distance(outputs, soft)

    def _distance(self, outputs: Tensor, soft: Tensor) -> Tensor:
        """Kullback and Leibler's divergence of the softened classes, times the squared
        temperature; of numbers the squared error.
        """
        if not self.classes:
            return nn.functional.mse_loss(outputs, soft)
        student, teacher = (
            nn.functional.log_softmax(_two(each) / self.temperature, dim=1)
            for each in (outputs, soft)
        )
        divergence = nn.functional.kl_div(student, teacher, reduction="batchmean", log_target=True)
        return divergence * self.temperature**2


def read_distillation(config: Config, *, classes: bool) -> Distillation | None:
    """What `distillation` says; None without a teacher. `classes`: what the rows' targets are.

    Raises:
        ValueError: a temperature or a weight that cannot work.
    """
    settings = config.get("distillation") or {}
    if not settings.get("teacher"):
        return None
    temperature, weight = settings.get("temperature", 1.0), settings.get("weight", 0.5)
    if not fits(temperature, positive=True):
        raise ValueError(
            f"distillation.temperature: must be a number above 0, but got {temperature!r}; "
            "2 is usual"
        )
    if not fits(weight, positive=False) or weight > 1:
        raise ValueError(
            f"distillation.weight: must lie between 0 and 1, but got {weight!r}; 0.5 is usual"
        )
    return Distillation(temperature=temperature if classes else 1.0, weight=weight, classes=classes)


def with_teacher(config: Config, data: Data, *, device: str) -> Data:
    """The data with the teacher's outputs for the train rows; the same data without a teacher.

    Raises:
        ValueError: the teacher's files cannot be read, it cannot predict, or rows have no single
            answer.
    """
    source, train = teacher_of(config), data.train
    if not source or train.soft is not None:
        return data
    if (
        train.x is None
        or train.y is None
        or train.y.ndim > (1 if train.y.dtype.kind in "iu" else 2)
    ):
        raise ValueError(
            "distillation: needs rows with one answer each, but got "
            f"{'row numbers only' if train.x is None else 'an answer per step'}; "
            "say distillation=none"
        )
    file, weights = teacher_files(source)
    teacher = read_teacher(file)
    try:
        predict = get_object(str(teacher["trainer"]["predict"]))
        rows = replace(data, test=train)
        values = predicted(predict, config=teacher, data=rows, device=device, weights=weights)
    except Exception as error:  # a user's function may raise anything
        raise ValueError(
            f"distillation.teacher: {source} must predict the train rows, but got "
            f"{type(error).__name__}: {error}; choose a search whose trainer has a predict function"
        ) from error
    if "predictions" in values:
        outputs = np.asarray(values["predictions"])
    elif "probabilities" in values:
        outputs = np.log(np.maximum(np.asarray(values["probabilities"]), SMALL))
    else:
        raise ValueError(
            f"distillation.teacher: {source} must predict predictions or probabilities, but got "
            f"{', '.join(values)}; labels alone teach nothing new"
        )
    return replace(data, train=replace(train, soft=outputs.astype(np.float32)))


def _two(logits: Tensor) -> Tensor:
    """A single logit of two classes as two logits."""
    return cat([zeros_like(logits), logits], dim=1) if logits.shape[1] == 1 else logits
