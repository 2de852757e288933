"""64 trainings of 20 epochs in a search, in Ray Tune and in plain Optuna (`lanes.py tools`).

An MLP (64, 64) on digits, two workers or one process; the whole command, and without start-up.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lanes_setup import config_of, save_arrays, timed_command

Way = Callable[[str], tuple[float, float]]  # from a folder with rows to seconds
TRIALS, LONG = 64, 20
TRAIN = """
import sys, time, json
import numpy as np, torch
from torch import nn
torch.set_num_threads(1)

def train(lr, x, y, val_x, val_y, epochs, report=None):
    layers = [nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
    model, loss = nn.Sequential(*layers).to(x.device), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            value = loss(model(x[rows]), y[rows])
            value.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = float((model(val_x).argmax(1) == val_y).float().mean())
        if report:
            report({"accuracy": right})
    return right

names = ("x", "y", "val_x", "val_y")
data = [torch.from_numpy(np.load(f"{sys.argv[1]}/{name}.npy")) for name in names]
rates, epochs = np.geomspace(1e-3, 0.1, 16).tolist() * 4, int(sys.argv[2])
"""
OPTUNA = (
    TRAIN
    + """
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
begun = time.perf_counter()
grid = {"lr": rates[:16], "seed": [0, 1, 2, 3]}

def objective(trial):
    trial.suggest_categorical("seed", grid["seed"])
    return train(trial.suggest_categorical("lr", grid["lr"]), *data, epochs)

study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler(grid))
study.optimize(objective, n_trials=64)
print(json.dumps(time.perf_counter() - begun))
"""
)
RAY = (
    TRAIN
    + """
import os
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
import ray
from ray import tune
own = {"num_cpus": 2, "include_dashboard": False}  # where no RAY_ADDRESS names a cluster
ray.init(**({} if "RAY_ADDRESS" in os.environ else own), log_to_driver=False, logging_level="ERROR")
begun = time.perf_counter()
def one(config):
    torch.set_num_threads(1)
    train(config["lr"], *data, epochs, report=tune.report)
tuner = tune.Tuner(tune.with_resources(one, {"cpu": 1}),
                   param_space={"lr": tune.grid_search(rates)},
                   tune_config=tune.TuneConfig(reuse_actors=True),
                   run_config=tune.RunConfig(verbose=0, storage_path=sys.argv[1]))
results = tuner.fit()
assert len(results) == 64 and not results.errors
print(json.dumps(time.perf_counter() - begun))
"""
)
OURS = [
    "lr_sweep",
    "model.width=64",
    "model.depth=2",
    f"trainer.epochs={LONG}",
    "trainer.patience=null",
    "seeds=4",
    "space.optimizer.lr.low=0.001",
    "space.optimizer.lr.high=0.1",
    "space.optimizer.lr.points=15",
    "optimizer.lr=0.05",
    "protocol.refine=0",
    "protocol.extend=0",
    "placement.slots=2",
]


def tools(rounds: int, ray: str | None) -> None:
    """Prints seconds of each tool, whole command and search alone."""
    ways: dict[str, Way] = {
        "knobwise": ours,
        "plain Optuna, one process": lambda folder: _script(sys.executable, OPTUNA, folder),
    }
    if ray:
        ways["Ray Tune"] = ray_tune(ray)
    compare(ways, rounds)


def ray_tune(python: str) -> Way:
    """Ray Tune, in the cluster of RAY_ADDRESS where that is set. `python`: that has it installed."""
    return lambda folder: _script(python, RAY, folder)


def compare(ways: Mapping[str, Way], rounds: int) -> None:
    """Prints seconds of each way, whole command and search alone, and ratios to the first way."""
    _, data = config_of("data=digits")
    first = next(iter(ways))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                save_arrays(data, folder)
                found[name].append(way(folder))
                print(
                    f"  {name:28} command {found[name][-1][0]:6.1f} s, "
                    f"search {found[name][-1][1]:6.1f} s",
                    flush=True,
                )
    base = [statistics.median(column) for column in zip(*found[first], strict=True)]
    for name, taken in found.items():
        whole, alone = (statistics.median(column) for column in zip(*taken, strict=True))
        print(
            f"{name:28} {whole / base[0]:5.1f} times the command, "
            f"{alone / base[1]:5.1f} times the search"
        )


def ours(folder: str, *words: str) -> tuple[float, float]:
    """The whole command, and without a command of one short trial. `words`: further ones."""
    tiny = ["trainer.epochs=1", "seeds=1", "space.optimizer.lr.points=2", "name=tiny"]
    timed_command(
        [*OURS, *words, *tiny], folder
    )  # so that what is measured once per machine is there
    start = timed_command([*OURS, *words, *tiny[:-1], "name=tiny-again"], folder)
    whole = timed_command([*OURS, *words], folder)
    import pandas as pd

    table = pd.read_csv(Path(folder) / "results" / "lr_sweep" / "trials.csv")
    assert len(table) == TRIALS
    assert set(table.state) == {"complete"}
    return whole, whole - start


def _script(python: str, text: str, folder: str) -> tuple[float, float]:
    path = Path(folder) / "script.py"
    path.write_text(text)
    begun = time.perf_counter()
    done = subprocess.run(
        [python, str(path), folder, str(LONG)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return time.perf_counter() - begun, float(json.loads(done.stdout.strip().splitlines()[-1]))
