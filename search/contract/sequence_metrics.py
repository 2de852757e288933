"""Metrics of whole sequences, in numpy; those of single steps stand in `metric_functions`."""

from collections.abc import Callable

import numpy as np

from search.contract.metric_functions import Array, Outputs
from trainers.api import END, IGNORED
from trainers.rows import of_one_width


def sequence_accuracy(outputs: Outputs) -> float:
    """Share of sequences whose labels are all right."""
    labels, targets = of_one_width(outputs.labels, outputs.targets)
    return float(((labels == targets) | (targets == IGNORED)).all(axis=1).mean())


def edit_distance(outputs: Outputs) -> float:
    """Labels to insert, drop or replace, per label of the targets (label error rate).

    Levenshtein distances of all sequences over all their labels (Graves et al. 2006, section 2.1).
    """
    distances = _distances(outputs.labels, outputs.targets)
    return float(distances.sum() / (outputs.targets != END).sum())


def _distances(labels: Array, targets: Array) -> Array:
    """Levenshtein distances of sequences [n, …] that `END` pads, all at once, [n]."""
    rows, ends = np.arange(len(targets)), (targets != END).sum(axis=1)
    above = np.tile(np.arange(targets.shape[1] + 1), (len(rows), 1))
    lengths = (labels != END).sum(axis=1)
    result: Array = ends.copy()
    for column in range(labels.shape[1]):
        here = np.empty_like(above)
        here[:, 0] = column + 1
        for place in range(1, above.shape[1]):
            replaced = above[:, place - 1] + (labels[:, column] != targets[:, place - 1])
            other = np.minimum(above[:, place], here[:, place - 1]) + 1
            here[:, place] = np.minimum(replaced, other)
        above = here
        done = lengths == column + 1
        result[done] = above[rows, ends][done]
    return result


SEQUENCES: dict[str, Callable[[Outputs], float]] = {
    "sequence_accuracy": sequence_accuracy,
    "edit_distance": edit_distance,
}
