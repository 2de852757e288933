"""Does the carried-out guide pay? Against a joint search, TPE and random search, from poor starts.

    python tests/benchmarks/tune.py chance [--protocols 400]
    python tests/benchmarks/tune.py starts [--data digits …] [--start rate …] [--seeds 0 1] [--trials 120]

`chance`: whole protocols in which nothing is to be found, by the functions that decide: the share
whose answer is the baseline, and how many sweeps adopted something on the way; then protocols with
one rate that is better by so many deviations between seeds.

`starts`: real trainings, the same poor start and the same number of trials for everyone; the
answer of each is trained again with ten seeds that nobody has used. Columns: epochs trained, the
mean of the ten seeds and its standard error, seconds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import pandas as pd
from simulated import carried_out, tune_plan

from search.protocols.history import RATE

STARTS = {
    "rate": ["optimizer.lr=0.003"],  # a thirtieth of the default
    "short": ["trainer.epochs=5"],
    "penalty": ["optimizer.weight_decay=0.1"],
}
SET_UP = ("data", *{word.partition("=")[0] for words in STARTS.values() for word in words})
SPACE = "space=[lr,momentum,weight_decay,dropout,width,batch_size]"
RIVALS = {
    "joint (gp)": ["joint", SPACE, "pruner=none"],
    "TPE": ["joint", SPACE, "sampler=tpe", "pruner=none", "protocol.confirm=0"],
    "random": ["joint", SPACE, "sampler=random", "pruner=none", "protocol.confirm=0"],
}


def chance(protocols: int) -> None:
    """The share of protocols that end at the baseline, by how much better one rate is."""
    plan = tune_plan("space=[lr,dropout,width,momentum]")
    for gain in (0.0, 2.0, 4.0):
        ends, adopted, sweeps = 0, 0, 0
        for repeat in range(protocols):
            dice = np.random.default_rng([int(gain), repeat])
            drawn: dict[tuple[str, int], float] = {}

            def value(knobs, seed, dice=dice, drawn=drawn, gain=gain):
                key = repr(sorted(knobs.items())), seed
                noise = drawn.setdefault(key, float(dice.normal()))
                better = gain if 0.02 < knobs.get(RATE, 0.1) < 0.025 else 0.0
                return 0.9 + 0.004 * (noise + better)

            history, _ = carried_out(plan, value)
            ends += not history.held if gain == 0 else 0.02 < history.held.get(RATE, 0.1) < 0.025
            adopted += sum(step.decision == "adopt" for step in history.sweeps)
            sweeps += len(history.sweeps)
        wanted = "the baseline" if gain == 0 else f"the rate that is {gain:g} deviations better"
        print(
            f"{wanted} is the answer of {ends} of {protocols} protocols; "
            f"{adopted} of {sweeps} sweeps adopted something"
        )


def starts(data: list[str], names: list[str], seeds: list[int], trials: int) -> None:
    """Real trainings."""
    table = []
    for name in data:
        for start in names:
            for seed in seeds:
                common = [f"data={name}", *STARTS[start], f"seed={seed}"]
                with tempfile.TemporaryDirectory() as cwd:
                    words = ["tune", *common, f"budget_trials={trials}", "protocol.trials=40"]
                    table.append([name, start, seed, "tune", *_run(words, cwd)])
                    for rival, options in RIVALS.items():
                        count = trials - (18 if rival.startswith("joint") else 0)
                        words = [*options, *common, f"n_trials={count}"]
                        table.append([name, start, seed, rival, *_run(words, cwd)])
                    print(*table[-4:], sep="\n", flush=True)
    columns = ["data", "start", "seed", "who", "epochs", "mean", "error", "seconds"]
    print(pd.DataFrame(table, columns=columns).to_string(index=False))


def _run(words: list[str], cwd: str) -> tuple[int, float, float, float]:
    """Epochs, the answer's mean and standard error on ten fresh seeds, seconds."""
    begun, name = time.monotonic(), f"s{time.monotonic_ns()}"
    _search([*words, f"name={name}"], cwd)
    seconds = time.monotonic() - begun
    folder = Path(cwd) / "results" / name
    epochs = int(pd.read_csv(folder / "trials.csv").epochs.sum())
    decision = json.loads((folder / "decisions.jsonl").read_text().splitlines()[-1])
    knobs = decision["held"] if "held" in decision else decision["value"]
    answer = [f"{path}={'null' if value is None else value}" for path, value in knobs.items()]
    keys = {word.partition("=")[0] for word in answer}
    common = [w for w in words if w.partition("=")[0] in SET_UP and w.partition("=")[0] not in keys]
    fresh = ["seed=1000", "seeds=10", "protocol.stages=[baseline]", "preflight=off"]
    _search(["tune", *common, *answer, *fresh, f"name={name}-fresh"], cwd)
    values = pd.read_csv(Path(cwd) / "results" / f"{name}-fresh" / "trials.csv").value
    error = float(values.std(ddof=1) / np.sqrt(len(values)))
    return epochs, round(float(values.mean()), 4), round(error, 4), round(seconds, 1)


def _search(words: list[str], cwd: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "search", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(json.dumps(words) + done.stdout[-2000:] + done.stderr[-2000:])


def main() -> None:
    """Reads the words of the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["chance", "starts"])
    parser.add_argument("--protocols", type=int, default=400)
    parser.add_argument("--data", nargs="+", default=["digits", "breast_cancer"])
    parser.add_argument("--start", nargs="+", default=list(STARTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--trials", type=int, default=120)
    options = parser.parse_args()
    if options.what == "chance":
        chance(options.protocols)
    else:
        starts(options.data, options.start, options.seeds, options.trials)


if __name__ == "__main__":
    main()
