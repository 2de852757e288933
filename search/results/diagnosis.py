"""Gives a search's trials their verdicts, from disk alone, and compares the trials with each other.

Needs no torch and decides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from search.config.knobs import RATES, is_number, plain_name
from search.config.plan import Plan
from search.config.sweep_settings import SweepSettings
from search.contract.arrays import has_rows, train_targets
from search.contract.metric_functions import entropy
from search.diagnostics.verdicts.across_trials import CLIFF, Role, Trained, across
from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.from_columns import curves_of
from search.diagnostics.verdicts.heads import heads_apart, heads_scores
from search.diagnostics.verdicts.more_rows import KNOB as FRACTION
from search.diagnostics.verdicts.more_rows import more_rows
from search.diagnostics.verdicts.rules import Verdict, judge
from search.diagnostics.verdicts.trend import Columns
from search.results.export import config_of
from search.results.findings import Findings
from search.results.summary.verdicts import out_of_patience
from search.storage.curves import followed, without_curves
from search.storage.folder import Folder
from search.storage.trials import ENDED_BY_ERROR, EpochRecord, TrialRecord
from trainers.api import IGNORED

ROLE_RATES = (*RATES, "max_lr")
FLOOD = "trainer.flood"
BROKEN = (
    "nan",
    "exploding",
    "vanishing",
    "dead",
    "dead_units",
    "data_suspect",
    "cannot_tell",
)  # verdicts that do not rest on a trend of the train loss
CROSS_ENTROPY, SQUARED = "torch.nn.CrossEntropyLoss", "torch.nn.MSELoss"


def diagnosed(findings: Findings, curves: pd.DataFrame, *, folder: Folder) -> Findings:
    """Adds a verdict for every trial that records its losses, and the findings across trials."""
    columns_of = by_trial(curves)
    verdict_on = _judge_of(findings.plan, folder)
    rows = {row.spec.trial: row for row in findings.rows}
    judged = {trial: verdict_on(columns, rows.get(trial)) for trial, columns in columns_of.items()}
    verdicts = {trial: verdict for trial, verdict in judged.items() if verdict is not None}
    knob, role = _question(findings)
    finished = _trained(findings, columns_of, verdicts, knob=knob)
    together = across(finished, knob=knob, role=role, stock=findings.plan.stock)
    if knob == FRACTION:
        rows_help = more_rows(finished, metric=findings.plan.metric)
        together = [*together, *([] if rows_help is None else [rows_help])]
    if (winner := findings.winner) is not None:
        weights = OmegaConf.select(config_of(findings.plan, winner), "loss.weights")
        if OmegaConf.is_dict(weights):
            apart = heads_apart(columns_of.get(winner.spec.trial, {}), weights)
            together = [*together, *([] if apart is None else [apart])]
    trained = {row.spec.trial: row.epochs for row in findings.rows if row.finished}
    return replace(
        findings,
        verdicts=verdicts,
        together=tuple(together),
        without_curves=tuple(without_curves(curves, epochs=trained)),
        heads=_heads(findings, columns_of),
        has_rows=has_rows(folder.arrays),
    )


def _heads(findings: Findings, columns_of: Mapping[int, Columns]) -> dict[int, dict[str, float]]:
    """The further heads' scores at each trial's best epoch (R50)."""
    names = list(findings.plan.config.data.get("auxiliary") or ())
    if not names:
        return {}
    heads = {}
    for row in findings.rows:
        columns = columns_of.get(row.spec.trial, {})
        epochs = list(columns.get("epoch", ()))
        if row.best_epoch in epochs:
            best = epochs.index(row.best_epoch)
            scores = heads_scores(columns, names)
            heads[row.spec.trial] = {name: float(column[best]) for name, column in scores.items()}
    return heads


def usual_updates(curves: pd.DataFrame) -> dict[int, float]:
    """Each trial's median, over its epochs, of an update's norm over the weights' (R24)."""
    if "update_ratio" not in curves or curves.empty:
        return {}
    trained = curves[curves["epoch"] > 0]
    medians = trained.groupby("trial", as_index=False)["update_ratio"].median().dropna()
    return {
        int(trial): float(ratio)
        for trial, ratio in zip(medians["trial"], medians["update_ratio"], strict=True)
    }


def trial_judge(
    plan: Plan, folder: Folder
) -> Callable[[TrialRecord, Sequence[EpochRecord]], Verdict | None]:
    """Judges one finished trial by its records, as `diagnosed` does; None without losses."""
    verdict_on = _judge_of(plan, folder)

    def judged(row: TrialRecord, records: Sequence[EpochRecord]) -> Verdict | None:
        columns = by_trial(pd.DataFrame([r for r in records if r["epoch"] <= row.epochs]))
        return verdict_on(columns[row.spec.trial], row) if columns else None

    return judged


def _judge_of(
    plan: Plan, folder: Folder
) -> Callable[[Columns, TrialRecord | None], Verdict | None]:
    classes, constant = _constant(plan, folder)
    val_rows = folder.val_rows if folder.contract.exists() else 0
    flood = OmegaConf.select(plan.config, FLOOD)

    def verdict_on(columns: Columns, row: TrialRecord | None) -> Verdict | None:
        losses = curves_of(
            columns,
            metric=plan.metric.name,
            sign=plan.metric.sign,
            classes=classes,
            constant=constant,
            ended=row is not None and row.state == "infeasible",
            val_rows=val_rows,
        )
        if losses is None:
            return None
        if not plan.stock and not _fits(losses):
            losses = replace(losses, classes=0, constant=None)
        return _judged(losses, flood=flood if row is None else row.spec.knobs.get(FLOOD, flood))

    return verdict_on


def _fits(curves: Curves) -> bool:
    """Whether a trainer's own loss may be the contract's: an untrained model's is near it (R11)."""
    if not curves.untrained or curves.constant is None:
        return True
    return 0.3 < float(curves.train[0]) / curves.constant < 5.0


def _judged(curves: Curves, *, flood: Any) -> Verdict:
    """The verdict on one training; it never raises, since the tables are written in any case.

    A train loss held up by flooding has no trend to read (R47).
    """
    try:
        verdict = judge(curves)
        if (
            isinstance(flood, int | float)
            and verdict.name not in BROKEN
            and np.median(curves.train[-3:]) < 2 * flood
        ):
            return Verdict(
                name="cannot_tell",
                why=f"flooding holds the train loss at {flood:g}: its trend says nothing (R47)",
            )
        return verdict
    except ArithmeticError as error:
        return Verdict(
            name="cannot_tell", why=f"the losses cannot be read ({type(error).__name__}: {error})"
        )


def by_trial(curves: pd.DataFrame) -> dict[int, Columns]:
    """The numeric columns of each trial, as arrays: the mean of its folds, where it has folds."""
    if not len(curves):
        return {}
    main = followed(curves).sort_values(["trial", "epoch"], kind="stable")
    numeric = [
        name
        for name in main
        if pd.api.types.is_numeric_dtype(main[name]) and main[name].notna().any()
    ]
    columns = {
        name: main[name].to_numpy(dtype=float, na_value=np.nan) for name in map(str, numeric)
    }
    trials, starts = np.unique(main["trial"].to_numpy(), return_index=True)
    ends = [*starts[1:], len(main)]
    return {
        int(trial): {name: column[start:end] for name, column in columns.items()}
        for trial, start, end in zip(trials, starts, ends, strict=True)
    }


def _trained(
    findings: Findings, curves: Mapping[int, Columns], verdicts: Mapping[int, Verdict], *, knob: str
) -> list[Trained]:
    """The finished trials, as `across_trials` compares them; without those that an error of their
    code or the machine has ended, which says nothing of their value.

    `knob`: the path whose values they had; empty where they compare none.
    """
    plan = findings.plan

    def value(row: TrialRecord) -> float | None:
        number = row.spec.knobs.get(knob)
        return float(number) if is_number(number) else None

    def verdict(row: TrialRecord) -> str:
        return verdicts[row.spec.trial].name if row.spec.trial in verdicts else ""

    return [
        Trained(
            value=value(row),
            score=None if row.result is None else plan.metric.sign * row.result,
            level=_level(curves.get(row.spec.trial, {})),
            best_epoch=None if plan.limits.score_last else row.best_epoch,
            epochs=plan.epochs_of(row.spec.knobs),
            verdict=verdict(row),
            stopped=out_of_patience(plan, row),
        )
        for row in findings.rows
        if row.finished and not (row.state in ENDED_BY_ERROR and verdict(row) not in CLIFF)
    ]


def _level(columns: Columns) -> float | None:
    """The train loss at the end: the median of the last three epochs."""
    series = [
        columns[name]
        for name in ("train_eval_loss", "train_loss")
        if name in columns and np.isfinite(columns[name]).any()
    ]
    return float(np.median(series[0][-3:])) if series else None


def _question(findings: Findings) -> tuple[str, Role]:
    """Which knob a sweep turned, and in which role it is judged; empty for other searches."""
    if not isinstance(findings.plan.settings, SweepSettings):
        return "", ""
    knob = findings.plan.knob
    if knob.group == "capacity":
        return knob.path, "size"
    return knob.path, "rate" if plain_name(knob.path) in ROLE_RATES else ""


def _constant(plan: Plan, folder: Folder) -> tuple[int, float | None]:
    """The number of classes, and the train loss of a constant prediction (R11).

    0 and None where the loss has no such value. Squared errors are in training units, in which a
    target has a variance of about 1. A trainer's own loss is held to be the usual one of its task.
    """
    target = str(plan.config.get("loss", {}).get("_target_", ""))
    if not plan.stock:
        task = str(OmegaConf.select(plan.config, "data.task"))
        target = SQUARED if task in ("regression", "step_regression") else CROSS_ENTROPY
    y = train_targets(folder.arrays) if target in (CROSS_ENTROPY, SQUARED) else None
    if y is None or y.dtype.kind not in "iuf":
        return 0, None
    if target == SQUARED:
        return 0, float(np.nanvar(y) if y.ndim == 3 else np.var(y, axis=0).mean())
    labels = np.asarray(y)[np.asarray(y) != IGNORED]
    if y.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        return 0, None
    return len(np.unique(labels)), entropy(labels)
