"""Tables of scikit-learn, and of its generators, written as csv files.

Rules of the protocol may be chosen on those of `ASIDE`; it is measured on those of `MEASURED`.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

ASIDE = {  # task, columns, classes or targets
    "wine": ("classification", 13, 3),
    "moons": ("classification", 2, 2),
    "cover": ("classification", 20, 5),
}
MEASURED = {
    "hastie": ("classification", 10, 2),
    "quantiles": ("classification", 6, 3),
    "friedman": ("regression", 10, 1),
}


def words_of(data: str, place: Path) -> list[str]:
    """The words by which a command reads a data set; tables are written to `place`."""
    tables = ASIDE | MEASURED
    if data not in tables:
        return [f"data={data}"]
    file = place / f"{data}.csv"
    if not file.exists():
        rows, targets = _made(data)
        pd.DataFrame(rows).add_prefix("x").assign(y=targets).to_csv(file, index=False)
    task, inputs, outputs = tables[data]
    shape = [f"data.inputs={inputs}", f"data.outputs={outputs}"]
    error = ["loss=mse", "metric=mse"] if task == "regression" else []
    return ["data=csv", f"data.path={file}", f"data.task={task}", "data.target=y", *shape, *error]


def _made(data: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and targets."""
    if data == "wine":
        return datasets.load_wine(return_X_y=True)
    if data == "moons":
        return datasets.make_moons(500, noise=0.3, random_state=0)
    if data == "hastie":
        return datasets.make_hastie_10_2(900, random_state=0)
    if data == "quantiles":
        return datasets.make_gaussian_quantiles(
            n_samples=900, n_features=6, n_classes=3, random_state=0
        )
    if data == "friedman":
        return datasets.make_friedman1(600, noise=1.0, random_state=0)
    return datasets.make_classification(
        800, 20, n_informative=8, n_classes=5, weights=[0.4, 0.3, 0.15, 0.1], flip_y=0.05,
        class_sep=1.2, random_state=0,
    )  # fmt: skip
