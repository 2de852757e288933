"""Do a sweep's decisions hold in real trainings? Sweeps of three seeds against thirty per value.

    python tests/benchmarks/decisions_trained.py [--sweeps 20] [--data digits mnist1d] [--keep FOLDER]

The baselines are random and poor. A decision is confirmed when the mean of 30 seeds at its value
lies within noise of the best such mean: within one standard deviation between seeds. `strict`: not
told from the best by the rule itself on 30 seeds. Beside ours: the best mean, and the best single
run, of the same trials. Each sweep is judged as the program decided it, and ten times more by the
rule alone, on the ten triples of the thirty seeds. Resumes where --keep names a folder.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from search.stages.decision import decide
from search.stages.group import Group

EPOCHS, SEEDS, TRUTH = 8, 3, 30
VAL_ROWS = {"digits": 252, "mnist1d": 800}
KNOBS = {
    "lr": "optimizer.lr",
    "momentum": "optimizer.momentum",
    "dropout": "model.dropout",
    "width": "model.width",
}
RULES = ("ours", "best mean", "best run")


def baseline(dice: np.random.Generator) -> list[str]:
    """A configuration that nobody would have chosen."""
    return [
        f"optimizer.lr={10 ** dice.uniform(-4, -0.5):.2g}",
        f"optimizer.momentum={dice.uniform(0, 0.95):.2g}",
        f"optimizer.weight_decay={10 ** dice.uniform(-5, -1):.2g}",
        f"model.width={2 ** dice.integers(3, 8)}",
        f"model.dropout={dice.uniform(0, 0.6):.2g}",
        f"trainer.batch_size={2 ** dice.integers(5, 8)}",
    ]


def search(folder: Path, *words: str) -> Path:
    """One `python -m search`; a finished one is only read again."""
    name = next(word.partition("=")[2] for word in words if word.startswith("name="))
    common = [f"trainer.epochs={EPOCHS}", "trainer.patience=null", "rehearse=false"]
    done = subprocess.run(
        [sys.executable, "-m", "search", *words, *common],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stderr}")
    return folder / "results" / name


def groups_of(trials: pd.DataFrame, path: str, *, first: object, seeds: list[int]) -> list[Group]:
    """A group per value, the baseline's first."""
    values = [first, *(value for value in dict.fromkeys(trials[path]) if value != first)]
    by_value = {
        value: [
            None if row.empty or math.isnan(row.iloc[0]) else float(row.iloc[0])
            for row in (
                trials.value[(trials[path] == value) & (trials.seed == seed)] for seed in seeds
            )
        ]
        for value in values
    }
    return [Group(candidate=value, scores=tuple(scores)) for value, scores in by_value.items()]


def naive(groups: list[Group]) -> tuple[object, object]:
    """The value of the best mean of what is there, and that of the best single run."""
    best_mean = max(groups, key=lambda group: group.mean)
    best_run = max(groups, key=lambda group: max(group.clean, default=-math.inf))
    return best_mean.value, best_run.value


def truth(groups: list[Group], resolution: float) -> dict[object, tuple[bool, bool]]:
    """Value → whether it lies within noise of the best, and whether strictly so; a value that may
    diverge does not.
    """
    whole = [group for group in groups if len(group.clean) == TRUTH]
    best = max(group.mean for group in whole)
    half = sorted(whole, key=lambda group: group.mean)[len(whole) // 2 :]
    noise = math.sqrt(np.mean([np.var(group.clean, ddof=1) for group in half]))
    standings = decide(groups, resolution=resolution).standings
    return {
        group.value: (
            group in whole and best - group.mean <= noise,
            group in whole and standing in ("best", "tie"),
        )
        for group, standing in zip(groups, standings, strict=True)
    }


def one_sweep(
    folder: Path, data: str, number: int
) -> tuple[dict[str, tuple[bool, bool]], list[dict[str, tuple[bool, bool]]]]:
    """The verdicts on the program's own decision, and on those of the ten triples."""
    dice = np.random.default_rng([number, len(data)])
    knob = list(KNOBS)[number % len(KNOBS)]
    path, words = KNOBS[knob], [f"data={data}", *baseline(dice)]
    small = search(folder, f"{knob}_sweep", f"name={data}-{number}", f"seeds={SEEDS}", *words)
    record = json.loads((small / "decisions.jsonl").read_text())
    trials = pd.read_csv(small / "trials.csv")
    values = ",".join(str(value) for value in dict.fromkeys(trials[path]))
    wide = [f"{knob}_sweep", f"name={data}-{number}-truth", f"seeds={TRUTH}", *words]
    large = search(folder, *wide, f"~space.{path}", f"+space.{path}={{choices: [{values}]}}")
    exhaustive = pd.read_csv(large / "trials.csv")
    first = record["baseline"]
    resolution = 1 / VAL_ROWS[data]
    everything = groups_of(exhaustive, path, first=first, seeds=list(range(TRUTH)))
    confirmed = truth(everything, resolution)

    def judge(groups: list[Group], ours: object) -> dict[str, tuple[bool, bool]]:
        return {
            rule: confirmed[value]
            for rule, value in zip(RULES, (ours, *naive(groups)), strict=True)
        }

    own = judge(groups_of(trials, path, first=first, seeds=list(range(SEEDS))), record["value"])
    triples = []
    for begin in range(0, TRUTH, SEEDS):
        groups = groups_of(exhaustive, path, first=first, seeds=list(range(begin, begin + SEEDS)))
        costs = [float(group.value) for group in groups] if knob == "width" else None
        winner = decide(groups, resolution=resolution, costs=costs).winner
        triples.append(judge(groups, groups[winner or 0].value))
    print(
        f"  {data} {number:2}  {path:20} {' '.join(f'{rule}: {own[rule]}' for rule in RULES)}",
        flush=True,
    )
    return own, triples


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, hits / count
    middle, half = (
        share + z * z / (2 * count),
        z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)),
    )
    return (middle - half) / (1 + z * z / count), (middle + half) / (1 + z * z / count)


def bootstrap(shares: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean over sweeps, whose triples belong together."""
    dice = np.random.default_rng(0)
    means = [dice.choice(shares, len(shares)).mean() for _ in range(2000)]
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def main() -> None:
    """Prints the share of confirmed decisions of each rule, with intervals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--data", nargs="+", default=["digits", "mnist1d"])
    parser.add_argument("--keep", type=Path, default=None)
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    for data in given.data:
        judged = [one_sweep(folder, data, number) for number in range(given.sweeps)]
        print(f"\n{data}, {given.sweeps} sweeps{'':15} within noise{'':20} strict")
        for rule in RULES:
            told = []
            for kind in (0, 1):
                hits = sum(own[rule][kind] for own, _ in judged)
                low, high = wilson(hits, len(judged))
                shares = np.array(
                    [np.mean([triple[rule][kind] for triple in triples]) for _, triples in judged]
                )
                least, most = bootstrap(shares)
                told.append(
                    f"{hits / len(judged):.2f} [{low:.2f}, {high:.2f}]  triples {shares.mean():.3f} [{least:.3f}, {most:.3f}]"
                )
            print(f"  {rule:10} {'    '.join(told)}")


if __name__ == "__main__":
    main()
