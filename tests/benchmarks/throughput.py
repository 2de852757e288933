"""Trials per second of a search beside two bare processes that do the same training, start-up left out.

    python tests/benchmarks/throughput.py [--rounds 5] [--processor]

48 trials of 20 epochs on two cores (16 trials are two seconds, and their figure moves by a fifth from round to round). With `--processor`
instead: processor time per trial, of all processes of the search together (48 trials less 16, so that start and end are left out), and of the
bare ones; a busy machine changes it less than the time by the clock.

The bare processes run a plain PyTorch loop, written out here, as a user's script has it: train loss, validation loss and
accuracy of each epoch; no search, no checkpoint, no evaluation before the first epoch, no records of layers. Such a loop
pays for torch's wrappers around `zero_grad` and `step`, past which our trainer goes. The lean processes run the same loop past them, too: beside
these, the figure tells the search alone.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VALUES, SEEDS, EPOCHS = 4, 12, 20
SEARCH = f"of_{SEEDS}"

BARE = """
import json, sys, time
import numpy as np, torch
from torch import nn
torch.set_num_threads(1)
folder, trials, epochs, lean = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "lean"
load = lambda name: torch.from_numpy(np.load(f"{folder}/arrays/fold-0/{name}.npy"))
x, y, val_x, val_y = load("train.x"), load("train.y"), load("val.x"), load("val.y")

def train(lr, seed, epochs):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    weights, loss = list(model.parameters()), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(weights, lr=lr, momentum=0.9, foreach=False if lean else None)
    step = optimizer.step
    if lean:
        step = lambda: torch.optim.SGD.step.__wrapped__(optimizer)
    for _ in range(epochs):
        model.train()
        total = torch.zeros(())
        for rows in torch.randperm(len(x)).split(32):
            if lean:
                for weight in weights:
                    weight.grad = None
            else:
                optimizer.zero_grad()
            value = loss(model(x[rows]), y[rows])
            value.backward()
            step()
            total += value.detach() * len(rows)
        model.eval()
        with torch.no_grad():
            logits = model(val_x)
            float(total), float(loss(logits, val_y)), float((logits.argmax(1) == val_y).float().mean())

train(0.01, 0, 2)
print("ready", flush=True)
sys.stdin.readline()
begun = time.process_time()
for lr, seed in trials:
    train(lr, seed, epochs)
print(time.process_time() - begun, flush=True)
"""


def sweep(folder: Path, *, seeds: int) -> float:
    """Runs the sweep of four values; seconds of a processor of all its processes."""
    words = [
        "lr_sweep",
        f"trainer.epochs={EPOCHS}",
        "trainer.patience=null",
        f"seeds={seeds}",
        "space.optimizer.lr.points=4",
        "space.optimizer.lr.low=0.001",
        "space.optimizer.lr.high=0.1",
        "placement.slots=2",
        "lanes=off",
        "protocol.extend=0",
        "protocol.refine=0",
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "search", *words, f"name=of_{seeds}"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def search(folder: Path) -> tuple[float, list[tuple[float, int]]]:
    """Seconds from the first trial's start to the last one's end, and the trials."""
    # The first trial of each worker warms torch up and does not count, so two more seeds are run before.
    sweep(folder, seeds=SEEDS)
    import optuna
    import pandas as pd
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = folder / "results" / SEARCH / "journal.log"
    study = optuna.load_study(
        study_name=SEARCH, storage=JournalStorage(JournalFileBackend(str(path)))
    )
    trials = sorted(study.trials, key=lambda trial: trial.datetime_start)
    table = pd.read_csv(path.parent / "trials.csv")
    warm = trials[2:]  # one trial per worker has paid for the imports
    seconds = (
        max(trial.datetime_complete for trial in warm)
        - max(trial.datetime_complete for trial in trials[:2])
    ).total_seconds()
    return seconds / len(warm), [
        (row["optimizer.lr"], int(row.seed)) for _, row in table.iterrows()
    ]


def bare(
    folder: Path, trials: list[tuple[float, int]], *, loop: str = "plain"
) -> tuple[float, float]:
    """Seconds per trial of two processes with half of the trials each, from the moment both are warm: by the clock, of a processor."""
    command = [sys.executable, "-c", BARE, str(folder / "results" / SEARCH)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [*command, json.dumps(half), str(EPOCHS), loop],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )
        for half in (trials[0::2], trials[1::2])
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    begun = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    spent = 0.0
    for process in processes:
        assert process.stdout is not None
        spent += float(process.stdout.readline())
    seconds = time.perf_counter() - begun
    for process in processes:
        process.communicate()
    return seconds / len(trials), spent / len(trials)


def main() -> None:
    """Prints the ratio of each round and the median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processor", action="store_true")
    options = parser.parse_args()
    ratios: dict[str, list[float]] = {"plain": [], "lean": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if options.processor:
                few, many = (sweep(folder, seeds=seeds) for seeds in (SEEDS // 3, SEEDS))
                ours = (many - few) / ((SEEDS - SEEDS // 3) * VALUES)
                trials = [(0.01, seed) for seed in range(SEEDS * VALUES)]
            else:
                ours, trials = search(folder)
            words = [f"search {1000 * ours:.0f} ms a trial"]
            for loop, of_loop in ratios.items():
                alone = bare(folder, trials, loop=loop)[options.processor]
                of_loop.append(alone / ours)
                words.append(f"{loop} loop {1000 * alone:.0f} ms: {100 * of_loop[-1]:.0f} %")
            print(", ".join(words), flush=True)
    what = "processor time" if options.processor else "trials per second"
    for loop, of_loop in ratios.items():
        print(f"median: {100 * statistics.median(of_loop):.0f} % of the {loop} loop's {what}")


if __name__ == "__main__":
    main()
