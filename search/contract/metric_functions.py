"""The metrics as functions of targets and outputs, in numpy: workers call them every epoch, and load no scikit-learn.

Each is tested against scikit-learn's function of the same name. Never picks a metric.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Average = Literal["macro", "micro"]
TENTHS, CONFIDENT = 10, 2000  # bins of probabilities, and rows that are looked at


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a trainer yielded for the rows of `targets` [n] or [n, outputs]; `kind`: predictions, probabilities or labels."""

    targets: Array
    kind: str
    array: Array
    average: Average = "macro"

    @cached_property
    def labels(self) -> Array:
        """Predicted classes [n].

        Raises:
            ValueError: outputs from which no class follows.
        """
        if self.kind == "labels":
            return self.array.reshape(self._shape("[rows]", self.array.size == len(self.targets)))
        if self._single:
            return (self.array.reshape(-1) > (0.0 if self.kind == "predictions" else 0.5)).astype(
                np.int64
            )
        self._shape("[rows, classes]", self.array.ndim == 2)
        return np.asarray(self.array.argmax(axis=1))

    @cached_property
    def probabilities(self) -> Array:
        """Shares per class [n, classes] in float64: as yielded, or the softmax of logits; one column means the second of two.

        Raises:
            ValueError: labels, which hold none, or a wrong shape.
        """
        if self.kind == "labels":
            raise ValueError(
                "labels hold no probabilities, which this metric needs; yield predictions (logits) or probabilities"
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
        """Predicted numbers in the shape of the targets, in float64. Raises ValueError for another size."""
        self._shape(str(list(self.targets.shape)), self.array.size == self.targets.size)
        return self.array.reshape(self.targets.shape).astype(np.float64)

    @cached_property
    def counts(self) -> tuple[Array, Array, Array]:
        """Per class that occurs in targets or predictions: hits, predicted, true."""
        _, codes = np.unique(np.concatenate([self.targets, self.labels]), return_inverse=True)
        true, got, size = (
            codes[: len(self.targets)],
            codes[len(self.targets) :],
            int(codes.max()) + 1,
        )
        return (
            np.bincount(true[true == got], minlength=size),
            np.bincount(got, minlength=size),
            np.bincount(true, minlength=size),
        )

    @property
    def _single(self) -> bool:
        return self.array.ndim == 1 or (self.array.ndim == 2 and self.array.shape[1] == 1)

    def _shape(self, wanted: str, right: bool) -> tuple[int, ...]:
        if not right:
            raise ValueError(
                f"{self.kind} must have shape {wanted}, but got {self.array.shape}; mend what the trainer yields"
            )
        return (len(self.targets),)


def accuracy(given: Outputs) -> float:
    """Share of rows whose class is right."""
    return float((given.labels == given.targets).mean())


def balanced_accuracy(given: Outputs) -> float:
    """Mean over classes of the share of their rows that were found."""
    hits, _, true = given.counts
    return float((hits[true > 0] / true[true > 0]).mean())


def precision(given: Outputs) -> float:
    """Share of the rows called a class that are of it; 0 where none is called so."""
    hits, predicted, _ = given.counts
    return _averaged(given, hits, predicted)


def recall(given: Outputs) -> float:
    """Share of a class's rows that are called so; 0 where it has none."""
    hits, _, true = given.counts
    return _averaged(given, hits, true)


def f1(given: Outputs) -> float:
    """Harmonic mean of precision and recall."""
    hits, predicted, true = given.counts
    return _averaged(given, 2 * hits, predicted + true)


def roc_auc(given: Outputs) -> float:
    """Area under the ROC curve; for more than two classes the mean of each class against the rest, of those that occur."""
    scores = given.probabilities
    if scores.shape[1] == 2:
        return _area(given.targets == 1, scores[:, 1])
    areas = [_area(given.targets == label, scores[:, label]) for label in np.unique(given.targets)]
    return float(np.mean(areas))


def log_loss(given: Outputs) -> float:
    """Mean negative logarithm of the probability given to the true class; probabilities are kept within float64's epsilon."""
    scores = given.probabilities / given.probabilities.sum(axis=1, keepdims=True)
    told = scores[np.arange(len(scores)), given.targets]
    tiny = np.finfo(np.float64).eps
    return float(-np.log(np.clip(told, tiny, 1 - tiny)).mean())


def brier(given: Outputs) -> float:
    """Mean squared distance of probabilities from the truth: of the second class where there are two, else summed over all."""
    scores = given.probabilities
    truth = np.eye(scores.shape[1])[given.targets]
    squares = np.square(scores - truth).sum(axis=1)
    return float(squares.mean() / 2 if scores.shape[1] == 2 else squares.mean())


def mse(given: Outputs) -> float:
    """Mean squared error, in the target's own units."""
    return float(np.square(given.numbers - given.targets).mean())


def mae(given: Outputs) -> float:
    """Mean absolute error, in the target's own units."""
    return float(np.abs(given.numbers - given.targets).mean())


def r2(given: Outputs) -> float:
    """Share of the variance explained, the mean over outputs; 1 is perfect, 0 as good as the mean."""
    targets = given.targets.reshape(len(given.targets), -1).astype(np.float64)
    residual = np.square(given.numbers.reshape(targets.shape) - targets).sum(axis=0)
    total = np.square(targets - targets.mean(axis=0)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(total > 0, 1 - residual / total, np.where(residual > 0, 0.0, 1.0))
    return float(shares.mean())


def _averaged(given: Outputs, above: Array, below: Array) -> float:
    if given.average == "micro":
        return float(above.sum() / below.sum())
    return float(np.divide(above, below, out=np.zeros(len(above)), where=below > 0).mean())


def _area(positive: Array, scores: Array) -> float:
    """By ranks (Mann-Whitney), ties counted half; NaN without both kinds of rows."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    found, rest = int(positive.sum()), int((~positive).sum())
    if not found or not rest:
        return float("nan")
    return float((ranks[positive].sum() - found * (found + 1) / 2) / (found * rest))


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
TASKS = {"classification": CLASSIFICATION, "regression": REGRESSION}


def entropy(classes: Array) -> float:
    """Of the frequencies of classes [n], in nats: what a constant prediction loses (R11)."""
    shares = np.unique(classes, return_counts=True)[1] / len(classes)
    return float(-(shares * np.log(shares)).sum())


def confidence(
    targets: Array, *, kind: str, output: Array
) -> tuple[float, dict[str, float]] | None:
    """How sure outputs are of the class that they name: the mean of its probability, and the share of rows by tenths (R25).

    None for numbers, labels, and outputs that are not finite or have another shape.
    """
    some = slice(None, None, -(-len(targets) // CONFIDENT))
    outputs = Outputs(targets=targets[some], kind=kind, array=output[some])
    if (
        targets.dtype.kind not in "iub"
        or kind == "labels"
        or output.dtype.kind != "f"
        or not np.isfinite(output).all()
    ):
        return None
    try:
        top = outputs.probabilities.max(axis=1).clip(0.0, 1.0)
    except ValueError:
        return None
    counts = np.bincount(np.minimum((top * TENTHS).astype(int), TENTHS - 1), minlength=TENTHS)
    return float(top.mean()), {
        f"{tenth / TENTHS:g}": float(count) / len(top) for tenth, count in enumerate(counts)
    }
