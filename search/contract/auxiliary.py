"""Further targets beside the one that the metric is of: learned by heads of their own (R6, R50)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.contract.arrays import mean_and_scale
from search.contract.targets import check_finite, number_classes
from search.errors import UsageError, refused

CLASSES, NUMBERS = "classification", "regression"


def further_targets(
    columns: Mapping[str, NDArray[Any]], tasks: Mapping[str, Any], *, task: str
) -> tuple[NDArray[np.float64] | None, dict[str, int]]:
    """Further targets [n, columns], classes by their numbers, and the outputs that each needs.

    Args:
        columns: of the data, by name.
        tasks: of each column: classification or regression.
        task: of the target itself.

    Raises:
        UsageError: a task that no further target can have, or a column that does not fit it.
    """
    if not tasks:
        return None, {}
    if task not in (CLASSES, NUMBERS):
        rule = "further targets go with one answer per row"
        raise _refused(
            rule, f"data.task={task}", "drop data.auxiliary", code="auxiliary-needs-other-task"
        )
    made, sizes = [], {}
    for name, kind in tasks.items():
        if kind not in (CLASSES, NUMBERS):
            rule = f"{name}: the task of a further target is {CLASSES} or {NUMBERS}"
            raise _refused(rule, repr(kind), "choose one", code="unknown-task-of-further-target")
        if name not in columns:
            rule = "further targets are columns of the data"
            raise _refused(
                rule,
                name,
                f"there are: {', '.join(columns) or 'none'}",
                code="further-target-not-a-column",
            )
        values = columns[name]
        if kind == CLASSES:
            numbers, names = number_classes(values, where=f"auxiliary.{name}")
            sizes[name] = len(names) or int(numbers.max()) + 1
            made.append(numbers.astype(np.float64))
            continue
        if values.dtype.kind not in "fiub":
            raise _refused(
                f"{name}: {NUMBERS} needs numbers",
                str(values.dtype),
                "mend it",
                code="further-target-not-numbers",
            )
        made.append(values.astype(np.float64))
        check_finite(f"auxiliary.{name}", made[-1][:, None], missing_allowed=False)
        sizes[name] = 1
    return np.stack(made, axis=1), sizes


def scaled_targets(
    values: NDArray[np.float64] | None, heads: Mapping[str, int], train: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    """Further targets of all rows in training units: numbers by mean and spread of train (R6)."""
    if values is None:
        return None
    is_number = np.array([size == 1 for size in heads.values()])
    mean, scale = mean_and_scale(values[train])
    scaled = np.where(is_number, (values - mean) / scale, values)
    return np.asarray(scaled, dtype=np.float32)


def _refused(rule: str, got: str, remedy: str, *, code: str) -> UsageError:
    return refused("data.auxiliary", code=code, rule=rule, got=got, remedy=remedy)
