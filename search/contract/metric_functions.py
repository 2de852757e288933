"""The metrics as functions of targets and outputs, in numpy.

Workers call them every epoch without loading scikit-learn; each is tested against scikit-learn's
function of the same name. Never picks a metric.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.api import IGNORED

Array = NDArray[Any]
Average = Literal["macro", "micro"]
TENTHS, CONFIDENT = 10, 2000  # bins of probabilities, and rows that are looked at


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a trainer yielded for the rows of `targets` [n] or [n, outputs].

    `kind`: predictions, probabilities or labels. Labels per step are `targets` [n, steps] of
    outputs [n, classes, steps] or labels [n, steps], numbers per step [n, 1, steps] with NaN at
    padding; `steps` has them one by one.
    """

    targets: Array
    kind: str
    array: Array
    average: Average = "macro"

    @property
    def steps(self) -> "Outputs":
        """The outputs of the steps that have a label; itself where there is one per row.

        Raises:
            ValueError: outputs of other steps than the targets.
        """
        targets, array = self.targets, self.array
        if targets.ndim == 3:
            self._shape(f"[rows, {targets.shape[2]} steps]", array.size == targets.size)
            real = np.isfinite(targets)
            return replace(self, targets=targets[real], array=array.reshape(targets.shape)[real])
        if targets.ndim != 2 or targets.dtype.kind not in "iu":
            return self
        if self.kind != "labels":
            shown = f"[rows, classes, {targets.shape[1]} steps]"
            self._shape(shown, array.ndim == 3 and array.shape[2] == targets.shape[1])
            array = np.moveaxis(array, 1, 2)
        else:
            self._shape(f"[rows, {targets.shape[1]} steps]", array.shape == targets.shape)
        real = targets != IGNORED
        return replace(self, targets=targets[real], array=array[real])

    @cached_property
    def labels(self) -> Array:
        """Predicted classes, [n] or [n, steps].

        Raises:
            ValueError: outputs from which no class follows.
        """
        if self.targets.ndim == 2:
            return self.array if self.kind == "labels" else np.asarray(self.array.argmax(axis=1))
        if self.kind == "labels":
            return self.array.reshape(self._shape("[rows]", self.array.size == len(self.targets)))
        if self._single:
            threshold = 0.0 if self.kind == "predictions" else 0.5
            return (self.array.reshape(-1) > threshold).astype(np.int64)
        self._shape("[rows, classes]", self.array.ndim == 2)
        return np.asarray(self.array.argmax(axis=1))

    @cached_property
    def probabilities(self) -> Array:
        """Probabilities of classes [n, classes], float64: as yielded, or the softmax of logits.

        One column is the probability of the second of two classes.

        Raises:
            ValueError: labels, which hold none, or a wrong shape.
        """
        if self.kind == "labels":
            raise ValueError(
                "labels hold no probabilities, which this metric needs; "
                "yield predictions (logits) or probabilities"
            )
        array = self.array.astype(np.float64)
        if self._single:
            array = array.reshape(-1)
            second = np.exp(-np.logaddexp(0.0, -array)) if self.kind == "predictions" else array
            return np.stack([1 - second, second], axis=1)
        self._shape("[rows, classes]", array.ndim == 2 and array.shape[1] > int(self.targets.max()))
        if self.kind == "probabilities":
            return array
        shifted = np.exp(array - array.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

    @cached_property
    def numbers(self) -> Array:
        """Predicted numbers in the shape of the targets, in float64.

        Raises:
            ValueError: the outputs have another size.
        """
        self._shape(str(list(self.targets.shape)), self.array.size == self.targets.size)
        return self.array.reshape(self.targets.shape).astype(np.float64)

    @cached_property
    def counts(self) -> tuple[Array, Array, Array]:
        """Per class that occurs in targets or predictions: hits, predicted, true."""
        _, codes = np.unique(np.concatenate([self.targets, self.labels]), return_inverse=True)
        true = codes[: len(self.targets)]
        got = codes[len(self.targets) :]
        size = int(codes.max()) + 1
        return (
            np.bincount(true[true == got], minlength=size),
            np.bincount(got, minlength=size),
            np.bincount(true, minlength=size),
        )

    @property
    def _single(self) -> bool:
        """Whether there is one number per row, which tells two classes apart and no more."""
        is_single = self.array.ndim == 1 or (self.array.ndim == 2 and self.array.shape[1] == 1)
        if is_single:
            wanted = "[rows, classes] (numbers of classes are labels)"
            self._shape(wanted, int(self.targets.max()) < 2)
        return is_single

    def _shape(self, wanted: str, right: bool) -> tuple[int, ...]:
        if not right:
            raise ValueError(
                f"{self.kind} must have shape {wanted}, but got {self.array.shape}; "
                "mend what the trainer yields"
            )
        return (len(self.targets),)


def accuracy(outputs: Outputs) -> float:
    """Share of rows whose class is right."""
    return float((outputs.labels == outputs.targets).mean())


def balanced_accuracy(outputs: Outputs) -> float:
    """Mean over classes of the share of their rows that were found."""
    hits, _, true = outputs.counts
    return float((hits[true > 0] / true[true > 0]).mean())


def precision(outputs: Outputs) -> float:
    """Share of the rows called a class that are of it; 0 where none is called so."""
    hits, predicted, _ = outputs.counts
    return _averaged(outputs, hits, predicted)


def recall(outputs: Outputs) -> float:
    """Share of a class's rows that are called so; 0 where it has none."""
    hits, _, true = outputs.counts
    return _averaged(outputs, hits, true)


def f1(outputs: Outputs) -> float:
    """Harmonic mean of precision and recall."""
    hits, predicted, true = outputs.counts
    return _averaged(outputs, 2 * hits, predicted + true)


def roc_auc(outputs: Outputs) -> float:
    """Area under the ROC curve.

    For more than two classes: the mean over the classes that occur, each against the rest.
    """
    scores = outputs.probabilities
    if scores.shape[1] == 2:
        return _area(outputs.targets == 1, scores[:, 1])
    areas = [
        _area(outputs.targets == label, scores[:, label]) for label in np.unique(outputs.targets)
    ]
    return float(np.mean(areas))


def log_loss(outputs: Outputs) -> float:
    """Mean negative logarithm of the probability of the true class.

    Probabilities are clipped to [epsilon, 1 − epsilon] of float64.
    """
    scores = outputs.probabilities / outputs.probabilities.sum(axis=1, keepdims=True)
    of_truth = scores[np.arange(len(scores)), outputs.targets]
    tiny = np.finfo(np.float64).eps
    return float(-np.log(np.clip(of_truth, tiny, 1 - tiny)).mean())


def brier(outputs: Outputs) -> float:
    """Mean squared distance of the probabilities from the truth.

    Of the second class where there are two classes, else summed over all classes.
    """
    scores = outputs.probabilities
    truth = np.eye(scores.shape[1])[outputs.targets]
    squares = np.square(scores - truth).sum(axis=1)
    return float(squares.mean() / 2 if scores.shape[1] == 2 else squares.mean())


def mse(outputs: Outputs) -> float:
    """Mean squared error, in the target's own units."""
    return float(np.square(outputs.numbers - outputs.targets).mean())


def mae(outputs: Outputs) -> float:
    """Mean absolute error, in the target's own units."""
    return float(np.abs(outputs.numbers - outputs.targets).mean())


def r2(outputs: Outputs) -> float:
    """Share of the variance explained, mean over outputs; 1 is perfect, 0 as good as the mean."""
    targets = outputs.targets.reshape(len(outputs.targets), -1).astype(np.float64)
    residual = np.square(outputs.numbers.reshape(targets.shape) - targets).sum(axis=0)
    total = np.square(targets - targets.mean(axis=0)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(total > 0, 1 - residual / total, np.where(residual > 0, 0.0, 1.0))
    return float(shares.mean())


def _averaged(outputs: Outputs, above: Array, below: Array) -> float:
    if outputs.average == "micro":
        return float(above.sum() / below.sum())
    return float(np.divide(above, below, out=np.zeros(len(above)), where=below > 0).mean())


def _area(positive: Array, scores: Array) -> float:
    """Area under the curve, by ranks (Mann-Whitney), ties half; NaN without both kinds of rows."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


CLASSIFICATION: dict[str, Callable[[Outputs], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "roc_auc": roc_auc,
    "log_loss": log_loss,
    "brier": brier,
}
REGRESSION: dict[str, Callable[[Outputs], float]] = {"mse": mse, "mae": mae, "r2": r2}


def entropy(classes: Array) -> float:
    """Entropy of classes [n] or [n, steps], in nats: what a constant prediction loses (R11)."""
    real = classes[classes != IGNORED]
    shares = np.unique(real, return_counts=True)[1] / len(real)
    return float(-(shares * np.log(shares)).sum())


def confidence(
    targets: Array, *, kind: str, output: Array
) -> tuple[float, dict[str, float]] | None:
    """How sure the outputs are of the class that they predict (R25).

    Gives the mean of its probability, and the share of rows per tenth of it; None for numbers,
    labels, and outputs that are not finite or have another shape.
    """
    if targets.dtype.kind not in "iub" or kind == "labels" or output.dtype.kind != "f":
        return None
    try:
        steps = Outputs(targets=targets, kind=kind, array=output).steps
        if not np.isfinite(steps.array).all():
            return None
        some = slice(None, None, -(-len(steps.targets) // CONFIDENT))
        shown = replace(steps, targets=steps.targets[some], array=steps.array[some])
        top = shown.probabilities.max(axis=1).clip(0.0, 1.0)
    except ValueError:
        return None
    counts = np.bincount(np.minimum((top * TENTHS).astype(int), TENTHS - 1), minlength=TENTHS)
    return float(top.mean()), {
        f"{tenth / TENTHS:g}": float(count) / len(top) for tenth, count in enumerate(counts)
    }
