"""Which tasks there are, and the metrics of each (R1, R4)."""

from collections.abc import Callable

from search.contract.metric_functions import CLASSIFICATION, REGRESSION, Outputs
from search.contract.sequence_metrics import SEQUENCES

TASKS: dict[str, dict[str, Callable[[Outputs], float]]] = {
    "classification": CLASSIFICATION,
    "regression": REGRESSION,
    "step_regression": REGRESSION,  # a number per step of a sequence
    # a label per step of a sequence
    "tagging": {**CLASSIFICATION, "sequence_accuracy": SEQUENCES["sequence_accuracy"]},
    "transduction": SEQUENCES,  # a sequence of labels, of another length than the input
}
METRICS = {name: metric for metrics in TASKS.values() for name, metric in metrics.items()}
ERRORS = ("log_loss", "brier", "mse", "mae", "edit_distance")  # 0 at best, the others 1
