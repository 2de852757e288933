"""The verdicts on a search's trials, from disk alone, and what they say together. Needs no torch, decides nothing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from search.config.plan import Plan
from search.contract.arrays import read_folds
from search.contract.metric_functions import entropy
from search.diagnostics.verdicts.across_trials import Trained, across
from search.diagnostics.verdicts.curves import Curves
from search.diagnostics.verdicts.from_columns import curves_of
from search.diagnostics.verdicts.rules import Verdict, judge
from search.results.findings import Findings
from search.storage.curves import followed
from search.storage.folder import Folder
from search.storage.trials import TrialRecord

RATES = ("lr", "max_lr", "base_lr")
FLOOD = "trainer.flood"
BROKEN = (
    "nan",
    "exploding",
    "vanishing",
    "dead",
    "dead_units",
    "data_suspect",
    "cannot_tell",
)  # verdicts that no trend makes
CROSS_ENTROPY, SQUARED = "torch.nn.CrossEntropyLoss", "torch.nn.MSELoss"


def diagnosed(findings: Findings, curves: pd.DataFrame, *, folder: Folder) -> Findings:
    """With a verdict on every trial that tells its losses, and what the trials say together."""
    plan, read = findings.plan, by_trial(curves)
    classes, constant = _constant(plan, folder)
    verdicts = {}
    diverged = {row.ask.trial for row in findings.rows if row.state == "infeasible"}
    floods = {
        row.ask.trial: row.ask.knobs.get(FLOOD, OmegaConf.select(plan.config, FLOOD))
        for row in findings.rows
    }
    for trial, columns in read.items():
        known = curves_of(
            columns,
            metric=plan.metric.name,
            sign=plan.metric.sign,
            classes=classes,
            constant=constant,
            ended=trial in diverged,
        )
        if known is not None:
            verdicts[trial] = _judged(known, flood=floods.get(trial))
    together = across(_trained(findings, read, verdicts), **_question(findings))
    return replace(findings, verdicts=verdicts, together=tuple(together))


def _judged(curves: Curves, *, flood: Any) -> Verdict:
    """A verdict, whatever the curves: the tables do not depend on it. A train loss that is kept afloat has no trend (R47)."""
    try:
        told = judge(curves)
        if (
            isinstance(flood, int | float)
            and told.name not in BROKEN
            and np.median(curves.train[-3:]) < 2 * flood
        ):
            return Verdict(
                name="cannot_tell",
                why=f"train is kept afloat at {flood:g}, so its trend says nothing (R47)",
            )
        return told
    except ArithmeticError as error:
        return Verdict(
            name="cannot_tell", why=f"its numbers defy reading ({type(error).__name__}: {error})"
        )


def by_trial(curves: pd.DataFrame) -> dict[int, dict[str, Any]]:
    """The columns of each trial, as arrays: the mean of its folds, where it has any."""
    if not len(curves):
        return {}
    main = followed(curves).sort_values(["trial", "epoch"], kind="stable")
    told = [
        name
        for name in main
        if pd.api.types.is_numeric_dtype(main[name]) and main[name].notna().any()
    ]
    columns = {name: main[name].to_numpy(dtype=float, na_value=np.nan) for name in map(str, told)}
    trials, starts = np.unique(main["trial"].to_numpy(), return_index=True)
    ends = [*starts[1:], len(main)]
    return {
        int(trial): {name: column[start:end] for name, column in columns.items()}
        for trial, start, end in zip(trials, starts, ends, strict=True)
    }


def _trained(
    findings: Findings, curves: Mapping[int, dict[str, Any]], verdicts: Mapping[int, Verdict]
) -> list[Trained]:
    """The finished trials as they are compared with each other."""
    plan = findings.plan
    knob = plan.knob.path if plan.kind == "sweep" else ""

    def value(row: TrialRecord) -> float | None:
        told = row.ask.knobs.get(knob)
        return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else None

    return [
        Trained(
            value=value(row),
            score=plan.metric.sign * row.value
            if row.state == "complete" and row.value is not None
            else None,
            level=_level(curves.get(row.ask.trial, {})),
            best_epoch=row.best_epoch,
            epochs=plan.epochs,
            verdict=verdicts[row.ask.trial].name if row.ask.trial in verdicts else "",
        )
        for row in findings.rows
        if row.finished
    ]


def _level(columns: Mapping[str, Any]) -> float | None:
    """Where train ended."""
    known = [
        columns[name]
        for name in ("train_eval_loss", "train_loss")
        if name in columns and np.isfinite(columns[name]).any()
    ]
    return float(np.median(known[0][-3:])) if known else None


def _question(findings: Findings) -> dict[str, Any]:
    """What a sweep turned."""
    if findings.plan.kind != "sweep":
        return {}
    knob = findings.plan.knob
    last = knob.path.rpartition(".")[2]
    return {
        "knob": knob.path,
        "role": "size" if knob.group == "capacity" else "rate" if last in RATES else "",
    }


def _constant(plan: Plan, folder: Folder) -> tuple[int, float | None]:
    """Classes, and what a constant prediction loses on train (R11); 0 and None where the loss has no such value.

    Mean squared errors are those of the training's units, in which a target has a variance of about 1.
    """
    target = str(plan.config.get("loss", {}).get("_target_", "")) if plan.stock else ""
    y = _targets(folder) if target in (CROSS_ENTROPY, SQUARED) else None
    if y is None:
        return 0, None
    if target == SQUARED:
        return 0, float(np.var(y, axis=0).mean())
    if y.ndim != 1 or y.dtype.kind not in "iu" or y.min() < 0:
        return 0, None
    return len(np.unique(y)), entropy(y)


def _targets(folder: Folder) -> Any | None:
    """Of train, in the first fold; None where they are not there any more."""
    try:
        folds = read_folds(folder.arrays)
    except (OSError, EOFError, ValueError):
        return None
    return folds[0].data.train.y if folds else None
