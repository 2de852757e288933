"""Joint searches over real trainings of an MLP and a CNN on mnist1d (`joint.py real`)."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import optuna
from joint_search import SAMPLERS, interval, ours, plain

from search.config.compose import compose_experiment
from search.config.joint_settings import default_point
from search.config.knobs import Value
from search.config.plan import Plan, read_plan
from search.config.trial_config import TrialConfigs
from search.contract.contract import prepare
from search.execution.early_stopping import EarlyStopping
from search.execution.end_reasons import StopDecision
from search.execution.worker.trial_runner import TrialRunner
from search.results.warm_start import Past
from trainers.checkpoint import TrialCheckpoint


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
        config = self._configs.resolve(knobs=knobs, seed=self.seed)
        standing = EarlyStopping(metric=self._metric, patience=None)
        with tempfile.TemporaryDirectory() as folder:
            self._trainings.admit(
                0, config=config, checkpoint=TrialCheckpoint(Path(folder), folds=1, every=1e9)
            )
            try:
                while standing.epoch < self._epochs:
                    (result,) = self._trainings.step()
                    if result.message is None:
                        raise result.error or RuntimeError("the trainer ended early")
                    epoch = result.message
                    losses = epoch.values.get("train_loss"), epoch.values.get("val_loss")
                    decision = standing.see(
                        epoch.epoch, value=float(epoch.value or 0.0), losses=losses
                    )
                    if decision == StopDecision.DIVERGED:
                        return self.floor
            finally:
                self._trainings.release(0)
        return float(standing.value or self.floor)


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
