"""MNIST-1D (Greydanus and Kobak, arXiv 2011.14439), generated offline by its package."""

import numpy as np

from trainers.data import DataError, DataSet


def load() -> DataSet:
    """x [5000, 40] float32; y [5000], 0 … 9; the last 1 000 rows are its test set.

    Raises:
        DataError: the package is not installed.
    """
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        raise DataError(
            f"data=mnist1d: needs the package mnist1d, but got: {error}; "
            "pip install 'knobwise[data]', or choose data=digits"
        ) from error
    drawn = np.random.get_state()
    made = make_dataset(get_dataset_args())
    np.random.set_state(drawn)
    return DataSet(
        x=np.concatenate([made["x"], made["x_test"]]).astype(np.float32),
        y=np.concatenate([made["y"], made["y_test"]]).astype(np.int64),
        given={"test": np.arange(len(made["x"]), len(made["x"]) + len(made["x_test"]))},
    )
