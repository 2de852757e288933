"""Range tests of small tables against sweeps in lanes: how often is the best rate inside, or one that ties with it?

    python tests/benchmarks/lr_range_small.py [--tables looked|aside|fresh|kinds|…] [--only TABLE …] [--seconds 200] [--keep FILE]

A few seconds of processor time per set-up. `aside`: tables that were not looked at until the rule stood;
`fresh`: tables of at most 300 rows, models, optimizers and batch sizes that were not looked at either, for the
rule of 2026-11-27; `kinds`: losses, optimizers, layers and scales of other kinds, after it stood; `drawn`: other
tables and ways by a dice, after that; `memories`: more momentum, after ramps were made slower for it; `foreign`: further
arguments of optimizers, schedules, loops of one's own, written down before the rule was read again, and their third that
was put aside, `foreign-aside`. Where the best rate of a sweep lies outside, it and the
best one inside are trained with ten fresh seeds each: they tie if no paired t-test (one-sided, 5 %) tells that the one inside is worse. `--seconds`: of
processor time, after which no further set-up begins. `--keep`: every ramp and sweep, a line of JSON each, so that another
rule can be read without training.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "support"
sys.path.insert(0, str(SUPPORT))

import foreign
import lr_range_drawn
import lr_range_foreign
import lr_range_kinds
import lr_range_loops
import lr_range_tables
import numpy as np
import torch
from scipy.stats import ttest_rel

from search.config.compose import compose_experiment
from search.config.plan import check_task, read_plan
from search.config.trial_config import TrialConfigs
from search.contract.arrays import write_folds
from search.contract.contract import prepare
from search.contract.dataset import completed
from search.diagnostics.lr_range import Range, read_range
from search.diagnostics.probe_process import answer
from search.lifecycle.range_test import ramp_rates
from trainers.api import Data, Epoch, Failure
from trainers.checkpoint import Unsaved
from trainers.stock import Stock

OPTIMIZERS = {"sgd": [], "adam": ["optimizer=adam"], "rmsprop": ["optimizer=rmsprop"]}
DEEPER = {"nesterov, 2 tanh layers": ["optimizer=nesterov", "model.activation=tanh", "model.depth=2"]}  # fmt: skip
OTHERS = {
    "plain SGD, 2 layers": ["optimizer=sgd_plain", "model.depth=2"],
    "nesterov, batches of 8": ["optimizer=nesterov", "trainer.batch_size=8"],
    "adamw, 3 layers of 32": ["optimizer=adamw", "model.depth=3", "model.width=32"],
    "rmsprop, batch norm, 64": ["optimizer=rmsprop", "model.norm=batch", "trainer.batch_size=64"],
    "adagrad, 2 tanh layers": ["optimizer=adagrad", "model.activation=tanh", "model.depth=2"],
    "amsgrad, linear, 128": ["optimizer=amsgrad", "model.depth=0", "trainer.batch_size=128"],
}
LOOKED_AT = ("friedman", "diabetes", "cancer", "clouds", "counts", "moons", "digits", "bags of words", "linear", "spectra")  # fmt: skip
ASIDE = (
    "wine", "iris", "few clouds", "steps", "zero-inflated", "log-normal", "ratings", "sines", "survey", "overlapping",
    "heavy features", "skewed features", "noisy columns", "strong column", "mixed", "one-hot",
)  # fmt: skip
SETS = {  # tables, ways to train, epochs of the sweep
    "looked": (LOOKED_AT, OPTIMIZERS, 20),
    "aside": (ASIDE, OPTIMIZERS | DEEPER, 20),
    "fresh": (tuple(lr_range_tables.TABLES), OTHERS, 15),
}
DRAWN = {
    "kinds": lr_range_kinds.set_ups,
    "drawn": lr_range_drawn.set_ups,
    "memories": lr_range_drawn.memories,
    "foreign": lr_range_foreign.looked_at,
    "foreign-aside": lr_range_foreign.aside,
}
RATES, SEEDS, AGAIN = np.geomspace(1e-5, 10, 19), 3, 10


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """What is trained for one range test, its sweep, and fresh seeds."""

    config: dict
    data: Data
    task: str
    epochs: int


def measured(words, *, epochs):
    """A set-up, its ramp (rates, curves of losses, those of untrained weights), and its sweep: values [rates, seeds], higher is better."""
    with tempfile.TemporaryDirectory() as folder:
        config = completed(compose_experiment("lr_sweep", overrides=words, config_dir=None))
        plan = read_plan(config, root=Path(folder))
        check_task(plan)
        prepared = prepare(plan.config, metric=plan.metric)
        write_folds(Path(folder) / "arrays", prepared.folds(), stamp=prepared.stamp)
        config = TrialConfigs(plan.config).resolve(knobs={}, seed=plan.seed)
        ramp = ramp_rates(plan.config)
        asked = {
            "config": config, "folder": folder, "device": "cpu", "task": plan.config.data.task,
            "metric": asdict(plan.metric), "kind": "lr_range", "rates": ramp, "seeds": int(plan.config.lr_range.seeds),
        }  # fmt: skip
        answers = answer(asked)
    final = prepared.final
    setup = SetUp(config=config, data=Data(train=final.train, val=final.val), task=plan.config.data.task, epochs=epochs)  # fmt: skip
    return (
        setup,
        (ramp, answers["losses"], answers["untrained"]),
        sweep(setup, RATES, seeds=range(SEEDS)),
    )


def sweep(setup, rates, *, seeds):
    """The best epoch's R² or accuracy, [rates, seeds]; -inf where the training was lost."""
    config = {**setup.config, "trainer": {**setup.config["trainer"], "epochs": setup.epochs, "replay": False}}  # fmt: skip
    configs = [
        {**config, "seed": seed, "optimizer": {**config["optimizer"], "lr": float(rate)}}
        for rate in rates
        for seed in seeds
    ]
    own = config["trainer"]["_target_"] != "trainers.stock.Stock"
    best = [_by_itself(setup, each) for each in configs] if own else _seated(setup, configs)
    return np.array(best).reshape(len(rates), len(seeds))


def _by_itself(setup, config):
    """The same of one training by a loop of its own."""
    values = [-math.inf]
    for epoch in lr_range_loops.fit(config, setup.data, "cpu", Unsaved()):
        values.append(_score(epoch["predictions"], setup.data.val.y, setup.task))
        if not (math.isfinite(epoch["train_loss"]) and math.isfinite(values[-1])):
            return -math.inf
    return max(values)


def _seated(setup, configs):
    """The same of trainings by the stock trainer, in lanes where it can."""
    seats = Stock(data=setup.data, device="cpu")
    key = seats.key(configs[0])
    if not key.cause:
        seats.fuse(key.name)
    for trial, config in enumerate(configs):
        seats.admit(trial, config=config, checkpoint=Unsaved())
    best, ended = np.full(len(configs), -math.inf), set()
    while len(ended) < len(best):
        for outcome in seats.step():
            if not isinstance(outcome, Epoch):
                ended.add(outcome.trial)
                if isinstance(outcome, Failure):
                    best[outcome.trial] = -math.inf
            elif outcome.epoch:
                predictions = np.asarray(outcome.values["predictions"], float)
                value = _score(predictions, setup.data.val.y, setup.task)
                best[outcome.trial] = max(best[outcome.trial], value)
    return best


def _score(predictions, y, task):
    if not np.isfinite(predictions).all():
        return -math.inf
    if task == "classification":
        return float((predictions.argmax(axis=1) == y).mean())
    return 1 - float(((predictions - y.reshape(predictions.shape)) ** 2).mean() / y.var())


def judged(setup, found: Range, values):
    """Whether the best rate is inside, whether one inside ties with it, and the line that says so."""
    means = values.mean(axis=1)
    tops = RATES[means == means.max()]  # exact ties are all the best
    if found.low is None or found.high is None:
        return False, False, f"none: {found.because}; best {tops[0]:.2g}"
    inside = (found.low <= RATES) & (found.high >= RATES)
    hits = [rate for rate in tops if found.low <= rate <= found.high]
    best = (hits or list(tops))[0]
    line = f"{found.low:.2g} – {found.high:.2g} best {best:.2g}"
    if hits:
        return (
            True,
            True,
            f"{line} ({math.log10(found.high / best):.2f} decades below the upper end)",
        )
    side, end = ("above", found.high) if best > found.high else ("below", found.low)
    if not inside.any():
        return False, False, f"{line}: MISSED, no rate of the sweep is inside"
    rival = RATES[inside][means[inside].argmax()]
    pair = sweep(setup, [best, rival], seeds=range(100, 100 + AGAIN))
    tie = bool(np.isfinite(pair[1]).all()) and not _is_better(*pair)
    far = f"{abs(math.log10(best / end)):.2f} decades {side}"
    gains = f"{pair[0].mean():.4f} against {pair[1].mean():.4f} at {rival:.2g} with fresh seeds"
    return False, tie, f"{line}, {far}: {gains}: {'a tie' if tie else 'MISSED'}"


def _is_better(one, other):
    """Whether values of the same seeds are higher beyond chance."""
    kept = np.isfinite(one) & np.isfinite(other)
    if not np.isfinite(one).all() or np.ptp((one - other)[kept]) == 0:
        return bool(np.mean(one) > np.mean(other))
    return float(ttest_rel(one, other, alternative="greater").pvalue) < 0.05


def set_ups(which):
    """Of a set: names of tables and of ways to train, words of the command, epochs of the sweep."""
    if which in DRAWN:
        for name, table, more, seed in DRAWN[which]():
            words = words_of(table, seed=seed)
            if any(word.startswith("loss=") for word in more):
                words = [word for word in words if not word.startswith("loss=")]
            yield table, name, [*words, *more], 15
        return
    tables, ways, epochs = SETS[which]
    for table in tables:
        for name, more in ways.items():
            yield table, name, [*words_of(table), *more], epochs


def words_of(table, *, seed=0):
    """The data of a table, as words of the command."""
    modules = (lr_range_tables, lr_range_drawn, lr_range_foreign)
    places = {module.__name__: module for module in modules}
    place = next((name for name, module in places.items() if table in module.TABLES), None)
    numbers = places[place].NUMBERS if place else foreign.NUMBERS
    task = ["data.task=regression", "metric=r2", "loss=mse"] if table in numbers else []
    target = f"{place or 'foreign_data'}.table"
    return [f"data._target_={target}", *foreign.TABLE, f"+data.source='{table}'", f"+data.seed={seed}", *task]  # fmt: skip


def main():
    """The table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tables", choices=[*SETS, *DRAWN], default="looked")
    parser.add_argument("--only", nargs="+", default=(), help="tables, for running it in parts")
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--keep", type=Path)
    words = parser.parse_args()
    torch.set_num_threads(1)
    counts = dict.fromkeys(("set-ups", "told", "best inside", "a tie inside"), 0)
    for table, name, command, epochs in set_ups(words.tables):
        if (words.only and table not in words.only) or time.process_time() > words.seconds:
            continue
        setup, (ramp, *curves), values = measured(command, epochs=epochs)
        if words.keep:
            line = {"table": table, "name": name, "ramp": ramp, "curves": curves[0], "untrained": curves[1], "values": values.tolist()}  # fmt: skip
            with words.keep.open("a") as file:
                file.write(json.dumps(line) + "\n")
        found = read_range(ramp, *curves)
        best, tie, line = judged(setup, found, values)
        for key, value in zip(counts, (True, found.low is not None, best, tie), strict=True):
            counts[key] += value
        print(f"{table:16} {name:24} {line}", flush=True)
    print(", ".join(f"{name}: {count}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
