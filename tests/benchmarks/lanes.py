"""What lanes save: trainings one by one, in lanes, and with other tools. Ratios within one run.

    python tests/benchmarks/lanes.py pace [--device cuda]   trainings per second over the lanes
    python tests/benchmarks/lanes.py search [--rounds 3]    a whole lr_sweep, lanes=off and auto
    python tests/benchmarks/lanes.py auto [--rounds 3]      whole sweeps of four models
    python tests/benchmarks/lanes.py tools [--rounds 3]     64 trials x 20 epochs: this and others

`pace`: epochs of all lanes together per second, evaluation included, against one by one in one
process on one core, and against a bare loop of torch under Optuna. `search`: from the command to
its table, less the same command for one epoch of two trials. `auto`: the same for small and large
sweeps of the models of `pace`; what auto measures before it decides is part of its time. `tools`:
the same 64 trainings of an MLP (64, 64) on digits, two workers, with plain Optuna (and Ray, where
installed); whole command, and without start-up.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from as_worker import as_worker

MODELS = {
    "digits, MLP (64, 64)": ["data=digits", "model.width=64", "model.depth=2"],
    "mnist1d, MLP (100)": ["data=mnist1d", "model.width=100"],
    "mnist1d, CNN": ["data=mnist1d", "model=cnn1d"],
    "digits, CNN with batch norm": ["data=digits", "model=cnn2d"],
}
# Seconds of an epoch of all lanes one by one, beyond which so many lanes are left out.
LIMIT = 6.0
EPOCHS = 3  # that are timed, the fastest of which counts
TRIALS, LONG = 64, 20
SWEEP = ["lr_sweep", "placement.slots=2"]


def pace(device: str, most: int) -> None:
    """Prints the curve of throughput over lanes."""
    import optuna
    import torch
    from torch import nn

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    counts = [1 << power for power in range(most.bit_length())]
    print(
        f"trainings' epochs per second; one by one = 1; {device}\n{'':30}alone/s  Optuna  "
        + "".join(f"{k:>7}" for k in counts)
    )
    for name, words in MODELS.items():
        config, data = _config(*words)
        alone = 1 / _epoch(config, data, lanes=0, device=device)
        rates = [
            lanes / _epoch(config, data, lanes=lanes, device=device)
            for lanes in counts
            if lanes / alone < LIMIT or device == "cuda"
        ]
        x, y = (
            torch.from_numpy(array).to(device)
            for array in (data.train.x.astype("float32"), data.train.y)
        )
        val_x = torch.from_numpy(data.val.x.astype("float32")).to(device)

        def bare(trial: "optuna.Trial", words: Sequence[str] = words) -> float:
            """A user's own loop."""
            from trainers.build import build

            model, loss, _ = build(config, torch.device(device))  # noqa: B023
            optimizer = torch.optim.SGD(
                model.parameters(), lr=trial.suggest_float("lr", 1e-4, 0.1, log=True), momentum=0.9
            )
            for _ in range(EPOCHS):
                model.train()
                for rows in torch.randperm(len(x)).split(32):  # noqa: B023
                    optimizer.zero_grad()
                    value: nn.Module = loss(model(x[rows]), y[rows])  # noqa: B023
                    value.backward()
                    optimizer.step()
                model.eval()
                with torch.no_grad():
                    classes = model(val_x).argmax(1).cpu().numpy()  # noqa: B023
                    right = (classes == data.val.y).mean()  # noqa: B023
            return float(right)

        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
        )
        study.optimize(bare, n_trials=1)
        begun = time.perf_counter()
        study.optimize(bare, n_trials=3)
        plain = 3 * EPOCHS / (time.perf_counter() - begun)
        shown = "".join(f"{rate / alone:7.2f}" for rate in rates)
        print(f"{name:30}{alone:7.1f} {plain / alone:7.2f}  {shown}", flush=True)


def _config(*words: str):  # type: ignore[no-untyped-def]
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


def _epoch(config, data, *, lanes: int, device: str) -> float:  # type: ignore[no-untyped-def]
    """Seconds of an epoch of so many lanes, evaluation included; 0: of one training by itself."""
    from trainers.checkpoint import Unsaved
    from trainers.lanes.traced import AFTER, SETTLED
    from trainers.stock import Stock

    seats = Stock(data=data, device=device)
    if lanes:
        seats.fuse(seats.key(config).name)
    for trial in range(max(1, lanes)):
        seats.admit(trial, config={**config, "seed": trial}, checkpoint=Unsaved())
    seconds = []
    steps = -(-len(data.train.x) // int(config["trainer"]["batch_size"]))
    traced = -(-(AFTER + 2 * SETTLED) // steps) if lanes and device == "cpu" else 0
    for _ in range(
        2 + traced + EPOCHS
    ):  # the untrained look, a warm one, and for lanes until steps are traced
        begun = time.perf_counter()
        seats.step()
        seconds.append(time.perf_counter() - begun)
    return min(seconds[-EPOCHS:])


def search(rounds: int) -> None:
    """Prints seconds of a whole sweep, and the ratio."""
    ratios = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            taken = {}
            for lanes in ("off", "auto"):
                tiny = [
                    "trainer.epochs=1",
                    "space.optimizer.lr.points=2",
                    "seeds=1",
                    "protocol.refine=0",
                    "protocol.extend=0",
                ]
                _command(
                    [*SWEEP, f"lanes={lanes}", f"name=tiny-{lanes}", *tiny], folder
                )  # and what is measured once is there
                start = _command([*SWEEP, f"lanes={lanes}", f"name=again-{lanes}", *tiny], folder)
                taken[lanes] = _command([*SWEEP, f"lanes={lanes}", f"name={lanes}"], folder) - start
        ratios.append(taken["off"] / taken["auto"])
        print(
            f"  round {number}: lanes=off {taken['off']:.1f} s, "
            f"lanes=auto {taken['auto']:.1f} s: {ratios[-1]:.2f}",
            flush=True,
        )
    print(
        "lr_sweep, 13 values x 3 seeds and refinement, two cores, start-up left out: "
        f"{statistics.median(ratios):.2f} times as fast"
    )


def auto(rounds: int) -> None:
    """Prints how much faster lanes=auto is: the first sweep on a machine, and later ones."""
    for name, words in MODELS.items():
        epochs = 3 if "CNN" in name else 10
        fixed = [
            *SWEEP,
            *words,
            f"trainer.epochs={epochs}",
            "trainer.patience=null",
            "protocol.refine=0",
            "protocol.extend=0",
        ]
        for seeds in (1, 3):
            ratios = []
            for _ in range(rounds):
                with tempfile.TemporaryDirectory() as folder:
                    tiny = [
                        *fixed,
                        "trainer.epochs=1",
                        "space.optimizer.lr.points=2",
                        "seeds=1",
                        "lanes=off",
                        "name=tiny",
                    ]
                    start = _command(tiny, folder)
                    ways = ("off", "auto", "auto")
                    named = [
                        [f"seeds={seeds}", f"lanes={way}", f"name={number}"]
                        for number, way in enumerate(ways)
                    ]
                    off, first, later = (
                        _command([*fixed, *words], folder) - start for words in named
                    )
                ratios.append((off / first, off / later))
            first, later = (statistics.median(column) for column in zip(*ratios, strict=True))
            print(
                f"{name:30}{13 * seeds:4} trials: {first:5.2f} times as fast at first, "
                f"then {later:5.2f}",
                flush=True,
            )


def _command(words: Sequence[str], folder: str) -> float:
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "search", *words], cwd=folder, check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - begun


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
ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
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
    import numpy as np

    _, data = _config("data=digits")
    ways: dict[str, Callable[[str], tuple[float, float]]] = {
        "knobwise": _ours,
        "plain Optuna, one process": lambda folder: _script(sys.executable, OPTUNA, folder),
    }
    if ray:
        ways["Ray Tune"] = lambda folder: _script(ray, RAY, folder)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                for key, array in (("x", data.train.x), ("val_x", data.val.x)):
                    np.save(f"{folder}/{key}.npy", array.astype("float32"))
                for key, array in (("y", data.train.y), ("val_y", data.val.y)):
                    np.save(f"{folder}/{key}.npy", array)
                found[name].append(way(folder))
                print(
                    f"  {name:28} command {found[name][-1][0]:6.1f} s, "
                    f"search {found[name][-1][1]:6.1f} s",
                    flush=True,
                )
    ours = [statistics.median(column) for column in zip(*found["knobwise"], strict=True)]
    for name, taken in found.items():
        whole, alone = (statistics.median(column) for column in zip(*taken, strict=True))
        print(
            f"{name:28} {whole / ours[0]:5.1f} times the command, "
            f"{alone / ours[1]:5.1f} times the search"
        )


def _ours(folder: str) -> tuple[float, float]:
    """The whole command, and from the first trial's first epoch to the last one's end."""
    tiny = ["trainer.epochs=1", "seeds=1", "space.optimizer.lr.points=2", "name=tiny"]
    _command([*OURS, *tiny], folder)  # so that what is measured once per machine is there
    start = _command([*OURS, *tiny[:-1], "name=tiny-again"], folder)
    whole = _command(OURS, folder)
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


def main() -> None:
    """`pace`, `search`, `auto` or `tools`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("pace", "search", "auto", "tools"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", default=None, help="a Python that has ray[tune] installed")
    given = parser.parse_args()
    as_worker()
    if given.what == "pace":
        pace(given.device, 512 if given.device == "cuda" else 64)
    elif given.what == "search":
        search(given.rounds)
    elif given.what == "auto":
        auto(given.rounds)
    else:
        tools(given.rounds, given.ray)


if __name__ == "__main__":
    main()
