"""Range tests of small tables against sweeps in lanes: how often is the best rate inside, or one that ties with it?

    python tests/benchmarks/lr_range_small.py [--aside] [--only TABLE …] [--seconds 200]

Two to three seconds of processor time per set-up. `--aside`: tables that were not looked at until the rule
stood. A rate ties with the best within the usual deviation between seeds. `--seconds`: of processor
time, after which no further set-up begins.
"""

import argparse
import math
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "support"
sys.path.insert(0, str(SUPPORT))

import foreign
import numpy as np
import torch

from search.config.compose import compose_experiment
from search.config.plan import check_task, read_plan
from search.config.trial_config import TrialConfigs, trainer_config
from search.contract.arrays import write_folds
from search.contract.contract import prepare
from search.contract.dataset import completed
from search.diagnostics.lr_range import read_range
from search.diagnostics.probe_process import answer
from trainers.api import Data, Epoch, Failure
from trainers.checkpoint import Unsaved
from trainers.stock import Stock

LOOKED_AT = ("friedman", "diabetes", "cancer", "clouds", "counts", "moons", "digits", "bags of words", "linear", "spectra")  # fmt: skip
ASIDE = (
    "wine", "iris", "few clouds", "steps", "zero-inflated", "log-normal", "ratings", "sines", "survey", "overlapping",
    "heavy features", "skewed features", "noisy columns", "strong column", "mixed", "one-hot",
)  # fmt: skip
OPTIMIZERS = {"sgd": [], "adam": ["optimizer=adam"], "rmsprop": ["optimizer=rmsprop"]}
DEEPER = {"nesterov, 2 tanh layers": ["optimizer=nesterov", "model.activation=tanh", "model.depth=2"]}  # fmt: skip
RAMP, RATES, SEEDS, EPOCHS = np.geomspace(1e-7, 10, 160), np.geomspace(1e-5, 10, 19), 3, 20


def measured(words):
    """The range test of a set-up, and its sweep: values [rates, seeds], higher is better."""
    with tempfile.TemporaryDirectory() as folder:
        config = completed(compose_experiment("lr_sweep", overrides=words, config_dir=None))
        plan = read_plan(config, root=Path(folder))
        check_task(plan)
        prepared = prepare(plan.config, metric=plan.metric)
        write_folds(Path(folder) / "arrays", prepared.folds(), stamp=prepared.stamp)
        config = trainer_config(TrialConfigs(plan.config).resolve(knobs={}, seed=plan.seed))
        asked = {
            "config": config, "folder": folder, "device": "cpu", "task": plan.config.data.task,
            "metric": asdict(plan.metric), "kind": "lr_range", "rates": RAMP.tolist(), "seeds": 5,
        }  # fmt: skip
        curves = answer(asked)["losses"]
    final = prepared.final
    data = Data(train=final.train, val=final.val)
    return read_range(RAMP.tolist(), curves), _sweep(config, data, plan.config.data.task)


def _sweep(config, data, task):
    """The best epoch's R² or accuracy of every rate and seed; -inf where the training was lost."""
    config = {**config, "trainer": {**config["trainer"], "epochs": EPOCHS, "replay": False}}
    seats = Stock(data=data, device="cpu")
    seats.fuse(seats.key(config).name)
    for trial in range(len(RATES) * SEEDS):
        optimizer = {**config["optimizer"], "lr": float(RATES[trial // SEEDS])}
        told = {**config, "seed": trial % SEEDS, "optimizer": optimizer}
        seats.admit(trial, config=told, checkpoint=Unsaved())
    best, ended = np.full(len(RATES) * SEEDS, -math.inf), set()
    while len(ended) < len(best):
        for outcome in seats.step():
            if not isinstance(outcome, Epoch):
                ended.add(outcome.trial)
                if isinstance(outcome, Failure):
                    best[outcome.trial] = -math.inf
            elif outcome.epoch:
                value = _score(np.asarray(outcome.values["predictions"], float), data.val.y, task)
                best[outcome.trial] = max(best[outcome.trial], value)
    return best.reshape(len(RATES), SEEDS)


def _score(predictions, y, task):
    if not np.isfinite(predictions).all():
        return -math.inf
    if task == "classification":
        return float((predictions.argmax(axis=1) == y).mean())
    return 1 - float(((predictions - y.reshape(predictions.shape)) ** 2).mean() / y.var())


def _reach(means, spread):
    """From which rate to which the values tie with the best."""
    near = RATES[means >= means.max() - spread]
    return f" (ties from {near.min():.2g} to {near.max():.2g})"


def main():
    """The table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--aside", action="store_true")
    parser.add_argument("--only", nargs="+", default=(), help="tables, for running it in parts")
    parser.add_argument("--seconds", type=float, default=math.inf)
    words = parser.parse_args()
    torch.set_num_threads(1)
    counts = dict.fromkeys(("set-ups", "told", "best inside", "a tie inside"), 0)
    tables = ASIDE if words.aside else LOOKED_AT
    for table in [table for table in tables if not words.only or table in words.only]:
        for name, more in (OPTIMIZERS | (DEEPER if words.aside else {})).items():
            if time.process_time() > words.seconds:
                continue
            task = (
                ["data.task=regression", "metric=r2", "loss=mse"]
                if table in foreign.NUMBERS
                else []
            )
            source = ["data._target_=foreign_data.table", *foreign.TABLE, f"+data.source='{table}'", "+data.seed=0"]  # fmt: skip
            result, values = measured([*source, *task, *more])
            means = values.mean(axis=1)
            usable = np.isfinite(means)
            spread = np.median(values[usable].std(axis=1, ddof=1))
            low, high = result.low or math.inf, result.high or -math.inf
            inside = (low <= RATES) & (high >= RATES)
            best = bool(inside[means == means.max()].any())
            tie = bool(inside[means >= means.max() - spread].any())
            for key, value in zip(counts, (True, result.low is not None, best, tie), strict=True):
                counts[key] += value
            told = f"{low:.2g} – {high:.2g}" if result.low else f"none: {result.because}"
            print(f"{table:16} {name:24} {told:20} best {RATES[means.argmax()]:.2g} {'' if best or not result.low else 'a tie' if tie else 'MISSED'}{_reach(means, spread)}", flush=True)  # fmt: skip
    print(", ".join(f"{name}: {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
