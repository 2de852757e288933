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
import statistics
import tempfile
import time
from collections.abc import Sequence

from as_worker import as_worker
from lanes_setup import MODELS, SWEEP, config_of, timed_command
from other_tools import tools

# Seconds of an epoch of all lanes one by one, beyond which so many lanes are left out.
LIMIT = 6.0
EPOCHS = 3  # that are timed, the fastest of which counts


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
        config, data = config_of(*words)
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
                timed_command(
                    [*SWEEP, f"lanes={lanes}", f"name=tiny-{lanes}", *tiny], folder
                )  # and what is measured once is there
                start = timed_command(
                    [*SWEEP, f"lanes={lanes}", f"name=again-{lanes}", *tiny], folder
                )
                taken[lanes] = (
                    timed_command([*SWEEP, f"lanes={lanes}", f"name={lanes}"], folder) - start
                )
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
                    start = timed_command(tiny, folder)
                    ways = ("off", "auto", "auto")
                    named = [
                        [f"seeds={seeds}", f"lanes={way}", f"name={number}"]
                        for number, way in enumerate(ways)
                    ]
                    off, first, later = (
                        timed_command([*fixed, *words], folder) - start for words in named
                    )
                ratios.append((off / first, off / later))
            first, later = (statistics.median(column) for column in zip(*ratios, strict=True))
            print(
                f"{name:30}{13 * seeds:4} trials: {first:5.2f} times as fast at first, "
                f"then {later:5.2f}",
                flush=True,
            )


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
