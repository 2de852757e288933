"""Do a sweep's decisions hold in real trainings? Sweeps of three seeds against thirty per value.

    python tests/benchmarks/decisions_trained.py [--sweeps 20] [--data digits mnist1d] [--keep FOLDER]

The baselines are random and poor. Shares of decisions, with 95 % intervals:

- within noise: the mean of 30 seeds at the chosen value lies within one standard deviation between
  seeds of the best such mean; `strict`: the rule itself cannot tell them apart on 30 seeds;
- gains: of the decisions that leave the baseline, those whose value is better on 30 seeds beyond
  chance (Welch, 5 %); `missed`: of those that keep it, where another value is better than that.

Beside ours: the same after one look, without a race, the best mean, and the best single run, of
the first three seeds. Each sweep is judged as the program decided it, and ten times more by the
rules alone, on the ten triples of the thirty seeds; the race goes on with the seeds that follow.
Trainings: of the race over those of the triples. Resumes where --keep names a folder.
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from search.stages.comparison import compare
from search.stages.decision import decide
from search.stages.further_seeds import seeds_needed
from search.stages.group import Group, scores_of
from search.stages.racing import Race
from search.stages.scores import least_deviation

EPOCHS, SEEDS, MOST, TRUTH = 8, 3, 10, 30
VAL_ROWS = {"digits": 252, "mnist1d": 800, "breast_cancer": 80}
KNOBS = {
    "lr": "optimizer.lr",
    "momentum": "optimizer.momentum",
    "dropout": "model.dropout",
    "width": "model.width",
}
RULES = ("ours", "one look", "best mean", "best run")
RACE = Race(first=SEEDS, most=MOST)


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
    """One `python -m search`; a finished one is left as it is."""
    name = next(word.partition("=")[2] for word in words if word.startswith("name="))
    if (folder / "results" / name / "decisions.jsonl").exists():
        return folder / "results" / name
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


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What thirty seeds say of a value; a value that may diverge lies within no noise."""

    within: bool
    strict: bool
    is_baseline: bool
    is_gain: bool  # of a baseline: whether another value is one


def truth(groups: list[Group], resolution: float) -> dict[object, Truth]:
    """What thirty seeds say of every value."""
    whole = [group for group in groups if len(group.clean) == TRUTH]
    best = max(group.mean for group in whole)
    half = sorted(whole, key=lambda group: group.mean)[len(whole) // 2 :]
    noise = math.sqrt(np.mean([np.var(group.clean, ddof=1) for group in half]))
    standings = decide(groups, resolution=resolution).standings
    gains = [
        group in whole
        and compare(groups[0].scores, group.scores, resolution=resolution).outcome == "better"
        for group in groups
    ]
    gains[0] = any(gains)
    return {
        group.value: Truth(
            within=group in whole and best - group.mean <= noise,
            strict=group in whole and standing in ("best", "tie"),
            is_baseline=group is groups[0],
            is_gain=is_gain,
        )
        for group, standing, is_gain in zip(groups, standings, gains, strict=True)
    }


def raced(groups: list[Group], *, resolution: float) -> list[Group]:
    """The groups with the seeds that the race gives to each."""
    scores = scores_of(groups)
    floor = least_deviation(scores[:, :SEEDS], share=resolution)
    needed = seeds_needed(scores, RACE, noise_floor=floor)
    return [
        replace(group, scores=group.scores[:count])
        for group, count in zip(groups, needed, strict=True)
    ]


def one_sweep(
    folder: Path, data: str, number: int
) -> tuple[dict[str, Truth], list[dict[str, Truth]], list[float]]:
    """The truth of what each rule chose: in the program's own sweep, and in the ten triples."""
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

    def winner(groups: list[Group], **race: Race) -> object:
        costs = [float(group.value) for group in groups] if knob == "width" else None
        return groups[decide(groups, resolution=resolution, costs=costs, **race).winner or 0].value

    def judge(groups: list[Group], ours: object) -> dict[str, Truth]:
        chosen = (ours, winner(groups), *naive(groups))
        return {rule: confirmed[value] for rule, value in zip(RULES, chosen, strict=True)}

    own = judge(groups_of(trials, path, first=first, seeds=list(range(SEEDS))), record["value"])
    triples, trainings = [], []
    for begin in range(0, TRUTH, SEEDS):
        seeds = [(begin + place) % TRUTH for place in range(MOST)]
        groups = groups_of(exhaustive, path, first=first, seeds=seeds)
        whole = raced(groups, resolution=resolution)
        three = [replace(group, scores=group.scores[:SEEDS]) for group in groups]
        triples.append(judge(three, winner(whole, race=RACE)))
        trainings.append(float(np.mean([len(group.scores) for group in whole])) / SEEDS)
    chosen = ", ".join(f"{rule} {vars(own[rule])}" for rule in RULES)
    print(f"  {data} {number:2}  {path:20} {chosen}", flush=True)
    return own, triples, trainings


SHARES = {  # what is counted, and among which decisions
    "within noise": (lambda one: one.within, lambda one: True),
    "strict": (lambda one: one.strict, lambda one: True),
    "gains": (lambda one: one.is_gain, lambda one: not one.is_baseline),
    "missed": (lambda one: one.is_gain, lambda one: one.is_baseline),
}


def wilson(hits: int, count: int) -> str:
    """A share with its 95 % interval (Wilson 1927)."""
    if not count:
        return "none"
    z, share = 1.96, hits / count
    middle, half = (
        share + z * z / (2 * count),
        z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)),
    )
    low, high = ((middle + sign * half) / (1 + z * z / count) for sign in (-1, 1))
    return f"{hits} of {count} [{low:.2f}, {high:.2f}]"


def bootstrap(per_sweep: list[tuple[int, int]]) -> str:
    """A share with its 95 % interval over sweeps, whose triples belong together."""
    counted = np.array(per_sweep)
    hits, count = counted.sum(0)
    if not count:
        return "none"
    dice = np.random.default_rng(0)
    drawn = counted[dice.integers(len(counted), size=(2000, len(counted)))].sum(1)
    shares = drawn[:, 0] / np.maximum(drawn[:, 1], 1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return f"{hits} of {count} [{low:.2f}, {high:.2f}]"


def report(judged: list[tuple[dict[str, Truth], list[dict[str, Truth]], list[float]]]) -> None:
    """Prints a row per rule and share: whole sweeps, and triples."""
    print(f"trainings {np.mean([each for *_, trainings in judged for each in trainings]):.2f}\n")
    print("| rule | share | of sweeps | of triples |\n| --- | --- | --- | --- |")
    for rule, (name, (counts, belongs)) in itertools.product(RULES, SHARES.items()):

        def tally(choices: list[Truth], counts=counts, belongs=belongs) -> tuple[int, int]:
            among = [one for one in choices if belongs(one)]
            return sum(map(counts, among)), len(among)

        whole = tally([own[rule] for own, *_ in judged])
        triples = [tally([triple[rule] for triple in ten]) for _, ten, _ in judged]
        print(f"| {rule} | {name} | {wilson(*whole)} | {bootstrap(triples)} |")


def main() -> None:
    """Prints what share of each rule's decisions thirty seeds confirm."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", type=int, default=20)
    parser.add_argument("--data", nargs="+", default=["digits", "mnist1d"])
    parser.add_argument("--keep", type=Path, default=None)
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    everything = []
    for data in given.data:
        judged = [one_sweep(folder, data, number) for number in range(given.sweeps)]
        everything += judged
        print(f"\n{data}, {given.sweeps} sweeps\n")
        report(judged)
    print("\ntogether\n")
    report(everything)


if __name__ == "__main__":
    main()
