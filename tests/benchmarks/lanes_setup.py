"""What the benchmarks of lanes share: four models, their config and data, a command that is timed."""

import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

MODELS = {
    "digits, MLP (64, 64)": ["data=digits", "model.width=64", "model.depth=2"],
    "mnist1d, MLP (100)": ["data=mnist1d", "model.width=100"],
    "mnist1d, CNN": ["data=mnist1d", "model=cnn1d"],
    "digits, CNN with batch norm": ["data=digits", "model=cnn2d"],
}
SWEEP = ["lr_sweep", "placement.slots=2"]


def config_of(*words: str):  # type: ignore[no-untyped-def]
    """A stock training's config, and its rows, of a data set in the package."""
    from omegaconf import OmegaConf

    from search.config.compose import compose_experiment
    from search.contract.contract import prepare
    from search.contract.metrics import Metric
    from trainers.api import Data

    composed = compose_experiment(
        "lr_sweep", overrides=["optimizer.lr=0.01", *words], config_dir=None
    )
    whole = prepare(composed, metric=Metric(name="accuracy", direction="maximize")).final
    return OmegaConf.to_container(composed, resolve=True), Data(train=whole.train, val=whole.val)


def timed_command(words: Sequence[str], folder: str) -> float:
    """Seconds of `python -m search` with these words, in that folder."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "search", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun


def save_arrays(data, folder: str) -> None:  # type: ignore[no-untyped-def]
    """Rows and labels as `x.npy`, `y.npy`, `val_x.npy`, `val_y.npy`, for programs of other tools."""
    for name, part in (("", data.train), ("val_", data.val)):
        np.save(f"{folder}/{name}x.npy", part.x.astype("float32"))
        np.save(f"{folder}/{name}y.npy", part.y)
