"""Metrics of whole sequences, in numpy; those of single steps stand in `metric_functions`."""

from collections.abc import Callable

from search.contract.metric_functions import Outputs
from trainers.api import IGNORED


def sequence_accuracy(outputs: Outputs) -> float:
    """Share of sequences whose labels are all right."""
    right = (outputs.labels == outputs.targets) | (outputs.targets == IGNORED)
    return float(right.all(axis=1).mean())


SEQUENCES: dict[str, Callable[[Outputs], float]] = {"sequence_accuracy": sequence_accuracy}
