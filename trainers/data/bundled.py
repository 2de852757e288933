"""scikit-learn's small data sets: offline, and small enough for seconds (R14)."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from trainers.data import DataSet


def digits() -> DataSet:
    """Grey images of 8 × 8 pixels: x [1797, 64] float32, 0 … 16; y [1797], 0 … 9."""
    x, y = load_digits(return_X_y=True)
    return DataSet(x=x.astype(np.float32), y=y.astype(np.int64))


def breast_cancer() -> DataSet:
    """Cell nuclei: x [569, 30] float32; y [569], 0 malignant, 1 benign."""
    x, y = load_breast_cancer(return_X_y=True)
    return DataSet(x=x.astype(np.float32), y=y.astype(np.int64))


def diabetes() -> DataSet:
    """Progress of diabetes after one year: x [442, 10] float32; y [442, 1] float32, 25 … 346."""
    x, y = load_diabetes(return_X_y=True)
    return DataSet(x=x.astype(np.float32), y=y.astype(np.float32)[:, None])
